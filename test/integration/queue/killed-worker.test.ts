import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { eventually, job, recordingProcess } from '../../conformance/queue.ts';
import { startRedis } from '../services/redis.ts';
import { openQueue } from './harness.ts';

const CHILD = join(import.meta.dirname, 'killed-worker-child.ts');

describe('a job whose process was killed', () => {
  it('a job whose process was killed runs again with the reason and the request id of the latest add', {
    tags: ['long'],
  }, async () => {
    await using server = await startRedis();
    await using queue = await openQueue(server.address);
    await eventually(() => queue.health().state === 'up');
    await queue.add([job('a', 'sweep', 'one')], { delayMs: 600_000 });
    await queue.add([job('a', 'manual', 'two')]);
    const child = spawn(process.execPath, [CHILD, server.address], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await once(child, 'exit');
    const { seen, process: work } = recordingProcess();
    queue.start(work);
    await eventually(() => seen.length > 0, 60_000);
    expect(seen[0]).toEqual(job('a', 'manual', 'two~1'));
  });

  it('another process runs a job within 30 seconds after the first process was killed, and also runs jobs that were added later', async () => {
    await using server = await startRedis();
    await using queue = await openQueue(server.address);
    await eventually(() => queue.health().state === 'up');
    await queue.add([job('a', 'event', 'one')]);
    // Kill two processes that run the job, one after the other. By default, BullMQ tolerates only one stall of a job.
    for (let time = 0; time < 2; time += 1) {
      const child = spawn(process.execPath, [CHILD, server.address], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const killedIn = performance.now();
      await once(child.stdout, 'data');
      expect(performance.now() - killedIn).toBeLessThan(40_000);
      await queue.add([job('a', 'manual', 'two')]);
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    const killed = performance.now();
    const { seen, process: work } = recordingProcess();
    queue.start(work);
    await eventually(() => seen.length > 0, 60_000);
    expect(performance.now() - killed).toBeLessThan(30_000);
    await queue.idle();
    expect(seen).toEqual([job('a', 'event', 'one~2'), job('a', 'manual', 'two')]);
  });
});
