import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Mapping, Source } from '../../src/core/mapping.ts';
import type { LiveSecret } from '../../src/core/secret.ts';
import { mayDestroy } from '../../src/sync/absence.ts';
import type { Desired } from '../../src/sync/desired.ts';
import { ANNOTATION } from '../../src/sync/ownership-metadata.ts';
import { plan } from '../../src/sync/plan.ts';
import type { PlanInput } from '../../src/sync/plan-types.ts';
import { applied, data, mapping, planInput, source } from './sample.ts';

const KEYS = ['one', 'two'] as const;

/** Returns a mapping with two sources, and its desired state for the case that some of these sources are absent. */
function planInputWith(options: {
  policy?: Mapping['onSourceMissing'];
  absent?: readonly string[];
  optional?: boolean;
  proven?: boolean;
}): PlanInput {
  const { policy = 'keep', absent = [], optional = false, proven = true } = options;
  const sources = Object.fromEntries(KEYS.map((key): [string, Source] => [key, source({ key, optional })]));
  const there = KEYS.filter((key) => !absent.includes(key));
  const desired: Desired = {
    kind: 'ready',
    data: data(Object.fromEntries(there.map((key) => [key, `value of ${key}`]))),
    sources: new Map(there.map((key) => [key, { store: 'vault', key, version: '1' }])),
    absent: absent.map((key) => source({ key, optional })),
  };
  return planInput({
    mapping: mapping({ data: sources, onSourceMissing: policy }),
    desired,
    isProvenAbsent: () => proven,
  });
}

const EMPTY = { kind: 'ready', data: new Map(), sources: new Map(), absent: [] } as const;

function written(): LiveSecret {
  const first = plan(planInputWith({}));
  if (first.kind !== 'create') throw new Error(`expected a create, got ${first.kind}`);
  return applied(first.manifest);
}

function removed(result: ReturnType<typeof plan>): readonly string[] {
  return result.keys.filter(({ action }) => action === 'remove').map(({ name }) => name);
}

describe('target that was never made from the absent source', () => {
  it.each(['keep', 'removeKeys', 'delete'] as const)(
    'a target that was never made from the absent source fails with the policy %s, with or without a proof of absence',
    (policy) => {
      const result = plan(planInputWith({ policy, absent: ['one'] }));
      expect(result).toMatchObject({ kind: 'fail', error: { code: 'SOURCE_ABSENT' } });
    },
  );

  it('a plan writes a target without the absent source if that source is optional', () => {
    expect(plan(planInputWith({ absent: ['one'], optional: true, proven: false })).kind).toBe('create');
  });
});

describe('missing target that was last written without the absent source', () => {
  const absent = planInputWith({ policy: 'removeKeys', absent: ['one'] });
  const planMissing = (part: Partial<PlanInput>) => plan({ ...absent, live: undefined, ...part });

  it('a plan creates a missing target without the absent source only if the absence is proved and the policy is removeKeys', () => {
    expect(planMissing({ isWrittenWithout: () => true }).kind).toBe('create');
    const fails = { kind: 'fail', error: { code: 'SOURCE_ABSENT' } };
    expect(planMissing({ isWrittenWithout: () => true, isProvenAbsent: () => false })).toMatchObject(fails);
    expect(planMissing({ isWrittenWithout: () => false })).toMatchObject(fails);
    const kept = mapping({ ...absent.mapping, onSourceMissing: 'delete' });
    expect(planMissing({ mapping: kept, isWrittenWithout: () => true })).toMatchObject(fails);
  });
});

describe('target whose sources are not recorded', () => {
  const unknown = (live: LiveSecret): LiveSecret => ({
    ...live,
    annotations: { ...live.annotations, [ANNOTATION.sources]: '{"count":2}' },
  });
  const input = planInputWith({ absent: ['one'], optional: true, proven: false });

  it('a plan treats a target without recorded sources as made from exactly the sources whose keys the target contains', () => {
    const live = unknown(written());
    expect(plan({ ...input, live })).toMatchObject({ kind: 'fail', error: { code: 'SOURCE_ABSENT' } });
    const without = { ...live, data: data({ two: 'value of two' }) };
    expect(plan({ ...input, live: without }).kind).not.toBe('fail');
  });
});

