import { createHash } from 'node:crypto';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { type Packed, pack, unpack } from './packed.ts';
import type { ParsedYaml } from './yaml.ts';

export interface YamlText {
  readonly text: string;
  /** The name of the file in each `Place`. */
  readonly file: string;
}

/** Parses each text and returns the results in the same order. */
export type Parse = (texts: readonly YamlText[]) => Promise<readonly ParsedYaml[]>;

/** The result of a text. Texts with problems are not packed. */
export type Parsing = Packed | ParsedYaml;

/**
 * A cache of parsed files. Most files do not change, and parsing a thousand mappings takes ten times as long as all
 * other work after a change.
 */
export interface ParsedFiles {
  /** Starts one load. Entries that the previous load did not use are dropped from the cache. */
  begin(): Parse;
}

export interface ParsedFilesOptions {
  /** The number of characters above which another thread parses. */
  readonly threadThreshold?: number;
  /** Returns undefined if no thread can be started. */
  readonly runThread?: (texts: readonly YamlText[]) => Promise<readonly Parsing[] | undefined>;
}

/** Parsing this many characters takes about as long as starting a thread: a tenth of a second. */
const THREAD_THRESHOLD = 128 * 1024;

/**
 * The limit for the young generation of the thread's heap. By default V8 reserves 128 MiB, which the process never
 * returns.
 */
const YOUNG_GENERATION_MB = 8;

export function createParsedFiles({
  threadThreshold = THREAD_THRESHOLD,
  runThread = parseInThread,
}: ParsedFilesOptions = {}): ParsedFiles {
  let cached = new Map<string, { readonly digest: string; readonly packed: Packed }>();

  const parseFresh = async (texts: readonly YamlText[]): Promise<readonly Parsing[]> => {
    const size = texts.reduce((sum, { text }) => sum + text.length, 0);
    // Parsing a thousand mappings takes half a second. In this thread, it would delay probes and lock renewals.
    return (size < threadThreshold ? undefined : await runThread(texts)) ?? parseHere(texts);
  };

  return {
    begin() {
      const previous = cached;
      const next: typeof cached = new Map();
      cached = next;
      return async (texts) => {
        const known = texts.map(({ text, file }) => {
          const digest = createHash('sha256').update(text).digest('hex');
          const entry = previous.get(file);
          return { file, digest, hit: entry?.digest === digest ? entry.packed : undefined };
        });
        const fresh = (
          await parseFresh(texts.filter((_, index) => known[index]?.hit === undefined))
        ).values();
        return known.flatMap(({ file, digest, hit }) => {
          const parsing = hit ?? fresh.next().value;
          if (parsing === undefined) return [];
          if (!('shape' in parsing)) return [parsing];
          next.set(file, { digest, packed: parsing });
          return [unpack(parsing, file)];
        });
      };
    },
  };
}

async function parseHere(texts: readonly YamlText[]): Promise<readonly Parsing[]> {
  // Load the YAML library lazily, because this thread does not need it if another thread parses.
  const { parseYaml } = await import('./yaml.ts');
  return texts.map(({ text, file }) => pack(parseYaml(text, file)));
}

async function parseInThread(texts: readonly YamlText[]): Promise<readonly Parsing[] | undefined> {
  const { promise, resolve } = Promise.withResolvers<readonly Parsing[] | undefined>();
  // If the thread itself fails, for example for lack of memory, this thread parses.
  const giveUp = () => resolve(undefined);
  const worker = new Worker(
    new URL(`./parsing-worker${extname(import.meta.filename)}`, import.meta.url),
    // Do not pass on the flags of this process, because they may not suit a thread.
    { workerData: texts, execArgv: [], resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB } },
  );
  worker.once('message', resolve).once('error', giveUp).once('exit', giveUp);
  try {
    return await promise;
  } finally {
    await worker.terminate();
  }
}
