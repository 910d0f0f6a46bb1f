import { duration } from '../config/fields.ts';
import { UsageError } from './usage-error.ts';

/** Milliseconds of a duration as the configuration writes them: `25s`, `1h30m`. */
export function durationOption(option: string, text: string): number {
  const parsed = duration().safeParse(text);
  if (!parsed.success) throw new UsageError(`${option} must be a duration such as 25s or 2m`);
  return parsed.data;
}
