import { AppError } from '../../core/errors.ts';
import type { AuditStore } from '../store.ts';

/** Numbers over time. All lists have the same length. */
export interface Series {
  /** When each step begins, in seconds since 1970. */
  readonly times: readonly number[];
  readonly changes: readonly number[];
  readonly failures: readonly number[];
  readonly refusals: readonly number[];
  readonly held: readonly number[];
  /** The length of a step, in seconds. */
  readonly step: number;
}

export interface SeriesQuery {
  /** RFC 3339. */
  readonly since: string;
  readonly until: string;
  /** The length of a step, in milliseconds. Default: the shortest one that gives at most `MAX_POINTS`. */
  readonly stepMs?: number | undefined;
}

export const MAX_POINTS = 400;
const HOUR_MS = 3_600_000;
const HOUR_S = 3_600;

/** Counts changes, failures, refusals and holds over time. The shortest step is an hour. */
export async function seriesOf(
  { summaries }: Pick<AuditStore, 'summaries'>,
  { since, until, stepMs }: SeriesQuery,
): Promise<Series> {
  const first = Math.floor(Date.parse(since) / HOUR_MS);
  const end = Math.floor(Date.parse(until) / HOUR_MS) + 1;
  const shortest = Math.ceil((end - first) / MAX_POINTS);
  const step = stepMs === undefined ? roundStep(shortest) : Math.max(1, Math.round(stepMs / HOUR_MS));
  if (step < shortest) throw new AppError('INVALID_REQUEST', { detail: `at most ${MAX_POINTS} steps` });
  // Steps of days begin at midnight, UTC.
  const from = Math.floor(first / step) * step;
  const counts = await summaries.counts({ from, to: end, step });
  const byHour = new Map(counts.map((one) => [one.hour, one]));
  const hours = Array.from({ length: Math.ceil((end - from) / step) }, (_, index) => from + index * step);
  const of = (name: 'changes' | 'failures' | 'refusals' | 'held') =>
    hours.map((hour) => byHour.get(hour)?.[name] ?? 0);
  return {
    times: hours.map((hour) => hour * HOUR_S),
    ...{ changes: of('changes'), failures: of('failures'), refusals: of('refusals'), held: of('held') },
    step: step * HOUR_S,
  };
}

/** Hours and days are easier to read than other steps. */
const ROUND_STEPS = [1, 2, 3, 6, 12, 24, 48, 168, 336, 720];

function roundStep(shortest: number): number {
  return ROUND_STEPS.find((step) => step >= shortest) ?? shortest;
}
