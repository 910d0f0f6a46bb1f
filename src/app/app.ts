import { isDeepStrictEqual } from 'node:util';
import { createApprovalLog } from '../audit/approval-log.ts';
import type { ApprovalLog } from '../audit/decisions.ts';
import type { Config } from '../config/config.ts';
import { abortAfterGrace } from '../core/abort.ts';
import { difference, largest } from '../core/lists.ts';
import type { Workload } from '../core/mapping.ts';
import { instancesOf } from '../core/target.ts';
import { createSourceReaders } from '../providers/source-reader.ts';
import { createUnresolvedIntents, type UnresolvedIntents } from '../reconcile/change.ts';
import type { SyncContext } from '../reconcile/context.ts';
import { createReadDeduplication } from '../reconcile/read-deduplication.ts';
import type { DesiredTarget } from '../reconcile/targets.ts';
import { type Connections, openConnections } from './connections.ts';
import { createCurrentConfig } from './current-config.ts';
import type { AppDeps, AppOptions } from './deps.ts';
import { capabilitiesOf } from './stores.ts';
import { createContext, type SyncContextOptions } from './sync-context.ts';

/**
 * The connections and the state of a running command or service. Open an app with `await using`, which closes the app
 * at the end of the scope.
 */
export interface App extends Connections {
  /** The active configuration. */
  readonly config: Config;
  /** The targets that the last call of `resolve` found. */
  readonly targets: readonly DesiredTarget[];
  /** The current name of this instance, and its former names. */
  readonly instances: readonly string[];
  /** Returns the workloads that must restart when the content of a Secret of this mapping changes. */
  readonly restartOf: (mapping: string) => readonly Workload[];
  /** The requests for approval, as the audit records them. */
  readonly approvalLog: ApprovalLog;
  /** The changes whose intent this process has recorded, but whose outcome is not recorded yet. */
  readonly unresolvedIntents: UnresolvedIntents;
  /** Checks again which namespaces the selectors match, to find targets in new namespaces. */
  resolve(): Promise<readonly DesiredTarget[]>;
  /**
   * Creates the context that all targets of one run share. The context contains the values that were read, a request id
   * and a recorder of audit records.
   */
  createContext(options?: SyncContextOptions): Promise<SyncContext>;
  /**
   * Applies the stores, mappings and rules of a new configuration. If any other section has changed, the app must be
   * opened again.
   */
  reconfigure(config: Config): Promise<void>;
}

/** Creates all parts of the program and connects them. This is the composition root. */
export async function openApp(config: Config, deps: AppDeps, options: AppOptions = {}): Promise<App> {
  const { foreignVersion, isOwn, ...connections } = await openConnections(config, deps, options);
  const { clock, cluster, stores } = connections;
  const current = createCurrentConfig(config, cluster);
  const readDeduplication = createReadDeduplication(foreignVersion, current.absenceRule, isOwn);
  const readers = createSourceReaders({
    open: (name) => stores.open(name),
    now: () => clock.now(),
    batchSizeOf: (name) => capabilitiesOf(current.config, name)?.readsPerCall ?? 1,
    maxAgeMs: options.maxReadAgeMs,
    // After `stop` is aborted, reads continue for a short grace period, because running writes may need their values.
    // Then the reads are aborted, because a store that does not answer could delay the exit for minutes.
    signal: abortAfterGrace(options.stop),
  });
  const parts = {
    ...connections,
    instances: instancesOf(config),
    approvalLog: createApprovalLog({
      audit: connections.storedAudit,
      keys: connections.recordKeys,
      instances: instancesOf(config),
      now: () => clock.now(),
      maxAgeMs: () => longestRequestMs(current.config),
    }),
    unresolvedIntents: createUnresolvedIntents(),
  };
  const contextDeps = { app: parts, actor: deps.actor, current, readDeduplication, readers };
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
    createContext: (contextOptions) => createContext(contextDeps, contextOptions),
    async [Symbol.asyncDispose]() {
      readDeduplication.buffer.flush();
      await connections[Symbol.asyncDispose]();
    },
    async reconfigure(next) {
      const { removed } = difference(current.config.mappings, next.mappings);
      const isAddition = removed.length === 0 && isDeepStrictEqual(current.config.stores, next.stores);
      stores.reconfigure(next.stores);
      // What was recorded of the other sources stays true. Without it, each next read of them would query the audit.
      if (!isAddition) readDeduplication.clear();
      current.replace(next);
      readers.clear();
    },
  };
}

/** Requests stay in the list of requests for at least this time. */
const MIN_REQUEST_AGE_MS = 86_400_000;

function longestRequestMs({ approvals }: Pick<Config, 'approvals'>): number {
  return largest([MIN_REQUEST_AGE_MS, ...approvals.map(({ withinMs }) => withinMs)]);
}
