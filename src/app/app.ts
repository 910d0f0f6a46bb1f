import type { Checkpointer } from '../audit/checkpoint/checkpointer.ts';
import type { Actor, AuditRecord } from '../audit/entry.ts';
import { watchForeignWrites } from '../audit/foreign-writes.ts';
import type { AuditStore } from '../audit/store.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { OnWrite } from '../cluster/on-write.ts';
import type { Config } from '../config/config.ts';
import type { Clock } from '../core/clock.ts';
import type { Fingerprinter } from '../core/fingerprint.ts';
import { instancesOf } from '../core/instances.ts';
import type { Workload } from '../core/mapping.ts';
import type { SecretValue } from '../core/secret-value.ts';
import type { Tracing } from '../core/tracer.ts';
import type { Logger } from '../log/logger.ts';
import { type CredentialSources, type Reference, resolveCredential } from '../providers/credentials.ts';
import { createUnresolvedIntents, type UnresolvedIntents } from '../reconcile/unresolved-intents.ts';
import { createReadDeduplication } from '../reconcile/read-deduplication.ts';
import type { DesiredTarget } from '../reconcile/targets.ts';
import type { SyncContext } from '../service/runs/sync-context.ts';
import { openAudit } from './audit.ts';
import { openCheckpoints } from './checkpoints.ts';
import { openCluster } from './cluster.ts';
import { createCurrentConfig } from './current-config.ts';
import { openFingerprints } from './keys.ts';
import { createContextFactory, type SyncContextOptions } from './sync-context.ts';
import { createStores, type StoreObserver, type Stores } from './stores.ts';
import { openTracing, traced } from './tracing.ts';

export interface AppDeps {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly actor: Actor;
  /** Told of each credential, so that no log line can hold it. */
  readonly onCredential: (value: SecretValue) => void;
  /** Unique to this process. */
  readonly replica: string;
  readonly version?: string;
  /** A line on standard output, or beside it where that holds a result: for checkpoints that go there. */
  readonly print: (line: string) => void;
  /** The audit has lost what was signed, while it was in use. */
  readonly onAuditLoss?: () => void;
  readonly observe?: AppObserver;
  /** Of a command: once it is told to stop, it does not wait for a login that hangs. */
  readonly stop?: AbortSignal;
}

/** What happens outside of the process, for the metrics of a service. */
export interface AppObserver extends StoreObserver {
  /** Of each request that changes the cluster. */
  onClusterWrite: OnWrite;
  /** Of this process, when they are durable. */
  onRecords(records: readonly AuditRecord[]): void;
}

/** Everything that a command works with; closed by `await using`. */
export interface App extends AsyncDisposable {
  /** The one in force. */
  readonly config: Config;
  readonly clock: Clock;
  readonly logger: Logger;
  /** While it is in doubt it refuses what would change the cluster. */
  readonly audit: AuditStore;
  /** Nothing where `audit.checkpoints` is empty. */
  readonly checkpoints: Checkpointer | undefined;
  readonly cluster: Cluster;
  readonly stores: Stores;
  /** As the last pass found them. */
  readonly targets: readonly DesiredTarget[];
  /** This instance and those that it was before. */
  readonly instances: readonly string[];
  readonly fingerprints: Fingerprinter;
  readonly tracing: Tracing;
  /** What a mapping wants restarted when its content changes. */
  readonly restartOf: (mapping: string) => readonly Workload[];
  /** What this process changed without an outcome on record. */
  readonly unresolvedIntents: UnresolvedIntents;
  /** Looks at the namespaces that selectors choose, so that new ones are served. */
  resolve(): Promise<readonly DesiredTarget[]>;
  /** What one pass over targets needs: shared reads, one request id, one recorder. */
  createContext(options?: SyncContextOptions): Promise<SyncContext>;
  /** Puts stores, mappings and rules of another configuration in force; the rest of it needs another app. */
  reconfigure(config: Config): Promise<void>;
}

/** The composition root: the only place that builds parts and puts them together. */
export async function openApp(config: Config, deps: AppDeps): Promise<App> {
  await using stack = new AsyncDisposableStack();
  const { clock, env, logger, stop } = deps;
  const cluster = stack.use(
    await openCluster(config.cluster, { env, clock, stop, onWrite: deps.observe?.onClusterWrite }),
  );
  const credential = credentialsOf(deps, (name, key) => cluster.ownSecret(name, key));

  // First to open and last to close, so that nothing is left out.
  const tracing = stack.use(await openTracing(config, { ...deps, credential }));
  const make = config.audit.store.kind === 'sqlite';
  const fingerprints = await openFingerprints(config.keys.fingerprint, { mayCreate: make, credential });
  const observedAudit = watchForeignWrites(
    await openAudit(config, { clock, replica: deps.replica, credential }),
  );
  const store = stack.use(countRecords(observedAudit.audit, deps.observe));
  const checkpoints = stack.use(
    await openCheckpoints(config, {
      audit: store,
      cluster,
      credential,
      clock,
      logger,
      print: deps.print,
      onLoss: deps.onAuditLoss,
    }),
  );
  const audit = checkpoints?.audit ?? store;
  const stores = stack.use(
    createStores(config.stores, {
      clock,
      fingerprints,
      credential,
      ...traced(deps.observe, tracing.tracer),
    }),
  );
  const now = createCurrentConfig(config, cluster);
  const owned = stack.move();
  const unresolvedIntents = createUnresolvedIntents();
  const readDeduplication = createReadDeduplication(observedAudit.foreignVersion);
  const instances = instancesOf(config);
  const parts = {
    clock,
    logger,
    audit,
    checkpoints,
    cluster,
    stores,
    instances,
    fingerprints,
    tracing,
    unresolvedIntents,
  };

  return {
    ...parts,
    get config() {
      return now.config;
    },
    get targets() {
      return now.targets;
    },
    restartOf(name) {
      const mapping = now.config.mappings.find((it) => it.name === name);
      return cluster.workloads === undefined ? [] : (mapping?.restart ?? []);
    },
    resolve: () => now.resolve(),
    async reconfigure(next) {
      stores.reconfigure(next.stores);
      readDeduplication.clear();
      now.replace(next);
    },
    createContext: createContextFactory({
      ...parts,
      actor: deps.actor,
      current: now,
      readDeduplication: readDeduplication,
    }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
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

/** Credentials by reference, from wherever it says. */
export function credentialsOf(
  { env, onCredential }: Pick<AppDeps, 'env' | 'onCredential'>,
  secret: NonNullable<CredentialSources['secret']>,
): (reference: Reference) => Promise<SecretValue> {
  return async (reference) => {
    const value = await resolveCredential(reference, { env, secret });
    onCredential(value);
    return value;
  };
}
