import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Origin } from '../../src/events/hint.ts';
import { createConfigSnapshot } from '../../src/service/config-snapshot.ts';
import { Hints, QUIET_MS } from '../../src/service/events/hints.ts';
import { createTargetStates } from '../../src/service/target-states.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { createManualTime } from '../fakes/manual-time.ts';
import { START, wanted } from './sample.ts';

const EU: Origin = { kind: 'sqs', name: 'eu' };
const KEYS = ['a', 'b', 'c/x', 'c/y'];
const TARGETS = [
  wanted({
    name: 'ab',
    data: {
      A: { store: 'vault', key: 'a', optional: false },
      B: { store: 'vault', key: 'b', optional: false },
    },
  }),
  wanted({ name: 'b', data: { B: { store: 'vault', key: 'b', optional: false } } }),
  wanted({ name: 'c', data: {}, dataFrom: [{ store: 'vault', find: { path: 'c', tags: {} } }] }),
];
const MADE_FROM: Readonly<Record<string, readonly string[]>> = {
  ab: ['a', 'b'],
  b: ['b'],
  c: ['c/x', 'c/y'],
};

const step = fc.oneof(
  fc.record({ kind: fc.constant('hint' as const), keys: fc.subarray(KEYS, { minLength: 1 }) }),
  fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(1_500) }),
);

it('every hint causes a check within half a second, and each key is checked at most once in half a second', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const time = createManualTime(START);
      const looks: { readonly target: string; readonly at: number }[] = [];
      const snapshot = createConfigSnapshot([], TARGETS, () => false);
      using hints = new Hints({
        snapshot: () => snapshot,
        states: createTargetStates(undefined, time),
        resync: {
          check(targets) {
            for (const { secret } of targets) looks.push({ target: secret, at: time.now() });
            return 0;
          },
        },
        namesOf: (_, key) => [key],
        clock: time,
        wake: time.wake,
        logger: silentLogger,
      });
      const hinted: { readonly key: string; readonly at: number }[] = [];
      for (const action of steps) {
        if (action.kind === 'wait') await time.advance(action.ms);
        else {
          for (const key of action.keys) hinted.push({ key, at: time.now() });
          hints.take(
            action.keys.map((key) => ({ store: 'vault', keys: [key] })),
            EU,
          );
        }
      }
      await time.advance(5_000);
      for (const { key, at } of hinted)
        for (const [target, keys] of Object.entries(MADE_FROM))
          if (keys.includes(key))
            expect(
              looks.some((look) => look.target === target && look.at >= at && look.at <= at + QUIET_MS),
            ).toBe(true);
      // Each key is checked at most once in each quiet time. The first target uses two keys.
      const [from = 0, to = 0] = [hinted[0]?.at, (hinted.at(-1)?.at ?? 0) + QUIET_MS];
      const most = Math.floor((to - from) / QUIET_MS) + 1;
      for (const [target, keys] of Object.entries(MADE_FROM)) {
        const interests = target === 'ab' ? keys.length : 1;
        expect(looks.filter((look) => look.target === target).length).toBeLessThanOrEqual(most * interests);
      }
      expect(time.waiting).toEqual([]);
    }),
    { numRuns: 100 },
  );
});
