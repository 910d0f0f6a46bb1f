import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { JsonError, type JsonNode, parseJson } from '../core/json.ts';
import { fromStored, GENESIS, type Head, type StoredRecord, toStored } from './chain.ts';
import { because, named, systemCode } from './failures.ts';

/** Records of an export as JSON lines, with what the first of them claims to follow. */
export interface Exported {
  readonly base: Head;
  readonly records: AsyncIterable<StoredRecord>;
}

/** Whether a file looks like JSON lines; a file that is not there does not. */
export async function isJsonLines(path: string): Promise<boolean> {
  try {
    await using file = await open(path);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(64), 0, 64, 0);
    return buffer.toString('latin1', 0, bytesRead).trimStart().startsWith('{');
  } catch (error) {
    if (['ENOENT', 'EISDIR', 'EACCES'].includes(systemCode(error) ?? '')) return false;
    throw error;
  }
}

/** Reads an export line by line, whatever its size. Its first record says where it begins. @throws AppError AUDIT_UNAVAILABLE */
export async function readExport(path: string): Promise<Exported> {
  let base: Head = GENESIS;
  for await (const { text, hash } of lines(path)) {
    const { sequence, previousHash } = fromStored(text, hash) ?? {};
    if (Number.isSafeInteger(sequence) && typeof previousHash === 'string' && Number(sequence) > 1)
      base = { sequence: Number(sequence) - 1, hash: previousHash };
    break;
  }
  return { base, records: lines(path) };
}

async function* lines(path: string): AsyncGenerator<StoredRecord, void, undefined> {
  const input = createReadStream(path, 'utf8');
  try {
    let rest = '';
    // Not by `readline`, for which U+2028 in a note ends a line as well.
    for await (const chunk of input as AsyncIterable<string>) {
      const parts = `${rest}${chunk}`.split('\n');
      rest = parts.pop() ?? '';
      for (const line of parts) yield* parsed(line);
    }
    yield* parsed(rest);
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
