import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { type Packed, unpack } from './packed.ts';
import type { ParsedYaml } from './yaml.ts';

export interface YamlText {
  readonly text: string;
  /** The file name to use in places. */
  readonly file: string;
}

/**
 * Parses each text and returns the results in the same order.
 * @param meanwhile Work for this thread while another thread parses. Not called if this thread parses.
 */
export type Parse = (
  texts: readonly YamlText[],
  meanwhile?: () => Promise<unknown>,
) => Promise<readonly ParsedYaml[]>;

/** The worker thread's result for each text, packed if possible. */
export type ThreadResult = readonly (
  | { readonly packed: Packed }
  | { readonly packed?: undefined; readonly parsed: ParsedYaml }
)[];

export interface Parsing {
  readonly parsed: ParsedYaml;
  readonly packed?: Packed | undefined;
}

export interface ParseOptions {
  readonly meanwhile?: (() => Promise<unknown>) | undefined;
  /** The number of characters above which another thread parses. */
  readonly threadThreshold?: number;
  /** Returns `undefined` if no thread can be started. */
  readonly runThread?: (texts: readonly YamlText[]) => Promise<ThreadResult | undefined>;
}

/** Parsing this many characters takes about as long as starting a thread: a tenth of a second. */
const THREAD_THRESHOLD = 128 * 1024;

/**
 * The limit for the young generation of the thread's heap. By default V8 reserves 128 MiB, which the process never
 * returns.
 */
const YOUNG_GENERATION_MB = 8;

/**
 * Parses texts, in another thread if they are long. Parsing a thousand mappings takes half a second. If that blocked
 * the service, it would miss probes and lock renewals.
 */
export async function parseTexts(
  texts: readonly YamlText[],
  {
    meanwhile = async () => undefined,
    threadThreshold = THREAD_THRESHOLD,
    runThread = parseInThread,
  }: ParseOptions = {},
): Promise<readonly Parsing[]> {
  if (texts.reduce((sum, { text }) => sum + text.length, 0) < threadThreshold) return parseHere(texts);
  const [answer] = await Promise.all([runThread(texts), meanwhile()]);
  if (answer === undefined) return parseHere(texts);
  return answer.map((result, index) =>
    result.packed === undefined
      ? result
      : { ...result, parsed: unpack(result.packed, texts[index]?.file ?? '') },
  );
}

/** Parses without a cache, for a process that loads only once. */
export const parseOnce: Parse = async (texts, meanwhile) =>
  (await parseTexts(texts, { meanwhile })).map(({ parsed }) => parsed);

async function parseHere(texts: readonly YamlText[]): Promise<readonly Parsing[]> {
  // Load the YAML library lazily, because this thread does not need it if another thread parses.
  const { parseYaml } = await import('./yaml.ts');
  return texts.map(({ text, file }) => ({ parsed: parseYaml(text, file) }));
}

async function parseInThread(texts: readonly YamlText[]): Promise<ThreadResult | undefined> {
  const { promise, resolve } = Promise.withResolvers<ThreadResult | undefined>();
  // The result includes problems in a text. If the thread itself fails, for example for lack of memory, parse in this
  // thread instead.
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
