import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { parseDocument } from 'yaml';

/** A value that must not appear anywhere. */
export interface Marker {
  readonly name: string;
  readonly bytes: Buffer;
  /**
   * A part that most encodings do not change. A search for this part finds a value that was cut, or escaped in an
   * unknown way.
   */
  readonly core: Buffer;
}

/** Output or a file that someone may read. */
export interface Place {
  readonly name: string;
  readonly bytes: Buffer | string;
}

/** Returns letters and digits only. The text is so long that it does not occur by chance. */
const newCore = () => `mArK${randomBytes(12).toString('hex')}eR`;

export function textMarker(name: string, around: (core: string) => string = (core) => core): Marker {
  const core = newCore();
  return { name, bytes: Buffer.from(around(core)), core: Buffer.from(core) };
}

export function binaryMarker(name: string): Marker {
  const core = randomBytes(24);
  return { name, bytes: Buffer.concat([Buffer.of(0, 0xff, 0xfe, 0x0a), core, Buffer.of(0x80)]), core };
}

export function markerOf(name: string, text: string): Marker {
  const bytes = Buffer.from(text);
  return { name, bytes, core: bytes };
}

/**
 * Returns one line for each place that contains a marker. The line names the marker and its encoding, but never
 * contains the marker itself.
 */
export function findLeaks(places: readonly Place[], markers: readonly Marker[]): readonly string[] {
  const needles = markers.flatMap(({ name, bytes, core }) =>
    [...formsOf(bytes), ...formsOf(core)].map(([form, needle]) => ({ name, form, needle })),
  );
  return places.flatMap(({ name: place, bytes }) => {
    const hay = Buffer.from(bytes);
    const found = needles.filter(({ needle }) => hay.includes(needle));
    return [...new Set(found.map(({ name, form }) => `${place}: ${name}, ${form}`))];
  });
}

/** Returns the number of searches that `findLeaks` makes in each place. */
export function countForms(markers: readonly Marker[]): number {
  return markers.reduce((sum, { bytes, core }) => sum + formsOf(bytes).length + formsOf(core).length, 0);
}

/** Returns the bytes in all encodings that programs use for output. */
export function formsOf(bytes: Buffer): readonly (readonly [form: string, needle: Buffer])[] {
  const text = bytes.toString('utf8');
  const isText = Buffer.from(text).equals(bytes);
  const json = JSON.stringify(text).slice(1, -1);
  const url = encodeURIComponent(text);
  const ascii = json.replace(
    /[\u007f-\uffff]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  const texts: readonly (readonly [string, string])[] = isText
    ? [
        ['JSON-escaped', json],
        ['JSON-escaped twice', JSON.stringify(json).slice(1, -1)],
        ['JSON-escaped to ASCII', ascii],
        ['URL-encoded', url],
        ['URL-encoded in lower case', url.replace(/%[0-9A-F]{2}/g, (octet) => octet.toLowerCase())],
        ['URL-encoded as a form', url.replaceAll('%20', '+')],
      ]
    : [];
  const encoded: readonly (readonly [string, string])[] = [
    ['hex', bytes.toString('hex')],
    ['hex in upper case', bytes.toString('hex').toUpperCase()],
    ['a list of numbers', bytes.join(',')],
    ['a list of numbers with spaces', bytes.join(', ')],
    ['spaced hex', bytes.toString('hex').replace(/../g, '$& ').trim()],
    ...texts,
  ];
  return [
    ['plain', bytes],
    ['UTF-16', Buffer.from(isText ? text : bytes.toString('latin1'), 'utf16le')],
    ...base64Forms(bytes),
    ...encoded.map(([form, needle]) => [form, Buffer.from(needle)] as const),
  ];
}

/**
 * Returns the base64 text for each of the three alignments, because the text depends on the preceding bytes. Leaves out
 * the characters that depend on neighboring bytes.
 */
function base64Forms(bytes: Buffer): readonly (readonly [string, Buffer])[] {
  return [0, 1, 2].flatMap((shift) => {
    const padded = Buffer.concat([Buffer.alloc(shift), bytes]);
    const start = shift === 0 ? 0 : 4;
    const end = Math.floor(padded.length / 3) * 4;
    return (['base64', 'base64url'] as const).map(
      (encoding) => [encoding, Buffer.from(padded.toString(encoding).slice(start, end))] as const,
    );
  });
}

/** Returns all files below a folder, except the skipped ones. Returns an empty list if the folder does not exist. */
export async function filesBelow(
  folder: string,
  skip: (path: string) => boolean = () => false,
): Promise<readonly Place[]> {
  if (!existsSync(folder)) return [];
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name));
  const kept = paths.filter((path) => !skip(relative(folder, path)));
  return Promise.all(
    kept.map(async (path) => ({ name: relative(folder, path), bytes: await readFile(path) })),
  );
}

/** Returns a Secret manifest without `data`. Only `data` may contain values. */
export function withoutData(manifest: string): string {
  const document = parseDocument(manifest);
  document.delete('data');
  return document.toString();
}
