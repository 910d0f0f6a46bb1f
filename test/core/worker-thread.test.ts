import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WorkerThread } from '../../src/core/worker-thread.ts';
import { allocate, count, echo, fail, loop, order } from './worker-thread-tasks.ts';

const options = { group: 'a', timeMs: 200 };

describe('worker thread', () => {
  let thread: WorkerThread;
  beforeAll(() => {
    thread = new WorkerThread();
  });
  afterAll(() => thread[Symbol.asyncDispose]());

  it('a task runs in the thread and returns plain data', async () => {
    const input = { text: 'é', bytes: new Uint8Array([0, 255]) };
    expect(await thread.run(echo, input, options)).toEqual({ kind: 'done', output: input });
  });

  it('the module of a task is loaded only once', async () => {
    await thread.run(count, undefined, options);
    expect(await thread.run(count, undefined, options)).toEqual({ kind: 'done', output: 2 });
  });

  it('a task that needs too much time or memory is ended, and the next task runs', async () => {
    const start = performance.now();
    const results = [loop, allocate, count].map((task) => thread.run(task, undefined, options));
    expect(await Promise.all(results)).toEqual([
      { kind: 'exceeded' },
      { kind: 'exceeded' },
      { kind: 'done', output: 1 },
    ]);
    expect(performance.now() - start).toBeLessThan(10_000);
  });

  it('a task with a memory limit of its own has a thread of its own', async () => {
    await thread.run(count, undefined, options);
    const ownOptions = { ...options, memoryMb: 32 };
    expect(await thread.run(count, undefined, ownOptions)).toEqual({ kind: 'done', output: 1 });
    expect(thread.isRunning).toBe(false);
    expect(await thread.run(count, undefined, options)).toEqual({ kind: 'done', output: 1 });
  });

  it('an error of a task is reported without its message', async () => {
    await expect(thread.run(fail, undefined, options)).rejects.toMatchObject({
      code: 'INTERNAL',
      detail: 'the worker thread failed with RangeError',
    });
  });

  it('groups take turns, and the group that has used the least time comes first', async () => {
    const ended: string[] = [];
    const run = async (group: string): Promise<void> => {
      await thread.run(order, 20, { group, timeMs: 1_000 });
      ended.push(group);
    };
    await Promise.all([run('busy'), run('busy'), run('busy'), run('other'), run('third')]);
    expect(ended).toEqual(['busy', 'other', 'third', 'busy', 'busy']);
  });
});

it('an idle thread ends, and starts again for the next task', async () => {
  await using thread = new WorkerThread({ idleMs: 1 });
  await thread.run(count, undefined, options);
  await expect.poll(() => thread.isRunning).toBe(false);
  expect(await thread.run(count, undefined, options)).toEqual({ kind: 'done', output: 1 });
});
