import { type AppError, isTransient } from '../../core/errors.ts';
import type { Job } from '../../queue/queue.ts';
import type { Outcome } from '../../reconcile/outcome.ts';
import type { DesiredTarget } from '../../reconcile/targets.ts';
import { isChanged, type TargetState } from '../target-state.ts';

/** A run of one target of a mapping. */
export interface Run {
  readonly desired: DesiredTarget;
  readonly job: Job;
  /** The state before the run. */
  readonly before: TargetState | undefined;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  /** Start of the run, according to the steady clock. */
  readonly freshAt: number;
}

/** Delay until the retry of a run that ended without an outcome. */
const NO_OUTCOME_RETRY_MS = 60_000;

/** @param wasOkAt When the target last matched its sources before it began to fail. */
export function stateAfter(
  outcome: Outcome,
  { desired, job, before, startedAt }: Run,
  wasOkAt: number | undefined,
  endedAt: number,
): TargetState {
  const { kind, error, alive, resourceVersion, drifted, proposal, keys, pinned, warnings } = outcome;
  const isTls = desired.mapping.target.type === 'kubernetes.io/tls';
  const certificateExpiresAt =
    outcome.certificateExpiresAt ?? (isTls ? before?.certificateExpiresAt : undefined);
  const isOk = error === undefined;
  const okAt = isOk ? startedAt : wasOkAt;
  // The conflict continues as long as runs find something to repair.
  // The run proposes the held deletion again. The reason and the time of the hold come from the deletion step.
  const hold = kind === 'held' && before?.kind === 'held' ? before.hold : undefined;
  const isContestOngoing = before?.contestedUntil !== undefined && kind !== 'unchanged';
  return {
    mapping: desired.mapping.name,
    target: desired.id,
    requestId: job.requestId,
    startedAt,
    endedAt,
    kind,
    ...(isOk ? {} : { error: hold === undefined ? error.toJSON() : (before?.error ?? error.toJSON()) }),
    ...(hold === undefined ? {} : { hold }),
    person: !isOk && !isTransient(error.code),
    failures: isOk ? 0 : (before?.failures ?? 0) + 1,
    ...(okAt === undefined ? {} : { okAt }),
    // If the run could not read the cluster, keep the previous value.
    alive: alive || (error?.code === 'CLUSTER_UNAVAILABLE' && before?.alive === true),
    ...(drifted ? { drifted } : {}),
    ...(isContestOngoing ? { contestedUntil: endedAt + desired.mapping.refreshMs } : {}),
    // If a target is already held, it stays held until the next decision of the deletion step. So the target does not
    // count as proposed.
    ...(proposal === undefined || (before?.kind === 'held' && !before.proposed) ? {} : { proposed: true }),
    ...(pinned === undefined ? {} : { pinned }),
    ...(warnings && { warnings: warnings.map(({ code, message }) => ({ code, message })) }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
    ...(certificateExpiresAt === undefined ? {} : { certificateExpiresAt }),
    // Held changes and manual runs need all keys. Otherwise keep only changed ones, because a target may have hundreds
    // of keys.
    keys: kind === 'held' || job.reason === 'manual' ? keys : keys.filter(isChanged),
  };
}

/**
 * Returns a failed state for a run that ended without an outcome, because of an audit outage or an internal error.
 * Otherwise later sweeps would report the target as synced.
 */
export function stateWithoutOutcome(
  { desired, job, before, startedAt }: Run,
  error: AppError,
  { alive, okAt, endedAt }: Pick<TargetState, 'alive' | 'okAt' | 'endedAt'>,
): TargetState {
  return {
    ...before,
    mapping: desired.mapping.name,
    target: desired.id,
    requestId: job.requestId,
    startedAt,
    endedAt,
    kind: 'failed',
    error: error.toJSON(),
    person: false,
    failures: 0,
    // Normally the queue retries the job. The time set here matters only if the queue loses the job.
    retryAt: endedAt + NO_OUTCOME_RETRY_MS,
    ...(okAt === undefined ? {} : { okAt }),
    // A previous process may have held the target. Mark the target as undecided, because the brake must count a held
    // target.
    ...(before === undefined ? { undecided: true } : {}),
    alive,
    keys: [],
  };
}

/** Returns the state of a target that another controller changes as often as we repair it. */
export function contestedState({ desired, job, before, startedAt }: Run, error: AppError): TargetState {
  const until = startedAt + desired.mapping.refreshMs;
  return {
    ...(before ?? { okAt: startedAt }),
    mapping: desired.mapping.name,
    target: desired.id,
    requestId: job.requestId,
    startedAt,
    endedAt: startedAt,
    kind: 'refused',
    error: error.toJSON(),
    person: true,
    failures: 1,
    alive: true,
    contestedUntil: until,
    retryAt: until,
    keys: [],
  };
}
