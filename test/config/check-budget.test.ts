import { expect, it } from 'vitest';
import { checkMappings } from '../../src/config/check-mappings.ts';
import { ClaimIndex } from '../../src/config/files/claim-index.ts';
import { createParsedFiles, type ParsedFiles } from '../../src/config/files/parsing.ts';
import { createMappingResolver } from '../../src/config/resolve.ts';
import { Include } from '../../src/config/shape/include.ts';
import { Defaults } from '../../src/config/shape/mapping.ts';
import { UnitProblems } from '../../src/config/unit.ts';

/** A mapping with a template that cannot be parsed. Its cost is a bit more than its size. */
const mapping = (name: string, size: number, mark = '') => `  - name: ${name}
    target: { namespace: n }
    data: { K: { store: s, key: k } }
    template: { data: { T: '{{${mark.padEnd(50 * size, ' ')}' } }
`;

/** Returns the mappings whose template was checked in a load in which all checks may cost 100. */
async function checkedIn(files: ParsedFiles, ...mappings: readonly string[]): Promise<readonly string[]> {
  const text = `stores: [ { name: s, kind: files, path: x } ]\nmappings:\n${mappings.join('')}`;
  const [parsed] = await files.begin().texts([{ text, file: 'a.yaml' }], 'team');
  const [root] = parsed?.documents ?? [];
  const nodes = root?.members?.get('mappings')?.node.items ?? [];
  if (root === undefined || nodes[0]?.entry === undefined) throw new Error('the file is not divided');
  const include = Include.parse({ path: 'team', namespaces: ['n'], stores: ['s'], keys: ['*'] });
  const resolve = createMappingResolver({ defaults: Defaults.parse({}), policies: [], stores: [] });
  const texts = new Map();
  const unit = { access: new Map(), policies: [], isWhole: true, isFullyClear: true, unreadable: [], texts };
  const problems = new UnitProblems(unit);
  const budget = { group: 'team', timeMs: 1_000, cost: 100 };
  await checkMappings(
    { root, nodes, include, isWhole: true, problems, claims: new ClaimIndex(), budget, inBounds: () => true },
    { pause: async () => undefined, parseEntries: async () => undefined, context: 'c', resolve },
  );
  return problems.checked().problems.map(({ path }) => path);
}

it('the same mappings are too costly to check in a load that knows most mappings as in a full load', async () => {
  const valid = (name: string, size: number) => mapping(name, size).replace('{{', `{{ K }}`);
  const later = [valid('a', 60), mapping('b', 90, 'new'), mapping('c', 20)];
  const cache = createParsedFiles();
  expect(await checkedIn(cache, valid('a', 60), valid('b', 10), valid('c', 10))).toEqual([]);
  const full = await checkedIn(createParsedFiles(), ...later);
  expect(full).toEqual(['mappings[2].template.data.T']);
  expect(await checkedIn(cache, ...later)).toEqual(full);
  // A mapping that was too costly is checked as soon as there is room.
  expect(await checkedIn(cache, valid('a', 1), mapping('b', 90, 'new'))).toEqual([
    'mappings[1].template.data.T',
  ]);
});
