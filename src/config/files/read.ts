import { createHash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { mapConcurrently } from '../../core/semaphore.ts';
import { defineTask, workerThread } from '../../core/worker-thread.ts';
import { type Problem, toProblem } from '../problem.ts';
import { type ConfigFs, MAX_OPEN_FILES, readSource, type SourceFile } from './files.ts';
import { type Located, type ParsedYaml, parseYaml, parseYamlInSteps } from './yaml.ts';

export interface ReadDocuments {
  readonly documents: readonly Located[];
  /** Problems of files that could not be read or parsed. */
  readonly problems: readonly Problem[];
  /** One problem for each empty file. */
  readonly blank: readonly Problem[];
  /** Whether the documents contain the complete content of all files. */
  readonly isWhole: boolean;
  /** Maps the name of each file, as in a `Place`, to the text of the file. */
  readonly texts: ReadonlyMap<string, string>;
}

export interface ReadDeps {
  readonly fs: ConfigFs;
  readonly parse: Parse;
  /** Whether tenants write the files. */
  readonly isOfTenant?: boolean;
}

export async function readDocuments(
  files: readonly SourceFile[],
  { fs, parse, isOfTenant = false }: ReadDeps,
): Promise<ReadDocuments> {
  const reads = await mapConcurrently(files, MAX_OPEN_FILES, (source) => readSource(source, fs));
  const readable = files.flatMap(({ shown }, index) => {
    const read = reads[index];
    return read?.kind === 'text' ? [{ file: shown, text: read.text }] : [];
  });
  const unreadable = reads.flatMap((read) => (read.kind === 'problem' ? [read.problem] : []));
  const parsed = await parse(readable, isOfTenant);
  const problems = parsed.flatMap((parsedYaml) =>
    parsedYaml.problems.map(({ place, message }) =>
      toProblem({ path: [], code: 'CONFIG_INVALID', message }, place),
    ),
  );
  const blank = readable.filter(({ text }) => text.trim() === '').map(({ file }) => blankProblem(file));
  return {
    documents: parsed.flatMap(({ documents }) => documents),
    problems: [...unreadable, ...problems],
    blank,
    isWhole: unreadable.length + blank.length === 0 && parsed.every(({ isWhole }) => isWhole),
    texts: new Map(readable.map(({ file, text }) => [file, text])),
  };
}

/**
 * Report an empty file instead of accepting it. Editors empty a file before they write it, and a full disk or a failed
 * program can also empty it. An accepted empty file would remove all of its mappings.
 */
function blankProblem(file: string): Problem {
  const message = 'the file is empty; delete it, or add a comment if this is intended';
  return toProblem({ path: [], code: 'CONFIG_INVALID', message }, { file, line: 1, column: 1 });
}

export interface YamlText {
  readonly text: string;
  /** The name of the file in each `Place`. */
  readonly file: string;
}

/** Parses each text and returns the results in the same order. */
export type Parse = (texts: readonly YamlText[], isOfTenant?: boolean) => Promise<readonly ParsedYaml[]>;

/**
 * A cache of parsed files. Most files do not change, and parsing a thousand mappings takes ten times as long as all
 * other work after a change.
 */
export interface ParsedFiles {
  /** Starts one load. Entries that the previous load did not use are dropped from the cache. */
  begin(): Parse;
}

/** The longest time without a pause. Parsing blocks the event loop, so the service would miss probes. */
const SLICE_MS = 25;

export function createParsedFiles(): ParsedFiles {
  let cached = new Map<string, { readonly digest: string; readonly parsed: ParsedYaml }>();
  return {
    begin() {
      const previous = cached;
      const next: typeof cached = new Map();
      cached = next;
      return async (texts, isOfTenant = false) => {
        const pause = createPacer();
        const results: ParsedYaml[] = [];
        for (const { text, file } of texts) {
          const digest = createHash('sha256').update(text).digest('hex');
          const entry = previous.get(file);
          const parse = isOfTenant ? parseOfTenant : parseWithPauses;
          const parsed = entry?.digest === digest ? entry.parsed : await parse({ text, file }, pause);
          next.set(file, { digest, parsed });
          results.push(parsed);
        }
        return results;
      };
    },
  };
}

/** The size of a tenant's file, in characters. A ConfigMap is not larger. */
const MAX_TENANT_LENGTH = 1024 * 1024;
/** A longer file of a tenant is parsed in the worker thread. A file full of mistakes takes 14 s for each megabyte. */
const SMALL_LENGTH = 16 * 1024;
/** The processor time for one file of a tenant. */
const PARSE_MS = 5_000;

export function parseText({ text, file }: YamlText): ParsedYaml {
  return parseYaml(text, file);
}

const PARSE_TEXT = defineTask(import.meta.url, parseText);

async function parseOfTenant(yamlText: YamlText, pause: () => Promise<void>): Promise<ParsedYaml> {
  const { text, file } = yamlText;
  if (text.length <= SMALL_LENGTH) return parseWithPauses(yamlText, pause);
  if (text.length > MAX_TENANT_LENGTH)
    return unparsed(file, 'the file is too large: a file of an `include` may have 1 MiB');
  const result = await workerThread.run(PARSE_TEXT, yamlText, { group: file, timeMs: PARSE_MS });
  return result.kind === 'done'
    ? result.output
    : unparsed(file, 'the file takes too long to parse; correct its mistakes, or make it smaller');
}

function unparsed(file: string, message: string): ParsedYaml {
  return { documents: [], problems: [{ place: { file, line: 1, column: 1 }, message }], isWhole: false };
}

async function parseWithPauses({ text, file }: YamlText, pause: () => Promise<void>): Promise<ParsedYaml> {
  const steps = parseYamlInSteps(text, file);
  for (;;) {
    const step = steps.next();
    await pause();
    if (step.done) return step.value;
  }
}

/** Returns a function that lets the event loop run if the last pause was too long ago. */
export function createPacer(): () => Promise<void> {
  let sliceStart = performance.now();
  return async () => {
    if (performance.now() - sliceStart < SLICE_MS) return;
    await nextTurn();
    sliceStart = performance.now();
  };
}
