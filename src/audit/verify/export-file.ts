import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { JsonError, type JsonNode, parseJson } from '../../core/json.ts';
import { GENESIS, type Head, type StoredRecord, toStored } from '../chain.ts';
import { auditUnavailable, systemCode, withStoreAddress } from '../errors.ts';
import { type ExportFormat, FORMAT_PREFIXES } from '../export/formats.ts';
import { type Link, linksOf } from './diagnose.ts';

/** The records of a JSON lines export, and its base. The base is the record before the first exported record. */
export interface ExportFile {
  readonly base: Head;
  readonly records: AsyncIterable<StoredRecord>;
}

/** The byte order mark that Windows programs add at the start of a text. It is not part of a record. */
const BOM = '\uFEFF';
const BOM_IN_LATIN1 = /^\xef\xbb\xbf/;
const RECORD_LINE = /^\{.*"previousHash":"/m;

/** Detects the format of an export from its beginning. Returns undefined for any other file, or if there is no file. */
export async function detectFormat(path: string): Promise<ExportFormat | 'empty' | undefined> {
  try {
    // Only regular files are opened, because opening a pipe could block.
    if (!(await stat(path)).isFile()) return undefined;
    await using file = await open(path);
    const input = file.createReadStream({ encoding: 'latin1', start: 0, autoClose: false });
    for await (const chunk of input as AsyncIterable<string>) {
      const start = chunk.replace(BOM_IN_LATIN1, '').trimStart();
      if (start === '') continue;
      if (start.startsWith(FORMAT_PREFIXES.csv)) return 'csv';
      if (start.startsWith(FORMAT_PREFIXES.ocsf)) return 'ocsf';
      // A JSON lines export is recognized even if its first line was edited.
      return start.startsWith('{') || RECORD_LINE.test(start) ? 'jsonl' : undefined;
    }
    return 'empty';
  } catch (error) {
    // The file is unreadable. The caller then tries to open it as a store, and reports the reason.
    if (systemCode(error) === undefined) throw error;
    return undefined;
  }
}

/** Reads an export line by line, so it may have any size. @throws AppError AUDIT_UNAVAILABLE */
export async function readExport(path: string): Promise<ExportFile> {
  return { base: await baseOf(linksOf(lines(path))), records: lines(path) };
}

/**
 * Returns the record before the first record of an export. The first line alone is not reliable: it may have been
 * edited, or another record may have been moved in front of it. An intact record with a smaller sequence is the first
 * record only if another record refers to it as its predecessor. An inserted record from another chain has no such
 * successor.
 */
async function baseOf(links: AsyncIterable<Link>): Promise<Head> {
  let firstLine: Link | undefined;
  let first: Link | undefined;
  /** A record with a smaller sequence than `first`, if no other record has referred to it so far. */
  let unlinked: Link | undefined;
  for await (const link of links) {
    firstLine ??= link;
    if (unlinked !== undefined && link.previousHash === unlinked.hash)
      [first, unlinked] = [unlinked, undefined];
    if (isRecord(link)) {
      const lowestSoFar = unlinked ?? first;
      if (lowestSoFar === undefined || lowestSoFar.previousHash === link.hash)
        [first, unlinked] = [link, undefined];
      else if (link.sequence < lowestSoFar.sequence) unlinked = link;
    }
    // Sequence 1 is the start of the chain.
    if (first?.sequence === 1) return GENESIS;
  }
  const damaged =
    firstLine === undefined || isRecord(firstLine)
      ? undefined
      : { ...firstLine, sequence: numberOf(firstLine, first) };
  const [lowest] = [first, damaged]
    .filter((link) => link !== undefined)
    .toSorted((a, b) => a.sequence - b.sequence);
  // A damaged record may have any sequence, or none.
  return lowest === undefined || !(lowest.sequence > 1)
    ? GENESIS
    : { sequence: lowest.sequence - 1, hash: lowest.previousHash };
}

/**
 * Returns the sequence of a damaged first line. If the next record refers to this line, the sequence follows from that
 * record. Otherwise the sequence in the line itself is used.
 */
function numberOf({ sequence, hash }: Link, next: Link | undefined): number {
  const isNamed = next?.previousHash === hash || !Number.isSafeInteger(sequence);
  return next !== undefined && isNamed ? next.sequence - 1 : sequence;
}

function isRecord({ hashMatches, sequence }: Link): boolean {
  return hashMatches && Number.isSafeInteger(sequence);
}

async function* lines(path: string): AsyncGenerator<StoredRecord, void, undefined> {
  const input = createReadStream(path, 'utf8');
  try {
    let rest: string | undefined;
    // `readline` is not used, because it also splits at U+2028 within a note.
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
    await withStoreAddress(`export ${path}`, () => Promise.reject(auditUnavailable(code, error)));
  } finally {
    input.destroy();
  }
}

function* parsed(line: string): Generator<StoredRecord> {
  const text = line.replace(/\r$/, '');
  if (text.trim() !== '') yield parse(text);
}

/**
 * Parses a line. If the line is not a record, the result has a hash that matches no text, so verification reports it as
 * edited.
 */
function parse(line: string): StoredRecord {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === 'object' && value !== null)
      return hasUniqueMembers(line, value) ? toStored(value) : { ...toStored(value), hash: '' };
  } catch (error) {
    if (!(error instanceof SyntaxError) && !(error instanceof JsonError)) throw error;
  }
  return { text: '', hash: '', columnsMatch: true };
}

/**
 * Whether all member names are unique. A line with duplicate names is ambiguous: `JSON.parse` takes the last of them,
 * and other readers take the first.
 */
function hasUniqueMembers(line: string, parsed: object): boolean {
  // A cheap check that succeeds for every unedited line.
  return JSON.stringify(parsed) === line || isUnique(parseJson(line));
}

function isUnique(node: JsonNode): boolean {
  if (node.kind === 'array') return node.items.every(isUnique);
  if (node.kind !== 'object') return true;
  const names = new Set(node.members.map(([name]) => name));
  return names.size === node.members.length && node.members.every(([, value]) => isUnique(value));
}
