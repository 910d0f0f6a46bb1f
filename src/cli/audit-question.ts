import { isBackwards, parseInstant, type Question, toFilter } from '../audit/question/question.ts';
import type { RecordFilter } from '../audit/store.ts';
import { UsageError } from './usage-error.ts';

/** As `parseInstant`; what is no time is a fault of the command line. */
export function instant(text: string, now: number): string {
  const time = parseInstant(text, now);
  if (time === undefined)
    throw new UsageError(`${JSON.stringify(text)} is no time: write 7d, 2026-01-31 or 2026-01-31T08:00:00Z`);
  return time;
}

/** The options of a question as a filter. */
export function filterOf(options: Question, now: number): RecordFilter {
  const filter = toFilter(options, (text) => instant(text, now));
  refuseBackwards(filter);
  return filter;
}

export function refuseBackwards(times: Pick<RecordFilter, 'since' | 'until'>): void {
  if (isBackwards(times)) throw new UsageError('--since is later than --until');
}
