import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ERRORS, type ErrorCode } from '../../src/core/error-codes.ts';
import { isTransient } from '../../src/core/errors.ts';
import { nextRun, type RunResult } from '../../src/sync/schedule.ts';

const MINUTE = 60_000;
const codes = Object.keys(ERRORS) as ErrorCode[];
const healing = codes.filter((code) => isTransient(code) && code !== 'CONFLICT');
const NOT_YET: readonly ErrorCode[] = ['NAMESPACE_MISSING', 'SECRET_MISSING'];
const forPeople = codes.filter((code) => !isTransient(code) && !NOT_YET.includes(code));

const chance = fc.double({ min: 0, max: 1, noNaN: true });
const failures = fc.integer({ min: 1, max: 200 });
const refreshMs = fc.integer({ min: 1_000, max: 24 * 60 * MINUTE });

function next(ended: RunResult, given: { failures: number; refreshMs: number; chance: number }): number {
  return nextRun(ended, { ...given, random: () => given.chance }) ?? Number.NaN;
}

describe('delay until the next run', () => {
  it('no delay is set after success, because the sweep starts the next run', () => {
    for (const kind of ['created', 'updated', 'deleted', 'unchanged'] as const)
      expect(nextRun({ kind }, { failures: 0, refreshMs: MINUTE, random: () => 1 })).toBeUndefined();
  });

  it('the delay until the next run is one refresh interval for held or contested targets', () => {
    for (const kind of ['held', 'contested'] as const)
      expect(next({ kind, code: 'HELD' }, { failures: 9, refreshMs: 7 * MINUTE, chance: 1 })).toBe(
        7 * MINUTE,
      );
  });

  it('the delay of a change that waits for its window is the time until the window opens, at most an hour', () => {
    for (const [retryAfterMs, delayMs] of [
      [1, 100],
      [90_000, 90_000],
      [100 * 60 * MINUTE, 60 * MINUTE],
    ] as const) {
      const waiting = { kind: 'waiting', code: 'OUTSIDE_WINDOW', retryAfterMs } as const;
      expect(next(waiting, { failures: 9, refreshMs: MINUTE, chance: 1 })).toBe(delayMs);
    }
  });

  it('the delay until the next run is at least a second for held or contested targets', () => {
    for (const kind of ['held', 'contested'] as const)
      for (const refresh of [1, 250])
        expect(next({ kind, code: 'HELD' }, { failures: 1, refreshMs: refresh, chance: 0 })).toBe(1_000);
  });

  it('for a refresh interval below one second, the delay until the next run is the same as for an interval of one second', () => {
    const given = { failures: 9, refreshMs: 1, chance: 0.5 };
    expect(next({ kind: 'failed', code: 'STORE_UNAVAILABLE' }, given)).toBe(500);
  });

  it('the delay until the next run has full jitter after transient failures, and grows to five minutes or the refresh interval', () => {
    fc.assert(
      fc.property(fc.constantFrom(...healing), failures, refreshMs, chance, (code, n, refresh, random) => {
        const most = Math.min(1_000 * 2 ** (n - 1), 5 * MINUTE, refresh);
        const ms = next({ kind: 'failed', code }, { failures: n, refreshMs: refresh, chance: random });
        expect(ms).toBe(Math.ceil(random * most));
      }),
    );
  });

  it('the delay until the next run is at least as long as the store requests', () => {
    fc.assert(
      fc.property(failures, refreshMs, chance, fc.nat(3_600_000), (n, refresh, random, retryAfterMs) => {
        const ms = next(
          { kind: 'failed', code: 'THROTTLED', retryAfterMs },
          { failures: n, refreshMs: refresh, chance: random },
        );
        expect(ms).toBeGreaterThanOrEqual(retryAfterMs);
        expect(ms).toBeLessThanOrEqual(retryAfterMs + 5 * MINUTE);
      }),
    );
  });

  it('the delay until the next run is at most an hour plus jitter, even if the store requests a longer delay', () => {
    fc.assert(
      fc.property(
        failures,
        refreshMs,
        chance,
        fc.integer({ min: 3_600_000 }),
        (n, refresh, random, retryAfterMs) => {
          for (const code of ['THROTTLED', 'STORE_UNAVAILABLE', 'CLUSTER_UNAVAILABLE', 'CONFLICT'] as const) {
            const given = { failures: n, refreshMs: refresh, chance: random };
            const ms = next({ kind: 'failed', code, retryAfterMs }, given);
            expect(ms).toBeGreaterThanOrEqual(60 * MINUTE);
            expect(ms).toBeLessThanOrEqual(65 * MINUTE);
          }
        },
      ),
    );
  });

  it('the delay until the next run is about as long as the error requests, even if a person must act', () => {
    const given = { failures: 3, refreshMs: 60 * MINUTE, chance: 1 };
    const ms = next({ kind: 'failed', code: 'SOURCE_ABSENT', retryAfterMs: 2 * MINUTE }, given);
    expect(ms).toBe(2.5 * MINUTE);
  });

  it('the delay until the next run is short after another writer won a race', () => {
    const given = { failures: 1, refreshMs: 5 * MINUTE, chance: 1 };
    expect(next({ kind: 'failed', code: 'CONFLICT' }, given)).toBe(250);
    expect(next({ kind: 'failed', code: 'CONFLICT' }, { ...given, failures: 50 })).toBe(30_000);
  });

  it('the delay until the next run is about half a minute if a namespace or Secret is missing', () => {
    for (const code of NOT_YET)
      for (const random of [0, 1]) {
        const ms = next({ kind: 'failed', code }, { failures: 40, refreshMs: 60 * MINUTE, chance: random });
        expect(Math.abs(ms - 30_000)).toBeLessThan(6_100);
      }
  });

  it('the delay until the next run grows up to 15 minutes for failures that a person must fix', () => {
    const kinds = fc.constantFrom('failed' as const, 'refused' as const);
    fc.assert(
      fc.property(
        kinds,
        fc.constantFrom(...forPeople),
        failures,
        refreshMs,
        chance,
        (kind, code, ...rest) => {
          const [n, refresh, random] = rest;
          const first = Math.max(refresh, 5 * MINUTE);
          const ms = next({ kind, code }, { failures: n, refreshMs: refresh, chance: random });
          expect(ms).toBeGreaterThanOrEqual(first);
          expect(ms).toBeLessThanOrEqual(Math.max(15 * MINUTE, refresh));
          if (n >= 3) expect(ms).toBe(Math.max(15 * MINUTE, refresh));
        },
      ),
    );
  });

  it('after a CONFLICT over a key of another manager, the next run waits longer than after a CONFLICT from a lost race', () => {
    const ms = next({ kind: 'refused', code: 'CONFLICT' }, { failures: 1, refreshMs: 1_000, chance: 0 });
    expect(ms).toBe(5 * MINUTE);
  });

  it('the delay until the next run is always an integer that timers accept', () => {
    const anything = fc.oneof(fc.double(), fc.constantFrom(Number.NaN, Infinity, -Infinity, 0, -1));
    const kinds = fc.constantFrom(
      'refused' as const,
      'held' as const,
      'failed' as const,
      'contested' as const,
      'waiting' as const,
    );
    fc.assert(
      fc.property(
        kinds,
        fc.option(fc.constantFrom(...codes), { nil: undefined }),
        fc.option(anything, { nil: undefined }),
        fc.tuple(anything, anything, anything),
        (kind, code, retryAfterMs, [n, refresh, random]) => {
          const ms = next({ kind, code, retryAfterMs }, { failures: n, refreshMs: refresh, chance: random });
          expect(Number.isInteger(ms)).toBe(true);
          expect(ms).toBeGreaterThanOrEqual(0);
          expect(ms).toBeLessThan(2 ** 31);
        },
      ),
    );
  });
});
