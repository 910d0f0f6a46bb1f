import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import type { Mapping, Source } from '../../src/core/mapping.ts';
import { type ReadResult, refId } from '../../src/core/read-result.ts';
import type { LiveSecret } from '../../src/core/secret.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import { shapeDesired, sourcesOf, storeRef } from '../../src/sync/desired.ts';
import { plan } from '../../src/sync/plan.ts';
import { applied, data, live, mapping, planInput, texts } from './sample.ts';

const word = fc.stringMatching(/^[a-z]{1,3}$/);
const key = fc.constantFrom('one', 'two', 'three');
const source: fc.Arbitrary<Source> = fc.record({
  store: fc.constantFrom('vault', 'files'),
  key,
  property: fc.option(fc.constantFrom('a', 'b', 'c.d'), { nil: undefined }),
  optional: fc.boolean(),
});
const someMapping: fc.Arbitrary<Mapping> = fc
  .record({
    data: fc.dictionary(word, source, { maxKeys: 4 }),
    dataFrom: fc.array(source, { maxLength: 2 }),
    onConflict: fc.constantFrom('refuse' as const, 'adopt' as const, 'adoptAndDropOwner' as const),
    labels: fc.dictionary(word, word, { maxKeys: 2 }),
  })
  .map(({ labels, ...rest }) => mapping({ ...rest, target: { labels } }));
const value = fc.oneof(
  fc.jsonValue().map((json) => JSON.stringify(json)),
  fc.dictionary(fc.constantFrom('a', 'b', 'c', 'e f'), fc.string()).map((record) => JSON.stringify(record)),
  fc.string(),
);
const reading: fc.Arbitrary<ReadResult> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc
      .tuple(value, word)
      .map(([text, version]): ReadResult => ({ kind: 'found', value: SecretValue.fromText(text), version })),
  },
  { weight: 1, arbitrary: fc.constant<ReadResult>({ kind: 'absent' }) },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom('TIMEOUT', 'ACCESS_DENIED', 'BAD_ANSWER')
      .map((code): ReadResult => ({ kind: 'failed', error: new AppError(code as 'TIMEOUT') })),
  },
);
const stores = fc.record({
  'vault one': reading,
  'vault two': reading,
  'vault three': reading,
  'files one': reading,
  'files two': reading,
  'files three': reading,
});
const someLive: fc.Arbitrary<LiveSecret | undefined> = fc.option(
  fc
    .record({
      data: fc.dictionary(word, fc.string(), { maxKeys: 3 }).map(data),
      labels: fc.constantFrom(
        {},
        { 'secretbridge.dev/instance': 'prod', 'secretbridge.dev/mapping': 'app' },
        { 'secretbridge.dev/instance': 'other', 'secretbridge.dev/mapping': 'app' },
      ),
      controlled: fc.boolean(),
      immutable: fc.boolean(),
    })
    .map(live),
  { nil: undefined },
);

function readings(
  given: Mapping,
  stored: Readonly<Record<string, ReadResult>>,
): ReadonlyMap<string, ReadResult> {
  return new Map(
    sourcesOf(given).map((ref) => [
      refId(storeRef(ref)),
      stored[`${ref.store} ${ref.key}`] ?? { kind: 'absent' },
    ]),
  );
}

function carryOut(result: ReturnType<typeof plan>, before: LiveSecret | undefined): LiveSecret | undefined {
  if (result.kind === 'create') return applied(result.manifest);
  return result.kind === 'update' ? applied(result.change, before) : before;
}

describe('plan', () => {
  it('a second plan finds nothing to change after the first plan has been applied', () => {
    fc.assert(
      fc.property(someMapping, stores, someLive, (given, stored, before) => {
        const input = planInput({
          mapping: given,
          desired: shapeDesired(given, readings(given, stored)),
          live: before,
        });
        const first = plan(input);
        fc.pre(first.kind === 'create' || first.kind === 'update');
        const after = carryOut(first, before);
        expect(plan({ ...input, live: after }).kind).toBe('unchanged');
        expect(texts(after?.data ?? new Map())).toEqual(
          input.desired.kind === 'ready' ? texts(input.desired.data) : {},
        );
      }),
      { numRuns: 500 },
    );
  });

  it('a plan never changes an existing Secret if a source failed or is absent', () => {
    fc.assert(
      fc.property(someMapping, stores, someLive, key, (given, stored, before, broken) => {
        const uses = sourcesOf(given).some((ref) => ref.store === 'vault' && ref.key === broken);
        fc.pre(uses && before !== undefined);
        const failed: ReadResult = { kind: 'failed', error: new AppError('STORE_UNAVAILABLE') };
        const all = readings(given, { ...stored, [`vault ${broken}`]: failed });
        const result = plan(planInput({ mapping: given, desired: shapeDesired(given, all), live: before }));
        expect(['fail', 'refuse']).toContain(result.kind);
      }),
      { numRuns: 500 },
    );
  });

  it('a plan does not depend on the order of the sources', () => {
    fc.assert(
      fc.property(someMapping, stores, someLive, (given, stored, before) => {
        const turned: Mapping = {
          ...given,
          data: Object.fromEntries(Object.entries(given.data).reverse()),
          dataFrom: given.dataFrom.toReversed(),
        };
        const all = readings(given, stored);
        const [a, b] = [given, turned].map((ordered) =>
          plan(planInput({ mapping: given, desired: shapeDesired(ordered, all), live: before })),
        );
        expect(a?.kind).toBe(b?.kind);
        expect(a?.keys).toEqual(b?.keys);
      }),
      { numRuns: 300 },
    );
  });

  it('a plan never changes a foreign Secret unless the mapping allows adoption', () => {
    fc.assert(
      fc.property(someMapping, stores, someLive, (given, stored, before) => {
        fc.pre(before !== undefined && before.labels['secretbridge.dev/instance'] !== 'prod');
        const cautious = { ...given, onConflict: 'refuse' as const };
        const result = plan(
          planInput({
            mapping: cautious,
            desired: shapeDesired(given, readings(given, stored)),
            live: before,
          }),
        );
        expect(result).toMatchObject({ kind: 'refuse', keys: [] });
      }),
    );
  });
});
