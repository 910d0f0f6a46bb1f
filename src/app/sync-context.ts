import { randomUUID } from 'node:crypto';
import type { Actor } from '../audit/entry.ts';
import type { AuditStore } from '../audit/store.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { Clock } from '../core/clock.ts';
import type { Fingerprinter } from '../core/fingerprint.ts';
import type { Tracing } from '../core/tracer.ts';
import { createCacheBudget } from '../providers/bounded-cache.ts';
import { createReader } from '../providers/reader.ts';
import { isProvenAbsent } from '../reconcile/absence.ts';
import { createRecorder } from '../reconcile/audit-recorder.ts';
import type { UnresolvedIntents } from '../reconcile/change.ts';
import { lastReadVersion } from '../reconcile/last-read-version.ts';
import { isRemoved, isWrittenWithout } from '../reconcile/latest-records.ts';
import { readPin } from '../reconcile/pins.ts';
import type { ReadDeduplication } from '../reconcile/read-deduplication.ts';
import type { SyncContext } from '../service/runs/sync-context.ts';
import { createConfigGuard } from './config-guard.ts';
import type { CurrentConfig } from './current-config.ts';
import type { Stores } from './stores.ts';
import { capabilitiesOf } from './stores.ts';

export interface SyncContextOptions {
  /** Aborts the reads of this context. */
  readonly signal?: AbortSignal | undefined;
  readonly requestId?: string;
  readonly actor?: Actor;
  /** Whether to use the targets of the last `resolve`, without resolving selectors again. */
  readonly reuseResolved?: boolean;
  /** Reads older than this are repeated. Undefined for short runs, which need no limit. */
  readonly maxReadAgeMs?: number;
  /** Whether to fail with INTERRUPTED when another configuration becomes active. */
  readonly boundToConfig?: boolean;
}

export interface SyncContextDeps {
  readonly audit: AuditStore;
  readonly clock: Clock;
  readonly cluster: Cluster;
  readonly fingerprints: Fingerprinter;
  readonly instances: readonly string[];
  readonly unresolvedIntents: UnresolvedIntents;
  readonly stores: Stores;
  readonly tracing: Tracing;
  /** The actor of records, unless the options name another one. */
  readonly actor: Actor;
  readonly current: CurrentConfig;
  readonly readDeduplication: ReadDeduplication;
}

/** Creates sync contexts. All contexts of a process share one cache budget. */
export function createContextFactory(
  deps: SyncContextDeps,
): (options?: SyncContextOptions) => Promise<SyncContext> {
  const {
    audit,
    clock,
    cluster,
    fingerprints,
    instances,
    unresolvedIntents,
    current,
    readDeduplication,
    stores,
    tracing,
  } = deps;
  const { instance, formerInstances } = current.config;
  const readCapacity = createCacheBudget();

  return async ({
    signal,
    requestId = randomUUID(),
    actor = deps.actor,
    reuseResolved = false,
    maxReadAgeMs,
    boundToConfig = false,
  } = {}) => {
    if (!reuseResolved) await current.resolve();
    const recorder = createRecorder({
      audit,
      actor,
      requestId,
      fingerprints,
      stores: stores.definitions,
      instances,
      clock,
      unresolvedIntents,
      readDeduplication,
    });
    const initialConfig = current.config;
    const configGuard = createConfigGuard(() => !boundToConfig || current.config === initialConfig);
    const rules = () => {
      configGuard.check();
      return current.access;
    };
    const reader = createReader({
      async open(store) {
        // The configuration may have changed, so that the name refers to another store.
        configGuard.check();
        return stores.open(store);
      },
      onRead(source, result, tookMs) {
        configGuard.check();
        return recorder.read(source, result, tookMs);
      },
      now: () => clock.now(),
      lastReadVersion: (store, key) => lastReadVersion(audit, { store, key }, stores.definitions.get(store)),
      // Do not batch reads after the configuration has changed.
      batchSizeOf: (store) =>
        current.config === initialConfig ? (capabilitiesOf(initialConfig, store)?.readsPerCall ?? 1) : 1,
      signal,
      cacheBudget: readCapacity,
      maxAge: maxReadAgeMs === undefined ? undefined : { now: () => clock.now(), maxMs: maxReadAgeMs },
    });
    return {
      instance,
      formerInstances,
      cluster,
      fingerprints,
      stores: stores.definitions,
      clock,
      tracer: tracing.tracer,
      recorder,
      isDesired: current.claims,
      readPin: (mapping, id) => readPin(audit, mapping, id, instances),
      isRemoved: (mapping, id) => isRemoved(audit, mapping, id, instances),
      isWrittenWithout: (mapping, id, source) => isWrittenWithout(audit, mapping, id, source, instances),
      isProvenAbsent: (source, { softDeletedIsMissing }) => {
        const codes = ['SOURCE_ABSENT', ...(softDeletedIsMissing ? ['SOURCE_DELETED'] : [])];
        const definition = stores.definitions.get(source.store);
        return isProvenAbsent(audit, source, definition, { codes, ...current.config.absence });
      },
      read: (refs) => configGuard.guard(reader.read(refs)),
      whenRecorded: (refs) => reader.recorded(refs),
      expect: (refs) => reader.prefetch(refs),
      find: (store, query) => configGuard.guard(reader.find(store, query)),
      versions: (store, keys) => configGuard.guard(reader.versions(store, keys)),
      forbiddenTarget: ({ namespace }) => rules().forbiddenNamespace(namespace),
      allows: (use) => rules().allows(use),
      allowsSearch: (use) => rules().allowsSearch(use),
    };
  };
}
