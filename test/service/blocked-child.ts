import { setTimeout as sleep } from 'node:timers/promises';
import { createLoops } from '../../src/service/liveness/loops.ts';
import { watchEventLoop } from '../../src/service/liveness/watchdog.ts';

// A process whose event loop is blocked twice for longer than is borne, and works in between.

const loops = createLoops({ now: () => Date.now() });
const nobody = new Int32Array(new SharedArrayBuffer(4));
await using _ = watchEventLoop(loops, { json: process.argv[2] === 'json', afterMs: 1_000 });
for (let times = 0; times < 2; times++) {
  await sleep(1_000);
  Atomics.wait(nobody, 0, 0, 3_000);
}
