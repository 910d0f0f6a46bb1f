import { randomUUID } from 'node:crypto';
import type { ApprovalLog } from '../audit/decisions.ts';
import type { Actor } from '../audit/entry.ts';
import { type ChangeKind, waitsUntil } from '../core/change-windows.ts';
import { AppError } from '../core/errors.ts';
import type { StoreRef } from '../core/read-result.ts';
import type { FindQuery } from '../providers/provider.ts';
import type { SourceReader, SourceReaders } from '../providers/source-reader.ts';
import { createApprovalGate, withSingleUse } from '../reconcile/approvals.ts';
import { AuditRecorder } from '../reconcile/audit-recorder.ts';
import type { UnresolvedIntents } from '../reconcile/change.ts';
import type { SyncContext } from '../reconcile/context.ts';
import { lastReadVersion } from '../reconcile/last-read-version.ts';
import type { ReadDeduplication } from '../reconcile/read-deduplication.ts';
import { createRecordLookup } from '../reconcile/record-lookup.ts';
import type { Connections } from './connections.ts';
import type { CurrentConfig } from './current-config.ts';
import { absenceRuleOf } from './stores.ts';

export interface SyncContextOptions {
  /** Aborts the reads of this context. */
  readonly signal?: AbortSignal | undefined;
  readonly requestId?: string;
  readonly actor?: Actor;
  /** Whether to use the targets of the last `resolve`, without resolving selectors again. */
  readonly reuseResolved?: boolean;
  /**
   * Whether to fail with INTERRUPTED when more of the configuration changes than mappings and included files. The runs of
   * a mapping find out by themselves whether it changes. So the changes of one team do not interrupt the runs of others.
   */
  readonly boundToRules?: boolean;
  /** Whether an operator has decided to make a change outside of its window. Default: no. */
  readonly overridesWindow?: ((change: ChangeKind) => boolean) | undefined;
}

export interface SyncContextDeps {
  readonly app: Connections & {
    readonly instances: readonly string[];
    readonly approvalLog: ApprovalLog;
    readonly unresolvedIntents: UnresolvedIntents;
  };
  /** The default actor of records. The options can name another actor. */
  readonly actor: Actor;
  readonly current: CurrentConfig;
  readonly readDeduplication: ReadDeduplication;
  readonly readers: SourceReaders;
}

/** Creates a sync context. All contexts of a process share the values that they read. */
export async function createContext(
  deps: SyncContextDeps,
  options: SyncContextOptions = {},
): Promise<SyncContext> {
  const { app, current, readDeduplication } = deps;
  const { requestId = randomUUID(), actor = deps.actor, reuseResolved, boundToRules } = options;
  if (!reuseResolved) await current.resolve();
  const { audit, clock, cluster, fingerprints, instances, unresolvedIntents, tracing } = app;
  const { instance, formerInstances } = current.config;
  const stores = app.stores.definitions;
  const recorder = new AuditRecorder({
    audit: withSingleUse(audit, { log: app.approvalLog, clock }),
    ...{ actor, requestId, fingerprints, stores, instances, clock },
    unresolvedIntents,
    readDeduplication,
  });
  const approvalsFor = (id: string) =>
    createApprovalGate({
      ...{ audit, log: app.approvalLog, rules: () => current.config.approvals, clock, actor },
      requestId: id,
    });
  const guard = createRulesGuard(current, boundToRules === true);
  const { reads, readsSince } = guardedReads(deps, recorder, guard, options.signal);
  return {
    ...{ instance, formerInstances, cluster, fingerprints, stores, clock, tracer: tracing.tracer, recorder },
    actor,
    isDesired: (mapping, id) => current.claims(mapping, id),
    approvals: approvalsFor(requestId),
    windows: {
      waitsUntil: (change) =>
        options.overridesWindow?.(change)
          ? undefined
          : waitsUntil(current.config.windows, change, clock.now()),
    },
    records: createRecordLookup(audit, {
      ...{ instances, stores, pins: app.pins },
      absence: (store) => absenceRuleOf(current.config, store),
    }),
    ...reads,
    forRun: (run) => ({
      ...readsSince(run.readAfter),
      recorder: recorder.forRepetition(run.requestId),
      approvals: approvalsFor(run.requestId),
    }),
    ...guardedRules(current, guard),
  };
}

interface Reads {
  readonly reads: Pick<SyncContext, 'read' | 'whenRecorded' | 'find' | 'expect' | 'versions'>;
  readonly readsSince: (after: number) => Pick<SyncContext, 'read' | 'whenRecorded' | 'find'>;
}

function guardedReads(
  { app: { audit, stores }, readers }: SyncContextDeps,
  recorder: SyncContext['recorder'],
  guard: RulesGuard,
  signal: AbortSignal | undefined,
): Reads {
  const reader = readers.reader({
    check: () => guard.check(),
    onRead: (source, result, tookMs) => recorder.read(source, result, tookMs),
    lastReadVersion: (store, key) => lastReadVersion(audit, { store, key }, stores.definitions.get(store)),
    signal,
  });
  const readingWith = (from: SourceReader) => ({
    read: (refs: readonly StoreRef[]) => guard.whileActive(from.read(refs)),
    whenRecorded: (refs: readonly StoreRef[]) => from.recorded(refs),
    find: (store: string, query: FindQuery) => guard.whileActive(from.find(store, query)),
  });
  return {
    reads: {
      ...readingWith(reader),
      expect: (refs, isSoon) => reader.expect(refs, isSoon),
      versions: (store, keys) => guard.whileActive(reader.versions(store, keys)),
    },
    readsSince: (after) => readingWith(reader.since(after)),
  };
}

type Rules = Required<Pick<SyncContext, 'forbiddenTarget' | 'allows' | 'allowsSearch'>>;

function guardedRules(current: CurrentConfig, guard: RulesGuard): Rules {
  const rules = () => {
    guard.check();
    return current.access;
  };
  return {
    forbiddenTarget(mapping, id) {
      guard.check();
      return current.forbiddenTarget(mapping, id);
    },
    allows: (use) => rules().allows(use),
    allowsSearch: (use) => rules().allowsSearch(use),
  };
}

/** Stops work that started with other stores or rules. Its result would mix two configurations. */
interface RulesGuard {
  /** @throws AppError INTERRUPTED */
  check(): void;
  /**
   * Waits until the work has ended. Returns its result if the rules are still the same. @throws AppError
   * INTERRUPTED
   */
  whileActive<T>(work: Promise<T>): Promise<T>;
}

function createRulesGuard(current: CurrentConfig, isBound: boolean): RulesGuard {
  const initial = current.rules;
  const check = (): void => {
    if (isBound && current.rules !== initial)
      throw new AppError('INTERRUPTED', { detail: 'the configuration has changed' });
  };
  return {
    check,
    async whileActive(work) {
      const result = await work;
      check();
      return result;
    },
  };
}
