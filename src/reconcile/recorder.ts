import { isDeepStrictEqual } from 'node:util';
import { type Actor, type AuditRecord, type Entry, NO_KEYS } from '../audit/entry.ts';
import type { AuditStore } from '../audit/store.ts';
import type { Clock } from '../core/clock.ts';
import type { AppError } from '../core/errors.ts';
import type { Fingerprinter } from '../core/fingerprint.ts';
import type { Workload } from '../core/mapping.ts';
import type { PendingRecord } from '../core/pending-record.ts';
import type { ReadResult, StoreRef } from '../core/read-result.ts';
import type { LiveSecret } from '../core/secret.ts';
import { formatTarget, type TargetId } from '../core/target.ts';
import type { KeyPlan } from '../sync/compare.ts';
import type { Pin } from '../sync/pin.ts';
import { type Change, changesOf } from './change.ts';
import { type Command, commandEntry } from './commands.ts';
import { lateRemoval, lateWrite, type Removal } from './late-writes.ts';
import {
  type ExpectedLoss,
  expectedLoss,
  isReplaced,
  lastChange,
  latestRecord,
  TARGET_STATE_ACTIONS,
} from './latest-records.ts';
import { pinNote } from './pins.ts';
import type { ReadDeduplication } from './read-deduplication.ts';
import { createReadRecords } from './read-records.ts';
import { restartIntents } from './restart-intents.ts';
import { createUnresolvedIntents, type UnresolvedIntents } from './unresolved-intents.ts';

export interface Recorder {
  readonly requestId: string;
  /** The ids (`refId`) of references whose value changed under the same version, according to the audit. */
  readonly replacedValues: ReadonlySet<string>;
  /** Whether the last read failed, so that it must be repeated. Queries the audit if this process has not read it. */
  isFailing(source: StoreRef): boolean | Promise<boolean>;
  command(command: Command): Promise<void>;
  /** Records a read. When it resolves, a new record has its position in the log, but may not be durable yet. */
  read(source: StoreRef, result: ReadResult, tookMs?: number): Promise<PendingRecord | undefined>;
  /**
   * Records an intent and returns the change with its attempt number. Skips the numbers of unresolved attempts, so that
   * each outcome belongs to exactly one intent.
   */
  intent(change: Change): Promise<Change>;
  /** Records an outcome and its pending restarts in one append, so that a crash cannot separate them. */
  outcome(
    change: Change,
    result: { error?: AppError; resourceVersion?: string; note?: string },
  ): Promise<{ readonly restarts: boolean }>;
  /** Marks a change whose result is unknown, so that recovery looks for its outcome later. */
  addUnresolved(change: Change): void;
  /**
   * The last write of a target for a mapping, with the fingerprint of the content that pods may have read. Undefined
   * after an intended deletion.
   */
  lastWrite(mapping: string, target: TargetId): Promise<AuditRecord | undefined>;
  /** Why the loss of a missing target was expected. Undefined if somebody may have deleted the target by hand. */
  expectedLoss(mapping: string, target: TargetId): Promise<ExpectedLoss | undefined>;
  /** Records a failure, refusal or hold of a target, unless the latest record already reports the same. */
  recordFailure(mapping: string, target: TargetId, what: TargetFailure): Promise<void>;
  /** Records that all attempts of a run ended in a write conflict. The next run tries again. */
  giveUp(mapping: string, target: TargetId, error: AppError, attempts: number): Promise<void>;
  /** Records that a target is in sync again after a failure. Calls `resolvePrevious` first. */
  recordInSync(
    mapping: string,
    target: TargetId,
    now: CurrentTarget,
  ): Promise<{ readonly restarts: boolean }>;
  /** Returns the recorded state. First corrects a write that is recorded as failed but has succeeded. */
  resolvePrevious(mapping: string, target: TargetId, now: CurrentTarget): Promise<RecordedState>;
  /** Records the success of a removal that is recorded as failed, if the target is gone. Returns whether it did. */
  recordRemoval(removal: Removal): Promise<boolean>;
  /** Records that a person releases a held change. */
  release(mapping: string, target: TargetId, keys: readonly KeyPlan[], id: string): Promise<void>;
  /** Records that a person pins or unpins a target. With an error, records that the request was refused. */
  pin(mapping: string, target: TargetId, pin: Pin | 'unpin', error?: AppError): Promise<void>;
  sweep(counts: Readonly<Record<string, number>>, ok: boolean): Promise<void>;
}

