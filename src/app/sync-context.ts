import { randomUUID } from 'node:crypto';
import type { Actor } from '../audit/entry.ts';
import type { AuditStore } from '../audit/store.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { Clock } from '../core/clock.ts';
import type { Fingerprinter } from '../core/fingerprint.ts';
import type { StoreRef } from '../core/read-result.ts';
import type { Tracing } from '../core/tracer.ts';
import type { FindQuery } from '../providers/provider.ts';
import type { SourceReader, SourceReaders } from '../providers/source-reader.ts';
import { isProvenAbsent } from '../reconcile/absence.ts';
import { createRecorder } from '../reconcile/audit-recorder.ts';
import type { UnresolvedIntents } from '../reconcile/change.ts';
import type { SyncContext } from '../reconcile/context.ts';
import { lastReadVersion } from '../reconcile/last-read-version.ts';
import { isRemoved, isWrittenWithout } from '../reconcile/latest-records.ts';
import { readPin } from '../reconcile/pins.ts';
import type { ReadDeduplication } from '../reconcile/read-deduplication.ts';
import { createConfigGuard } from './config-guard.ts';
import type { CurrentConfig } from './current-config.ts';
import type { Stores } from './stores.ts';

export interface SyncContextOptions {
  /** Aborts the reads of this context. */
  readonly signal?: AbortSignal | undefined;
  readonly requestId?: string;
  readonly actor?: Actor;
  /** Whether to use the targets of the last `resolve`, without resolving selectors again. */
  readonly reuseResolved?: boolean;
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
  readonly readers: SourceReaders;
}

/** Creates sync contexts. All contexts of a process share the values that they read. */
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
    readers,
    stores,
    tracing,
  } = deps;
  const { instance, formerInstances } = current.config;

  return async ({
    signal,
    requestId = randomUUID(),
    actor = deps.actor,
    reuseResolved = false,
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
    const reader = readers.reader({
      check: configGuard.check,
      onRead: (source, result, tookMs) => recorder.read(source, result, tookMs),
      lastReadVersion: (store, key) => lastReadVersion(audit, { store, key }, stores.definitions.get(store)),
      signal,
    });
    const readingWith = ({ read, recorded, find }: SourceReader) => ({
      read: (refs: readonly StoreRef[]) => configGuard.guard(read(refs)),
      whenRecorded: recorded,
      find: (store: string, query: FindQuery) => configGuard.guard(find(store, query)),
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
      ...readingWith(reader),
      readingSince: (after) => readingWith(reader.since(after)),
      expect: (refs) => reader.expect(refs),
      versions: (store, keys) => configGuard.guard(reader.versions(store, keys)),
      forbiddenTarget: ({ namespace }) => rules().forbiddenNamespace(namespace),
      allows: (use) => rules().allows(use),
      allowsSearch: (use) => rules().allowsSearch(use),
    };
  };
}
