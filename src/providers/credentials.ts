import { z } from 'zod';
import { AppError } from '../core/errors.ts';
import { SecretValue } from '../core/secret-value.ts';
import { readFailureReason } from '../core/small-file.ts';
import { readFileWithTimeout } from './file-io.ts';

/** Whether the operating system accepts the text as a path. Node throws if a path contains a zero byte. */
export function isValidPath(text: string): boolean {
  return !text.includes('\0');
}

export const PATH_RULE = 'a path without zero bytes';

/** Says where to find a credential. It never contains the credential itself. */
export const Reference = z
  .union([
    z.strictObject({ env: z.string().min(1).meta({ description: 'Name of an environment variable.' }) }),
    z.strictObject({
      file: z
        .string()
        .min(1)
        .refine(isValidPath, { error: PATH_RULE })
        .meta({ description: 'Path of a file. A final newline is removed.' }),
    }),
    z.strictObject({
      secretRef: z.strictObject({ name: z.string().min(1), key: z.string().min(1) }).meta({
        description: "A key of a Secret in secretbridge's own namespace. A final newline is removed.",
      }),
    }),
  ])
  .meta({
    id: 'Reference',
    description: 'Where a credential is found: `{ env }`, `{ file }` or `{ secretRef }`.',
  });
export type Reference = z.output<typeof Reference>;

/** Describes the location of a credential for messages. */
export function describeReference(reference: Reference): string {
  if ('env' in reference) return `environment variable ${reference.env}`;
  if ('file' in reference) return `file ${reference.file}`;
  const { name, key } = reference.secretRef;
  return `key ${key} of Secret ${name} in secretbridge's own namespace`;
}

export interface CredentialSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  /**
   * Reads a key of a Secret in the namespace of secretbridge. Returns undefined if the Secret or the key does not
   * exist.
   */
  secret?(name: string, key: string): Promise<SecretValue | undefined>;
}

/** Returns the current value of a credential. @throws AppError if the credential cannot be read */
export type ReadCredential = (reference: Reference) => Promise<SecretValue>;

export async function resolveCredential(
  reference: Reference,
  sources: CredentialSources,
): Promise<SecretValue> {
  if ('env' in reference) {
    const value = sources.env[reference.env];
    if (!value) throw missing(`${describeReference(reference)} is not set or empty`);
    return SecretValue.fromText(value);
  }
  if ('file' in reference) return fromFile(reference.file);
  const { name, key } = reference.secretRef;
  const value = (await sources.secret?.(name, key))?.withoutFinalNewline();
  if (value === undefined || value.size === 0)
    throw missing(`${describeReference(reference)} is missing or empty`);
  return value;
}

/** Returns the credential, or undefined if it is missing. */
export async function ifPresent(credential: Promise<SecretValue>): Promise<SecretValue | undefined> {
  try {
    return await credential;
  } catch (error) {
    if (error instanceof AppError && error.code === 'CREDENTIAL_MISSING') return undefined;
    throw error;
  }
}

async function fromFile(path: string): Promise<SecretValue> {
  const value = (await readCredentialFile(path)).withoutFinalNewline();
  if (value.size === 0) throw missing(`file ${path} is empty`);
  return value;
}

/**
 * Reads a credential file and keeps its exact bytes. @throws AppError CREDENTIAL_MISSING; TIMEOUT if the file system
 * does not respond.
 */
export async function readCredentialFile(path: string): Promise<SecretValue> {
  try {
    return SecretValue.fromBytes(await readFileWithTimeout(path));
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    throw missing(`file ${path} cannot be read: ${readFailureReason(cause) ?? 'unreadable'}`, cause);
  }
}

function missing(detail: string, cause?: unknown): AppError {
  return new AppError('CREDENTIAL_MISSING', { detail, cause });
}
