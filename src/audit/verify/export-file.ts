import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { JsonError, type JsonNode, parseJson } from '../../core/json.ts';
import { GENESIS, type Head, type StoredRecord, toStored } from '../chain.ts';
import { BEGINNINGS, type ExportFormat } from '../export/formats.ts';
import { because, named, systemCode } from '../failures.ts';
import { type Link, linksOf } from './diagnose.ts';

/** Records of an export as JSON lines, with what the first of them follows. */
export interface Exported {
  readonly base: Head;
  readonly records: AsyncIterable<StoredRecord>;
}

/** Programs of Windows put it in front of a text that they pass on. It belongs to no record. */
const BOM = '\uFEFF';
const BOM_IN_LATIN1 = /^\xef\xbb\xbf/;
const RECORD_LINE = /^\{.*"previousHash":"/m;

/** What an export at this path is, by its beginning; undefined: it is something else, or not there. */
export async function formatOf(path: string): Promise<ExportFormat | 'empty' | undefined> {
  try {
    // What is no file might keep whoever opens it waiting, as a pipe does.
    if (!(await stat(path)).isFile()) return undefined;
    await using file = await open(path);
    const input = file.createReadStream({ encoding: 'latin1', start: 0, autoClose: false });
    for await (const chunk of input as AsyncIterable<string>) {
      const start = chunk.replace(BOM_IN_LATIN1, '').trimStart();
      if (start === '') continue;
      if (start.startsWith(BEGINNINGS.csv)) return 'csv';
      if (start.startsWith(BEGINNINGS.ocsf)) return 'ocsf';
      // Also one whose first line was edited, whatever it says now.
      return start.startsWith('{') || RECORD_LINE.test(start) ? 'jsonl' : undefined;
    }
    return 'empty';
  } catch (error) {
    // What cannot be looked at, whoever reads it as a store says.
    if (systemCode(error) === undefined) throw error;
    return undefined;
  }
}

/** Reads an export line by line, whatever its size. @throws AppError AUDIT_UNAVAILABLE */
export async function readExport(path: string): Promise<Exported> {
  return { base: await baseOf(linksOf(lines(path))), records: lines(path) };
}

/**
 * What the first record of an export follows. The first line alone does not say that: it may have been edited, or
 * another one moved in front of it. A sound record with a smaller number is before it, if another one names it as its
 * predecessor: none does that of one from elsewhere that was put in between.
 */
async function baseOf(links: AsyncIterable<Link>): Promise<Head> {
  /** The first line. */
  let opening: Link | undefined;
  let first: Link | undefined;
  /** With a smaller number, and nothing names it yet. */
  let apart: Link | undefined;
  for await (const link of links) {
    opening ??= link;
    if (apart !== undefined && link.previousHash === apart.hash) [first, apart] = [apart, undefined];
    if (isRecord(link)) {
      const low = apart ?? first;
      if (low === undefined || low.previousHash === link.hash) [first, apart] = [link, undefined];
      else if (link.sequence < low.sequence) apart = link;
    }
    // There is none before it.
    if (first?.sequence === 1) return GENESIS;
  }
  const damaged =
    opening === undefined || isRecord(opening)
      ? undefined
      : { ...opening, sequence: numberOf(opening, first) };
  const [lowest] = [first, damaged]
    .filter((it) => it !== undefined)
    .toSorted((a, b) => a.sequence - b.sequence);
  // A damaged one may claim anything, or nothing.
  return lowest === undefined || !(lowest.sequence > 1)
    ? GENESIS
    : { sequence: lowest.sequence - 1, hash: lowest.previousHash };
}

/** Of a damaged line in front: by the record that names it, else as it claims, if it still claims anything. */
function numberOf({ sequence, hash }: Link, next: Link | undefined): number {
  const isNamed = next?.previousHash === hash || !Number.isSafeInteger(sequence);
  return next !== undefined && isNamed ? next.sequence - 1 : sequence;
}

function isRecord({ sound, sequence }: Link): boolean {
  return sound && Number.isSafeInteger(sequence);
}

async function* lines(path: string): AsyncGenerator<StoredRecord, void, undefined> {
  const input = createReadStream(path, 'utf8');
  try {
    let rest: string | undefined;
    // Not by `readline`, for which U+2028 in a note ends a line as well.
    for await (const chunk of input as AsyncIterable<string>) {
      const text = rest === undefined && chunk.startsWith(BOM) ? chunk.slice(1) : `${rest ?? ''}${chunk}`;
      const parts = text.split('\n');
      rest = parts.pop() ?? '';
      for (const line of parts) yield* parsed(line);
    }
    yield* parsed(rest ?? '');
  } catch (error) {
    const code = systemCode(error);
    if (code === undefined) throw error;
    await named(`export ${path}`, () => Promise.reject(because(code, error)));
  } finally {
    input.destroy();
  }
}

function* parsed(line: string): Generator<StoredRecord> {
  const text = line.replace(/\r$/, '');
  if (text.trim() !== '') yield parse(text);
}

/** What is no record has a hash that no text has: it is found as edited. */
function parse(line: string): StoredRecord {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === 'object' && value !== null)
      return hasUniqueMembers(line, value) ? toStored(value) : { ...toStored(value), hash: '' };
  } catch (error) {
    if (!(error instanceof SyntaxError) && !(error instanceof JsonError)) throw error;
  }
  return { text: '', hash: '', indexed: true };
}

/** `JSON.parse` takes the last of two members of a name, and another reader the first: such a line says two things. */
function hasUniqueMembers(line: string, parsed: object): boolean {
  // So for each line that nobody touched, and far cheaper.
  return JSON.stringify(parsed) === line || isUnique(parseJson(line));
}

function isUnique(node: JsonNode): boolean {
  if (node.kind === 'array') return node.items.every(isUnique);
  if (node.kind !== 'object') return true;
  const names = new Set(node.members.map(([name]) => name));
  return names.size === node.members.length && node.members.every(([, value]) => isUnique(value));
}