export interface TargetFailure {
  readonly kind: 'refused' | 'held' | 'failed';
  readonly error: AppError;
  /** The planned changes of the target's keys. */
  readonly keys?: readonly KeyPlan[];
  /** The note of the record. A hold with another note is recorded as a new hold. */
  readonly note?: string | undefined;
}

export interface CurrentTarget {
  readonly live: LiveSecret | undefined;
  /** The workloads to restart if a late write has changed the content. */
  readonly restart: readonly Workload[];
}

export interface RecordedState {
  /** No record of the target exists. */
  readonly isUnrecorded?: boolean;
  readonly restarts: boolean;
  /** The error code of the last attempt, if it failed. */
  readonly failed?: string | undefined;
}

export interface RecorderDeps {
  readonly audit: AuditStore;
  readonly actor: Actor;
  readonly requestId: string;
  readonly fingerprints: Fingerprinter;
  /** Maps each store name to the hash of the store's definition. */
  readonly stores: ReadonlyMap<string, string>;
  /**
   * The current instance name and the former ones. Other instances that share the audit may have targets with the same
   * names.
   */
  readonly instances: readonly string[];
  readonly clock: Clock;
  readonly unresolvedIntents?: UnresolvedIntents;
  /** Shared by all recorders of the process. */
  readonly readDeduplication?: ReadDeduplication | undefined;
}

