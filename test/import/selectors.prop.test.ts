import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  disjointSelectors,
  type Requirement,
  type Selector,
  selectorOf,
} from '../../src/import/external-secrets/selectors.ts';

const KEYS = ['team', 'stage', 'kubernetes.io/metadata.name'] as const;
const VALUES = ['a', 'b', 'c'] as const;

const requirement: fc.Arbitrary<Requirement> = fc
  .record({
    key: fc.constantFrom(...KEYS),
    operator: fc.constantFrom('In', 'NotIn', 'Exists', 'DoesNotExist'),
    values: fc.uniqueArray(fc.constantFrom(...VALUES), { minLength: 1, maxLength: 3 }),
  })
  .map(({ key, operator, values }) => ({
    key,
    operator,
    values: operator === 'In' || operator === 'NotIn' ? values : [],
  }));
const selector = fc.array(requirement, { minLength: 1, maxLength: 3 });
const labels = fc.record(
  {
    team: fc.constantFrom(...VALUES),
    stage: fc.constantFrom(...VALUES),
    'kubernetes.io/metadata.name': fc.constantFrom(...VALUES),
  },
  { requiredKeys: ['kubernetes.io/metadata.name'] },
);

/** The rule of Kubernetes for one requirement. */
function holds({ key, operator, values }: Requirement, own: Readonly<Record<string, string>>): boolean {
  const value = own[key];
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    default:
      return value === undefined;
  }
}

const matches = (all: Selector, own: Readonly<Record<string, string>>) => all.every((one) => holds(one, own));

describe('several selectors of namespaces', () => {
  it('a namespace is selected by exactly one of the new selectors if any of the original ones selects the namespace', () => {
    fc.assert(
      fc.property(fc.array(selector, { minLength: 1, maxLength: 4 }), labels, (selectors, own) => {
        const disjoint = disjointSelectors(selectors);
        if (disjoint === undefined) return;
        const isSelected = selectors.some((one) => matches(one, own));
        expect(disjoint.filter((one) => matches(one, own))).toHaveLength(isSelected ? 1 : 0);
      }),
    );
  });

  it('several selectors become one selector if they differ only in the value of a label', () => {
    const of = (value: string): Selector => [{ key: 'team', operator: 'In', values: [value] }];
    expect(disjointSelectors([of('b'), of('a'), of('b')])?.map(selectorOf)).toEqual([
      { matchExpressions: [{ key: 'team', operator: 'In', values: ['a', 'b'] }] },
    ]);
  });

  it('selectors that no namespace can match are left out', () => {
    expect(
      disjointSelectors([
        [
          { key: 'team', operator: 'Exists', values: [] },
          { key: 'team', operator: 'DoesNotExist', values: [] },
        ],
      ]),
    ).toEqual([]);
  });
});
