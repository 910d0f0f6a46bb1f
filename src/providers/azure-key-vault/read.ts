import { AppError } from '../../core/errors.ts';
import { member, printJson } from '../../core/json.ts';
import type { FoundRead } from '../../core/reading.ts';
import { SecretValue } from '../../core/secret-value.ts';
import { badAnswer } from '../answer.ts';
import { asDate, createdAt } from '../created-at.ts';
import type { ProviderDeps, ReadResult, SourceRef } from '../provider.ts';
import { jsonOf } from './answer.ts';
import { abortedBy, type KeyVault } from './clients.ts';
import { fromRefusal, isNotFound, Refusal } from './errors.ts';
import { checkName, checkVersion } from './paths.ts';
import type { Seen } from './versions.ts';

export interface Store {
  readonly deps: ProviderDeps;
  readonly vault: KeyVault;
  readonly seen: Seen;
}

/**
 * Dates of validity are for the reader of a value: like the vault itself, this hands out what is not yet valid and
 * what has expired.
 * @throws AppError for everything that is neither found nor absent.
 */
export async function readOne(
  store: Store,
  ref: SourceRef,
  signal: AbortSignal | undefined,
): Promise<ReadResult> {
  checkName(ref.key);
  if (ref.version !== undefined) checkVersion(ref.version);
  try {
    switch (ref.object ?? 'secret') {
      case 'secret':
        return await readSecret(store, ref, signal);
      case 'certificate':
        return await readCertificate(store, ref, signal);
      case 'key':
        return await readKey(store, ref, signal);
    }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (!isNotFound(error)) throw fromRefusal(error);
    if (ref.version !== undefined) throw new AppError('VERSION_GONE');
    await proveAbsence(store, ref, signal);
    return { kind: 'absent' };
  }
}

interface Secret {
  readonly text: string;
  readonly contentType: string | undefined;
  readonly version: string;
  readonly times: Pick<FoundRead, 'createdAt' | 'stamp'>;
}

async function readSecret(
  store: Store,
  ref: SourceRef,
  signal: AbortSignal | undefined,
): Promise<ReadResult> {
  const { text, version, times } = await getSecret(store, ref, signal);
  return { kind: 'found', value: SecretValue.fromText(text), version, ...times };
}

/** The chain stands in the secret behind the certificate, together with the key that is left out. */
async function readCertificate(
  store: Store,
  ref: SourceRef,
  signal: AbortSignal | undefined,
): Promise<ReadResult> {
  const { text, contentType, version, times } = await getSecret(store, ref, signal);
  const { chainOf } = await import('./certificate.ts');
  return {
    kind: 'found',
    value: SecretValue.fromText(await chainOf(text, contentType)),
    version,
    ...times,
  };
}

/** https://learn.microsoft.com/rest/api/keyvault/secrets/get-secret */
async function getSecret(store: Store, ref: SourceRef, signal: AbortSignal | undefined): Promise<Secret> {
  let date: string | undefined;
  const { name, value, properties } = await store.vault.ask(
    'secrets',
    (secrets) =>
      secrets.getSecret(ref.key, {
        ...versionOf(ref),
        ...abortedBy(signal),
        onResponse: ({ headers }) => {
          date = headers.get('date');
        },
      }),
    signal,
  );
  const { version, enabled, contentType } = properties;
  const updatedOn = asDate(properties.updatedOn);
  if (enabled === false) throw new AppError('SOURCE_DISABLED');
  if (typeof value !== 'string') throw badAnswer('a secret without its value');
  if (!value.isWellFormed()) throw badAnswer('a text that is not Unicode');
  const checked = checkAnswered(ref, { name, version });
  const stamp =
    ref.version === undefined && updatedOn !== undefined
      ? store.seen.note(ref.key, { version: checked, updatedOn, date })
      : undefined;
  const times = { ...createdAt(properties.createdOn), ...(stamp === undefined ? {} : { stamp }) };
  return { text: value, contentType, version: checked, times };
}

/**
 * The key as it stands in the answer: the client's own form of it has other names and no numbers' text.
 * https://learn.microsoft.com/rest/api/keyvault/keys/get-key
 */
async function readKey(store: Store, ref: SourceRef, signal: AbortSignal | undefined): Promise<ReadResult> {
  let body: string | null | undefined;
  const { name, properties } = await store.vault.ask(
    'keys',
    (keys) =>
      keys.getKey(ref.key, {
        ...versionOf(ref),
        ...abortedBy(signal),
        onResponse: ({ bodyAsText }) => {
          body = bodyAsText;
        },
      }),
    signal,
  );
  if (properties.enabled === false) throw new AppError('SOURCE_DISABLED');
  const key = member(jsonOf({ isJson: true, text: body ?? '' }), 'key');
  if (key?.kind !== 'object') throw badAnswer('a key without its JWK');
  const version = checkAnswered(ref, { name, version: properties.version });
  return {
    kind: 'found',
    value: SecretValue.fromText(printJson(key)),
    version,
    ...createdAt(properties.createdOn),
  };
}

function checkAnswered(
  ref: SourceRef,
  { name, version }: { readonly name: string; readonly version: string | undefined },
): string {
  // Names are the same in any case of their letters.
  if (name.toLowerCase() !== ref.key.toLowerCase()) throw badAnswer('another object than the one asked for');
  if (version === undefined || version === '') throw badAnswer('an object without its version');
  if (ref.version !== undefined && ref.version.toLowerCase() !== version.toLowerCase()) {
    throw badAnswer('another version than the one asked for');
  }
  return version;
}

function versionOf({ version }: SourceRef): { version?: string } {
  return version === undefined ? {} : { version };
}

type Ask = (vault: KeyVault, name: string, signal: AbortSignal | undefined) => Promise<unknown>;

const deletedSecret: Ask = (vault, name, signal) =>
  vault.ask('secrets', (secrets) => secrets.getDeletedSecret(name, abortedBy(signal)), signal);
const deletedCertificate: Ask = (vault, name, signal) =>
  vault.ask('certificates', (client) => client.getDeletedCertificate(name, abortedBy(signal)), signal);
const deletedKey: Ask = (vault, name, signal) =>
  vault.ask('keys', (keys) => keys.getDeletedKey(name, abortedBy(signal)), signal);

/** Each resolves when the object is there, deleted but recoverable. */
const DELETED: Readonly<Record<NonNullable<SourceRef['object']>, readonly Ask[]>> = {
  secret: [deletedSecret],
  certificate: [deletedSecret, deletedCertificate],
  key: [deletedKey],
};

/**
 * Resolves when the vault says that it is not among the deleted ones either.
 * @throws AppError SOURCE_DELETED when it is, ACCESS_DENIED when that may not be asked.
 */
async function proveAbsence(
  { vault }: Store,
  ref: SourceRef,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (const ask of DELETED[ref.object ?? 'secret']) {
    try {
      await ask(vault, ref.key, signal);
    } catch (error) {
      if (isNotFound(error)) continue;
      if (!(error instanceof Refusal)) throw error;
      const refused = fromRefusal(error);
      // Of one that was disabled before it was deleted, the vault says no more than that.
      if (refused.code === 'SOURCE_DISABLED') throw new AppError('SOURCE_DELETED');
      if (error.status !== 403) throw refused;
      const detail = 'there is none, but whether it is only deleted may not be asked';
      throw new AppError('ACCESS_DENIED', { detail });
    }
    throw new AppError('SOURCE_DELETED');
  }
}