export function createRecorder({
  audit,
  actor,
  requestId,
  fingerprints,
  stores,
  instances,
  clock,
  unresolvedIntents = createUnresolvedIntents(),
  readDeduplication,
}: RecorderDeps): Recorder {
  const startedAt = clock.now();
  const base = { actor, requestId, sources: [], keys: NO_KEYS, durationMs: 0, attempt: 1 };
  const append = async (entry: Entry): Promise<void> => void (await audit.append([entry]));
  const lastStateRecord = (id: TargetId, mapping: string) =>
    latestRecord(audit, { mapping, ...id }, TARGET_STATE_ACTIONS, instances);
  const changeEntry = (change: Change): Omit<Entry, 'phase' | 'outcome'> => {
    const { action, mapping, target, sources, keys, values, before, after, note, attempt } = change;
    return {
      actor,
      requestId,
      action,
      mapping,
      ...target,
      sources,
      keys,
      ...values,
      ...(before === undefined ? {} : { before }),
      ...(after === undefined ? {} : { after }),
      ...(note === undefined ? {} : { note }),
      durationMs: clock.now() - change.startedAt,
      attempt,
    };
  };

  const resolvePrevious = async (mapping: string, target: TargetId, { live, restart }: CurrentTarget) => {
    const previous = await lastStateRecord(target, mapping);
    const isSettled = previous === undefined || (previous.outcome === 'ok' && !isReplaced(previous));
    if (isSettled) return { isUnresolved: false, isUnrecorded: previous === undefined, restarts: false };
    const lateOutcome = live && (await lateWrite(audit, mapping, live, instances));
    if (lateOutcome === undefined) {
      const { outcome, code } = previous;
      const failed = outcome === 'failed' ? code : undefined;
      return { isUnresolved: outcome !== 'ok', restarts: false, failed };
    }
    const restarts = restartIntents(lateOutcome, restart);
    await audit.append([lateOutcome, ...restarts]);
    return { isUnresolved: false, restarts: restarts.length > 0 };
  };

  const addUnresolved = (change: Change): void => unresolvedIntents.add({ ...change, requestId });

  return {
    requestId,
    ...createReadRecords({ audit, actor, requestId, fingerprints, stores, readDeduplication }),
    addUnresolved,
    command: (command) => append(commandEntry(command, actor, requestId)),

    async intent(change) {
      const { replaces, target } = change;
      const openAttempts = await audit.openAttempts(requestId, target);
      let { attempt } = change;
      while (openAttempts.includes(attempt)) attempt += 1;
      const numbered = { ...change, attempt };
      const replaced = replaces === undefined ? {} : { resourceVersion: replaces };
      await append({ ...changeEntry(numbered), phase: 'intent', outcome: 'ok', ...replaced });
      return numbered;
    },

    async outcome(change, { error, resourceVersion, note }) {
      const entry: Entry = {
        ...changeEntry(change),
        phase: 'outcome',
        outcome: error === undefined ? 'ok' : 'failed',
        ...(error === undefined ? {} : { code: error.code }),
        ...(resourceVersion === undefined ? {} : { resourceVersion }),
        ...(note === undefined ? {} : { note }),
      };
      const restarts = restartIntents(entry, change.restart ?? []);
      try {
        await audit.append([entry, ...restarts]);
      } catch (error) {
        addUnresolved(change);
        throw error;
      }
      return { restarts: restarts.length > 0 };
    },

    async lastWrite(mapping, target) {
      const last = await lastChange(audit, mapping, target, instances);
      if (last?.action !== 'delete') return last;
      // For a deletion that was part of a replacement, return the content before it, because pods have read that.
      const { after: replacementContent, before: previousContent, ...deleted } = last;
      return replacementContent === undefined || previousContent === undefined
        ? undefined
        : { ...deleted, after: previousContent };
    },

    expectedLoss: (mapping, target) => expectedLoss(audit, mapping, target, instances),

    async recordFailure(mapping, target, { kind, error, keys = [], note }) {
      const previous = await lastStateRecord(target, mapping);
      const changes = changesOf(keys);
      // A person releases one specific change, so a different change is a new hold.
      const isSame =
        kind !== 'held' || (previous?.note === note && isDeepStrictEqual(previous?.keys, changes));
      if (previous?.outcome === kind && previous.code === error.code && isSame) return;
      const action = kind === 'held' ? 'hold' : 'refuse';
      const { code, subject: errorSubject } = error;
      // The report of an absent source must contain the source's name.
      const subject = kind === 'held' || errorSubject === formatTarget(target) ? undefined : errorSubject;
      const text = note ?? subject;
      const noteField = text === undefined ? {} : { note: text };
      return append({
        ...base,
        action,
        mapping,
        ...target,
        outcome: kind,
        code,
        keys: changes,
        ...noteField,
      });
    },

    giveUp: (mapping, target, { code }, attempts) =>
      append({ ...base, action: 'giveUp', mapping, ...target, outcome: 'failed', code, attempt: attempts }),

    async recordInSync(mapping, target, now) {
      const { isUnresolved, restarts } = await resolvePrevious(mapping, target, now);
      if (isUnresolved)
        await append({ ...base, action: 'sweep', mapping, ...target, outcome: 'ok', note: 'in sync again' });
      return { restarts };
    },

    resolvePrevious,

    async recordRemoval(removal) {
      const previous = await lastStateRecord(removal.target, removal.mapping);
      // The latest record need not be the failed removal, because a newer attempt may have failed or been held.
      const isUnresolved = previous !== undefined && previous.outcome !== 'ok';
      const lateOutcome = isUnresolved ? await lateRemoval(audit, removal, instances) : undefined;
      if (lateOutcome !== undefined) await append(lateOutcome);
      return lateOutcome !== undefined;
    },

    release: (mapping, target, keys, id) =>
      append({
        ...base,
        action: 'release',
        mapping,
        ...target,
        outcome: 'ok',
        keys: changesOf(keys),
        note: id,
      }),

    pin: (mapping, target, pin, error) =>
      append({
        ...base,
        action: pin === 'unpin' ? 'unpin' : 'rollback',
        mapping,
        ...target,
        ...(pin === 'unpin' ? {} : { sources: pin.sources, note: pinNote(pin) }),
        ...(error === undefined ? { outcome: 'ok' } : { outcome: 'refused', code: error.code }),
      }),

    sweep: (counts, ok) =>
      append({
        ...base,
        action: 'sweep',
        outcome: ok ? 'ok' : 'failed',
        counts,
        durationMs: clock.now() - startedAt,
      }),
  };
}
