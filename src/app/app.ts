import { randomUUID } from 'node:crypto';
import type { Checkpointer } from '../audit/checkpointer.ts';
import type { Actor, AuditRecord } from '../audit/entry.ts';
import { watchOthers } from '../audit/others.ts';
import type { AuditStore } from '../audit/store.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { OnWrite } from '../cluster/on-write.ts';
import { createAccess } from '../config/access.ts';
import type { Config } from '../config/config.ts';
import type { Clock } from '../core/clock.ts';
import type { Fingerprinter } from '../core/fingerprint.ts';
import { instancesOf } from '../core/instances.ts';
import type { Workload } from '../core/mapping.ts';
import type { SecretValue } from '../core/secret-value.ts';
import type { Tracing } from '../core/tracer.ts';
import type { Logger } from '../log/logger.ts';
import { type CredentialSources, type Reference, resolveCredential } from '../providers/credentials.ts';
import { createReader } from '../providers/reader.ts';
import { createRoom } from '../providers/shelf.ts';
import { isProvenAbsent } from '../reconcile/absence.ts';
import { isRemoved, isWrittenWithout } from '../reconcile/last-word.ts';
import { createLeftOpen, type LeftOpen } from '../reconcile/left-open.ts';
import { readPin } from '../reconcile/pins.ts';
import { createReadings } from '../reconcile/readings.ts';
import { recallVersion } from '../reconcile/recall.ts';
import { createRecorder } from '../reconcile/recorder.ts';
import { resolveTargets, unresolvedTargets, type Wanted, wantedIndex } from '../reconcile/targets.ts';
import type { Pass } from '../service/pass.ts';
import { abilitiesOf } from './abilities.ts';
import { openAudit } from './audit.ts';
import { openCheckpoints } from './checkpoints.ts';
import { openCluster } from './cluster.ts';
import { whileInForce } from './in-force.ts';
import { openFingerprints } from './keys.ts';
import { secretRefsOf } from './secret-refs.ts';
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
  readonly targets: readonly Wanted[];
  /** This instance and those that it was before. */
  readonly instances: readonly string[];
  readonly fingerprints: Fingerprinter;
  readonly tracing: Tracing;
  /** What a mapping wants restarted when its content changes. */
  readonly restartOf: (mapping: string) => readonly Workload[];
  /** What this process changed without an outcome on record. */
  readonly leftOpen: LeftOpen;
  /** Looks at the namespaces that selectors choose, so that new ones are served. */
  resolve(): Promise<readonly Wanted[]>;
  /** What one pass over targets needs: shared reads, one request id, one recorder. */
  pass(options?: PassOptions): Promise<Pass>;
  /** Puts stores, mappings and rules of another configuration in force; the rest of it needs another app. */
  reconfigure(config: Config): Promise<void>;
}

export interface PassOptions {
  /** Ends its reads. */
  readonly signal?: AbortSignal | undefined;
  readonly requestId?: string;
  readonly actor?: Actor;
  /** Without a new look at the namespaces: the targets are those of the last one. */
  readonly asResolved?: boolean;
  /** What was read longer ago is read anew. Left out: the pass is over before anything is old. */
  readonly oldAfterMs?: number;
  /** It gives nothing any more once another configuration is in force: its calls are INTERRUPTED then. */
  readonly bound?: boolean;
}

