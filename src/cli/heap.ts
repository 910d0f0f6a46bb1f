import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * V8 sizes its heap by the machine: with some gigabytes at hand the youngest objects get 128 MiB, and old ones are
 * collected when three quarters of them are garbage. A service that mostly waits gains nothing by it. Both flags are
 * read at each collection; what the heap has grown to by then stays, so this comes before the parts are loaded.
 * docs/adr/0050-a-heap-of-its-own-size.md
 */
export function keepHeapSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
  setFlagsFromString('--heap-growing-percent=20');
}

export interface SpareMemoryDeps {
  readonly usage?: () => { readonly rss: number; readonly heapUsed: number };
  /** Collects all garbage and gives the pages that are free back to the system. */
  readonly collect?: () => void;
}

export interface SpareMemory {
  /** Gives back what was taken since the last time, if that is worth it. */
  look(): void;
}

const MIB = 2 ** 20;
/** Node and our command line, before the parts are loaded. */
const AT_FIRST = 64 * MIB;
/** Less is taken again with the next bit of work. */
const WORTH_IT = 24 * MIB;
/** It takes about a third of a second for a hundred, in which nothing else runs. */
const MOST = 256 * MIB;

/**
 * Reading a configuration and a first sync take room that is not used again, and V8 keeps it for itself as long as
 * there is anything to do.
 */
export function createSpareMemory({
  usage = process.memoryUsage,
  collect = createCollector(),
}: SpareMemoryDeps = {}): SpareMemory {
  let low = AT_FIRST;
  return {
    look() {
      const { rss, heapUsed } = usage();
      if (rss - low < WORTH_IT || heapUsed > MOST) return;
      collect();
      low = usage().rss;
    },
  };
}

function createCollector(): () => void {
  // Only a context that is made while the flag is set has it; nobody else is to see it.
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as NodeJS.GCFunction;
  setFlagsFromString('--no-expose-gc');
  return () => gc({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}
