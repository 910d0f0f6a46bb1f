import { AppError } from '../../core/errors.ts';
import { append } from '../../core/lists.ts';
import {
  defineTask,
  type Task,
  type TaskOptions,
  type TaskResult,
  workerThread,
} from '../../core/worker-thread.ts';
import { factsOf } from './divided.ts';
import type { EntryFacts, Packed } from './entries.ts';
import { inNamespace, mappingInNamespace } from './own-namespace.ts';
import { pack, packNodes } from './packed.ts';
import type { SyntaxProblem } from './syntax.ts';
import type { Located, ParsedYaml } from './yaml.ts';

export interface YamlText {
  readonly text: string;
  /** The name of the file in each `Place`. */
  readonly file: string;
  /** Set for the text of a single mapping, with the dash in front of it. */
  readonly isEntry?: true;
  /** Set for the text of a ConfigMap. Its mappings get this namespace. */
  readonly namespace?: string | undefined;
}

/** The result of a text. Texts with problems are not packed. Undefined for a mapping that is not valid by itself. */
export type Parsing = Packed | ParsedYaml | ParsedEntry | undefined;

interface ParsedEntry {
  readonly packed: Packed;
  readonly facts: EntryFacts;
}

/** Whether this is the result of a single mapping. */
export function isEntry(parsing: Parsing): parsing is ParsedEntry {
  return typeof parsing === 'object' && 'facts' in parsing;
}

/** Whether this is a text with problems. */
export function isUnpacked(parsing: Parsing): parsing is ParsedYaml {
  return typeof parsing === 'object' && 'documents' in parsing;
}

export interface Fresh {
  readonly parsing: Parsing;
  /** Whether another load would give the same result. */
  readonly isFinal: boolean;
}

/** What the files of one `include` may still cost in a load. */
export interface TenantBudget {
  /** The path of the `include`. */
  readonly group: string;
  /** Processor time. */
  leftMs: number;
}

