import { readFile, stat } from 'node:fs/promises';
import type { ErrorCode } from './error-codes.ts';
import { AppError } from './errors.ts';
import { codeOf, FILE_FAILURES } from './system-errors.ts';

/** More than any credential or key has, and four times what all authorities that a system trusts have. */
const MAX_BYTES = 2 ** 20;

/** Beside the codes of Node. */
const REFUSALS: Readonly<Record<string, string>> = {
  FOLDER: 'it is a folder, and not a regular file',
  NOT_A_FILE: 'it is not a regular file',
  TOO_MUCH: 'it has more than 1 MiB, and is something else',
};

/** A credential, a key or certificates. @throws What Node throws, or the like: `whyUnread` has the words for it. */
export async function readSmallFile(path: string): Promise<Buffer> {
  const info = await stat(path);
  if (info.isDirectory()) throw refused('FOLDER');
  // A read of a pipe that nobody writes to never ends, and cannot be called off.
  if (!info.isFile()) throw refused('NOT_A_FILE');
  if (info.size > MAX_BYTES) throw refused('TOO_MUCH');
  return readFile(path);
}

function refused(code: string): Error {
  return Object.assign(new Error(code), { code });
}

/** Why a file cannot be read; `undefined`: that is no word of a file system. */
export function whyUnread(thrown: unknown): string | undefined {
  const code = codeOf(thrown);
  if (code === undefined) return undefined;
  const words = FILE_FAILURES[code];
  return REFUSALS[code] ?? (words === undefined ? code : `${code}, ${words}`);
}

/** What cannot be read, as an error of ours; what is one already, or is none of the file system, as it is. */
export function unread(path: string, thrown: unknown, code: ErrorCode, about?: string): unknown {
  const reason = whyUnread(thrown);
  if (thrown instanceof AppError || reason === undefined) return thrown;
  return new AppError(code, {
    ...(about === undefined ? {} : { about }),
    detail: `file ${path} cannot be read: ${reason}`,
    cause: thrown,
  });
}

export interface PemOptions {
  readonly code: ErrorCode;
  /** The field that names the file. */
  readonly about?: string;
  readonly read?: (path: string) => Promise<Buffer>;
}

/** A certificate or a private key, for OpenSSL to parse. @throws AppError of that code. */
export async function readPem(
  path: string,
  { code, about, read = readSmallFile }: PemOptions,
): Promise<string> {
  try {
    return (await read(path)).toString('utf8');
  } catch (thrown) {
    throw unread(path, thrown, code, about);
  }
}

/** Whether there is one for OpenSSL to find, which passes over whatever stands beside: comments, a key. */
export function holdsCertificates(text: string): boolean {
  return /-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----/.test(text);
}

/**
 * Authorities to trust: OpenSSL passes over whatever is no PEM, and then a server would only be said to be not trusted.
 * @throws AppError of that code.
 */
export async function readAuthorities(path: string, options: PemOptions): Promise<string> {
  const text = await readPem(path, options);
  if (holdsCertificates(text)) return text;
  const { code, about } = options;
  throw new AppError(code, {
    ...(about === undefined ? {} : { about }),
    detail: `file ${path} holds no certificates in PEM`,
  });
}
