import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { type Packed, unpack } from './packed.ts';
import type { ParsedYaml } from './yaml.ts';

export interface YamlText {
  readonly text: string;
  /** As places name it. */
  readonly file: string;
}

/**
 * Gives one result for each text, in their order.
 * @param meanwhile What there is to do here while another thread parses; not called when none is asked.
 */
export type Parse = (
  texts: readonly YamlText[],
  meanwhile?: () => Promise<unknown>,
) => Promise<readonly ParsedYaml[]>;

/** What the other thread gives of each text: packed where that can be. */
export type ThreadAnswer = readonly (
  | { readonly packed: Packed }
  | { readonly packed?: undefined; readonly parsed: ParsedYaml }
)[];

export interface Parsing {
  readonly parsed: ParsedYaml;
  readonly packed?: Packed | undefined;
}

export interface ParseOptions {
  readonly meanwhile?: (() => Promise<unknown>) | undefined;
  /** Characters from which on another thread is asked. */
  readonly long?: number;
  /** Gives nothing when there is no thread to be had. */
  readonly askThread?: (texts: readonly YamlText[]) => Promise<ThreadAnswer | undefined>;
}

/** To parse so much takes about as long as to start a thread that can: a tenth of a second. */
const LONG = 128 * 1024;

/** Of the young objects of that thread: V8 would give them 128 MiB, which it keeps for the next thread. */
const YOUNG_MB = 8;

/**
 * Parses texts, on another thread when they are long together: a thousand mappings take half a second, in which a
 * service would answer no probe and renew no lock, and a start has something else to do.
 */
export async function parseTexts(
  texts: readonly YamlText[],
  { meanwhile = async () => undefined, long = LONG, askThread = startThread }: ParseOptions = {},
): Promise<readonly Parsing[]> {
  if (texts.reduce((sum, { text }) => sum + text.length, 0) < long) return parseHere(texts);
  const [answer] = await Promise.all([askThread(texts), meanwhile()]);
  if (answer === undefined) return parseHere(texts);
  return answer.map((given, index) =>
    given.packed === undefined ? given : { ...given, parsed: unpack(given.packed, texts[index]?.file ?? '') },
  );
}

/** For whoever loads once: nothing is kept of it. */
export const parseOnce: Parse = async (texts, meanwhile) =>
  (await parseTexts(texts, { meanwhile })).map(({ parsed }) => parsed);

async function parseHere(texts: readonly YamlText[]): Promise<readonly Parsing[]> {
  // Where another thread parses, the library is loaded there alone.
  const { parseYaml } = await import('./yaml.ts');
  return texts.map(({ text, file }) => ({ parsed: parseYaml(text, file) }));
}

async function startThread(texts: readonly YamlText[]): Promise<ThreadAnswer | undefined> {
  const { promise, resolve } = Promise.withResolvers<ThreadAnswer | undefined>();
  // Whatever is wrong with a text is in the answer. What else there is, such as a machine without memory for one
  // more thread, is no reason to refuse a configuration: then it is parsed here.
  const giveUp = () => resolve(undefined);
  const worker = new Worker(
    new URL(`./parsing-worker${extname(import.meta.filename)}`, import.meta.url),
    // Without the flags of this process, which may be meant for it alone.
    { workerData: texts, execArgv: [], resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB } },
  );
  worker.once('message', resolve).once('error', giveUp).once('exit', giveUp);
  try {
    return await promise;
  } finally {
    await worker.terminate();
  }
}
