import { createInterface } from 'node:readline/promises';
import { addAbortSignal, type Readable, Writable } from 'node:stream';
import { AppError } from '../core/errors.ts';
import { createFingerprinter } from '../core/fingerprint.ts';
import { SecretValue } from '../core/secret-value.ts';
import { MAX_SECRET_BYTES } from '../sync/checks.ts';
import { auditCredentials } from './audit-reader.ts';
import type { Context, GlobalOptions } from './context.ts';
import { UsageError } from './errors.ts';
import { requireConfig } from './with-app.ts';

const TOO_LARGE = 'the value is larger than 1 MiB, so no Secret can contain it';

/**
 * Prompts for a value and returns its fingerprints: one for each combination of a fingerprint key and a form that the
 * value can have in a store. Returns undefined if the configuration is invalid. The value cannot be given as a command
 * line argument, because other users of the machine could see it. The terminal does not show the typed value.
 */
export async function promptFingerprints(
  context: Context,
  options: GlobalOptions,
): Promise<readonly string[] | undefined> {
  const config = await requireConfig(context, options);
  if (config === undefined) return undefined;
  const credential = auditCredentials(context, config);
  const { fingerprintKeys } = await import('../app/keys.ts');
  const keys = await fingerprintKeys(config.keys.fingerprint, { credential });
  const values = await readValueForms(context);
  return [...new Set(keys.flatMap((key) => values.map((value) => createFingerprinter(key).value(value))))];
}

/**
 * Reads the value and returns it both with and without the final newline. Most tools print a newline that is not part
 * of the value. In a file, however, the final newline often is part of the value.
 */
async function readValueForms(context: Context): Promise<readonly SecretValue[]> {
  const { ask, stdin, signal } = context;
  const bytes =
    ask === undefined
      ? await readStdin(stdin, signal, { maxBytes: MAX_SECRET_BYTES, tooLarge: TOO_LARGE })
      : await promptForValue(ask, signal);
  if (bytes.length === 0)
    throw new UsageError('there is no value: type it at the prompt, or pipe it to standard input');
  const end = bytes.at(-1) !== 0x0a ? 0 : bytes.at(-2) === 0x0d ? 2 : 1;
  const bare = bytes.subarray(0, bytes.length - end);
  const forms = [bytes, bare, Buffer.concat([bare, Buffer.from('\n')])];
  return forms.filter(({ length }) => length > 0).map((form) => SecretValue.fromBytes(form));
}

async function promptForValue(
  { input, output }: NonNullable<Context['ask']>,
  signal: AbortSignal,
): Promise<Buffer> {
  // Check the signal first, because readline does not notice every interruption. It notices neither SIGTERM nor a
  // Ctrl-C before it controls the terminal.
  if (signal.aborted) throw new AppError('INTERRUPTED');
  output.write('Value (hidden): ');
  // In terminal mode, readline echoes each key. Discard its output to hide the value.
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const reader = createInterface({ input, output: nowhere, terminal: true, historySize: 0 });
  const stopped = Promise.withResolvers<never>();
  const stop = (): void => stopped.reject(new AppError('INTERRUPTED'));
  reader.once('SIGINT', stop);
  reader.once('close', stop);
  signal.addEventListener('abort', stop, { once: true });
  try {
    return Buffer.from(await Promise.race([reader.question(''), stopped.promise]), 'utf8');
  } finally {
    signal.removeEventListener('abort', stop);
    reader.off('close', stop);
    reader.close();
    output.write('\n');
  }
}

export interface StdinLimit {
  /** Maximum size in bytes. */
  readonly maxBytes: number;
  /** The message if the input exceeds `maxBytes`. */
  readonly tooLarge: string;
}

/**
 * Reads standard input to its end. Returns an empty buffer if there is no standard input.
 * @throws UsageError if the input is too large; AppError INTERRUPTED on abort. Without an abort, a writer that never
 * finishes would block the command forever.
 */
export async function readStdin(
  stdin: Readable | undefined,
  signal: AbortSignal,
  { maxBytes, tooLarge }: StdinLimit,
): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  try {
    for await (const part of stdin === undefined ? [] : addAbortSignal(signal, stdin)) {
      const bytes = Buffer.from(part);
      size += bytes.length;
      if (size > maxBytes) throw new UsageError(tooLarge);
      parts.push(bytes);
    }
  } catch (error) {
    if (signal.aborted && !(error instanceof UsageError)) throw new AppError('INTERRUPTED', { cause: error });
    throw error;
  }
  return Buffer.concat(parts);
}
