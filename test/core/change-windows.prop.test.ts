import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type ChangeWindow,
  isOpen,
  isTimeZone,
  nextOpening,
  waitsUntil,
} from '../../src/core/change-windows.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const ZONES = [
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'Asia/Kolkata',
  'Australia/Lord_Howe',
  'Pacific/Apia',
  'America/Santiago',
];

/** The days around the changes of the clock in 2026, and any other days. */
const anyTime = fc.oneof(
  fc
    .constantFrom('2026-03-08', '2026-03-29', '2026-04-05', '2026-10-04', '2026-10-25', '2026-11-01')
    .chain((day) =>
      fc.integer({ min: -2 * DAY, max: 2 * DAY }).map((offset) => Date.parse(`${day}T00:00:00Z`) + offset),
    ),
  fc.integer({ min: Date.parse('2025-01-01'), max: Date.parse('2028-12-31') }),
);

const anyWindow = fc.record({
  namespaces: fc.constant(['apps']),
  allow: fc
    .tuple(fc.integer({ min: 0, max: 59 }), fc.integer({ min: 0, max: 23 }), fc.constantFrom('*', '1-5', '0'))
    .map(([minute, hour, days]) => `${minute} ${hour} * * ${days}`),
  forMs: fc.integer({ min: 1, max: 30 * 60 }).map((minutes) => minutes * MINUTE),
  timeZone: fc.constantFrom(...ZONES),
  all: fc.boolean(),
});

const change = { mapping: 'db', namespace: 'apps', isExempt: false };

/** The wall clock of a zone, by Node's own calendar. */
function wallClock(at: number, timeZone: string): { hour: number; minute: number; weekday: string } {
  const format = new Intl.DateTimeFormat('en-US', {
    ...{ timeZone, hourCycle: 'h23', hour: 'numeric', minute: 'numeric', weekday: 'short' },
  });
  const parts = new Map(format.formatToParts(at).map(({ type, value }) => [type, value]));
  return {
    hour: Number(parts.get('hour')),
    minute: Number(parts.get('minute')),
    weekday: parts.get('weekday') ?? '',
  };
}

/** Whether the wall clock matches a pattern of `anyWindow`. */
function matchesPattern(at: number, { allow, timeZone }: ChangeWindow): boolean {
  const [minute, hour, , , days] = allow.split(' ');
  const wall = wallClock(at, timeZone);
  const isDay =
    days === '*' || (days === '0' ? wall.weekday === 'Sun' : !['Sat', 'Sun'].includes(wall.weekday));
  return wall.minute === Number(minute) && wall.hour === Number(hour) && isDay;
}

describe('change windows', () => {
  it('a closed target opens at the announced time, and not before', () => {
    fc.assert(
      fc.property(anyWindow, anyTime, (window, now) => {
        const opensAt = waitsUntil([window], change, now);
        if (opensAt === undefined) return isOpen(window, now);
        expect(opensAt).toBeGreaterThan(now);
        expect(waitsUntil([window], change, opensAt)).toBeUndefined();
        expect(waitsUntil([window], change, opensAt - 1)).toBe(opensAt);
      }),
    );
  });

  it('a window opens when the wall clock matches, or directly after a gap in it', () => {
    fc.assert(
      fc.property(anyWindow, anyTime, (window, now) => {
        const opensAt = nextOpening(window, now) ?? 0;
        expect(opensAt % MINUTE).toBe(0);
        if (matchesPattern(opensAt, window)) return;
        // The wall clock skips the time of the pattern.
        const before = wallClock(opensAt - MINUTE, window.timeZone);
        const after = wallClock(opensAt, window.timeZone);
        const minutes = (after.hour - before.hour) * 60 + after.minute - before.minute;
        expect((minutes + 1_440) % 1_440, new Date(opensAt).toISOString()).toBeGreaterThan(1);
      }),
    );
  });

  it('a window is open for exactly its duration in elapsed time, also while the clock changes', () => {
    fc.assert(
      fc.property(anyWindow, anyTime, (window, now) => {
        const start = nextOpening(window, now) ?? 0;
        const end = start + window.forMs;
        expect(isOpen(window, start)).toBe(true);
        expect(isOpen(window, end - 1)).toBe(true);
        const next = nextOpening(window, start) ?? 0;
        // Unless another opening begins before the end.
        expect(isOpen(window, end)).toBe(next <= end);
      }),
    );
  });

  it('only windows that match limit a change, and one open window is enough', () => {
    fc.assert(
      fc.property(fc.array(anyWindow, { maxLength: 3 }), anyTime, (windows, now) => {
        expect(waitsUntil(windows, { ...change, namespace: 'other' }, now)).toBeUndefined();
        const exempt = waitsUntil(windows, { ...change, isExempt: true }, now);
        expect(exempt).toBe(
          waitsUntil(
            windows.filter(({ all }) => all),
            change,
            now,
          ),
        );
        const isAllowed = windows.length === 0 || windows.some((window) => isOpen(window, now));
        expect(waitsUntil(windows, change, now) === undefined).toBe(isAllowed);
      }),
    );
  });

  it('a window that is skipped or repeated by the clock opens once on that day', () => {
    const window = { allow: '30 2 * * *', timeZone: 'Europe/Berlin' };
    const openings = (from: string, count: number) => {
      const times: string[] = [];
      for (let at = Date.parse(from); times.length < count; ) {
        at = nextOpening(window, at) ?? 0;
        times.push(new Date(at).toISOString());
      }
      return times;
    };
    expect(openings('2026-03-28T12:00:00Z', 2)).toEqual([
      '2026-03-29T01:00:00.000Z',
      '2026-03-30T00:30:00.000Z',
    ]);
    expect(openings('2026-10-24T12:00:00Z', 2)).toEqual([
      '2026-10-25T00:30:00.000Z',
      '2026-10-26T01:30:00.000Z',
    ]);
  });

  it('invalid patterns, patterns that never match and unknown time zones are found', () => {
    for (const allow of [
      '',
      '* * * *',
      '0 22 * * 1-5 2026',
      '99 * * * *',
      '@daily',
      '0 0 30 2 *',
      'a b c d e',
    ])
      expect(nextOpening({ allow, timeZone: 'UTC' }, 0), allow).toBeUndefined();
    expect(nextOpening({ allow: '0 0 29 2 *', timeZone: 'UTC' }, 0)).toBe(Date.parse('1972-02-29'));
    expect(isTimeZone('Mars/Olympus')).toBe(false);
    expect(isTimeZone('Europe/Berlin')).toBe(true);
  });
});
