import { DURATION, durationMs, isInRange } from '../core/clock.ts';
import { UsageError } from './usage-error.ts';

/** Parses a duration with the syntax of the configuration: `25s`, `1h30m`. Returns milliseconds. */
export function durationOption(option: string, text: string): number {
  const ms = DURATION.test(text) ? durationMs(text) : 0;
  if (!isInRange(ms)) throw new UsageError(`${option} must be a duration such as 25s or 2m`);
  return ms;
}
