import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { refId } from '../../src/core/read-result.ts';
import { formatSubject } from '../../src/queue/subject.ts';
import type { DesiredTarget } from '../../src/reconcile/targets.ts';
import { ShardIndex, shardsOf } from '../../src/service/sweep/shard-index.ts';
import { roundAt, type Shard, type Sweep } from '../../src/service/sweep/shards.ts';
import { refsOf, sourcesOf, storeRef } from '../../src/sync/desired.ts';
import { source } from '../sync/sample.ts';
import { START, wanted } from './sample.ts';

const someSource = fc
  .record({
    store: fc.constantFrom('vault', 'aws', 'files'),
    key: fc.stringMatching(/^[a-z]{1,2}$/),
    property: fc.option(fc.constantFrom('a', 'b'), { nil: undefined }),
    version: fc.option(fc.constantFrom('1', '2'), { nil: undefined }),
  })
  .map((part) => source(part));
const search = fc
  .constantFrom('vault', 'aws')
  .map((store) => ({ store, find: { path: 'x/', name: undefined, tags: {} } }));
const someWanted: fc.Arbitrary<readonly DesiredTarget[]> = fc
  .array(
    fc.record({
      refreshMs: fc.constantFrom(60_000, 300_000, 3_600_000),
      mode: fc.constantFrom('own' as const, 'own' as const, 'merge' as const),
      data: fc.dictionary(fc.constantFrom('A', 'B', 'C'), someSource),
      dataFrom: fc.array(fc.oneof(someSource, search), { maxLength: 2 }),
    }),
    { maxLength: 40 },
  )
  .map((parts) =>
    parts.map(({ mode, ...part }, index) => wanted({ ...part, name: `m${index}`, target: { mode } })),
  );
const tells = (store: string): boolean => store === 'aws';
const isSearch = ({ mapping }: DesiredTarget) => mapping.dataFrom.some((entry) => 'find' in entry);

const contents = (shards: readonly Shard[]) =>
  Object.fromEntries(
    shards.map(({ sweep, refs, fullRuns }) => [
      formatSubject(sweep),
      { refs: refs.map(refId).sort(), whole: fullRuns.map(({ mapping }) => mapping.name).sort() },
    ]),
  );

it('shards that are updated by differences are those of the whole configuration, after any changes', () => {
  const versions = fc.array(fc.tuple(someWanted, fc.infiniteStream(fc.boolean())), {
    minLength: 1,
    maxLength: 4,
  });
  fc.assert(
    fc.property(versions, (all) => {
      const index = new ShardIndex(tells);
      let now: readonly DesiredTarget[] = [];
      for (const [added, isKept] of all) {
        const kept = now.filter(() => isKept.next().value);
        index.update({ removed: now.filter((target) => !kept.includes(target)), added });
        now = [...kept, ...added];
        expect(contents([...index.shards().values()])).toEqual(contents(shardsOf(now, tells)));
        for (const { mapping } of now) {
          const shards = [...index.shards()].filter(
            ([, { refs, fullRuns }]) =>
              fullRuns.some((target) => target.mapping === mapping) ||
              refs.some((ref) => refsOf(mapping).has(refId(ref))),
          );
          expect([...index.shardsOf(mapping)].sort()).toEqual(shards.map(([name]) => name).sort());
        }
      }
    }),
    { numRuns: 60 },
  );
});

describe('the shards of a configuration', () => {
  it('the shards contain each reference of an owned target once, at the shortest interval of the mappings that use the reference', () => {
    fc.assert(
      fc.property(someWanted, (all) => {
        const shards = shardsOf(all, tells);
        const needed = new Set(
          all
            .filter(({ mapping }) => mapping.target.mode === 'own')
            .flatMap(({ mapping }) => sourcesOf(mapping).map((used) => refId(storeRef(used)))),
        );
        const entries = shards.flatMap(({ sweep, refs }) => refs.map((ref) => ({ sweep, ref })));
        expect(entries.map(({ ref }) => refId(ref)).sort()).toEqual([...needed].sort());
        for (const { sweep, ref } of entries) {
          const users = all.filter(({ mapping }) =>
            sourcesOf(mapping).some((used) => refId(storeRef(used)) === refId(ref)),
          );
          expect(sweep.store).toBe(ref.store);
          expect(sweep.refreshMs).toBe(Math.min(...users.map(({ mapping }) => mapping.refreshMs)));
        }
      }),
    );
  });

  it('the shards check each search and each merge by a full run once in each interval', () => {
    fc.assert(
      fc.property(someWanted, (all) => {
        const names = shardsOf(all, tells).flatMap(({ sweep, fullRuns }) =>
          fullRuns.map(({ mapping }) => {
            expect(mapping.refreshMs).toBe(sweep.refreshMs);
            return mapping.name;
          }),
        );
        const needed = all.filter(
          (desiredTarget) =>
            isSearch(desiredTarget) ||
            (desiredTarget.mapping.target.mode === 'merge' && sourcesOf(desiredTarget.mapping).length > 0),
        );
        expect(names.sort()).toEqual(needed.map(({ mapping }) => mapping.name).sort());
      }),
    );
  });

  it('the shards do not depend on the order of the configuration', () => {
    const shuffled = someWanted.chain((all) =>
      fc.tuple(fc.constant(all), fc.shuffledSubarray([...all], { minLength: all.length })),
    );
    fc.assert(
      fc.property(shuffled, ([all, other]) => {
        expect(contents(shardsOf(other, tells))).toEqual(contents(shardsOf(all, tells)));
      }),
    );
  });

  it('the shards rarely change their names when one mapping is added to many existing mappings', () => {
    const many = Array.from({ length: 900 }, (_, index) =>
      wanted({ name: `m${index}`, data: { A: source({ key: `k${index}` }) } }),
    );
    const names = (all: readonly DesiredTarget[]) => Object.keys(contents(shardsOf(all, tells))).sort();
    expect(names(many.slice(0, 850))).toEqual(names(many));
  });
});

