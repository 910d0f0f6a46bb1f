import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

/** The places of the built review page: of the compiled program, and of a checkout. */
const FOLDERS = [join(import.meta.dirname, '../ui'), join(import.meta.dirname, '../../dist/ui')];

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
  txt: 'text/plain; charset=utf-8',
};

export interface PageFile {
  readonly url: string;
  readonly type: string;
  readonly content: Buffer;
  /** The content, compressed with gzip. */
  readonly compressed: Buffer;
}

/**
 * Reads the files of the review page. The build of the package makes these files from `ui/`. Empty in a checkout that has
 * not built the page.
 */
export function readPageFiles(): readonly PageFile[] {
  const folder = FOLDERS.find((path) => existsSync(join(path, 'index.html')));
  if (folder === undefined) return [];
  return readdirSync(folder).flatMap((name) => {
    const type = CONTENT_TYPES[name.slice(name.lastIndexOf('.') + 1)];
    if (type === undefined) return [];
    const content = readFileSync(join(folder, name));
    const url = name === 'index.html' ? '/' : `/ui/${name}`;
    return { url, type, content, compressed: gzipSync(content, { level: 9 }) };
  });
}
