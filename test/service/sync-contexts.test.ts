import { describe, expect, it } from 'vitest';
import type { ContextRun } from '../../src/reconcile/context.ts';
import { createSyncContexts, MAX_CONTEXT_AGE_MS } from '../../src/service/runs/sync-contexts.ts';
import { createClock, START, settled } from './sample.ts';

/** Numbers the contexts in the order in which they are opened. */
function open() {
  const clock = createClock();
  let opened = 0;
  const contexts = createSyncContexts(clock, async ({ requestId }) => {
    opened += 1;
    return { number: opened, opener: requestId, run: { readAfter: 0, requestId: '' }, forRun };
  });
  const get = async (
    requestId: string,
    after = 0,
    requestedAt?: number,
    reason: 'event' | 'sweep' = 'event',
  ) => {
    const { number, run } = await contexts.get({ requestId, reason }, after, requestedAt);
    return [number, run.readAfter];
  };
  return { clock, contexts, get };
}

const forRun = (run: ContextRun) => ({ run }) as never;

describe('sync contexts', () => {
  it('sync contexts are shared within a request, and a target uses only reads that are newer than its last run and its request', async () => {
    const { clock, get } = open();
    expect(await get('r1')).toEqual([1, 0]);
    clock.time += 10;
    expect(await get('r2')).toEqual([2, 0]);
    expect(await get('r1', START + 5)).toEqual([1, START + 5]);
    expect(await get('r1', START + 5, START + 7)).toEqual([1, START + 7]);
  });

  it('a repetition of a request shares the context of the request, and records under its own id', async () => {
    const { contexts, get } = open();
    const job = { requestId: 'r1~1', reason: 'first' } as const;
    expect(await contexts.get(job, 0)).toMatchObject({ number: 1, opener: 'r1', run: { requestId: 'r1~1' } });
    const first = { requestId: 'r1', reason: 'first' } as const;
    expect(await contexts.get(first, 0)).toMatchObject({ number: 1, run: { requestId: 'r1' } });
    expect(contexts.opened(job)).toBeDefined();
    contexts.end({ requestId: 'r1~2', reason: 'first' });
    expect(contexts.opened(job)).toBeUndefined();
    expect((await get('r2'))[0]).toBe(2);
  });

  it('a repetition uses no read from before it began, even after many others', async () => {
    const { clock, get } = open();
    expect(await get('r1')).toEqual([1, 0]);
    clock.time += 10;
    expect(await get('r1~1')).toEqual([1, START + 10]);
    clock.time += 10;
    expect([await get('r1~1'), await get('r1')]).toEqual([
      [1, START + 10],
      [1, 0],
    ]);
    for (let count = 0; count < 100; count += 1) await get(`r1~other-${count}`);
    expect(await get('r1~1')).toEqual([1, START + 20]);
  });

  it('sync contexts stay open while they are used, and are closed when they are idle or when too many are open', async () => {
    const { clock, get } = open();
    for (let count = 0; count < 100; count += 1) {
      expect((await get('long'))[0]).toBe(1);
      await get(`short-${count}`);
      clock.time += MAX_CONTEXT_AGE_MS / 2;
    }
    clock.time += MAX_CONTEXT_AGE_MS;
    expect((await get('long'))[0]).toBe(102);
    clock.time -= 3_600_000;
    expect((await get('long'))[0]).toBe(103);
  });

  it('a sync context is closed when no job will use it any more, and other contexts stay open', async () => {
    const { contexts, get } = open();
    await get('r1', 0, undefined, 'sweep');
    await get('r1');
    await get('r2', 0, undefined, 'sweep');
    contexts.end({ requestId: 'r1', reason: 'sweep' });
    expect((await get('r1'))[0]).toBe(2);
    expect((await get('r2', 0, undefined, 'sweep'))[0]).toBe(3);
    expect((await get('r1', 0, undefined, 'sweep'))[0]).toBe(4);
  });

  it('a sync context that failed to open is opened again for the next caller', async () => {
    let isWell = false;
    const contexts = createSyncContexts(createClock(), async () => {
      if (!isWell) throw new Error('no audit');
      return { forRun };
    });
    const job = { requestId: 'r1', reason: 'event' } as const;
    const both = await Promise.allSettled([contexts.get(job, 0), contexts.get(job, 0)]);
    expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    isWell = true;
    await settled();
    expect(await contexts.get(job, 0)).toBeDefined();
  });
});
