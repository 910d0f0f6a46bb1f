import { createHash } from 'node:crypto';
import { AppError } from '../../core/errors.ts';
import { defineTask, type TaskOptions, workerThread } from '../../core/worker-thread.ts';
import { type Packed, pack, unpack } from './packed.ts';
import type { ParsedYaml } from './yaml.ts';

export interface YamlText {
  readonly text: string;
  /** The name of the file in each `Place`. */
  readonly file: string;
}

/**
 * Parses each text and returns the results in the same order.
 *
 * @param isOfTenant Whether tenants write the files. Then each file has a limit of size, time and memory.
 */
export type Parse = (texts: readonly YamlText[], isOfTenant?: boolean) => Promise<readonly ParsedYaml[]>;

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
  /** The number of characters above which the worker thread parses the operator's files. */
  readonly threadThreshold?: number;
  /** Returns undefined if the thread cannot start, or if it was ended. */
  readonly runThread?: (
    texts: readonly YamlText[],
    options: TaskOptions,
  ) => Promise<readonly Parsing[] | undefined>;
}

/** Parsing this many characters takes about as long as starting a thread: a tenth of a second. */
const THREAD_THRESHOLD = 128 * 1024;
/** A file of the maximum size needs almost 512 MiB. The operator is trusted, so the time has no real limit. */
const TRUSTED: TaskOptions = { group: 'configuration', timeMs: 60 * 60_000, memoryMb: 640 };

/** The same threshold for files of tenants. A file that consists of mistakes takes a hundred times as long. */
const TENANT_THRESHOLD = 16 * 1024;
/** The maximum number of characters in a file of a tenant. A ConfigMap is not larger. */
const MAX_TENANT_LENGTH = 1024 * 1024;
/** The processor time for a file of a tenant. */
const TENANT_MS = 5_000;

export function createParsedFiles({
  threadThreshold = THREAD_THRESHOLD,
  runThread = parseInThread,
}: ParsedFilesOptions = {}): ParsedFiles {
  let cached = new Map<string, { readonly digest: string; readonly packed: Packed }>();

  const parseFresh = async (texts: readonly YamlText[], isOfTenant: boolean): Promise<readonly Parsing[]> => {
    const size = texts.reduce((sum, { text }) => sum + text.length, 0);
    // Parsing a thousand mappings takes half a second. In this thread, it would delay probes and lock renewals.
    if (size < (isOfTenant ? Math.min(TENANT_THRESHOLD, threadThreshold) : threadThreshold))
      return parseTexts(texts);
    if (!isOfTenant) return (await runThread(texts, TRUSTED)) ?? parseTexts(texts);
    return Promise.all(
      texts.map(async (yamlText): Promise<Parsing> => {
        const { file, text } = yamlText;
        if (text.length > MAX_TENANT_LENGTH)
          return unparsed(file, 'the file is too large: a file of an `include` may have 1 MiB');
        const parsings = await runThread([yamlText], { group: file, timeMs: TENANT_MS });
        return parsings?.[0] ?? unparsed(file, TOO_COSTLY);
      }),
    );
  };

  return {
    begin() {
      const previous = cached;
      const next: typeof cached = new Map();
      cached = next;
      return async (texts, isOfTenant = false) => {
        const known = texts.map(({ text, file }) => {
          const digest = createHash('sha256').update(text).digest('hex');
          const entry = previous.get(file);
          return { file, digest, hit: entry?.digest === digest ? entry.packed : undefined };
        });
        const unknown = texts.filter((_, index) => known[index]?.hit === undefined);
        const fresh = (await parseFresh(unknown, isOfTenant)).values();
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

const TOO_COSTLY =
  'parsing the file takes too much time or memory; correct its mistakes, or split it into several files';

function unparsed(file: string, message: string): ParsedYaml {
  return { documents: [], problems: [{ place: { file, line: 1, column: 1 }, message }], isWhole: false };
}

export async function parseTexts(texts: readonly YamlText[]): Promise<readonly Parsing[]> {
  // Load the YAML library lazily, because the main thread does not need it if the worker thread parses.
  const { parseYaml } = await import('./yaml.ts');
  return texts.map(({ text, file }) => pack(parseYaml(text, file)));
}

const PARSE = defineTask(import.meta.url, parseTexts);

async function parseInThread(
  texts: readonly YamlText[],
  options: TaskOptions,
): Promise<readonly Parsing[] | undefined> {
  try {
    const result = await workerThread.run(PARSE, texts, options);
    return result.kind === 'done' ? result.output : undefined;
  } catch (error) {
    if (error instanceof AppError) return undefined;
    throw error;
  }
}
