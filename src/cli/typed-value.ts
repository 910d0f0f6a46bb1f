import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { fingerprintKeys } from '../app/keys.ts';
import { AppError } from '../core/errors.ts';
import { createFingerprinter } from '../core/fingerprint.ts';
import { SecretValue } from '../core/secret-value.ts';
import { MAX_SECRET_BYTES } from '../sync/checks.ts';
import type { Context, GlobalOptions } from './context.ts';
import { readPiped } from './piped.ts';
import { auditCredentials } from './read-audit.ts';
import { requireConfig } from './require-config.ts';
import { UsageError } from './usage-error.ts';

const TOO_LARGE = 'the value is larger than 1 MiB, which no Secret holds';

/**
 * Asks for a value and gives its fingerprints, one for each key of the configuration and each form that the value
 * may have in a store; nothing when the configuration is invalid. The value goes nowhere else: it is no argument,
 * which others could see in the list of processes, and is not shown while it is typed.
 */
export async function typedFingerprints(
  context: Context,
  options: GlobalOptions,
): Promise<readonly string[] | undefined> {
  const config = await requireConfig(context, options);
  if (config === undefined) return undefined;
  const credential = auditCredentials(context, config);
  const keys = await fingerprintKeys(config.keys.fingerprint, { credential });
  const values = await readForms(context);
  return [...new Set(keys.flatMap((key) => values.map((value) => createFingerprinter(key).value(value))))];
}

/** Most tools end what they print with a line end that is no part of the value; in a file it often is one. */
async function readForms(context: Context): Promise<readonly SecretValue[]> {
  const { ask, stdin, signal } = context;
  const bytes =
    ask === undefined
      ? await readPiped(stdin, signal, { most: MAX_SECRET_BYTES, tooMuch: TOO_LARGE })
      : await typed(ask, signal);
  if (bytes.length === 0) throw new UsageError('there is no value: type it when asked, or pipe it in');
  const end = bytes.at(-1) !== 0x0a ? 0 : bytes.at(-2) === 0x0d ? 2 : 1;
  const bare = bytes.subarray(0, bytes.length - end);
  const forms = [bytes, bare, Buffer.concat([bare, Buffer.from('\n')])];
  return forms.filter(({ length }) => length > 0).map((form) => SecretValue.fromBytes(form));
}

async function typed({ input, output }: NonNullable<Context['ask']>, signal: AbortSignal): Promise<Buffer> {
  // SIGTERM, or Ctrl-C before the terminal is ours, which then tells nobody but the process.
  if (signal.aborted) throw new AppError('INTERRUPTED');
  output.write('Value (it is not shown): ');
  // As a terminal it is told of each key and would show it: it shows it to nobody.
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
