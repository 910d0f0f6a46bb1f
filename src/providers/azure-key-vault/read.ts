import { AppError } from '../../core/errors.ts';
import { member, printJson } from '../../core/json.ts';
import type { FoundRead, ReadResult, SourceRef } from '../../core/read-result.ts';
import { SecretValue } from '../../core/secret-value.ts';
import { badAnswer } from '../answer.ts';
import type { ProviderDeps } from '../provider.ts';
import { createdAt, expiresAt, validDate } from '../results.ts';
import { abortedBy, type KeyVault } from './clients.ts';
import { fromRefusal, isNotFound, Refusal } from './errors.ts';
import { checkName, checkVersion } from './paths.ts';
import { jsonOf } from './transport.ts';
import type { SeenVersions } from './versions.ts';

export interface Store {
  readonly deps: ProviderDeps;
  readonly vault: KeyVault;
  readonly seen: SeenVersions;
}

/**
 * Reads one reference. Also returns a value outside of its validity dates, as Key Vault does. The user of the value
 * must check the dates.
 * @throws AppError for every result other than found or absent.
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
  readonly times: Pick<FoundRead, 'createdAt' | 'expiresAt' | 'stamp'>;
}

async function readSecret(
  store: Store,
  ref: SourceRef,
  signal: AbortSignal | undefined,
): Promise<ReadResult> {
  const { text, version, times } = await getSecret(store, ref, signal);
  return { kind: 'found', value: SecretValue.fromText(text), version, ...times };
}

/**
 * Reads a certificate. To get the whole chain, reads the secret that belongs to the certificate. The private key in
 * this secret is not returned.
 */
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
  const { name, value, properties } = await store.vault.call(
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
  const updatedOn = validDate(properties.updatedOn);
  if (enabled === false) throw new AppError('SOURCE_DISABLED');
  if (typeof value !== 'string') throw badAnswer('a secret without its value');
  if (!value.isWellFormed()) throw badAnswer('a text that is not Unicode');
  const checked = checkIdentity(ref, { name, version });
  const stamp =
    ref.version === undefined && updatedOn !== undefined
      ? store.seen.record(ref.key, { version: checked, updatedOn, date })
      : undefined;
  const { createdOn, expiresOn } = properties;
  const times = {
    ...createdAt(createdOn),
    ...expiresAt(expiresOn),
    ...(stamp === undefined ? {} : { stamp }),
  };
  return { text: value, contentType, version: checked, times };
}

/**
 * Reads a key. Takes it from the raw response, because the SDK renames its members and changes the text of numbers.
 * https://learn.microsoft.com/rest/api/keyvault/keys/get-key
 */
async function readKey(store: Store, ref: SourceRef, signal: AbortSignal | undefined): Promise<ReadResult> {
  let body: string | null | undefined;
  const { name, properties } = await store.vault.call(
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
  const version = checkIdentity(ref, { name, version: properties.version });
  return {
    kind: 'found',
    value: SecretValue.fromText(printJson(key)),
    version,
    ...createdAt(properties.createdOn),
    ...expiresAt(properties.expiresOn),
  };
}

function checkIdentity(
  ref: SourceRef,
  { name, version }: { readonly name: string; readonly version: string | undefined },
): string {
  // Key Vault ignores the case of names.
  if (name.toLowerCase() !== ref.key.toLowerCase()) throw badAnswer('a different object than requested');
  if (version === undefined || version === '') throw badAnswer('an object without its version');
  if (ref.version !== undefined && ref.version.toLowerCase() !== version.toLowerCase()) {
    throw badAnswer('a different version than requested');
  }
  return version;
}

function versionOf({ version }: SourceRef): { version?: string } {
  return version === undefined ? {} : { version };
}

type GetDeleted = (vault: KeyVault, name: string, signal: AbortSignal | undefined) => Promise<unknown>;

const deletedSecret: GetDeleted = (vault, name, signal) =>
  vault.call('secrets', (secrets) => secrets.getDeletedSecret(name, abortedBy(signal)), signal);
const deletedCertificate: GetDeleted = (vault, name, signal) =>
  vault.call('certificates', (client) => client.getDeletedCertificate(name, abortedBy(signal)), signal);
const deletedKey: GetDeleted = (vault, name, signal) =>
  vault.call('keys', (keys) => keys.getDeletedKey(name, abortedBy(signal)), signal);

/**
 * The requests that look for a deleted object, by object type. A request succeeds if the object was deleted but can be
 * recovered.
 */
const DELETED: Readonly<Record<NonNullable<SourceRef['object']>, readonly GetDeleted[]>> = {
  secret: [deletedSecret],
  certificate: [deletedSecret, deletedCertificate],
  key: [deletedKey],
};

/**
 * Resolves if the vault reports that no deleted object has this name either.
 * @throws AppError SOURCE_DELETED if a deleted object has this name; ACCESS_DENIED if the request is not allowed.
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
      // The vault returns this error for a secret that was first disabled and then deleted.
      if (refused.code === 'SOURCE_DISABLED') throw new AppError('SOURCE_DELETED');
      if (error.status !== 403) throw refused;
      // Older releases of the vault also return this inner code for a secret that was disabled and then deleted.
      const detail =
        error.inner === 'AccessDenied'
          ? 'the secret is not found; it may be disabled and deleted, or we are not allowed to check whether it is deleted'
          : 'the secret does not exist, but we are not allowed to check whether it is only deleted';
      throw new AppError('ACCESS_DENIED', { detail });
    }
    throw new AppError('SOURCE_DELETED');
  }
}
