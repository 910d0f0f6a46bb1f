import type { ErrorCode } from '../core/error-codes.ts';
import { isTransient } from '../core/errors.ts';
import { MAX_TIMER_MS } from '../core/timer.ts';

/** What came of one run of a target, as far as it says when to look again. */
export interface RunResult {
  /** `contested`: a drift that was left alone, since somebody else undoes each repair. */
  readonly kind:
    | 'created'
    | 'updated'
    | 'deleted'
    | 'unchanged'
    | 'refused'
    | 'held'
    | 'failed'
    | 'contested';
  readonly code?: ErrorCode | undefined;
  /** How long the other side asked us to wait. */
  readonly retryAfterMs?: number | undefined;
}

export interface ScheduleInput {
  /** Runs without success in a row, this one included. */
  readonly failures: number;
  /** How stale the target may become. */
  readonly refreshMs: number;
  /** Only a run of it tells that a source has changed; otherwise sweeps do. Left out: they do. */
  readonly isUnswept?: boolean;
  /** From 0 to 1, evenly spread. */
  readonly random: () => number;
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const MIN_DELAY = SECOND;
const MAX_BACKOFF = 5 * MINUTE;
const HOUR = 60 * MINUTE;
/** Whoever asks for a day, or names a date of years to come, is asked after this: nothing else would look sooner. */
export const MAX_RETRY_AFTER_MS = HOUR;
/** A race is soon over. */
const CONFLICT_BACKOFF = { first: SECOND / 4, longest: 30 * SECOND };
/** What somebody else is about to make. */
const MISSING_RESOURCE_DELAY = 30 * SECOND;

/**
 * In how many milliseconds a target is to be looked at again; `undefined`: when its sweep comes. What heals by itself
 * is tried again with exponential backoff and full jitter, so that an outage is not followed by a stampede; what only a
 * person can mend is not hammered.
 */
export function nextRun(
  result: RunResult,
  { failures, refreshMs, isUnswept = false, random }: ScheduleInput,
): number | undefined {
  // Of less, what fails or is held would keep a process busy with nothing else.
  const refresh = clamp(refreshMs, MIN_DELAY, MAX_TIMER_MS, MAX_BACKOFF);
  const doublings = clamp(failures, 1, 40, 1) - 1;
  const chance = clamp(random(), 0, 1, 0.5);
  const retryAfterMs = clamp(result.retryAfterMs, 0, MAX_RETRY_AFTER_MS, 0);
  const backoff = (first: number, longest: number): number =>
    // Above what we were asked, never below, and not all of us at the same moment.
    retryAfterMs + chance * Math.min(first * 2 ** doublings, longest);
  switch (result.kind) {
    case 'held':
    case 'contested':
      return roundUp(refresh);
    case 'failed':
    case 'refused':
      if (result.code === 'NAMESPACE_MISSING' || result.code === 'SECRET_MISSING')
        return roundUp(MISSING_RESOURCE_DELAY * (0.8 + 0.4 * chance));
      // With `refused`, others hold what we want: a second try finds the same.
      if (result.kind === 'failed' && result.code === 'CONFLICT')
        return roundUp(backoff(CONFLICT_BACKOFF.first, Math.min(CONFLICT_BACKOFF.longest, refresh)));
      if (result.kind === 'failed' && (result.code === undefined || isTransient(result.code)))
        return roundUp(backoff(MIN_DELAY, Math.min(MAX_BACKOFF, refresh)));
      return roundUp(lastingDelay(refresh, isUnswept ? 0 : doublings) * (1 + chance / 4));
    default:
      return undefined;
  }
}

/** Slowly: whoever mends it also changes the configuration or asks, and then it runs at once. */
function lastingDelay(refresh: number, doublings: number): number {
  const first = Math.max(refresh, MAX_BACKOFF);
  return Math.max(first, Math.min(first * 2 ** doublings, HOUR));
}

function roundUp(ms: number): number {
  return Math.min(Math.ceil(ms), MAX_TIMER_MS);
}

function clamp(value: number | undefined, least: number, most: number, otherwise: number): number {
  if (value === undefined || Number.isNaN(value)) return otherwise;
  return Math.min(Math.max(value, least), most);
}
