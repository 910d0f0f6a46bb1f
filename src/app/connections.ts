import { authenticAudit, type OnUntrusted } from '../audit/authentic-audit.ts';
import type { Checkpointer } from '../audit/checkpoint/checkpointer.ts';
import type { LastPins } from '../audit/decisions.ts';
import { type WatchedAudit, watchForeignWrites } from '../audit/foreign-writes.ts';
import { createLastPins, type WatchedPins } from '../audit/last-pins.ts';
import type { RecordKeys } from '../audit/record-keys.ts';
import type { AuditStore } from '../audit/store.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { Config } from '../config/config.ts';
import type { Clock } from '../core/clock.ts';
import type { Fingerprinter } from '../core/fingerprint.ts';
import type { Sealer } from '../core/sealer.ts';
import { instancesOf } from '../core/target.ts';
import type { Tracing } from '../core/tracer.ts';
import type { Logger } from '../telemetry/logger.ts';
import { openAudit } from './audit.ts';
import { openCheckpoints } from './checkpoints.ts';
import { credentialsOf, openCluster } from './cluster.ts';
import type { AppDeps, AppObserver, AppOptions } from './deps.ts';
import { openKeys } from './keys.ts';
import { createStores, type Stores } from './stores.ts';
import { openTracing, traced } from './tracing.ts';

/** The connections of a command or service to other systems, and its clock and log. */
export interface Connections extends AsyncDisposable {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly cluster: Cluster;
  readonly tracing: Tracing;
  readonly fingerprints: Fingerprinter;
  /**
   * For decisions: returns authentic records only, and forbids changes to the cluster while the audit log cannot be
   * trusted.
   */
  readonly audit: AuditStore;
  /** The same audit log with all records as they are stored, for people to look at. */
  readonly storedAudit: AuditStore;
  readonly recordKeys: RecordKeys;
  readonly sealer: Sealer;
  readonly pins: LastPins;
  /** Undefined if `audit.checkpoints` is empty. */
  readonly checkpoints: Checkpointer | undefined;
  readonly stores: Stores;
}

export async function openConnections(
  config: Config,
  deps: AppDeps,
  { observe, stop, onAuditLoss }: AppOptions,
): Promise<Connections & Pick<WatchedAudit, 'foreignVersion' | 'isOwn'>> {
  await using stack = new AsyncDisposableStack();
  const { clock, logger } = deps;
  const onWrite = observe?.onClusterWrite;
  const cluster = stack.use(await openCluster(config.cluster, { ...deps, stop, onWrite }));
  const credential = credentialsOf(deps, (name, key) => cluster.ownSecret(name, key));

  // Open tracing before the other parts. Parts are closed in the reverse order, so tracing is closed last and traces
  // are complete.
  const tracing = stack.use(await openTracing(config, { ...deps, credential }));
  const mayCreate = config.audit.store.kind === 'sqlite';
  const keys = await openKeys(config.keys.fingerprint, { mayCreate, credential });

  const watched = watchForeignWrites(await openAudit(config, { ...deps, credential, keys: keys.records }));
  const store = stack.use(countRecords(watched.audit, observe));
  const checkpointDeps = { ...deps, audit: store, cluster, credential, onLoss: onAuditLoss };
  const checkpoints = stack.use(await openCheckpoints(config, checkpointDeps));

  const storedAudit = checkpoints?.audit ?? store;
  const pins = createLastPins({
    ...{ audit: store, keys: keys.records, instances: instancesOf(config) },
    checkStore: async () => checkpoints?.checkStore(),
  });
  const audit = notingPins(authenticAudit(storedAudit, keys.records, untrustedLog(logger)), pins);

  const { fingerprints } = keys;
  const storesDeps = { clock, fingerprints, credential, ...traced(observe, tracing.tracer) };
  const stores = stack.use(createStores(config.stores, storesDeps));
  const opened = stack.move();
  return {
    clock,
    logger,
    cluster,
    tracing,
    fingerprints,
    audit,
    storedAudit,
    recordKeys: keys.records,
    sealer: keys.sealer,
    pins,
    checkpoints,
    stores,
    foreignVersion: () => watched.foreignVersion(),
    isOwn: () => watched.isOwn(),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

/** Passes the appended records on, so that they need not be read back. */
function notingPins(audit: AuditStore, pins: WatchedPins): AuditStore {
  return {
    ...audit,
    async append(entries) {
      const records = await audit.append(entries);
      pins.noteAppended(records);
      return records;
    },
  };
}

/** Queries find a record again and again, so each one is logged once. */
const MAX_LOGGED = 1_000;

function untrustedLog(logger: Logger): OnUntrusted {
  const logged = new Set<number>();
  return ({ sequence }, reason) => {
    if (logged.has(sequence) || logged.size >= MAX_LOGGED) return;
    logged.add(sequence);
    if (reason === 'edited')
      logger.error('a record of the audit log is forged and is ignored: run `secretbridge audit verify`', {
        sequence,
      });
    else logger.warn('a record of the audit log is ignored, because no known key verifies it', { sequence });
  };
}

function countRecords(audit: AuditStore, observe: AppObserver | undefined): AuditStore {
  if (observe === undefined) return audit;
  return {
    ...audit,
    async append(entries) {
      const records = await audit.append(entries);
      observe.onRecords(records);
      return records;
    },
  };
}
