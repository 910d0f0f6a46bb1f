import { performance as processPerformance } from 'node:perf_hooks';
import { AppError } from './errors.ts';

/** Milliseconds since 1970, UTC. Clocks are always passed as parameters, so that tests can control the time. */
export interface Clock {
  now(): number;
}

export const systemClock: Clock = { now: () => Date.now() };

/**
 * Returns a clock for comparisons within this process. Every returned time is later than the previous one, even within
 * one millisecond or after the wall clock was set back.
 */
export function createSteadyClock(clock: Clock): Clock {
  let lastWall = clock.now();
  let setBackMs = 0;
  let last = Number.NEGATIVE_INFINITY;
  return {
    now() {
      const wall = clock.now();
      setBackMs += Math.max(0, lastWall - wall);
      lastWall = wall;
      last = Math.max(wall + setBackMs, last + STEP_MS);
      return last;
    },
  };
}

/**
 * If this clock is read twice within one millisecond, the two times differ by this step. JavaScript numbers can
 * represent times in steps of this size exactly.
 */
const STEP_MS = 2 ** -10;

/** The maximum assumed difference between the clocks of two replicas. */
const MAX_CLOCK_SKEW_MS = 60_000;

/**
 * Whether a time is too far in the future to be real. This happens if the clock was set back after the time was
 * recorded.
 */
export function isInFuture(at: number, now: number): boolean {
  return at - now > MAX_CLOCK_SKEW_MS;
}

const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
/** Formats a duration with as few units as possible, such as `90d` or `1h30m`. */
export function durationText(ms: number): string {
  const parts: string[] = [];
  let remainingMs = ms;
  for (const [unit, size] of Object.entries(UNIT_MS).reverse()) {
    const count = Math.floor(remainingMs / size);
    if (count > 0) parts.push(`${count}${unit}`);
    remainingMs -= count * size;
  }
  return parts.join('') || '0s';
}

const MAX_MS = 10 * 365 * UNIT_MS.d;

/** Text such as `30s`, `1h30m` or `90d`. */
export const DURATION = /^(?:\d{1,9}(?:ms|s|m|h|d))+$/;

/** Converts a text that matches `DURATION` to milliseconds. */
export function durationMs(text: string): number {
  let sum = 0;
  for (const [, count, unit] of text.matchAll(/(\d+)(ms|s|m|h|d)/g))
    sum += Number(count) * UNIT_MS[unit as keyof typeof UNIT_MS];
  return sum;
}

/** Whether a duration is at least `minMs` and at most ten years. */
export function isInRange(ms: number, minMs = 1): boolean {
  return ms >= minMs && ms <= MAX_MS;
}

/** Tokens, signatures and certificates contain times, so a larger clock difference would cause confusing failures. */
const MAX_SKEW_S = 60;

/**
 * Returns CLOCK_SKEWED if two clocks differ too much.
 * @param aheadMs How far our clock is ahead of the other one. Servers report whole seconds.
 * @param whose The other clock, as in `the store's`.
 */
export function clockSkewError(aheadMs: number, whose: string): AppError | undefined {
  if (Math.abs(Math.round(aheadMs / 1000)) <= MAX_SKEW_S) return undefined;
  return new AppError('CLOCK_SKEWED', { detail: describeSkew(aheadMs, whose) });
}

export function describeSkew(aheadMs: number, whose: string): string {
  const seconds = Math.round(Math.abs(aheadMs) / 1000);
  return `the clock here is ${seconds} s ${aheadMs > 0 ? 'ahead of' : 'behind'} ${whose}`;
}

/** Returns a function that returns how much of the time since its last call this process was busy, from 0 to 1. */
export function measureBusyShare(): () => number {
  let last = processPerformance.eventLoopUtilization();
  return () => {
    const current = processPerformance.eventLoopUtilization();
    const { utilization } = processPerformance.eventLoopUtilization(current, last);
    last = current;
    return utilization;
  };
}

/** Whether the text is an existing day, such as `2026-01-31`. `Date.parse` silently turns 30 February into 2 March. */
export function isDay(day: string): boolean {
  const date = /^\d{4}-\d\d-\d\d$/.test(day) ? new Date(day) : undefined;
  return date !== undefined && !Number.isNaN(date.getTime()) && date.toISOString().startsWith(day);
}
