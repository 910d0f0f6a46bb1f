import { readFile, stat } from 'node:fs/promises';
import type { ErrorCode } from './error-codes.ts';
import { AppError } from './errors.ts';
import { codeOf, FILE_FAILURES } from './system-errors.ts';

/** Larger than any credential or key. A system's complete CA bundle has a quarter of this size. */
const MAX_BYTES = 2 ** 20;

/** Our own rejection codes, in addition to Node's error codes. */
const REJECTIONS: Readonly<Record<string, string>> = {
  FOLDER: 'it is a folder, not a regular file',
  NOT_A_FILE: 'it is not a regular file',
  TOO_MUCH: 'it is larger than 1 MiB, so it is probably another file',
};

/**
 * Reads a credential, a key or certificates. `readFailureReason` explains the errors of this function. @throws A file
 * system error of Node, or an error with one of the codes above.
 */
export async function readSmallFile(path: string): Promise<Buffer> {
  const info = await stat(path);
  if (info.isDirectory()) throw rejection('FOLDER');
  // Reading a pipe without a writer would never end, and cannot be canceled.
  if (!info.isFile()) throw rejection('NOT_A_FILE');
  if (info.size > MAX_BYTES) throw rejection('TOO_MUCH');
  return readFile(path);
}

function rejection(code: string): Error {
  return Object.assign(new Error(code), { code });
}

/** Returns the reason why a file cannot be read. Undefined if the error does not come from reading a file. */
export function readFailureReason(thrown: unknown): string | undefined {
  const code = codeOf(thrown);
  if (code === undefined) return undefined;
  const words = FILE_FAILURES[code];
  return REJECTIONS[code] ?? (words === undefined ? code : `${code}, ${words}`);
}

/** Converts a file system error to an AppError. Any other error is returned unchanged. */
export function toReadError(path: string, thrown: unknown, code: ErrorCode, about?: string): unknown {
  const reason = readFailureReason(thrown);
  if (thrown instanceof AppError || reason === undefined) return thrown;
  return new AppError(code, {
    ...(about === undefined ? {} : { subject: about }),
    detail: `file ${path} cannot be read: ${reason}`,
    cause: thrown,
  });
}

export interface PemOptions {
  readonly code: ErrorCode;
  /** The configuration field that names the file. */
  readonly subject?: string;
  readonly read?: (path: string) => Promise<Buffer>;
}

/**
 * Reads a certificate or a private key in PEM format. The content is not checked here, because OpenSSL parses it later.
 * @throws AppError with the given code.
 */
export async function readPem(
  path: string,
  { code, subject, read = readSmallFile }: PemOptions,
): Promise<string> {
  try {
    return (await read(path)).toString('utf8');
  } catch (thrown) {
    throw toReadError(path, thrown, code, subject);
  }
}

/** Whether the text contains a PEM certificate. OpenSSL ignores all other content, such as comments or a key. */
export function holdsCertificates(text: string): boolean {
  return /-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----/.test(text);
}

/**
 * Reads the certificate authorities to trust, and checks that they are PEM. OpenSSL silently ignores any other text,
 * and connections would then fail because the server is not trusted.
 * @throws AppError with the given code.
 */
export async function readAuthorities(path: string, options: PemOptions): Promise<string> {
  const text = await readPem(path, options);
  if (holdsCertificates(text)) return text;
  const { code, subject } = options;
  throw new AppError(code, {
    ...(subject === undefined ? {} : { subject }),
    detail: `file ${path} contains no PEM certificates`,
  });
}