export interface ParserOptions {
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
/** The number of characters of short files that are parsed together. */
const TENANT_BATCH = 64 * 1024;
/** The maximum number of characters in a file of a tenant. A ConfigMap is not larger. */
const MAX_TENANT_LENGTH = 1024 * 1024;
/** The processor time for a file of a tenant. */
const TENANT_MS = 5_000;
/** The processor time for all files of an `include` together. Parsing ten thousand mappings takes half of it. */
const INCLUDE_MS = 10_000;

/** Parses texts and returns the results in the same order. @param budget Set for the files of a tenant. */
export type ParseFresh = (
  texts: readonly YamlText[],
  budget: TenantBudget | undefined,
) => Promise<readonly Fresh[]>;

export function createParser({
  threadThreshold = THREAD_THRESHOLD,
  runThread = parseInThread,
}: ParserOptions): ParseFresh {
  return async (texts, budget) => {
    if (texts.length === 0) return [];
    const size = texts.reduce((sum, { text }) => sum + text.length, 0);
    const threshold = budget === undefined ? threadThreshold : Math.min(TENANT_THRESHOLD, threadThreshold);
    if (size >= threshold && budget !== undefined) return parseTenantFiles(texts, budget);
    // Parsing a thousand mappings takes half a second. In this thread, it would delay probes and lock renewals.
    const parsings =
      (size < threshold ? undefined : await runThread(texts, TRUSTED)) ?? (await parseTexts(texts));
    return parsings.map((parsing) => ({ parsing, isFinal: true }));
  };
}

export function tenantBudget(tenant: string): TenantBudget {
  return { group: tenant, leftMs: INCLUDE_MS };
}

/** Returns the refusal of a file of a tenant that is too large. */
export function refuseLong({ file, text }: YamlText): ParsedYaml | undefined {
  if (text.length <= MAX_TENANT_LENGTH) return undefined;
  return unparsed(file, 'the file is too large: a file of an `include` may have 1 MiB');
}

/**
 * Parses the files of an `include` one after the other, because they share their time. Otherwise a hundred files of one
 * tenant would delay all other tenants. Short files are parsed together.
 */
async function parseTenantFiles(texts: readonly YamlText[], budget: TenantBudget): Promise<readonly Fresh[]> {
  const results: Fresh[] = [];
  const files = [...Map.groupBy(texts, (yamlText) => yamlText.file).values()];
  for (const batch of batchesOf(files)) {
    const parsed = batch.length > 1 ? await parseWithin(batch.flat(), budget) : 'failed';
    if (typeof parsed !== 'string') append(results, parsed);
    // One of the files takes too long.
    else for (const file of batch) append(results, await parseTenantFile(file, budget));
  }
  return results;
}

/** Groups short files. A longer file is alone. */
function* batchesOf(files: readonly (readonly YamlText[])[]): Iterable<readonly (readonly YamlText[])[]> {
  let batch: (readonly YamlText[])[] = [];
  let size = 0;
  for (const file of files) {
    const length = file.reduce((sum, { text }) => sum + text.length, 0);
    if (size + length > TENANT_BATCH && batch.length > 0) {
      yield batch;
      [batch, size] = [[], 0];
    }
    batch.push(file);
    size += length;
  }
  if (batch.length > 0) yield batch;
}

async function parseTenantFile(texts: readonly YamlText[], budget: TenantBudget): Promise<readonly Fresh[]> {
  const refused = (message: string, isFinal: boolean) =>
    texts.map(({ file }): Fresh => ({ parsing: unparsed(file, message), isFinal }));
  if (budget.leftMs <= 0) return refused(TOO_COSTLY_TOGETHER, false);
  const hasLessTime = budget.leftMs < TENANT_MS;
  const parsed = await parseWithin(texts, budget);
  if (typeof parsed !== 'string') return parsed;
  return hasLessTime ? refused(TOO_COSTLY_TOGETHER, false) : refused(TOO_COSTLY, parsed === 'exceeded');
}

/** Takes the processor time from the budget. */
async function parseWithin(
  texts: readonly YamlText[],
  budget: TenantBudget,
): Promise<readonly Fresh[] | 'exceeded' | 'failed'> {
  const timeMs = Math.min(TENANT_MS, budget.leftMs);
  if (timeMs <= 0) return 'exceeded';
  const result = await runTask(PARSE_TIMED, texts, { group: budget.group, timeMs });
  budget.leftMs -= result?.kind === 'done' ? result.output.cpuMs : timeMs;
  if (result?.kind === 'done') return result.output.parsings.map((parsing) => ({ parsing, isFinal: true }));
  return result === undefined ? 'failed' : 'exceeded';
}

const TOO_COSTLY_TOGETHER =
  'parsing the files of this `include` takes too much time; correct the mistakes in the other files first';
const TOO_COSTLY =
  'parsing the file takes too much time or memory; correct its mistakes, or split it into several files';

function unparsed(file: string, message: string): ParsedYaml {
  return { documents: [], problems: [{ place: { file, line: 1, column: 1 }, message }], isWhole: false };
}

export async function parseTexts(texts: readonly YamlText[]): Promise<readonly Parsing[]> {
  // Load the YAML library lazily, because the main thread does not need it if the worker thread parses.
  const { parseYaml, parseEntry } = await import('./yaml.ts');
  return texts.map(({ text, file, isEntry, namespace }) => {
    if (isEntry !== true) {
      const parsed = parseYaml(text, file);
      return pack(namespace === undefined ? parsed : inNamespace(parsed, namespace));
    }
    const node = ownEntry(parseEntry(text, file), namespace);
    const packed = node === undefined ? undefined : packNodes([node]);
    return node === undefined || packed === undefined ? undefined : { packed, facts: factsOf(node) };
  });
}

/** Returns undefined if the mapping has a problem, which a parse of the whole file then reports. */
function ownEntry(node: Located | undefined, namespace: string | undefined): Located | undefined {
  if (node === undefined || namespace === undefined) return node;
  const problems: SyntaxProblem[] = [];
  const own = mappingInNamespace(node, namespace, problems);
  return problems.length > 0 ? undefined : own;
}

const PARSE = defineTask(import.meta.url, parseTexts);

/** Also measures the processor time, in milliseconds. */
export async function parseTimed(
  texts: readonly YamlText[],
): Promise<{ readonly parsings: readonly Parsing[]; readonly cpuMs: number }> {
  const before = process.threadCpuUsage();
  const parsings = await parseTexts(texts);
  const { user, system } = process.threadCpuUsage(before);
  return { parsings, cpuMs: (user + system) / 1_000 };
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
