import {
  type AuditRecord,
  type Command,
  commandEntry,
  type Entry,
  NO_KEYS,
  TARGET_STATE_ACTIONS,
} from '../audit/entry.ts';
import type { AppError } from '../core/errors.ts';
import type { PendingRecord, ReadResult, StoreRef } from '../core/read-result.ts';
import { formatTarget, type TargetId } from '../core/target.ts';
import type { Pin } from '../sync/pin.ts';
import {
  type Change,
  changesOf,
  createUnresolvedIntents,
  hasKeys,
  type Removal,
  restartIntents,
  type UnresolvedIntents,
} from './change.ts';
import { lateRemoval, lateWrite } from './late-writes.ts';
import { type ExpectedLoss, expectedLoss, isReplaced, lastChange, latestRecord } from './latest-records.ts';
import { pinNote } from './pins.ts';
import { ReadRecorder } from './read-records.ts';
import type {
  ChangeResult,
  CurrentTarget,
  PinDecision,
  RecordedState,
  Recorder,
  RecorderDeps,
  ReleasedChange,
  RestartsNeeded,
  TargetFailure,
} from './recorder.ts';

/** The default values of fields that most records do not need. */
const EMPTY = { sources: [], keys: NO_KEYS, durationMs: 0, attempt: 1 } as const;

/** Writes the audit records of one request. */
export class AuditRecorder implements Recorder {
  readonly requestId: string;
  readonly #deps: RecorderDeps;
  readonly #startedAt: number;
  readonly #unresolvedIntents: UnresolvedIntents;
  readonly #reads: ReadRecorder;

  constructor(deps: RecorderDeps, reads = new ReadRecorder(deps)) {
    this.requestId = deps.requestId;
    this.#deps = deps;
    this.#startedAt = deps.clock.now();
    this.#unresolvedIntents = deps.unresolvedIntents ?? createUnresolvedIntents();
    this.#reads = reads;
  }

  /** Returns a recorder with another request id, for a run that repeats this request and uses its reads. */
  forRepetition(requestId: string): AuditRecorder {
    return requestId === this.requestId ? this : new AuditRecorder({ ...this.#deps, requestId }, this.#reads);
  }

  get replacedValues(): ReadonlySet<string> {
    return this.#reads.replacedValues;
  }

  isFailing(source: StoreRef): boolean | Promise<boolean> {
    return this.#reads.isFailing(source);
  }

  read(source: StoreRef, result: ReadResult, tookMs = 0): Promise<PendingRecord | undefined> {
    return this.#reads.record(source, result, tookMs);
  }

  flushReads(): void {
    this.#reads.flush();
  }

  command(command: Command, refusal?: AppError): Promise<void> {
    return this.#append(commandEntry(command, this.#deps.actor, this.requestId, refusal));
  }

  async intent(change: Change): Promise<Change> {
    const { replaces, target } = change;
    const openAttempts = await this.#deps.audit.openAttempts(this.requestId, target);
    let { attempt } = change;
    while (openAttempts.includes(attempt)) attempt += 1;
    // One transaction stores the reads together with the intent.
    this.#reads.flush();
    const numbered = { ...change, attempt };
    const replaced = replaces === undefined ? {} : { resourceVersion: replaces };
    await this.#append({ ...this.#changeEntry(numbered), phase: 'intent', outcome: 'ok', ...replaced });
    return numbered;
  }

  async outcome(change: Change, { error, resourceVersion, note }: ChangeResult): Promise<RestartsNeeded> {
    const entry: Entry = {
      ...this.#changeEntry(change),
      phase: 'outcome',
      outcome: error === undefined ? 'ok' : 'failed',
      ...(error === undefined ? {} : { code: error.code }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
      ...(note === undefined ? {} : { note }),
    };
    const restarts = restartIntents(entry, change.restart ?? []);
    try {
      await this.#deps.audit.append([entry, ...restarts]);
    } catch (thrown) {
      this.addUnresolved(change);
      throw thrown;
    }
    return { restarts: restarts.length > 0 };
  }

  addUnresolved(change: Change): void {
    this.#unresolvedIntents.add({ ...change, requestId: this.requestId });
  }

  async lastWrite(mapping: string, target: TargetId): Promise<AuditRecord | undefined> {
    const last = await lastChange(this.#deps.audit, mapping, target, this.#deps.instances);
    if (last?.action !== 'delete') return last;
    // If the deletion was part of a replacement, return the content before the deletion, because pods have read that
    // content.
    const { after: replacementContent, before: previousContent, ...deleted } = last;
    return replacementContent === undefined || previousContent === undefined
      ? undefined
      : { ...deleted, after: previousContent };
  }

  expectedLoss(mapping: string, target: TargetId): Promise<ExpectedLoss | undefined> {
    return expectedLoss(this.#deps.audit, mapping, target, this.#deps.instances);
  }

  async recordFailure(mapping: string, target: TargetId, failure: TargetFailure): Promise<string> {
    const { kind, error, keys = [], note } = failure;
    const previous = await this.#lastState(mapping, target);
    const changes = changesOf(keys);
    // A person releases one specific change, so a different change must be held separately.
    const isSame = kind !== 'held' || (previous?.note === note && hasKeys(previous, changes));
    if (previous?.outcome === kind && previous.code === error.code && isSame) return previous.time;
    // If the error concerns a source, the record must name this source.
    const subject = kind === 'held' || error.subject === formatTarget(target) ? undefined : error.subject;
    const text = note ?? subject;
    const [recorded] = await this.#deps.audit.append([
      this.#targetEntry(mapping, target, {
        action: kind === 'held' ? 'hold' : 'refuse',
        outcome: kind,
        code: error.code,
        keys: changes,
        ...(text === undefined ? {} : { note: text }),
      }),
    ]);
    return recorded?.time ?? new Date(this.#deps.clock.now()).toISOString();
  }

  giveUp(mapping: string, target: TargetId, { code }: AppError, attempts: number): Promise<void> {
    return this.#recordTarget(mapping, target, {
      action: 'giveUp',
      outcome: 'failed',
      code,
      attempt: attempts,
    });
  }

