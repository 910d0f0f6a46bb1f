import type { CheckpointLocation } from '../audit/checkpoint/checkpoint.ts';
import { type Checkpointer, createCheckpointer } from '../audit/checkpoint/checkpointer.ts';
import { configMapLocation, fileLocation, stdoutLocation } from '../audit/checkpoint/locations.ts';
import { type Actor, type Entry, NO_KEYS } from '../audit/entry.ts';
import type { RecordKeys } from '../audit/record-keys.ts';
import type { AuditStore } from '../audit/store.ts';
import type { Evidence } from '../audit/verify/evidence.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { CheckpointPlace, Config } from '../config/config.ts';
import { AppError } from '../core/errors.ts';
import { largest } from '../core/lists.ts';
import { instancesOf } from '../core/target.ts';
import type { ReadCredential } from '../providers/credentials.ts';
import { type ClusterDeps, openCluster } from './cluster.ts';
import type { AppDeps } from './deps.ts';
import { checkpointKeys } from './keys.ts';

export interface CheckpointDeps extends Pick<AppDeps, 'clock' | 'logger' | 'print'> {
  readonly audit: AuditStore;
  readonly cluster: Pick<Cluster, 'configMaps' | 'ownNamespace' | 'inCluster'>;
  readonly credential: ReadCredential;
  readonly onLoss?: (() => void) | undefined;
}

const INTERVAL_MS = 300_000;

type CheckpointConfig = Pick<Config, 'audit' | 'keys' | 'instance' | 'formerInstances'>;

/**
 * Checks the audit log against its checkpoints. Then writes new checkpoints until the returned object is closed.
 * Returns undefined if no checkpoint location is configured.
 */
export async function openCheckpoints(
  config: CheckpointConfig,
  deps: CheckpointDeps,
): Promise<Checkpointer | undefined> {
  if (config.audit.checkpoints.length === 0) return undefined;
  const checkpointer = await openCheckpointer(config, deps);
  await checkpointer.checkStore();
  for (const { place, checkpoint } of checkpointer.untrusted())
    deps.logger.error('a checkpoint of the audit log is not signed with our key and is ignored', {
      address: place,
      sequence: checkpoint.sequence,
    });
  const timer = setInterval(() => void checkpointer.write(), INTERVAL_MS).unref();
  return {
    ...checkpointer,
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await checkpointer[Symbol.asyncDispose]();
    },
  };
}

/**
 * Checks the audit log against its checkpoints once. @throws AppError with the reason why the audit log cannot be
 * trusted
 */
export async function requireTrustedAudit(config: CheckpointConfig, deps: CheckpointDeps): Promise<void> {
  const doubt = await (await openCheckpointer(config, deps)).checkStore();
  if (doubt !== undefined) throw doubt;
}

/**
 * Tests whether each checkpoint location can be read and written. Every run needs these locations, so a location that
 * fails here would stop the run.
 * @throws AppError
 */
export async function testCheckpointPlaces(
  { audit: { checkpoints } }: Pick<Config, 'audit'>,
  deps: Pick<CheckpointDeps, 'cluster' | 'print'>,
): Promise<void> {
  const places = checkpoints.map((place) => placeOf(place, deps));
  for (const place of places) {
    await place.read();
    await place.checkWritable();
  }
}

export type CheckpointAuditDeps = Omit<CheckpointDeps, 'cluster'> & ClusterDeps;

/**
 * Writes a checkpoint for commands that do not open an app. @throws AppError if the checkpoint cannot be written. The
 * new records stay in the audit log even then.
 */
export async function checkpointAudit(
  config: CheckpointConfig & Pick<Config, 'cluster'>,
  deps: CheckpointAuditDeps,
): Promise<void> {
  const { checkpoints } = config.audit;
  if (checkpoints.length === 0) return;
  await using cluster = await openClusterFor(checkpoints, config.cluster, deps);
  const checkpointer = await openCheckpointer(config, { ...deps, cluster: cluster ?? NO_CLUSTER });
  await checkpointer.checkStore();
  await checkpointer.write();
  const trouble = checkpointer.storeError() ?? checkpointer.writeError();
  if (trouble !== undefined) throw trouble;
}

/**
 * Opens the cluster if a place needs it. The default place is a ConfigMap only in a pod, where the cluster can always be
 * opened. Elsewhere it is a file, also on a machine without a kubeconfig.
 */
