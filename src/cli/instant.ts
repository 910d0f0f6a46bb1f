import { UsageError } from './usage-error.ts';

const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A point in time: RFC 3339, a date, or how long ago (`90m`, `7d`). Gives RFC 3339 in UTC. */
export function instant(text: string, now: number): string {
  const ago = /^(\d{1,9})([smhd])$/.exec(text);
  const unit = UNITS[ago?.[2] ?? ''];
  if (ago !== null && unit !== undefined) return new Date(now - Number(ago[1]) * unit).toISOString();
  const time = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[-+]\d\d:\d\d))?$/.test(text)
    ? Date.parse(text)
    : Number.NaN;
  if (Number.isNaN(time))
    throw new UsageError(`${JSON.stringify(text)} is no time: write 7d, 2026-01-31 or 2026-01-31T08:00:00Z`);
  return new Date(time).toISOString();
}