  async recordInSync(mapping: string, target: TargetId, now: CurrentTarget): Promise<RestartsNeeded> {
    const { isUnresolved, restarts } = await this.resolvePrevious(mapping, target, now);
    if (isUnresolved)
      await this.#recordTarget(mapping, target, { action: 'sweep', outcome: 'ok', note: 'in sync again' });
    return { restarts };
  }

  async resolvePrevious(
    mapping: string,
    target: TargetId,
    { live, restart }: CurrentTarget,
  ): Promise<RecordedState & { readonly isUnresolved: boolean }> {
    const { audit, instances } = this.#deps;
    const previous = await this.#lastState(mapping, target);
    const isSettled = previous === undefined || (previous.outcome === 'ok' && !isReplaced(previous));
    if (isSettled) return { isUnresolved: false, isUnrecorded: previous === undefined, restarts: false };
    const lateOutcome = live && (await lateWrite(audit, mapping, live, instances));
    if (lateOutcome === undefined) {
      const { outcome, code } = previous;
      return {
        isUnresolved: outcome !== 'ok',
        restarts: false,
        failed: outcome === 'failed' ? code : undefined,
      };
    }
    const restarts = restartIntents(lateOutcome, restart);
    await audit.append([lateOutcome, ...restarts]);
    return { isUnresolved: false, restarts: restarts.length > 0 };
  }

  async recordRemoval(removal: Removal): Promise<boolean> {
    const { audit, instances } = this.#deps;
    const previous = await this.#lastState(removal.mapping, removal.target);
    // Search older records too: after the failed removal, a newer attempt may have failed or been held.
    const isUnresolved = previous !== undefined && previous.outcome !== 'ok';
    const lateOutcome = isUnresolved ? await lateRemoval(audit, removal, instances) : undefined;
    if (lateOutcome !== undefined) await this.#append(lateOutcome);
    return lateOutcome !== undefined;
  }

  release(mapping: string, target: TargetId, { id, keys, approval }: ReleasedChange): Promise<void> {
    return this.#recordTarget(mapping, target, {
      action: 'release',
      outcome: 'ok',
      keys: changesOf(keys),
      note: id,
      ...(approval === undefined ? {} : { approval }),
    });
  }

  pin(
    mapping: string,
    target: TargetId,
    pin: Pin | 'unpin',
    { error, approval, isUnchanged = false }: PinDecision = {},
  ): Promise<void> {
    return this.#recordTarget(mapping, target, {
      action: pin === 'unpin' ? 'unpin' : 'rollback',
      ...(pin === 'unpin' ? {} : { sources: pin.sources, note: pinNote(pin) }),
      ...(error === undefined ? { outcome: 'ok' } : { outcome: 'refused', code: error.code }),
      ...(approval === undefined ? {} : { approval }),
      ...(isUnchanged ? { counts: { unchanged: 1 } } : {}),
    });
  }

  sweep(counts: Readonly<Record<string, number>>, ok: boolean): Promise<void> {
    const { actor, clock } = this.#deps;
    return this.#append({
      ...EMPTY,
      actor,
      requestId: this.requestId,
      action: 'sweep',
      outcome: ok ? 'ok' : 'failed',
      counts,
      durationMs: clock.now() - this.#startedAt,
    });
  }

  async #append(entry: Entry): Promise<void> {
    await this.#deps.audit.append([entry]);
  }

  /** Records an event that concerns a target but does not change it. */
  #recordTarget(
    mapping: string,
    target: TargetId,
    fields: Pick<Entry, 'action' | 'outcome'> & Partial<Entry>,
  ): Promise<void> {
    return this.#append(this.#targetEntry(mapping, target, fields));
  }

  #targetEntry(
    mapping: string,
    target: TargetId,
    fields: Pick<Entry, 'action' | 'outcome'> & Partial<Entry>,
  ): Entry {
    const { actor } = this.#deps;
    return { ...EMPTY, actor, requestId: this.requestId, mapping, ...target, ...fields };
  }

  #changeEntry(change: Change): Omit<Entry, 'phase' | 'outcome'> {
    const { action, mapping, target, sources, keys, values, before, after, note, attempt, approval } = change;
    return {
      actor: this.#deps.actor,
      requestId: this.requestId,
      action,
      mapping,
      ...target,
      sources,
      keys,
      ...values,
      ...(before === undefined ? {} : { before }),
      ...(after === undefined ? {} : { after }),
      ...(note === undefined ? {} : { note }),
      ...(approval === undefined ? {} : { approval }),
      durationMs: this.#deps.clock.now() - change.startedAt,
      attempt,
    };
  }

  #lastState(mapping: string, id: TargetId): Promise<AuditRecord | undefined> {
    const { audit, instances } = this.#deps;
    return latestRecord(audit, { mapping, ...id }, TARGET_STATE_ACTIONS, instances);
  }
}