export async function openClusterFor(
  places: readonly CheckpointPlace[],
  config: Config['cluster'],
  deps: ClusterDeps,
): Promise<Cluster | undefined> {
  const kinds = places.map(({ kind }) => kind);
  if (!kinds.includes('configMap') && !kinds.includes('ownConfigMap')) return undefined;
  try {
    return await openCluster(config, deps);
  } catch (thrown) {
    if (kinds.includes('configMap') || !(thrown instanceof AppError)) throw thrown;
    return undefined;
  }
}

export const NO_CLUSTER = { configMaps: undefined, ownNamespace: () => undefined, inCluster: false };

async function openCheckpointer(config: CheckpointConfig, deps: CheckpointDeps): Promise<Checkpointer> {
  const { checkpoints, store } = config.audit;
  const { audit, clock, logger, credential } = deps;
  const places = checkpoints.map((place) => placeOf(place, deps));
  const keys = await checkpointKeys(config.keys.checkpoint, {
    mayCreate: store.kind === 'sqlite',
    credential,
  });
  return createCheckpointer({
    audit,
    locations: places,
    signer: keys.signer,
    keys: keys.publicKeys,
    instance: config.instance,
    instances: instancesOf(config),
    hasRetention: config.audit.retentionMs !== undefined,
    clock,
    onFailure: (address, error) =>
      logger.warn('a checkpoint of the audit log could not be written', { address, error }),
    ...(deps.onLoss === undefined ? {} : { onLoss: deps.onLoss }),
  });
}

/** Returns a place for checkpoints. */
export function placeOf(
  place: CheckpointPlace,
  { cluster, print }: Pick<CheckpointDeps, 'cluster' | 'print'>,
): CheckpointLocation {
  if (place.kind === 'file') return fileLocation(place.path);
  if (place.kind === 'stdout') return stdoutLocation(print);
  if (place.kind === 'ownConfigMap' && !cluster.inCluster) return fileLocation(place.path);
  const { configMaps } = cluster;
  const namespace = (place.kind === 'configMap' ? place.namespace : undefined) ?? cluster.ownNamespace();
  if (configMaps === undefined || namespace === undefined)
    throw new AppError('CONFIG_INVALID', {
      subject: 'audit.checkpoints',
      detail:
        configMaps === undefined
          ? 'a ConfigMap needs `cluster.kind: kubernetes`'
          : 'a ConfigMap needs a `namespace`: the context of the kubeconfig has none',
    });
  const { name } = place;
  return configMapLocation(`ConfigMap ${namespace}/${name}`, {
    read: () => configMaps.read(namespace, name),
    write: (data, read, options) => configMaps.write({ namespace, name }, data, read, options),
  });
}

/** Returns what this process knows from outside the audit store: checkpoints, keys, and whether retention is configured. */
export async function evidenceOf({
  checkpoints,
  recordKeys,
  config,
}: {
  readonly checkpoints: Checkpointer | undefined;
  readonly recordKeys: RecordKeys;
  readonly config: Pick<Config, 'audit'>;
}): Promise<Evidence> {
  const signed = (await checkpoints?.evidence()) ?? { checkpoints: [], keys: new Map() };
  return { ...signed, recordKeys, hasRetention: config.audit.retentionMs !== undefined };
}

/**
 * Returns the audit record that names the missing records and the person who accepted their loss. After the loss, the
 * hash chain continues with this audit record.
 */
export function acceptanceEntry(
  { end, contradicting, cutUntil }: NonNullable<ReturnType<Checkpointer['loss']>>,
  actor: Actor,
): Entry {
  const proofs = contradicting.map(
    ({ place, checkpoint: { sequence, hash, time } }) =>
      `record ${sequence} with the hash ${hash}, by a checkpoint of ${time} in ${place}`,
  );
  const cut = cutUntil === undefined ? [] : [`everything up to record ${cutUntil}`];
  return {
    actor,
    requestId: crypto.randomUUID(),
    action: 'command',
    outcome: 'ok',
    code: 'AUDIT_TRUNCATED',
    sources: [],
    keys: NO_KEYS,
    counts: {
      end: end.sequence,
      ...(cutUntil === undefined ? {} : { cutUntil }),
      ...(contradicting.length === 0
        ? {}
        : { proved: largest(contradicting.map(({ checkpoint }) => checkpoint.sequence)) }),
    },
    note: `audit accept: the store ends at record ${end.sequence}; missing is ${[...cut, ...proofs].join('; ')}`,
    durationMs: 0,
    attempt: 1,
  };
}
