import { PerformanceObserver } from 'node:perf_hooks';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { codeOf } from '../core/system-errors.ts';

const MIB = 2 ** 20;
/** Limits of the heap of V8. */
interface HeapLimits {
  /** The maximum size of the young generation. */
  readonly youngBytes: number;
  /** The old generation is collected when it has grown by this many percent. */
  readonly growthPercent: number;
}

/** With a smaller young generation, garbage collection would take as much time as the program itself. */
const LARGE_PROCESS: HeapLimits = { youngBytes: 4 * MIB, growthPercent: 20 };
/** The limits of a large process would cost a small one a quarter of its CPU, while it writes many Secrets. */
const SMALL_SERVICE: HeapLimits = { youngBytes: 16 * MIB, growthPercent: 40 };
/** A command ends soon, so it may use more memory for less time. */
const SMALL_COMMAND: HeapLimits = { youngBytes: 32 * MIB, growthPercent: 100 };
/**
 * A process above this resident size is large. The documentation promises a maximum of 256 MiB, and a thousand targets
 * need up to 200 MiB.
 */
const SMALL_PROCESS_BYTES = 208 * MIB;
/**
 * V8 optimizes a function after ten times as many calls as by default. Most functions of a first sync would be optimized
 * only shortly before it ends. The optimization needs memory, which the process does not return.
 *
 * The last flag names a WebAssembly function that does not exist, so that V8 optimizes no WebAssembly. The parser of HTTP
 * answers is one large WebAssembly function. Its optimization needs 25 MiB for a moment, and saves no time.
 */
const OPTIMIZATION_FLAGS = [
  '--invocation-count-for-maglev=4000',
  '--invocation-count-for-maglev-osr=1000',
  '--invocation-count-for-turbofan=30000',
  '--wasm-tier-up-filter=1000000',
];

/**
 * Limits the size of the heap. By default, V8 derives the limits from the memory of the machine. On a machine with
 * several gigabytes, the young generation gets 128 MiB. Old objects are collected only when three quarters of them are
 * garbage. A mostly idle service does not benefit from such a large heap. V8 reads the flags at each collection but
 * never shrinks the heap, so call this function before loading the service. See
 * docs/adr/0015-bound-the-memory-of-the-service.md
 */
export function keepHeapSmall(kind: 'service' | 'command'): void {
  let limits = kind === 'service' ? SMALL_SERVICE : SMALL_COMMAND;
  setFlagsFromString(`--heap-growing-percent=${limits.growthPercent}`);
  setFlagsFromString('--semi-space-growth-factor=1');
  for (const flag of OPTIMIZATION_FLAGS) setFlagsFromString(flag);
  // In a small heap, waking other threads would take more time than parallel collection saves.
  setFlagsFromString('--no-parallel-scavenge');
  const collect = createCollector();
  let mayGrow = false;
  const lowerLimits = () => {
    limits = LARGE_PROCESS;
    setFlagsFromString(`--heap-growing-percent=${limits.growthPercent}`);
    // V8 applies both limits at a full collection, so force one.
    collect();
  };
  // V8 starts with a young generation of 1 MiB, and shrinks it to this size at each full collection. So check the size
  // after each collection, and allow growth only below the limit.
  const observer = new PerformanceObserver(() => {
    // A read of the resident size takes as long as a short collection, so a large process does without it.
    const isLarge = limits === LARGE_PROCESS;
    if (!isLarge && (readUsage(residentBytes) ?? 0) > SMALL_PROCESS_BYTES) lowerLimits();
    const isSmall = youngGenerationBytes() < limits.youngBytes;
    if (isSmall === mayGrow) return;
    mayGrow = isSmall;
    setFlagsFromString(`--semi-space-growth-factor=${mayGrow ? 2 : 1}`);
  });
  observer.observe({ entryTypes: ['gc'] });
}

const residentBytes = (): number => process.memoryUsage.rss();

function youngGenerationBytes(): number {
  const young = getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space');
  // Another version of V8 might not have this heap space. In this case, the limits stay unchanged.
  return young?.space_size ?? Number.POSITIVE_INFINITY;
}

type Usage = Pick<NodeJS.MemoryUsage, 'rss' | 'heapUsed'>;

/**
 * Returns the memory usage. Returns undefined if the usage cannot be read, for example because no file descriptors are
 * free.
 */
function readUsage<T>(ask: () => T): T | undefined {
  try {
    return ask();
  } catch (error) {
    if (codeOf(error) !== undefined) return undefined;
    throw error;
  }
}

export interface MemoryTrimmerDeps {
  readonly usage?: () => Usage | undefined;
  /** Collects all garbage and returns free pages to the system. */
  readonly collect?: () => void;
}

export interface MemoryTrimmer {
  /** Returns memory to the system if enough unused memory has accumulated since the last call. */
  trim(): void;
  /** Reports that a run has processed large values with this total size. */
  addLargeValue(bytes: number): void;
}

/** The resident size of a process that has loaded Node and the command-line interface, but not yet the service. */
const INITIAL_RSS_BYTES = 64 * MIB;
/**
 * The smallest amount to return to the system. A smaller amount would soon be allocated again: in a large installation,
 * memory usage varies by about 30 MiB.
 */
const MIN_TRIM_BYTES = 40 * MIB;
/**
 * After this many bytes of large values, a full collection is forced. V8 by itself collects only after 30 MiB of
 * strings and 30 MiB of buffers. Each MiB of a value causes about 12 MiB of garbage on its way into a Secret.
 */
const LARGE_VALUE_BYTES = 4 * MIB;
/**
 * In a heap larger than this, no full collection is forced. A full collection takes about a third of a second for 100
 * MiB, and blocks the event loop. Probes wait for a second.
 */
const MAX_HEAP_BYTES = 160 * MIB;

/**
 * Returns free memory to the system. Loading a configuration and a first sync leave much free memory, which V8 itself
 * keeps while the process is active.
 */
export function createMemoryTrimmer({
  usage = () => readUsage(process.memoryUsage),
  collect = createCollector(),
}: MemoryTrimmerDeps = {}): MemoryTrimmer {
  let low = INITIAL_RSS_BYTES;
  let spent = 0;
  const mayCollect = (now: Usage | undefined): boolean => now !== undefined && now.heapUsed <= MAX_HEAP_BYTES;
  return {
    trim() {
      const now = usage();
      if (now === undefined || now.rss - low < MIN_TRIM_BYTES || !mayCollect(now)) return;
      collect();
      low = usage()?.rss ?? low;
    },
    addLargeValue(bytes) {
      spent += bytes;
      if (spent < LARGE_VALUE_BYTES) return;
      spent = 0;
      if (mayCollect(usage())) collect();
    },
  };
}

/** Returns a function that collects several times, and returns all free pages to the system. */
function createCollector(): () => void {
  // V8 defines `gc` only in contexts that are created while this flag is set. Unset the flag afterwards, so that no
  // other code can use `gc`.
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as NodeJS.GCFunction;
  setFlagsFromString('--no-expose-gc');
  return () => gc({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}
