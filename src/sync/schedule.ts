import type { ErrorCode } from '../core/error-codes.ts';
import { healsItself } from '../core/errors.ts';
import { LONGEST_WAKE_MS } from '../core/wake.ts';

/** What came of one run of a target, as far as it says when to look again. */
export interface Ended {
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
const FIRST = SECOND;
const LONGEST = 5 * MINUTE;
const HOUR = 60 * MINUTE;
/** Whoever asks for a day, or names a date of years to come, is asked after this: nothing else would look sooner. */
export const LONGEST_ASKED = HOUR;
/** A race is soon over. */
const AFTER_CONFLICT = { first: SECOND / 4, longest: 30 * SECOND };
/** What somebody else is about to make. */
const UNTIL_MADE = 30 * SECOND;

/**
 * In how many milliseconds a target is to be looked at again; `undefined`: when its sweep comes. What heals by
 * itself is tried again with exponential backoff and full jitter, so that an outage is not followed by a stampede;
 * what only a person can mend is not hammered.
 */
export function nextRun(
  ended: Ended,
  { failures, refreshMs, isUnswept = false, random }: ScheduleInput,
): number | undefined {
  // Of less, what fails or is held would keep a process busy with nothing else.
  const refresh = between(refreshMs, FIRST, LONGEST_WAKE_MS, LONGEST);
  const doublings = between(failures, 1, 40, 1) - 1;
  const chance = between(random(), 0, 1, 0.5);
  const asked = between(ended.retryAfterMs, 0, LONGEST_ASKED, 0);
  const backoff = (first: number, longest: number): number =>
    // Above what we were asked, never below, and not all of us at the same moment.
    asked + chance * Math.min(first * 2 ** doublings, longest);
  switch (ended.kind) {
    case 'held':
    case 'contested':
      return whole(refresh);
    case 'failed':
    case 'refused':
      if (ended.code === 'NAMESPACE_MISSING' || ended.code === 'SECRET_MISSING')
        return whole(UNTIL_MADE * (0.8 + 0.4 * chance));
      // With `refused`, others hold what we want: a second try finds the same.
      if (ended.kind === 'failed' && ended.code === 'CONFLICT')
        return whole(backoff(AFTER_CONFLICT.first, Math.min(AFTER_CONFLICT.longest, refresh)));
      if (ended.kind === 'failed' && (ended.code === undefined || healsItself(ended.code)))
        return whole(backoff(FIRST, Math.min(LONGEST, refresh)));
      return whole(untilMended(refresh, isUnswept ? 0 : doublings) * (1 + chance / 4));
    default:
      return undefined;
  }
}

/** Slowly: whoever mends it also changes the configuration or asks, and then it runs at once. */
function untilMended(refresh: number, doublings: number): number {
  const first = Math.max(refresh, LONGEST);
  return Math.max(first, Math.min(first * 2 ** doublings, HOUR));
}

function whole(ms: number): number {
  return Math.min(Math.ceil(ms), LONGEST_WAKE_MS);
}

function between(value: number | undefined, least: number, most: number, otherwise: number): number {
  if (value === undefined || Number.isNaN(value)) return otherwise;
  return Math.min(Math.max(value, least), most);
}
