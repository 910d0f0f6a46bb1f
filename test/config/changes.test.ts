import { expect, it } from 'vitest';
import { changedTexts, configChanges, configHash, configTexts, textsHash } from '../../src/config/changes.ts';
import type { Config } from '../../src/config/config.ts';
import { HEAD, load, loadText } from './memory-fs.ts';

async function configOf(mappings: string, more = ''): Promise<Config> {
  const loaded = await loadText(`apiVersion: secretbridge.dev/v1
instance: prod
cluster: { kind: directory, path: ./cluster }
stores: [ { name: vault, kind: files, path: ./store } ]
${more}
mappings: [ ${mappings} ]
`);
  if (loaded.kind === 'invalid') throw new Error('invalid');
  return loaded.config;
}

const db = (key: string, more = '') =>
  `{ name: db, target: { namespace: apps }, data: { USER: { store: vault, key: ${key} } }${more} }`;
const OTHER = '{ name: other, target: { namespace: apps }, data: { A: { store: vault, key: a } } }';

it('the changes of a configuration name each changed field with its old and new value', async () => {
  const before = await configOf(`${db('old')}, ${OTHER}`);
  const after = await configOf(db('new', ', refresh: 1m'), 'brake: { share: 0.5 }');
  const changes = configChanges(before, after);
  expect(changes).toMatchObject([
    { path: 'brake.share', after: '0.5' },
    { path: 'mappings.db.data.USER.key', before: 'old', after: 'new' },
    { path: 'mappings.db.refresh', before: '5m', after: '1m' },
    { path: 'mappings.other', before: expect.stringContaining('"name":"other"') },
  ]);
  expect(configChanges(new Map(configTexts(before)), after)).toEqual(changes);
  expect(changes.at(-1)).not.toHaveProperty('after');
  expect(changes.every(({ before: value = '' }) => value.length <= 161)).toBe(true);
});

it('the hash of a configuration does not depend on the order of its mappings', async () => {
  const one = await configOf(`${db('a')}, ${OTHER}`);
  expect(configHash(await configOf(`${OTHER}, ${db('a')}`))).toBe(configHash(one));
  expect(configHash(await configOf(`${OTHER}, ${db('b')}`))).not.toBe(configHash(one));
  expect(configHash(one)).toMatch(/^[0-9a-f]{64}$/);
  expect(configChanges(one, await configOf(`${OTHER}, ${db('a')}`))).toEqual([]);
});

it('the changed texts turn the texts of one configuration into those of another', async () => {
  const before = await configOf(`${db('old')}, ${OTHER}`);
  const after = await configOf(`${db('new')}, { ${OTHER.slice(2).replace('other', 'more')}`);
  const { parts, removed } = changedTexts(before, { ...after, mappings: [...after.mappings] });
  expect(removed).toEqual(['other']);
  const texts = new Map([...configTexts(before), ...parts]);
  for (const name of removed) texts.delete(name);
  expect(texts).toEqual(new Map(configTexts(after)));
  expect(textsHash(texts)).toBe(configHash(after));
  expect(changedTexts(after, after).parts).toHaveLength(1);
});

it('changed bounds are named for each mapping of the include, also from a text', async () => {
  const withLimit = async (targets: number): Promise<Config> => {
    const loaded = await load({
      '/home/ann/secretbridge.yaml': `${HEAD}stores: [ { name: vault, kind: files, path: ./store } ]
include: [ { path: team.yaml, namespaces: [apps], stores: [vault], keys: ['*'], limits: { targets: ${targets} } } ]
`,
      '/home/ann/team.yaml': `mappings: [ ${db('a')}, ${OTHER} ]`,
    });
    if (loaded.kind === 'invalid') throw new Error('invalid');
    return loaded.config;
  };
  const [before, after] = [await withLimit(5), await withLimit(6)];
  const changes = ['db', 'other'].map((name) => ({
    path: `bounds.${name}.limits.targets`,
    ...{ before: '5', after: '6' },
  }));
  expect(configChanges(before, after)).toEqual(changes);
  expect(configChanges(new Map(configTexts(before)), after)).toEqual(changes);
  expect(textsHash(new Map(configTexts(after)))).toBe(configHash(after));
  expect(configHash(after)).not.toBe(configHash(before));
});
