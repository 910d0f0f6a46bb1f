import { durationText } from '../core/clock.ts';

const UNIT_NS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/**
 * Parses a Go duration (https://pkg.go.dev/time#ParseDuration) to milliseconds. Returns `undefined` if it is invalid.
 */
export function goDurationMs(text: string): number | undefined {
  if (text === '0' || text === '+0' || text === '-0') return 0;
  const [, sign, rest = ''] = /^([+-]?)(.+)$/.exec(text) ?? [];
  if (!/^(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/.test(rest)) return undefined;
  let sum = 0;
  for (const [, count, unit = ''] of rest.matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g))
    sum += Number(count) * (UNIT_NS[unit] ?? 0);
  const ms = Math.round(sum / 1e6);
  return sign === '-' ? -ms : ms;
}

/** The longest `refresh`. */
const MAX_MS = 3650 * 86_400_000;

/** Returns an interval as a `refresh`. */
export function refreshText(ms: number): string {
  return durationText(Math.min(ms, MAX_MS));
}
