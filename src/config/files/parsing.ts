import { createHash } from 'node:crypto';
import { AppError } from '../../core/errors.ts';
import {
  defineTask,
  type Task,
  type TaskOptions,
  type TaskResult,
  workerThread,
} from '../../core/worker-thread.ts';
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
 * @param tenant The `include` of the files, if a tenant writes them. Then they have limits of size, time and memory.
 */
export type Parse = (texts: readonly YamlText[], tenant?: string) => Promise<readonly ParsedYaml[]>;

/** The result of a text. Texts with problems are not packed. */
export type Parsing = Packed | ParsedYaml;

interface Fresh {
  readonly parsing: Parsing;
  /** Whether another load would give the same result. */
  readonly isFinal: boolean;
}

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
/** The processor time for all files of an `include` together. Parsing ten thousand mappings takes half of it. */
const INCLUDE_MS = 10_000;

export function createParsedFiles({
  threadThreshold = THREAD_THRESHOLD,
  runThread = parseInThread,
}: ParsedFilesOptions = {}): ParsedFiles {
  let cached = new Map<string, { readonly digest: string; readonly parsing: Parsing }>();

  const parseFresh = async (
    texts: readonly YamlText[],
    tenant: string | undefined,
  ): Promise<readonly Fresh[]> => {
    const size = texts.reduce((sum, { text }) => sum + text.length, 0);
    const isSmall =
      size < (tenant === undefined ? threadThreshold : Math.min(TENANT_THRESHOLD, threadThreshold));
    if (!isSmall && tenant !== undefined) return parseTenantFiles(texts, tenant);
    // Parsing a thousand mappings takes half a second. In this thread, it would delay probes and lock renewals.
    const parsings = (isSmall ? undefined : await runThread(texts, TRUSTED)) ?? (await parseTexts(texts));
    return parsings.map((parsing) => ({ parsing, isFinal: true }));
  };

  return {
    begin() {
      const previous = cached;
      const next: typeof cached = new Map();
      cached = next;
      return async (texts, tenant) => {
        const known = texts.map(({ text, file }) => {
          const digest = createHash('sha256').update(text).digest('hex');
          const entry = previous.get(file);
          return { file, digest, hit: entry?.digest === digest ? entry.parsing : undefined };
        });
        const unknown = texts.filter((_, index) => known[index]?.hit === undefined);
        const fresh = (await parseFresh(unknown, tenant)).values();
        return known.flatMap(({ file, digest, hit }) => {
          const result = hit === undefined ? fresh.next().value : { parsing: hit, isFinal: true };
          if (result === undefined) return [];
          const { parsing, isFinal } = result;
          if (isFinal && isCompact(parsing)) next.set(file, { digest, parsing });
          return ['shape' in parsing ? unpack(parsing, file) : parsing];
        });
      };
    },
  };
}

/** Whether a result can stay in memory. Documents with problems are not packed, and may need much memory. */
function isCompact(parsing: Parsing): boolean {
  return 'shape' in parsing || parsing.documents.length === 0;
}

/**
 * Parses the files of an `include` one by one, because they share their time. Otherwise a hundred files of one tenant
 * would delay all other tenants.
 */
async function parseTenantFiles(texts: readonly YamlText[], group: string): Promise<readonly Fresh[]> {
  const results: Fresh[] = [];
  let leftMs = INCLUDE_MS;
  for (const yamlText of texts) {
    const { file, text } = yamlText;
    const refuse = (message: string, isFinal: boolean) =>
      void results.push({ parsing: unparsed(file, message), isFinal });
    const timeMs = Math.min(TENANT_MS, leftMs);
    if (text.length > MAX_TENANT_LENGTH) refuse(TOO_LARGE, true);
    else if (timeMs <= 0) refuse(TOO_COSTLY_TOGETHER, false);
    else {
      const result = await runTask(PARSE_TIMED, yamlText, { group, timeMs });
      leftMs -= result?.kind === 'done' ? result.output.cpuMs : timeMs;
      if (result?.kind === 'done') results.push({ parsing: result.output.parsing, isFinal: true });
      else if (timeMs < TENANT_MS) refuse(TOO_COSTLY_TOGETHER, false);
      else refuse(TOO_COSTLY, result !== undefined);
    }
  }
  return results;
}

const TOO_LARGE = 'the file is too large: a file of an `include` may have 1 MiB';
const TOO_COSTLY_TOGETHER =
  'parsing the files of this `include` takes too much time; correct the mistakes in the other files first';
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

/** Also measures the processor time, in milliseconds. */
export async function parseTimed(
  yamlText: YamlText,
): Promise<{ readonly parsing: Parsing; readonly cpuMs: number }> {
  const before = process.threadCpuUsage();
  const [parsing = unparsed(yamlText.file, TOO_COSTLY)] = await parseTexts([yamlText]);
  const { user, system } = process.threadCpuUsage(before);
  return { parsing, cpuMs: (user + system) / 1_000 };
}

const PARSE_TIMED = defineTask(import.meta.url, parseTimed);

async function parseInThread(
  texts: readonly YamlText[],
  options: TaskOptions,
): Promise<readonly Parsing[] | undefined> {
  const result = await runTask(PARSE, texts, options);
  return result?.kind === 'done' ? result.output : undefined;
}

/** Returns undefined if the thread fails. */
async function runTask<In, Out>(
  task: Task<In, Out>,
  input: In,
  options: TaskOptions,
): Promise<TaskResult<Out> | undefined> {
  try {
    return await workerThread.run(task, input, options);
  } catch (error) {
    if (error instanceof AppError) return undefined;
    throw error;
  }
}
