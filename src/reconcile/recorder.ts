import { isDeepStrictEqual } from 'node:util';
import { type Actor, type AuditRecord, type Entry, NO_KEYS } from '../audit/entry.ts';
import type { AuditStore } from '../audit/store.ts';
import type { Clock } from '../core/clock.ts';
import type { AppError } from '../core/errors.ts';
import type { Fingerprinter } from '../core/fingerprint.ts';
import type { Workload } from '../core/mapping.ts';
import type { ReadResult, StoreRef } from '../core/reading.ts';
import type { Recording } from '../core/recording.ts';
import type { LiveSecret } from '../core/secret.ts';
import { formatTarget, type TargetId } from '../core/target.ts';
import type { KeyPlan } from '../sync/compare.ts';
import type { Pin } from '../sync/pin.ts';
import { type Change, changesOf } from './change.ts';
import { type Command, commandEntry } from './commands.ts';
import { isReplaced, type LetBe, lastChange, lastWord, TARGET_ACTIONS, whyLetBe } from './last-word.ts';
import { createLeftOpen, type LeftOpen } from './left-open.ts';
import { madeLate, type Removal, removedLate } from './made-late.ts';
import { pinNote } from './pins.ts';
import { createReadRecords } from './read-records.ts';
import type { Readings } from './readings.ts';
import { restartIntents } from './restart-intents.ts';

export interface Recorder {
  readonly requestId: string;
  /** By `refId`, of what was read: that by its records another value had the same version before. */
  readonly remade: ReadonlySet<string>;
  /**
   * Whether the last reading of a reference failed, of this process or, before its first, on record: what it is now is to be
   * read, whatever a list says. At once where this process knows, which is asked of each reference in each pass.
   */
  isFailing(source: StoreRef): boolean | Promise<boolean>;
  command(command: Command): Promise<void>;
  /** Of a value that is new, the record need not be durable when this resolves: only in its place in the line. */
  read(source: StoreRef, result: ReadResult, tookMs?: number): Promise<Recording | undefined>;
  /** Gives the change as it is on record. Its attempt passes over those that are open: an outcome closes one. */
  intent(change: Change): Promise<Change>;
  /** With what is to be restarted after it, all of it or nothing: a crash loses neither. */
  outcome(
    change: Change,
    result: { error?: AppError; resourceVersion?: string; note?: string },
  ): Promise<{ readonly restarts: boolean }>;
  /** A change that is over, of which nobody can tell now what became: its outcome is looked for later. */
  leaveOpen(change: Change): void;
  /** The last write of a target for a mapping, with what it left there; nothing after a deletion that was meant. */
  lastWrite(mapping: string, target: TargetId): Promise<AuditRecord | undefined>;
  /** Why a target that is gone was not taken away by hand, if so. */
  whyLetBe(mapping: string, target: TargetId): Promise<LetBe | undefined>;
  /** A target that cannot be decided or must not be changed: recorded when that begins or changes. */
  setback(mapping: string, target: TargetId, what: Setback): Promise<void>;
  /** That somebody else won each of so many races for a target: it is let be until the next run. */
  giveUp(mapping: string, target: TargetId, error: AppError, attempts: number): Promise<void>;
  /** A target that is as it should be: recorded only when a setback ends with it. As `seen` beside that. */
  settled(mapping: string, target: TargetId, now: Seen): Promise<{ readonly restarts: boolean }>;
  /** A target as it was found. A write that is on record as failed, and was made all the same, gets the outcome that it has. */
  seen(mapping: string, target: TargetId, now: Seen): Promise<Stood>;
  /** What was found to be gone. A removal that is on record as failed, and was made all the same, gets its outcome. */
  gone(removal: Removal): Promise<boolean>;
  /** That a person lets a held change happen. */
  release(mapping: string, target: TargetId, keys: readonly KeyPlan[], id: string): Promise<void>;
  /** That a person pins a target, or lets it go: from then on the last word. With an error: that it was refused. */
  pin(mapping: string, target: TargetId, pin: Pin | 'unpin', error?: AppError): Promise<void>;
  sweep(counts: Readonly<Record<string, number>>, ok: boolean): Promise<void>;
}

export interface Setback {
  readonly kind: 'refused' | 'held' | 'failed';
  readonly error: AppError;
  /** What would have become of its keys. */
  readonly keys?: readonly KeyPlan[];
  /** For the record. With another one, what is held is held anew. */
  readonly note?: string | undefined;
}

export interface Seen {
  readonly live: LiveSecret | undefined;
  /** To be rolled when a write that was made late has changed what pods may have read. */
  readonly restart: readonly Workload[];
}

/** How a target stands on record. */
export interface Stood {
  /** Nothing is on record about it. */
  readonly isUnheard?: boolean;
  readonly restarts: boolean;
  /** Why it failed the last time. */
  readonly failed?: string | undefined;
}

