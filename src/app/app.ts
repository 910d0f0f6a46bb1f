import type { Checkpointer } from '../audit/checkpoint/checkpointer.ts';
import type { Actor, AuditRecord } from '../audit/entry.ts';
import { watchForeignWrites } from '../audit/foreign-writes.ts';
import type { AuditStore } from '../audit/store.ts';
import type { Cluster, OnWrite } from '../cluster/cluster.ts';
import type { Config } from '../config/config.ts';
import { abortAfterGrace } from '../core/abort.ts';
import type { Clock } from '../core/clock.ts';
import type { Fingerprinter } from '../core/fingerprint.ts';
import type { Workload } from '../core/mapping.ts';
import type { SecretValue } from '../core/secret-value.ts';
import { instancesOf } from '../core/target.ts';
import type { Tracing } from '../core/tracer.ts';
import { type CredentialSources, type Reference, resolveCredential } from '../providers/credentials.ts';
import { createSourceReaders } from '../providers/source-reader.ts';
import { createUnresolvedIntents, type UnresolvedIntents } from '../reconcile/change.ts';
import type { SyncContext } from '../reconcile/context.ts';
import { createReadDeduplication } from '../reconcile/read-deduplication.ts';
import type { DesiredTarget } from '../reconcile/targets.ts';
import type { Logger } from '../telemetry/logger.ts';
import { openAudit } from './audit.ts';
import { openCheckpoints } from './checkpoints.ts';
import { openCluster } from './cluster.ts';
import { createCurrentConfig } from './current-config.ts';
import { openFingerprints } from './keys.ts';
import { capabilitiesOf, createStores, type StoreObserver, type Stores } from './stores.ts';
import { createContextFactory, type SyncContextOptions } from './sync-context.ts';
import { openTracing, traced } from './tracing.ts';

export interface AppDeps {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly actor: Actor;
  /** Called for each credential that is read, so that the log can redact it. */
  readonly onCredential: (value: SecretValue) => void;
  /** An id that is unique to this process. */
  readonly replica: string;
  readonly version?: string;
  /**
   * Prints a line for checkpoints of kind `stdout`. Prints it to stderr if the result of a command is printed to
   * stdout.
   */
  readonly print: (line: string) => void;
  /** Called when signed records disappear from the audit log while it is open. */
  readonly onAuditLoss?: () => void;
  readonly observe?: AppObserver;
  /** For long-lived processes: how long a value that was read may be used and kept. */
  readonly maxReadAgeMs?: number;
  /** Set for one-shot commands. After an abort, they do not wait for a login that hangs. */
  readonly stop?: AbortSignal;
}

/** Observes requests to other systems, for the metrics of a service. */
export interface AppObserver extends StoreObserver {
  /** Called for each request that changes the cluster. */
  onClusterWrite: OnWrite;
  /** Called when records of this process are durably stored. */
  onRecords(records: readonly AuditRecord[]): void;
}

/** The connections and state of a running command or service. Close it with `await using`. */
export interface App extends AsyncDisposable {
  /** The active configuration. */
  readonly config: Config;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Forbids changes to the cluster while the audit log cannot be trusted. */
  readonly audit: AuditStore;
  /** Undefined if `audit.checkpoints` is empty. */
  readonly checkpoints: Checkpointer | undefined;
  readonly cluster: Cluster;
  readonly stores: Stores;
  /** The targets that the last `resolve` found. */
  readonly targets: readonly DesiredTarget[];
  /** The current name of this instance, and its former names. */
  readonly instances: readonly string[];
  readonly fingerprints: Fingerprinter;
  readonly tracing: Tracing;
  /** Returns the workloads to restart when the content of a Secret of this mapping changes. */
  readonly restartOf: (mapping: string) => readonly Workload[];
  /** Changes that this process recorded as an intent, but whose outcome is not recorded. */
  readonly unresolvedIntents: UnresolvedIntents;
  /** Resolves namespace selectors again, so that new namespaces become targets. */
  resolve(): Promise<readonly DesiredTarget[]>;
  /** Creates the parts that all targets of one run share: reads, a request id and a recorder. */
  createContext(options?: SyncContextOptions): Promise<SyncContext>;
  /** Applies the stores, mappings and rules of a new configuration. Changes of other sections need a new app. */
  reconfigure(config: Config): Promise<void>;
}

/** Creates all parts of the program and connects them. This is the composition root. */
export async function openApp(config: Config, deps: AppDeps): Promise<App> {
  await using stack = new AsyncDisposableStack();
  const { clock, env, logger, stop } = deps;
  const cluster = stack.use(
    await openCluster(config.cluster, { env, clock, stop, onWrite: deps.observe?.onClusterWrite }),
  );
  const credential = credentialsOf(deps, (name, key) => cluster.ownSecret(name, key));

  // Open tracing first, so that it closes last and traces are complete.
  const tracing = stack.use(await openTracing(config, { ...deps, credential }));
  const mayCreate = config.audit.store.kind === 'sqlite';
  const fingerprints = await openFingerprints(config.keys.fingerprint, { mayCreate, credential });
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
  const current = createCurrentConfig(config, cluster);
  const openParts = stack.move();
  const unresolvedIntents = createUnresolvedIntents();
  const readDeduplication = createReadDeduplication(observedAudit.foreignVersion);
  const instances = instancesOf(config);
  const readers = createSourceReaders({
    open: (name) => stores.open(name),
    now: () => clock.now(),
    batchSizeOf: (name) => capabilitiesOf(current.config, name)?.readsPerCall ?? 1,
    maxAgeMs: deps.maxReadAgeMs,
    // Running writes may finish, but a hanging store could delay them for minutes.
    signal: abortAfterGrace(stop),
  });
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
      return current.config;
    },
    get targets() {
      return current.targets;
    },
    restartOf(name) {
      const mapping = current.config.mappings.find((candidate) => candidate.name === name);
      return cluster.workloads === undefined ? [] : (mapping?.restart ?? []);
    },
    resolve: () => current.resolve(),
    async reconfigure(next) {
      stores.reconfigure(next.stores);
      readDeduplication.clear();
      current.replace(next);
      readers.clear();
    },
    createContext: createContextFactory({
      ...parts,
      actor: deps.actor,
      current,
      readDeduplication,
      readers,
    }),
    [Symbol.asyncDispose]: () => openParts.disposeAsync(),
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

/** Returns a function that resolves a reference to a credential. */
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
