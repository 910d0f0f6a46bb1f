import { PerformanceObserver } from 'node:perf_hooks';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { codeOf } from '../core/system-errors.ts';

const MIB = 2 ** 20;
/** Of the space for young objects: each collection of a smaller one costs as much as the work between two of them. */
const YOUNG = 4 * MIB;
/** By how many percent old objects may become more until they are collected. */
const GROWTH = 20;
/** The same two for as long as the process is a small one. */
const YOUNG_OF_SMALL = 16 * MIB;
const GROWTH_OF_SMALL = 50;
/** Resident, of the 256 MiB that are promised. A thousand targets have 180 to 200. */
const SMALL = 208 * MIB;

/**
 * V8 sizes its heap by the machine: with some gigabytes at hand the youngest objects get 128 MiB, and old ones are
 * collected when three quarters of them are garbage. A service that mostly waits gains nothing by it. The flags are
 * read at each collection; what the heap has grown to by then stays, so this comes before the parts are loaded.
 * docs/adr/0050-a-heap-of-its-own-size.md
 */
export function keepHeapSmall(): void {
  setFlagsFromString(`--heap-growing-percent=${GROWTH_OF_SMALL}`);
  setFlagsFromString('--semi-space-growth-factor=1');
  // For so little, waking other threads takes longer than what they help.
  setFlagsFromString('--no-parallel-scavenge');
  const collect = createCollector();
  let mayGrow = false;
  let most = YOUNG_OF_SMALL;
  // The space for young objects begins with 1 MiB, and goes back to that when all garbage is collected.
  const observer = new PerformanceObserver(() => {
    if (most !== YOUNG && (known(process.memoryUsage.rss) ?? 0) > SMALL) {
      // For good: around the limit it would come and go, and each time costs a tenth of a second.
      most = YOUNG;
      setFlagsFromString(`--heap-growing-percent=${GROWTH}`);
      // Both limits are taken anew when all garbage is collected.
      collect();
    }
    const isSmall = youngSize() < most;
    if (isSmall === mayGrow) return;
    mayGrow = isSmall;
    setFlagsFromString(`--semi-space-growth-factor=${mayGrow ? 2 : 1}`);
  });
  observer.observe({ entryTypes: ['gc'] });
}

function youngSize(): number {
  const young = getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space');
  // Unknown to another release of V8: then it stays as it is.
  return young?.space_size ?? YOUNG_OF_SMALL;
}

type Usage = Pick<NodeJS.MemoryUsage, 'rss' | 'heapUsed'>;

/** What is resident is read from a file: where none can be opened any more, nothing is known of it. */
function known<T>(ask: () => T): T | undefined {
  try {
    return ask();
  } catch (error) {
    if (codeOf(error) !== undefined) return undefined;
    throw error;
  }
}

export interface SpareMemoryDeps {
  readonly usage?: () => Usage | undefined;
  /** Collects all garbage and gives the pages that are free back to the system. */
  readonly collect?: () => void;
}

export interface SpareMemory {
  /** Gives back what was taken since the last time, if that is worth it. */
  look(): void;
  /** So many bytes of large values were taken up. */
  spent(bytes: number): void;
}

/** Node and our command line, before the parts are loaded. */
const AT_FIRST = 64 * MIB;
/** Less is taken again with the next bit of work; a large installation's passes come and go by some 30. */
const WORTH_IT = 40 * MIB;
/**
 * Of large values. V8 lets 30 MiB of strings and as much of buffers become garbage before it collects them, and each
 * mebibyte of a value leaves a dozen behind on its way into a Secret.
 */
const SPENT = 4 * MIB;
/** It takes about a third of a second for a hundred, in which nothing else runs. */
const MOST = 256 * MIB;

/**
 * Reading a configuration and a first sync take room that is not used again, and V8 keeps it for itself as long as
 * there is anything to do.
 */
export function createSpareMemory({
  usage = () => known(process.memoryUsage),
  collect = createCollector(),
}: SpareMemoryDeps = {}): SpareMemory {
  let low = AT_FIRST;
  let spent = 0;
  const mayCollect = (now: Usage | undefined): boolean => now !== undefined && now.heapUsed <= MOST;
  return {
    look() {
      const now = usage();
      if (now === undefined || now.rss - low < WORTH_IT || !mayCollect(now)) return;
      collect();
      low = usage()?.rss ?? low;
    },
    spent(bytes) {
      spent += bytes;
      if (spent < SPENT) return;
      spent = 0;
      if (mayCollect(usage())) collect();
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
