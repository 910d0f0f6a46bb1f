import { createMemoryTrimmer } from '../../src/cli/heap.ts';

// Runs in a separate process, so that garbage of other tests does not affect the result. Prints how much memory V8
// returned to the system, in MiB.

const MIB = 2 ** 20;
let garbage: object[] = Array.from({ length: 1_000_000 }, (_, n) => ({ n }));
const before = process.memoryUsage().heapTotal + garbage.length * 0;
garbage = [];
createMemoryTrimmer().trim();
const after = process.memoryUsage().heapTotal;
process.stdout.write(JSON.stringify({ freed: Math.round((before - after) / MIB), seen: 'gc' in globalThis }));
