import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Policy } from '../../src/core/mapping.ts';
import { ageWarning, policyError } from '../../src/sync/policies.ts';
import { mapping, source } from './sample.ts';

const DAY_MS = 86_400_000;
const NAMES = ['a', 'ab', 'b'];
const name = fc.constantFrom(...NAMES);
const PATTERNS: Readonly<Record<string, RegExp>> = { '^a': /^a/, b: /b/, '^ab?$': /^ab?$/ };
const pattern = fc.constantFrom(...Object.keys(PATTERNS));
const policy = fc.record(
  {
    namespaces: fc.constantFrom(['a'], ['b'], ['*']),
    secretName: pattern,
    keyName: pattern,
    requireLabels: fc.uniqueArray(name, { minLength: 1 }),
    stores: fc.uniqueArray(name, { minLength: 1 }),
  },
  { requiredKeys: ['namespaces'] },
);

/** States the rules of one policy, one by one. */
function follows(
  { namespaces, secretName, keyName, requireLabels = [], stores }: Policy,
  target: {
    readonly namespace: string;
    readonly secret: string;
    readonly keys: readonly string[];
    readonly labels: readonly string[];
    readonly used: readonly string[];
  },
): boolean {
  if (!namespaces.includes('*') && !namespaces.includes(target.namespace)) return true;
  const fits = (expected: string | undefined, text: string) =>
    expected === undefined || PATTERNS[expected]?.test(text) === true;
  return (
    fits(secretName, target.secret) &&
    target.keys.every((key) => fits(keyName, key)) &&
    requireLabels.every((label) => target.labels.includes(label)) &&
    target.used.every((store) => stores?.includes(store) ?? true)
  );
}

describe('policies', () => {
  it('a target is refused exactly if it violates a policy for its namespace', () => {
    fc.assert(
      fc.property(
        fc.array(policy, { maxLength: 4 }),
        fc.record({
          namespace: name,
          secret: name,
          keys: fc.uniqueArray(name),
          labels: fc.uniqueArray(name),
          used: fc.uniqueArray(name, { minLength: 1 }),
        }),
        (policies, target) => {
          const { namespace, secret, keys, labels, used } = target;
          const of = mapping({
            policies,
            data: Object.fromEntries(used.map((store) => [store, source({ store })])),
            target: { labels: Object.fromEntries(labels.map((label) => [label, 'x'])) },
          });
          const error = policyError(of, { namespace, secret }, keys);
          expect(error === undefined).toBe(policies.every((one) => follows(one, target)));
          expect(error?.code ?? 'POLICY_VIOLATED').toBe('POLICY_VIOLATED');
        },
      ),
    );
  });

  it('the strictest maximum age for the namespace counts, and the warning names the oldest source', () => {
    const of = mapping({
      policies: [
        { namespaces: ['apps'], maxAgeMs: 10 * DAY_MS },
        { namespaces: ['a*'], maxAgeMs: 2 * DAY_MS },
        { namespaces: ['other'], maxAgeMs: 1 },
      ],
    });
    const now = Date.UTC(2027, 0, 20);
    const at = (key: string, days: number) => ({ store: 'vault', key, at: now - days * DAY_MS });
    const warn = (...sources: readonly ReturnType<typeof at>[]) =>
      ageWarning(of, { namespace: 'apps', secret: 'x' }, sources, now).map(({ message }) => message);
    expect(warn(at('new', 2))).toEqual([]);
    expect(warn(at('a', 3), at('b', 12), at('b', 12))).toEqual([
      'store vault, key b: a rule in `policies` is violated (the value is from 2027-01-08, and `maxAge` is 2d; and 1 more)',
    ]);
    expect(ageWarning(of, { namespace: 'none', secret: 'x' }, [at('a', 99)], now)).toEqual([]);
  });
});
