import fc from 'fast-check';
import { expect, it } from 'vitest';
import { stringify } from 'yaml';
import { loadMaps, memoryFolders } from '../config/memory-config-maps.ts';
import { judge, type Rules } from './model.ts';

// The model was written from the documentation. Here it agrees with the program on random ConfigMaps, so that a game day
// finds mistakes of the running service, not of the model.

const MAIN = `apiVersion: secretbridge.dev/v1
instance: game
stores:
  - { name: vault, kind: vault, address: http://127.0.0.1:1, auth: { method: token, token: { env: T } } }
  - { name: second, kind: vault, address: http://127.0.0.1:1, auth: { method: token, token: { env: T } } }
include:
  - { configMaps: { matchLabels: { team: 'yes' } }, namespaces: [a], stores: [vault], keys: ['p/{namespace}/**'] }
`;
const RULES: Rules = {
  prefix: 'p',
  entries: [{ isFor: () => true, selector: { matchLabels: { team: 'yes' } }, stores: ['vault'] }],
};

/** Mostly the first value, so that many ConfigMaps are valid. */
const mostly = <T>(first: T, ...others: readonly T[]) =>
  fc.oneof(
    { weight: 6, arbitrary: fc.constant(first) },
    { weight: 1, arbitrary: fc.constantFrom(...others) },
  );

const source = fc.record({
  store: mostly('vault', 'second'),
  key: mostly('p/a/db', 'p/b/db', 'p/ab/db', 'p/a/../b/db', 'p/a/'),
  property: fc.constantFrom('a', 'b'),
});
const mapping = fc.record({
  name: fc.constantFrom('one', 'two', 'three', 'four'),
  target: mostly<object>({}, { secret: 'other' }, { namespace: 'a' }, { namespaces: ['b'] }),
  data: fc.dictionary(fc.constantFrom('A', 'B', 'C'), source, { minKeys: 1 }),
  onMappingRemoved: fc.constantFrom('keep', 'delete'),
});
const file = fc.record({
  mappings: fc.array(mapping, { minLength: 1, maxLength: 3 }),
  more: mostly<object>({}, { stores: [] }, { brake: {} }),
  damage: mostly('', '  - [ not closed', '}'),
  others: mostly<object>({}, { 'more.yaml': '' }),
  key: mostly('mappings.yaml', 'mapping.yaml'),
});

it('the model judges ConfigMaps as the program does', async () => {
  await fc.assert(
    fc.asyncProperty(file, async ({ mappings, more, damage, others, key }) => {
      const text = `${stringify({ mappings, ...more }, { aliasDuplicateObjects: false })}${damage}`;
      const data = { [key]: text, ...others };
      const { loaded } = await loadMaps(MAIN, memoryFolders({ 'a/map': { data } }));
      if (loaded.kind === 'invalid') throw new Error('the main file is invalid');
      const { includes, mappings: loadedMappings } = loaded.config;
      const judgement = judge(
        {
          namespace: 'a',
          name: 'map',
          at: 0,
          labels: { team: 'yes' },
          data,
          binaryData: {},
          isDeleted: false,
        },
        RULES,
      );
      expect(includes.map(({ state }) => state)).toEqual([judgement.kind === 'valid' ? 'valid' : 'disabled']);
      if (judgement.kind !== 'valid') return;
      expect(judgement.mappings.map(({ name, secret }) => [name, secret])).toEqual(
        loadedMappings.map(({ name, target }) => [name, target.secret]),
      );
      const refused = loaded.problems.some(({ code }) => code === 'NOT_ALLOWED');
      expect(judgement.mappings.some(({ isAllowed }) => !isAllowed)).toBe(refused);
    }),
    { numRuns: 200 },
  );
});