export interface RecorderDeps {
  readonly audit: AuditStore;
  readonly actor: Actor;
  readonly requestId: string;
  readonly fingerprints: Fingerprinter;
  /** Store name to the hash of its definition. */
  readonly stores: ReadonlyMap<string, string>;
  /** This one and those that it was before: others that share the audit have targets of the same names. */
  readonly instances: readonly string[];
  readonly clock: Clock;
  readonly leftOpen?: LeftOpen;
  /** Shared by all that read of one app. */
  readonly readings?: Readings | undefined;
}

export function createRecorder({
  audit,
  actor,
  requestId,
  fingerprints,
  stores,
  instances,
  clock,
  leftOpen = createLeftOpen(),
  readings,
}: RecorderDeps): Recorder {
  const startedAt = clock.now();
  const base = { actor, requestId, sources: [], keys: NO_KEYS, durationMs: 0, attempt: 1 };
  const append = async (entry: Entry): Promise<void> => void (await audit.append([entry]));
  const last = (id: TargetId, mapping: string) =>
    lastWord(audit, { mapping, ...id }, TARGET_ACTIONS, instances);
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

  const seen = async (mapping: string, target: TargetId, { live, restart }: Seen) => {
    const before = await last(target, mapping);
    const isOver = before === undefined || (before.outcome === 'ok' && !isReplaced(before));
    if (isOver) return { isUnended: false, isUnheard: before === undefined, restarts: false };
    const late = live && (await madeLate(audit, mapping, live, instances));
    if (late === undefined) {
      const { outcome, code } = before;
      const failed = outcome === 'failed' ? code : undefined;
      return { isUnended: outcome !== 'ok', restarts: false, failed };
    }
    const restarts = restartIntents(late, restart);
    await audit.append([late, ...restarts]);
    return { isUnended: false, restarts: restarts.length > 0 };
  };

  const leaveOpen = (change: Change): void => leftOpen.add({ ...change, requestId });

  return {
    requestId,
    ...createReadRecords({ audit, actor, requestId, fingerprints, stores, readings }),
    leaveOpen,
    command: (command) => append(commandEntry(command, actor, requestId)),

    async intent(change) {
      const { replaces, target } = change;
      const open = await audit.openAttempts(requestId, target);
      let { attempt } = change;
      while (open.includes(attempt)) attempt += 1;
      const begun = { ...change, attempt };
      const replaced = replaces === undefined ? {} : { resourceVersion: replaces };
      await append({ ...changeEntry(begun), phase: 'intent', outcome: 'ok', ...replaced });
      return begun;
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
        leaveOpen(change);
        throw error;
      }
      return { restarts: restarts.length > 0 };
    },

    async lastWrite(mapping, target) {
      const last = await lastChange(audit, mapping, target, instances);
      if (last?.action !== 'delete') return last;
      // It was to be made anew at once: what pods have read is what it held before.
      const { after: next, before: after, ...deleted } = last;
      return next === undefined || after === undefined ? undefined : { ...deleted, after };
    },

    whyLetBe: (mapping, target) => whyLetBe(audit, mapping, target, instances),

    async setback(mapping, target, { kind, error, keys = [], note }) {
      const before = await last(target, mapping);
      const changes = changesOf(keys);
      // What is held is released by what it is, so that another change is another hold.
      const isSame = kind !== 'held' || (before?.note === note && isDeepStrictEqual(before?.keys, changes));
      if (before?.outcome === kind && before.code === error.code && isSame) return;
      const action = kind === 'held' ? 'hold' : 'refuse';
      const { code, about } = error;
      // Whoever reads that a source is absent wants to know which one.
      const named = kind === 'held' || about === formatTarget(target) ? undefined : about;
      const said = note ?? named;
      const noted = said === undefined ? {} : { note: said };
      return append({ ...base, action, mapping, ...target, outcome: kind, code, keys: changes, ...noted });
    },

    giveUp: (mapping, target, { code }, attempts) =>
      append({ ...base, action: 'giveUp', mapping, ...target, outcome: 'failed', code, attempt: attempts }),

    async settled(mapping, target, now) {
      const { isUnended, restarts } = await seen(mapping, target, now);
      if (isUnended)
        await append({ ...base, action: 'sweep', mapping, ...target, outcome: 'ok', note: 'in step again' });
      return { restarts };
    },

    seen,

    async gone(removal) {
      const before = await last(removal.target, removal.mapping);
      // It may have been tried again since, and be held by now.
      const isUnended = before !== undefined && before.outcome !== 'ok';
      const late = isUnended ? await removedLate(audit, removal, instances) : undefined;
      if (late !== undefined) await append(late);
      return late !== undefined;
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