describe('target that was made from the absent source', () => {
  it.each(['keep', 'removeKeys', 'delete'] as const)(
    'a plan keeps the target unchanged with the policy %s until the absence is proved',
    (policy) => {
      for (const absent of [['one'], ['one', 'two']]) {
        const result = plan({ ...planInputWith({ policy, absent, proven: false }), live: written() });
        expect(result).toMatchObject({ kind: 'fail', error: { code: 'SOURCE_ABSENT' } });
      }
    },
  );

  it('a plan keeps the target unchanged with the policy keep, even if the absence is proved', () => {
    const result = plan({ ...planInputWith({ absent: ['one', 'two'] }), live: written() });
    expect(result).toMatchObject({ kind: 'fail', error: { code: 'SOURCE_ABSENT' } });
  });

  it('a plan removes only the keys of the absent sources with the policy removeKeys', () => {
    const result = plan({ ...planInputWith({ policy: 'removeKeys', absent: ['one'] }), live: written() });
    expect(result.kind).toBe('update');
    expect(removed(result)).toEqual(['one']);
  });

  it('a plan holds the target if the policy removeKeys would leave no key', () => {
    const result = plan({
      ...planInputWith({ policy: 'removeKeys', absent: ['one', 'two'] }),
      live: written(),
    });
    expect(result).toMatchObject({ kind: 'hold', error: { code: 'HELD' } });
  });

  it('a plan proposes the target for deletion only if every source is absent', () => {
    const one = plan({ ...planInputWith({ policy: 'delete', absent: ['one'] }), live: written() });
    expect(one).toMatchObject({ kind: 'fail', error: { code: 'SOURCE_ABSENT' } });
    const all = plan({ ...planInputWith({ policy: 'delete', absent: ['one', 'two'] }), live: written() });
    expect(all.kind).toBe('delete');
    expect(removed(all)).toEqual(['one', 'two']);
  });

  it('a plan does not propose the target for deletion while a search still finds a key', () => {
    const input = planInputWith({ policy: 'delete', absent: ['one', 'two'] });
    const desired: Desired = {
      ...EMPTY,
      data: data({ three: 'of the search' }),
      absent: KEYS.map((key) => source({ key })),
    };
    const result = plan({ ...input, desired, live: written() });
    expect(result).toMatchObject({ kind: 'fail', error: { code: 'SOURCE_ABSENT' } });
  });

  it('a plan proposes no deletion until the absence of every source is proved, including sources that were never written', () => {
    const [one, two] = [source({ key: 'one' }), source({ key: 'two', optional: true })];
    const deletingMapping = mapping({ data: { one, two }, onSourceMissing: 'delete' });
    const made: Desired = {
      ...EMPTY,
      data: data({ one: '1' }),
      sources: new Map([['one', { store: 'vault', key: 'one', version: '1' }]]),
      absent: [two],
    };
    const first = plan(planInput({ mapping: deletingMapping, desired: made }));
    if (first.kind !== 'create') throw new Error(`expected a create, got ${first.kind}`);
    const provenOf = (keys: readonly string[]) =>
      plan(
        planInput({
          mapping: deletingMapping,
          desired: { ...EMPTY, absent: [one, two] },
          live: applied(first.manifest),
          isProvenAbsent: ({ key }) => keys.includes(key),
        }),
      );
    expect(provenOf(['one'])).toMatchObject({ kind: 'fail', error: { code: 'SOURCE_ABSENT' } });
    expect(provenOf(['one', 'two']).kind).toBe('delete');
  });

  it('a plan never proposes the target for deletion if our field manager does not own it', () => {
    const copied = { ...written(), ours: undefined };
    const result = plan({ ...planInputWith({ policy: 'delete', absent: ['one', 'two'] }), live: copied });
    expect(result).toMatchObject({ kind: 'refuse', error: { code: 'NOT_OWNED' } });
  });

  it('a plan removes the key of an optional source only if the absence is proved', () => {
    const doubtful = plan({
      ...planInputWith({ absent: ['one'], optional: true, proven: false }),
      live: written(),
    });
    expect(doubtful).toMatchObject({ kind: 'fail', error: { code: 'SOURCE_ABSENT' } });
    const proved = plan({ ...planInputWith({ absent: ['one'], optional: true }), live: written() });
    expect(removed(proved)).toEqual(['one']);
  });

  it.each([
    ['moved', new Map([['vault', 'another']])],
    ['is not recorded', new Map()],
  ])('a plan keeps the target unchanged if the definition of the store %s', (_, stores) => {
    const input = planInputWith({ policy: 'delete', absent: ['one', 'two'] });
    expect(plan({ ...input, live: written(), stores })).toMatchObject({
      kind: 'fail',
      error: { code: 'SOURCE_ABSENT' },
    });
  });

  it('a plan keeps the target unchanged if its sources are not recorded', () => {
    const live = written();
    const annotations = { ...live.annotations, 'secretbridge.dev/stores': 'damaged' };
    const result = plan({
      ...planInputWith({ policy: 'delete', absent: ['one', 'two'] }),
      live: { ...live, annotations },
    });
    expect(result).toMatchObject({ kind: 'fail', error: { code: 'SOURCE_ABSENT' } });
  });
});

