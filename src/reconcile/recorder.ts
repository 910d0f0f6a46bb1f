import type { Actor, AuditRecord, Command } from '../audit/entry.ts';
import type { AuditStore } from '../audit/store.ts';
import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import type { Fingerprinter } from '../core/fingerprint.ts';
import type { Workload } from '../core/mapping.ts';
import type { PendingRecord, ReadResult, StoreRef } from '../core/read-result.ts';
import type { LiveSecret } from '../core/secret.ts';
import type { TargetId } from '../core/target.ts';
import type { KeyPlan } from '../sync/drift.ts';
import type { Pin } from '../sync/pin.ts';
import type { Change, Removal, UnresolvedIntents } from './change.ts';
import type { ExpectedLoss } from './latest-records.ts';
import type { ReadDeduplication } from './read-deduplication.ts';

export interface Recorder {
  readonly requestId: string;
  /**
   * The ids (`refId`) of references whose value has changed although the version is the same, according to the audit.
   */
  readonly replacedValues: ReadonlySet<string>;
  /**
   * Whether the last read of a source failed, so that another read is needed. Queries the audit if this process has not
   * read the source.
   */
  isFailing(source: StoreRef): boolean | Promise<boolean>;
  /** Records a command. @param refusal Why the command was refused. */
  command(command: Command, refusal?: AppError): Promise<void>;
  /**
   * Records a read. When the promise resolves, a new record has its position in the log, but may not be durable yet.
   */
  read(source: StoreRef, result: ReadResult, tookMs?: number): Promise<PendingRecord | undefined>;
  /** Stores the records of reads that are held back. Call this method before waiting until they are durable. */
  flushReads(): void;
  /**
   * Records an intent, and returns the change with its attempt number. Skips the numbers of attempts that are still
   * unresolved, so that each outcome belongs to exactly one intent.
   */
  intent(change: Change): Promise<Change>;
  /**
   * Records an outcome and its pending restarts in one append, so that a crash cannot leave the outcome without the
   * restarts.
   */
  outcome(change: Change, result: ChangeResult): Promise<RestartsNeeded>;
  /** Remembers a change whose result is unknown, so that the recovery determines its outcome later. */
  addUnresolved(change: Change): void;
  /**
   * Returns the last write of a target by a mapping, with the fingerprint of the content that pods may have read.
   * Returns undefined if the last change was a deletion without recreation.
   */
  lastWrite(mapping: string, target: TargetId): Promise<AuditRecord | undefined>;
  /**
   * Returns the reason for which a missing target was expected to disappear. Returns undefined if somebody may have
   * deleted the target by hand.
   */
  expectedLoss(mapping: string, target: TargetId): Promise<ExpectedLoss | undefined>;
  /**
   * Records that a target failed, was refused or is held, unless the latest record already says so. Returns the time of
   * that record, in RFC 3339.
   */
  recordFailure(mapping: string, target: TargetId, what: TargetFailure): Promise<string>;
  /** Records that all attempts of a run ended in a write conflict. The next run tries again. */
  giveUp(mapping: string, target: TargetId, error: AppError, attempts: number): Promise<void>;
  /** Records that a target is in sync after a failure. Calls `resolvePrevious` first. */
  recordInSync(mapping: string, target: TargetId, now: CurrentTarget): Promise<RestartsNeeded>;
  /**
   * Returns the recorded state of a target. If a write was recorded as failed but has succeeded, records its success
   * first.
   */
  resolvePrevious(mapping: string, target: TargetId, now: CurrentTarget): Promise<RecordedState>;
  /**
   * If a removal was recorded as failed but its target is gone, records the removal as successful. Returns whether it
   * added that record.
   */
  recordRemoval(removal: Removal): Promise<boolean>;
  /** Records that a person releases a held change. */
  release(mapping: string, target: TargetId, change: ReleasedChange): Promise<void>;
  /** Records that a person pins or unpins a target. */
  pin(mapping: string, target: TargetId, pin: Pin | 'unpin', decision?: PinDecision): Promise<void>;
  sweep(counts: Readonly<Record<string, number>>, ok: boolean): Promise<void>;
}

export interface ReleasedChange {
  readonly id: string;
  readonly keys: readonly KeyPlan[];
  /** The sequence of the request that allows the release. */
  readonly approval: number | undefined;
}

export interface PinDecision {
  /** Why the request was refused. */
  readonly error?: AppError;
  /** The sequence of the request that allows it. */
  readonly approval?: number | undefined;
  /** Whether the target has the content of the pin already, so that nothing will be written. */
  readonly isUnchanged?: boolean;
}

/** The result of a change, as needed for its outcome record. */
export interface ChangeResult {
  readonly error?: AppError;
  readonly resourceVersion?: string;
  readonly note?: string;
}

export interface RestartsNeeded {
  /** Whether restarts of workloads were recorded as pending. */
  readonly restarts: boolean;
}

export interface TargetFailure {
  readonly kind: 'refused' | 'held' | 'failed';
  readonly error: AppError;
  /** The planned changes of the target's keys. */
  readonly keys?: readonly KeyPlan[];
  /** The note of the record. If the note of a hold changes, the hold is recorded a second time. */
  readonly note?: string | undefined;
}

export interface CurrentTarget {
  readonly live: LiveSecret | undefined;
  /** The workloads to restart if a late write turns out to have changed the content. */
  readonly restart: readonly Workload[];
}

export interface RecordedState {
  /** Whether the audit has no record of the target. */
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
   * The current instance name and the former ones. Other instances may share the audit and have targets with the same
   * names.
   */
  readonly instances: readonly string[];
  readonly clock: Clock;
  readonly unresolvedIntents?: UnresolvedIntents;
  /** Shared by all recorders of the process. */
  readonly readDeduplication?: ReadDeduplication | undefined;
}

/**
 * Carries out a command, and records it as accepted or as refused. A transient failure is not a refusal, except a closed
 * change window.
 * @param work Calls `accept` when nothing can refuse the command any more, and before it changes anything.
 * @param refusalIn Returns why the command was refused, if `work` ends without calling `accept`.
 */
export async function recordingCommand<T>(
  recorder: Pick<Recorder, 'command'>,
  command: Command,
  work: (accept: () => Promise<void>) => Promise<T>,
  refusalIn: (result: T) => AppError | undefined = () => undefined,
): Promise<T> {
  let isRecorded = false;
  const accept = async () => {
    await recorder.command(command);
    isRecorded = true;
  };
  try {
    const result = await work(accept);
    if (!isRecorded) await recorder.command(command, refusalIn(result));
    return result;
  } catch (thrown) {
    if (thrown instanceof AppError && isRefusal(thrown)) await recorder.command(command, thrown);
    else if (!isRecorded) await accept();
    throw thrown;
  }
}

/** Nothing repeats a command that had to wait for its window, so the record says that it was refused. */
function isRefusal({ isTransient, code }: AppError): boolean {
  return !isTransient || code === 'OUTSIDE_WINDOW';
}

/** Records a command before it is carried out. Records it as refused if the audit cannot be trusted. */
export function acceptCommand(recorder: Pick<Recorder, 'command'>, command: Command): Promise<void> {
  return recordingCommand(recorder, command, (accept) => accept());
}
