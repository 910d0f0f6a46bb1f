import { AppError } from '../../core/errors.ts';
import { type JsonNode, member, printJson, textOf } from '../../core/json.ts';
import type { ReadResult, SourceRef } from '../../core/read-result.ts';
import { SecretValue } from '../../core/secret-value.ts';
import { type Answer, badAnswer, parseJsonBody } from '../answer.ts';
import type { ProviderDeps, VersionResult } from '../provider.ts';
import { createdAt, expiresAtText, fingerprintVersion } from '../results.ts';
import { isNothing, numberOf, parseAnswer } from './answer.ts';
import type { VaultConfig } from './config.ts';
import { fromStatus } from './errors.ts';
import { type ConfirmMount, isBare404 } from './mount.ts';
import { checkVersion, encodePath } from './paths.ts';
import type { Session } from './session.ts';

export interface Store {
  readonly config: VaultConfig;
  readonly deps: ProviderDeps;
  readonly session: Session;
  readonly confirmMount: ConfirmMount;
  /** Resolves if the server uses namespaces, or the configuration has none. Remembers that it does. */
  readonly confirmNamespace: () => Promise<void>;
}

/** @throws AppError for every result other than found or absent. */
export async function readOne(
  store: Store,
  ref: SourceRef,
  signal: AbortSignal | undefined,
): Promise<ReadResult> {
  if (ref.object !== undefined && ref.object !== 'secret') {
    throw new AppError('CONFIG_INVALID', { detail: '`object` is only supported for Azure Key Vault' });
  }
  const { kvVersion, mount, namespace } = store.config;
  const result = await (kvVersion === 2 ? readVersion2 : readVersion1)(store, ref, signal);
  if (result.kind === 'found') await store.confirmNamespace();
  if (result.kind !== 'absent') return result;
  const name = `mount ${mount}${namespace === undefined ? '' : ` of namespace ${namespace}`}`;
  return { ...result, place: { name, setting: 'mount' } };
}

/** https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2#read-secret-version */
async function readVersion2(
  store: Store,
  ref: SourceRef,
  signal: AbortSignal | undefined,
): Promise<ReadResult> {
  const { version } = ref;
  const query = version === undefined ? '' : `?version=${checkVersion(version)}`;
  const answer = await readPath(store, [store.config.mount, 'data', ref.key], signal, query);
  if (answer.status === 404) {
    // The response has metadata but no data, so the version was deleted (and can be recovered) or destroyed.
    if (!isNothing(member(parseJsonBody(answer), 'data', 'metadata'))) {
      throw new AppError(version === undefined ? 'SOURCE_DELETED' : 'VERSION_GONE');
    }
    await proveAbsence(store, answer, signal);
    if (version !== undefined) throw new AppError('VERSION_GONE');
    return { kind: 'absent' };
  }

  const data = member(success(answer), 'data');
  const value = member(data, 'data');
  const currentVersion = numberOf(member(data, 'metadata', 'version'));
  if (value?.kind !== 'object' || currentVersion === undefined) {
    await store.confirmMount(signal); // the secret may be a version 1 secret whose key starts with `data/`
    // The server allows `null` as the value of a secret. Such a secret is neither deleted nor empty.
    if (value?.kind === 'null' && currentVersion !== undefined)
      throw new AppError('NOT_AN_OBJECT', { detail: 'the secret is `null`' });
    throw badAnswer('a secret without data or version');
  }
  if (version !== undefined && version !== String(currentVersion))
    throw badAnswer('a different version than requested');
  const createdTime = new Date(textOf(member(data, 'metadata', 'created_time')) ?? '');
  return {
    kind: 'found',
    value: SecretValue.fromText(printJson(value)),
    version: String(currentVersion),
    ...createdAt(createdTime),
    ...expiryIn(store, member(data, 'metadata')),
  };
}

/** The custom metadata is part of each answer with a value or with metadata, so it needs no further call. */
function expiryIn({ config }: Store, metadata: JsonNode | undefined): { expiresAt: number | null } {
  return expiresAtText(textOf(member(metadata, 'custom_metadata', config.expiryKey)));
}

/** https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v1#read-secret */
async function readVersion1(
  store: Store,
  ref: SourceRef,
  signal: AbortSignal | undefined,
): Promise<ReadResult> {
  const answer = await readPath(store, [store.config.mount, ref.key], signal);
  if (answer.status === 404) {
    await proveAbsence(store, answer, signal);
    if (ref.version !== undefined) throw new AppError('VERSION_GONE');
    return { kind: 'absent' };
  }
  const body = success(answer);
  const data = member(body, 'data');
  if (data?.kind !== 'object') throw badAnswer('a secret without data');
  // A secret with a lease comes from a dynamic secrets engine. Such an engine creates a credential for each read, and
  // revokes the credential together with our token.
  if ((textOf(member(body, 'lease_id')) ?? '') !== '') {
    await store.confirmMount(signal);
    throw badAnswer('a secret with a lease');
  }
  const value = SecretValue.fromText(printJson(data));
  return { kind: 'found', value, version: fingerprintVersion(value, ref.version, store.deps.fingerprints) };
}

/** @throws AppError ACCESS_DENIED with the path, because Vault also denies a path or a mount that does not exist. */
async function readPath(
  { session, config: { namespace } }: Store,
  parts: readonly string[],
  signal: AbortSignal | undefined,
  query = '',
): Promise<Answer> {
  const path = `${encodePath(...parts)}${query}`;
  try {
    return await session.call('read', (vault, options) => vault.read(path, options), signal);
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'ACCESS_DENIED') throw error;
    const requestedPath = parts.join('/');
    throw new AppError('ACCESS_DENIED', {
      detail: `or the path or mount is wrong; asked for ${requestedPath}${namespace === undefined ? '' : ` in namespace ${namespace}`}`,
      remedy: `Grant the identity of secretbridge the capability \`read\` on \`${requestedPath}\` with a policy in Vault, or correct \`key\` or \`mount\`.`,
      cause: error,
    });
  }
}

async function proveAbsence(
  { confirmMount }: Store,
  answer: Answer,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (!isBare404(answer)) throw fromStatus(answer);
  await confirmMount(signal);
}

/** @throws AppError */
export async function versionOf(
  store: Store,
  key: string,
  signal: AbortSignal | undefined,
): Promise<VersionResult> {
  const metadata = await readMetadata(store, key, signal);
  if (metadata === undefined) return { kind: 'unknown' };
  const version = numberOf(member(metadata, 'current_version'));
  const current = member(metadata, 'versions', String(version));
  const isDeleted =
    member(current, 'destroyed')?.kind !== 'false' || textOf(member(current, 'deletion_time')) !== '';
  return version === undefined || isDeleted
    ? { kind: 'unknown' }
    : { kind: 'known', version: String(version), ...expiryIn(store, metadata) };
}

/**
 * Reads the metadata of a key. Only key/value version 2 has metadata. Returns undefined if the key is absent.
 * https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2#read-secret-metadata
 */
export async function readMetadata(store: Store, key: string, signal: AbortSignal | undefined) {
  const path = encodePath(store.config.mount, 'metadata', key);
  const answer = await store.session.call('describe', (vault, options) => vault.read(path, options), signal);
  if (answer.status === 404) {
    await proveAbsence(store, answer, signal);
    return undefined;
  }
  return member(success(answer), 'data');
}

function success(answer: Answer) {
  if (answer.status !== 200) throw fromStatus(answer);
  return parseAnswer(answer);
}
