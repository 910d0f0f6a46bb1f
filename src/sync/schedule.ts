import type { ErrorCode } from '../core/error-codes.ts';
import { isTransient } from '../core/errors.ts';
import { MAX_TIMER_MS } from '../core/timer.ts';

/** The parts of a run's result that affect the next run. */
export interface RunResult {
  /** `contested`: drift that is not repaired, because somebody else undoes each repair. */
  readonly kind:
    | 'created'
    | 'updated'
    | 'deleted'
    | 'unchanged'
    | 'waiting'
    | 'refused'
    | 'held'
    | 'failed'
    | 'contested';
  readonly code?: ErrorCode | undefined;
  /** The delay that the server asked for, in milliseconds. */
  readonly retryAfterMs?: number | undefined;
}

export interface ScheduleInput {
  /** The number of consecutive failed runs, including this one. */
  readonly failures: number;
  /** The maximum staleness of the target, in milliseconds. */
  readonly refreshMs: number;
  /** Returns a uniformly distributed number from 0 to 1. */
  readonly random: () => number;
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const MIN_DELAY = SECOND;
const MAX_BACKOFF = 5 * MINUTE;
const HOUR = 60 * MINUTE;
/** A run that begins just before its window opens runs again soon. */
const MIN_WINDOW_WAIT = SECOND / 10;
/** The longest delay after a failure that a person must fix, unless the refresh interval is longer. */
export const MAX_PERSON_DELAY_MS = 15 * MINUTE;
/**
 * The longest delay that is granted to a store or the API server. It is limited, because nothing else runs the target
 * during the delay.
 */
export const MAX_RETRY_AFTER_MS = HOUR;
/** The delays after a conflict with another writer. They are short, because such a conflict resolves quickly. */
const CONFLICT_BACKOFF = { first: SECOND / 4, longest: 30 * SECOND };
/** The delay for a missing namespace or Secret that somebody else is about to create. */
const MISSING_RESOURCE_DELAY = 30 * SECOND;

/**
 * Returns the milliseconds until the next run, or undefined to wait for the next sweep. Transient failures are retried
 * with exponential backoff and full jitter, so that targets do not all retry at the same moment after an outage. If a
 * person must fix a failure, it is retried slowly.
 */
export function nextRun(
  result: RunResult,
  { failures, refreshMs, random }: ScheduleInput,
): number | undefined {
  // With an interval below `MIN_DELAY`, failing or held targets would keep the process busy.
  const refresh = clamp(refreshMs, MIN_DELAY, MAX_TIMER_MS, MAX_BACKOFF);
  const doublings = clamp(failures, 1, 40, 1) - 1;
  const chance = clamp(random(), 0, 1, 0.5);
  const retryAfterMs = clamp(result.retryAfterMs, 0, MAX_RETRY_AFTER_MS, 0);
  const backoff = (first: number, longest: number): number =>
    // Wait at least the requested delay, plus jitter.
    retryAfterMs + chance * Math.min(first * 2 ** doublings, longest);
  switch (result.kind) {
    case 'held':
    case 'contested':
      return roundUp(refresh);
    case 'waiting':
      // The limit also covers a clock that was set, and a window that was removed.
      return roundUp(clamp(result.retryAfterMs, MIN_WINDOW_WAIT, MAX_RETRY_AFTER_MS, MAX_RETRY_AFTER_MS));
    case 'failed':
    case 'refused':
      if (result.code === 'NAMESPACE_MISSING' || result.code === 'SECRET_MISSING')
        return roundUp(MISSING_RESOURCE_DELAY * (0.8 + 0.4 * chance));
      // Only `failed` is retried quickly. With `refused`, others own our keys, so a quick retry would have the same
      // result.
      if (result.kind === 'failed' && result.code === 'CONFLICT')
        return roundUp(backoff(CONFLICT_BACKOFF.first, Math.min(CONFLICT_BACKOFF.longest, refresh)));
      if (result.kind === 'failed' && (result.code === undefined || isTransient(result.code)))
        return roundUp(backoff(MIN_DELAY, Math.min(MAX_BACKOFF, refresh)));
      if (retryAfterMs > 0) return roundUp(retryAfterMs * (1 + chance / 4));
      return roundUp(personDelay(refresh, doublings, 1 + chance / 4));
    default:
      return undefined;
  }
}

/** Returns the delay for failures that a person must fix. A changed configuration or a request starts a run earlier. */
function personDelay(refresh: number, doublings: number, jitter: number): number {
  return Math.max(refresh, Math.min(MAX_BACKOFF * 2 ** doublings * jitter, MAX_PERSON_DELAY_MS));
}

function roundUp(ms: number): number {
  return Math.min(Math.ceil(ms), MAX_TIMER_MS);
}

function clamp(value: number | undefined, least: number, most: number, otherwise: number): number {
  if (value === undefined || Number.isNaN(value)) return otherwise;
  return Math.min(Math.max(value, least), most);
}