const someSweep: fc.Arbitrary<Sweep> = fc
  .record({
    store: fc.stringMatching(/^[a-z]{1,6}$/),
    refreshMs: fc.integer({ min: 1_000, max: 86_400_000 }),
    shard: fc.nat(63),
  })
  .map((part) => ({ kind: 'sweep', shards: 64, ...part }));

describe('the rounds of a shard', () => {
  it('each round of a shard occurs once, and starts at most one interval plus its jitter after the previous round, for any tick times', () => {
    const steps = fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 10, maxLength: 200 });
    fc.assert(
      fc.property(someSweep, steps, (sweep, parts) => {
        let now = START;
        let { round } = roundAt(sweep, now);
        let began: number | undefined;
        for (const part of parts) {
          // Ticks are at most a fifth of the interval apart.
          const step = Math.max(1, Math.floor((part / 2_000) * sweep.refreshMs));
          now += step;
          const { round: next } = roundAt(sweep, now);
          expect(next - round === 0 || next - round === 1).toBe(true);
          if (next > round) {
            if (began !== undefined) {
              expect(now - began).toBeLessThanOrEqual(sweep.refreshMs * 1.05 + step + 1);
              expect(now - began).toBeGreaterThanOrEqual(sweep.refreshMs * 0.95 - 0.2 * sweep.refreshMs - 1);
            }
            began = now;
          }
          round = next;
        }
      }),
    );
  });

  it('each round of a shard lasts from one due time to the next, without a gap between rounds', () => {
    fc.assert(
      fc.property(someSweep, fc.nat(10 ** 9), (sweep, ms) => {
        const round = roundAt(sweep, START + ms);
        expect(round.from).toBeLessThanOrEqual(START + ms);
        expect(round.until).toBeGreaterThan(START + ms);
        expect(roundAt(sweep, round.until)).toMatchObject({ round: round.round + 1, from: round.until });
      }),
    );
  });

  it('the rounds of a shard depend only on its name and the time', () => {
    fc.assert(
      fc.property(someSweep, fc.nat(10 ** 9), (sweep, ms) => {
        expect(roundAt({ ...sweep }, START + ms)).toEqual(roundAt(sweep, START + ms));
      }),
    );
  });
});

it('the shards of a configuration spread the reads of 10,000 references over the interval', () => {
  const refreshMs = 300_000;
  const many = Array.from({ length: 10_000 }, (_, index) =>
    wanted({ name: `m${index}`, refreshMs, data: { A: source({ key: `k${index}` }) } }),
  );
  const shards = shardsOf(many, () => false);
  const before = new Map(shards.map(({ sweep }) => [sweep.shard, roundAt(sweep, START).round]));
  const perSecond: number[] = [];
  let total = 0;
  for (let second = 1; second <= 300; second += 1) {
    let reads = 0;
    for (const { sweep, refs } of shards) {
      const { round } = roundAt(sweep, START + second * 1_000);
      if (round > (before.get(sweep.shard) ?? 0)) reads += refs.length;
      before.set(sweep.shard, round);
    }
    total += reads;
    perSecond.push(reads);
  }
  expect(total).toBeGreaterThan(9_000);
  expect(total).toBeLessThan(11_000);
  expect(Math.max(...perSecond)).toBeLessThan(800);
  const quarters = [0, 75, 150, 225].map((from) =>
    perSecond.slice(from, from + 75).reduce((sum, reads) => sum + reads, 0),
  );
  for (const reads of quarters) expect(reads).toBeGreaterThan(1_000);
});
