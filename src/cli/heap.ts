import { PerformanceObserver } from 'node:perf_hooks';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { codeOf } from '../core/system-errors.ts';

const MIB = 2 ** 20;
/** Size of the young generation. Below this size, collections cost as much as the work between them. */
const YOUNG_GENERATION_BYTES = 4 * MIB;
/** Growth of the old generation in percent before it is collected. */
const GROWTH_PERCENT = 20;
/** The same two limits while the process is small. */
const SMALL_YOUNG_GENERATION_BYTES = 16 * MIB;
const SMALL_GROWTH_PERCENT = 50;
/** Resident size. The promise is 256 MiB, and a thousand targets need 180 to 200 MiB. */
const SMALL_PROCESS_BYTES = 208 * MIB;

/**
 * Limits the heap. V8 sizes it by the machine: with several gigabytes the young generation gets 128 MiB, and old
 * objects are collected only when three quarters are garbage. A mostly idle service does not benefit from that. V8
 * reads the flags at each collection but does not shrink the heap, so call this before loading the service.
 * docs/adr/0015-bound-the-memory-of-the-service.md
 */
export function keepHeapSmall(): void {
  setFlagsFromString(`--heap-growing-percent=${SMALL_GROWTH_PERCENT}`);
  setFlagsFromString('--semi-space-growth-factor=1');
  // For a small heap, waking other threads takes longer than they save.
  setFlagsFromString('--no-parallel-scavenge');
  const collect = createCollector();
  let mayGrow = false;
  let most = SMALL_YOUNG_GENERATION_BYTES;
  // The young generation starts with 1 MiB and returns to it after each full collection.
  const observer = new PerformanceObserver(() => {
    if (most !== YOUNG_GENERATION_BYTES && (readUsage(process.memoryUsage.rss) ?? 0) > SMALL_PROCESS_BYTES) {
      // Switch only once. Near the limit it would switch back and forth, and each switch takes a tenth of a second.
      most = YOUNG_GENERATION_BYTES;
      setFlagsFromString(`--heap-growing-percent=${GROWTH_PERCENT}`);
      // V8 reads both limits at a full collection.
      collect();
    }
    const isSmall = youngGenerationSize() < most;
    if (isSmall === mayGrow) return;
    mayGrow = isSmall;
    setFlagsFromString(`--semi-space-growth-factor=${mayGrow ? 2 : 1}`);
  });
  observer.observe({ entryTypes: ['gc'] });
}

function youngGenerationSize(): number {
  const young = getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space');
  // Another release of V8 may not have this space. Then the limits stay unchanged.
  return young?.space_size ?? SMALL_YOUNG_GENERATION_BYTES;
}

type Usage = Pick<NodeJS.MemoryUsage, 'rss' | 'heapUsed'>;

/** The resident size is read from a file. Without free file descriptors it is unknown. */
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
  /** Returns memory to the system if enough has accumulated since the last call. */
  trim(): void;
  /** Reports that large values with this many bytes were processed. */
  addLargeValue(bytes: number): void;
}

/** Node and the command line, before the service is loaded. */
const INITIAL_RSS_BYTES = 64 * MIB;
/** Less would be allocated again with the next work. In a large installation, the usage varies by about 30 MiB. */
const MIN_TRIM_BYTES = 40 * MIB;
/**
 * Threshold for large values. V8 collects only after 30 MiB of strings and as much of buffers. Each mebibyte of a value
 * leaves about a dozen as garbage on its way into a Secret.
 */
const LARGE_VALUE_BYTES = 4 * MIB;
/** A full collection takes about a third of a second for 100 MiB, and blocks everything else. */
const MAX_HEAP_BYTES = 256 * MIB;

/**
 * Reading a configuration and a first sync allocate memory that is not used again. V8 keeps it while the process is
 * active.
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

function createCollector(): () => void {
  // Only a context created while the flag is set has `gc`. No other code should see it.
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as NodeJS.GCFunction;
  setFlagsFromString('--no-expose-gc');
  return () => gc({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}
