import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  createTargetResolver,
  desiredIndex,
  resolveTargets,
  targetsOf,
} from '../../src/reconcile/targets.ts';
import { mapping } from '../sync/sample.ts';

const word = fc.constantFrom('a', 'b', 'c', 'd');
const mappings = fc.uniqueArray(
  fc
    .record({ name: word, namespaces: fc.uniqueArray(word, { minLength: 1, maxLength: 3 }), secret: word })
    .map(({ name, namespaces, secret }) => mapping({ name, target: { namespaces, secret } })),
  { selector: ({ name }) => name, maxLength: 4 },
);

it('resolving the targets gives the same targets and mappings for any order of the mappings', () => {
  fc.assert(
    fc.property(mappings, (all) => {
      const [there, back] = [targetsOf(all), targetsOf(all.toReversed())];
      expect(back).toEqual(there);
      const [one, other] = [desiredIndex(there), desiredIndex(back)];
      for (const { id } of there) for (const { name } of all) expect(other(name, id)).toBe(one(name, id));
    }),
  );
});

it('a resolver that remembers its last result resolves the same targets, after any changes', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(mappings, { minLength: 1, maxLength: 5 }), async (versions) => {
      const cluster = { namespaces: async () => [] };
      const resolve = createTargetResolver();
      for (const all of [...versions, ...versions.toReversed()])
        expect(await resolve(all, cluster, undefined)).toEqual(await resolveTargets(all, cluster, undefined));
    }),
  );
});