describe('several Azure objects that share a name', () => {
  const KEY = source({ key: 'ca', object: 'key', optional: true });
  const SECRET = source({ key: 'ca' });
  const V = { store: 'vault', key: 'ca', version: '1' };

  /** Returns a target with only this key. The target was written when its source existed. */
  function standing(
    givenMapping: Mapping,
    name: string,
    absent: readonly Source[],
    live?: LiveSecret,
  ): PlanInput {
    const desired: Desired = {
      kind: 'ready',
      data: data({ [name]: 'value' }),
      sources: new Map([[name, V]]),
      absent,
    };
    const input = planInput({ mapping: givenMapping, desired });
    if (live !== undefined) return { ...input, live };
    const first = plan({ ...input, desired: { ...desired, absent: [] } });
    if (first.kind !== 'create') throw new Error(`expected a create, got ${first.kind}`);
    return { ...input, live: applied(first.manifest) };
  }

  it('a plan removes no key and needs no proof of absence if an optional Azure object never existed', () => {
    expect(plan(standing(mapping({ data: { V: SECRET, J: KEY } }), 'V', [KEY])).kind).toBe('unchanged');
    const optional = { ...SECRET, optional: true };
    const other = mapping({ data: { V: optional, J: { ...KEY, optional: false } } });
    expect(plan(standing(other, 'J', [optional])).kind).toBe('unchanged');
    const explicit: Source = { ...KEY, object: 'secret' };
    const same = mapping({ data: { V: SECRET, J: explicit } });
    expect(plan(standing(same, 'V', [explicit])).kind).toBe('fail');
  });

  it('a plan fails if a required Azure object never existed, even if another object with the same name was written', () => {
    const required = { ...KEY, optional: false };
    const removingMapping = mapping({ data: { V: SECRET, J: required }, onSourceMissing: 'removeKeys' });
    const result = plan({ ...standing(removingMapping, 'V', [required]), isProvenAbsent: () => true });
    expect(result).toMatchObject({ kind: 'fail', error: { code: 'SOURCE_ABSENT' } });
  });

  it('a plan treats an absent Azure object as written if the target was written by another mapping, which may have used the object', () => {
    const before = mapping({ data: { V: { ...KEY, optional: false } } });
    const { live } = standing(before, 'V', []);
    const now = mapping({ data: { V: SECRET, J: KEY } });
    const doubtful = standing(now, 'V', [KEY], live);
    expect(plan(doubtful)).toMatchObject({ kind: 'fail', error: { code: 'SOURCE_ABSENT' } });
    expect(plan({ ...doubtful, isProvenAbsent: () => true }).kind).toBe('update');
  });

  it.each<[string, Mapping]>([
    ['the spread of an object', mapping({ data: { kty: KEY }, dataFrom: [SECRET] })],
    [
      'a search',
      mapping({ data: { kty: KEY }, dataFrom: [{ store: 'vault', find: { path: '', tags: {} } }] }),
    ],
  ])(
    'a plan treats an absent Azure object as written if its key may also come from %s',
    (_, givenMapping) => {
      for (const absent of [KEY, { ...SECRET, optional: true }])
        expect(plan(standing(givenMapping, 'kty', [absent])).kind).toBe('fail');
    },
  );

  it('a plan deletes the target only after each Azure object is proved absent', () => {
    const required = { ...KEY, optional: false };
    const deletingMapping = mapping({ data: { V: SECRET, J: required }, onSourceMissing: 'delete' });
    const input = standing(deletingMapping, 'V', []);
    const desired: Desired = { kind: 'ready', data: new Map(), sources: new Map(), absent: [SECRET] };
    expect(plan({ ...input, desired, isProvenAbsent: () => true }).kind).toBe('fail');
  });
});

describe('brake', () => {
  const some = fc.nat({ max: 50 });
  const input = fc.record({
    proposed: fc.integer({ min: 1, max: 50 }),
    destroyed: some,
    total: some,
    alive: some,
    share: fc.double({ min: 0, max: 1, noNaN: true }),
  });

  it('the brake never allows the deletion of the last target', () => {
    fc.assert(fc.property(input, (given) => !mayDestroy({ ...given, alive: given.proposed })));
  });

  it('the brake never allows more deletions within the time window than the configured share of targets, but always allows one deletion', () => {
    fc.assert(
      fc.property(input, (given) => {
        const most = Math.max(1, given.share * given.total + 1e-6);
        if (given.proposed + given.destroyed > most) expect(mayDestroy(given)).toBe(false);
      }),
    );
  });

  it.each([
    [{ proposed: 1, destroyed: 0, total: 5, alive: 5, share: 0.1 }, true],
    [{ proposed: 1, destroyed: 1, total: 5, alive: 4, share: 0.1 }, false],
    [{ proposed: 10, destroyed: 0, total: 100, alive: 100, share: 0.1 }, true],
    [{ proposed: 11, destroyed: 0, total: 100, alive: 100, share: 0.1 }, false],
    [{ proposed: 29, destroyed: 0, total: 100, alive: 100, share: 0.29 }, true],
    [{ proposed: 1, destroyed: 0, total: 1, alive: 1, share: 1 }, false],
    [{ proposed: 1, destroyed: 0, total: 9, alive: 9, share: 0 }, true],
  ])('the brake decides for the numbers %o whether the deletion is allowed: %s', (given, expected) => {
    expect(mayDestroy(given)).toBe(expected);
  });
});
