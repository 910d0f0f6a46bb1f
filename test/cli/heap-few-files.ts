import { openSync } from 'node:fs';
import { PerformanceObserver } from 'node:perf_hooks';
import { createMemoryTrimmer, keepHeapSmall } from '../../src/cli/heap.ts';
import { codeOf } from '../../src/core/system-errors.ts';
import { createLoops } from '../../src/service/liveness/loops.ts';
import { watchEventLoop } from '../../src/service/liveness/watchdog.ts';

// Runs the memory trimmer and the watchdog of a service in a process that cannot open more files.

keepHeapSmall('service');
const collected = Promise.withResolvers<void>();
// This observer runs after the observer of `keepHeapSmall`.
new PerformanceObserver(() => collected.resolve()).observe({ entryTypes: ['gc'] });
const memory = createMemoryTrimmer();
try {
  for (;;) openSync('/dev/null', 'r');
} catch (error) {
  process.stdout.write(`${codeOf(error)}\n`);
}
await using _ = watchEventLoop(createLoops({ now: () => 0 }), { json: true });
memory.trim();
memory.addLargeValue(2 ** 23);
for (let n = 0; n < 100; n += 1) Array.from({ length: 10_000 }, (_item, index) => ({ index }));
await collected.promise;
process.stdout.write('goes on\n');