/** The composition root: the only place that builds parts and puts them together. */
export async function openApp(config: Config, deps: AppDeps): Promise<App> {
  await using stack = new AsyncDisposableStack();
  const { clock, env, logger } = deps;
  const cluster = stack.use(
    await openCluster(config.cluster, { env, clock, onWrite: deps.observe?.onClusterWrite }),
  );
  const credential = credentialsOf(deps, (name, key) => cluster.ownSecret(name, key));

  // First to open and last to close, so that nothing is left out.
  const tracing = stack.use(await openTracing(config, { ...deps, credential }));
  const make = config.audit.store.kind === 'sqlite';
  const fingerprints = await openFingerprints(config.keys.fingerprint, { make, credential });
  const watched = watchOthers(await openAudit(config, { clock, replica: deps.replica, credential }));
  const store = stack.use(counted(watched.audit, deps.observe));
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
  let current = config;
  let targets = unresolvedTargets(config.mappings);
  const ownNamespace = (): string | undefined => guardedNamespace(current, cluster);
  let access = createAccess(config, ownNamespace);
  // What a mapping may not have, it does not claim from others.
  const claims = () =>
    wantedIndex(
      targets.filter(({ mapping, id }) =>
        access.allowsNamespace({ mapping: mapping.name, namespace: id.namespace }),
      ),
    );
  let wants = claims();
  const resolve = async (): Promise<readonly Wanted[]> => {
    targets = await resolveTargets(current.mappings, cluster, ownNamespace());
    wants = claims();
    return targets;
  };
  const owned = stack.move();
  const room = createRoom();
  const leftOpen = createLeftOpen();
  const readings = createReadings(watched.mark);
  const instances = instancesOf(config);

  return {
    get config() {
      return current;
    },
    clock,
    logger,
    audit,
    checkpoints,
    cluster,
    stores,
    get targets() {
      return targets;
    },
    instances,
    fingerprints,
    tracing,
    leftOpen,
    restartOf(name) {
      const mapping = current.mappings.find((it) => it.name === name);
      return cluster.workloads === undefined ? [] : (mapping?.restart ?? []);
    },
    resolve,
    async reconfigure(next) {
      stores.reconfigure(next.stores);
      readings.clear();
      current = next;
      access = createAccess(next, ownNamespace);
    },
    async pass({
      signal,
      requestId = randomUUID(),
      actor = deps.actor,
      asResolved = false,
      oldAfterMs,
      bound = false,
    } = {}) {
      if (!asResolved) await resolve();
      const recorder = createRecorder({
        audit,
        actor,
        requestId,
        fingerprints,
        stores: stores.definitions,
        instances,
        clock,
        leftOpen,
        readings,
      });
      const begun = current;
      const inForce = whileInForce(() => !bound || current === begun);
      const rules = () => {
        inForce.check();
        return access;
      };
      const reader = createReader({
        async open(store) {
          // One of the same name may be another by now.
          inForce.check();
          return stores.open(store);
        },
        onRead(source, result, tookMs) {
          inForce.check();
          return recorder.read(source, result, tookMs);
        },
        now: () => clock.now(),
        recall: (store, key) => recallVersion(audit, { store, key }, stores.definitions.get(store)),
        // Nothing is read ahead by rules that are in force no more.
        perCall: (store) => (current === begun ? (abilitiesOf(begun, store)?.readsPerCall ?? 1) : 1),
        signal,
        room,
        age: oldAfterMs === undefined ? undefined : { now: () => clock.now(), mostMs: oldAfterMs },
      });
      return {
        instance: config.instance,
        formerInstances: config.formerInstances,
        cluster,
        fingerprints,
        stores: stores.definitions,
        clock,
        tracer: tracing.tracer,
        recorder,
        wants,
        pin: (mapping, id) => readPin(audit, mapping, id, instances),
        isRemoved: (mapping, id) => isRemoved(audit, mapping, id, instances),
        isWrittenWithout: (mapping, id, source) => isWrittenWithout(audit, mapping, id, source, instances),
        provenAbsent: (source, { softDeletedIsMissing }) => {
          const codes = ['SOURCE_ABSENT', ...(softDeletedIsMissing ? ['SOURCE_DELETED'] : [])];
          const definition = stores.definitions.get(source.store);
          return isProvenAbsent(audit, source, definition, { codes, ...current.absence });
        },
        read: (refs) => inForce.found(reader.read(refs)),
        recorded: (refs) => reader.recorded(refs),
        expect: (refs) => reader.expect(refs),
        find: (store, query) => inForce.found(reader.find(store, query)),
        versions: (store, keys) => inForce.found(reader.versions(store, keys)),
        barred: ({ namespace }) => rules().barred(namespace),
        allows: (use) => rules().allows(use),
        allowsSearch: (use) => rules().allowsSearch(use),
      };
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function counted(audit: AuditStore, observe: AppObserver | undefined): AuditStore {
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

/**
 * The namespace that holds the bridge's own credentials, which no mapping may write to. Outside a cluster that is
 * the namespace of the kubeconfig's context, and only when a `secretRef` reads from it.
 */
export function guardedNamespace(config: Config, cluster: Cluster): string | undefined {
  return cluster.inCluster || secretRefsOf(config).length > 0 ? cluster.ownNamespace() : undefined;
}
