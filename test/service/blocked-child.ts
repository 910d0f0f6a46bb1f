import { setTimeout as sleep } from 'node:timers/promises';
import { createLoops } from '../../src/service/liveness/loops.ts';
import { watchEventLoop } from '../../src/service/liveness/watchdog.ts';

// A process that blocks its event loop twice for longer than allowed. The loop runs between the two blocks.

const loops = createLoops({ now: () => Date.now() });
const neverNotified = new Int32Array(new SharedArrayBuffer(4));
await using _ = watchEventLoop(loops, { json: process.argv[2] === 'json', afterMs: 1_000 });
for (let times = 0; times < 2; times++) {
  await sleep(1_000);
  Atomics.wait(neverNotified, 0, 0, 3_000);
}
