import { describe, expect, it } from 'vitest';
import type { LoadResult, UsableConfig } from '../../src/config/check-documents.ts';
import { createParsedFiles } from '../../src/config/files/parsing.ts';
import { createAccess } from '../../src/config/shape/access.ts';
import { AppError } from '../../src/core/errors.ts';
import { loadMaps, type MemoryConfigMaps, memoryFolders } from './memory-config-maps.ts';
import { load, VALID } from './memory-fs.ts';

const LABELS = 'configMaps: { matchLabels: { secretbridge.dev/mappings: "true" } }';
const INCLUDE = `{ ${LABELS}, namespaces: [shop, 'team-*'], stores: [team-vault], keys: ['{namespace}/**'] }`;
const main = (...entries: readonly string[]) =>
  `${VALID}include:\n${entries.map((entry) => `  - ${entry}\n`).join('')}`;
const MAIN = main(INCLUDE);

/** Returns the text of one mapping. */
function mapping(name: string, { key = 'shop/db', more = '' } = {}): string {
  return `mappings:\n  - name: ${name}\n${more}    data: { A: { store: team-vault, key: ${key} } }\n`;
}

function usable(loaded: LoadResult): UsableConfig {
  if (loaded.kind === 'invalid') throw new Error(JSON.stringify(loaded.problems));
  return loaded;
}

const statesOf = (loaded: LoadResult) =>
  usable(loaded).config.includes.map(({ path, state }) => `${path} ${state}`);
const namesOf = (loaded: LoadResult) => usable(loaded).config.mappings.map(({ name }) => name);
const messagesOf = ({ problems }: LoadResult) =>
  problems.map(({ file, line, column, code, message }) => `${file}:${line}:${column} ${code}: ${message}`);

async function loadOnly(maps: MemoryConfigMaps, text = MAIN): Promise<LoadResult> {
  return (await loadMaps(text, memoryFolders(maps))).loaded;
}

describe('a ConfigMap with mappings', () => {
  it('adds mappings for its own namespace, with the namespace in front of their names', async () => {
    const { loaded, selections } = await loadMaps(
      MAIN,
      memoryFolders({
        'shop/app': mapping('db'),
        'team-a/app': mapping('db', { key: 'team-a/db', more: '    target: { type: Opaque }\n' }),
        'other/app': mapping('db'),
      }),
    );
    expect(messagesOf(loaded)).toEqual([]);
    const { mappings, bounds } = usable(loaded).config;
    expect(mappings.slice(1).map(({ name, target }) => [name, target.namespaces, target.secret])).toEqual([
      ['shop.db', ['shop'], 'db'],
      ['team-a.db', ['team-a'], 'db'],
    ]);
    expect(statesOf(loaded)).toEqual(['configmap:shop/app valid', 'configmap:team-a/app valid']);
    expect(bounds.get('team-a.db')).toMatchObject({ namespaces: ['team-a'], keys: ['team-a/**'] });
    expect(selections.map(({ namespaces }) => namespaces)).toEqual([['shop', 'team-*']]);
  });

  it('gives the same result for a mapping in flow style, which is not divided', async () => {
    const text = 'mappings: [ { name: db, data: { A: { store: team-vault, key: shop/db } } } ]\n';
    const loaded = await loadOnly({ 'shop/app': text });
    expect(messagesOf(loaded)).toEqual([]);
    expect(usable(loaded).config.mappings.at(-1)).toMatchObject({
      name: 'shop.db',
      target: { namespaces: ['shop'], secret: 'db' },
    });
  });

  it('keeps the name of a Secret that the mapping names', async () => {
    const loaded = await loadOnly({ 'shop/app': mapping('db', { more: '    target: { secret: creds }\n' }) });
    expect(usable(loaded).config.mappings.at(-1)?.target.secret).toBe('creds');
  });

  it.each(['namespace: shop', 'namespaces: [shop, other]', 'namespaceSelector: { matchLabels: { a: b } }'])(
    'disables a ConfigMap whose mapping has `%s`',
    async (field) => {
      const loaded = await loadOnly({
        'shop/bad': mapping('db', { more: `    target: { ${field} }\n` }),
        'shop/good': mapping('other'),
      });
      expect(statesOf(loaded)).toEqual(['configmap:shop/bad disabled', 'configmap:shop/good valid']);
      expect(messagesOf(loaded)).toEqual([
        expect.stringMatching(
          /^configmap:shop\/bad:3:15 CONFIG_INVALID: `namespace\w*` is not allowed here: .* remove it$/,
        ),
      ]);
    },
  );

  it('reports a name that is too long with its namespace', async () => {
    const loaded = await loadOnly({ 'shop/app': mapping('a'.repeat(60)) });
    expect(messagesOf(loaded)).toEqual([
      expect.stringContaining('has 65 characters; at most 63 are allowed'),
    ]);
  });

  it('reports an invalid name once', async () => {
    const loaded = await loadOnly({ 'shop/app': mapping('My_App') });
    expect(loaded.problems).toEqual([
      expect.objectContaining({ line: 2, column: 11, suggestion: 'did you mean `my-app`?' }),
    ]);
  });

  it.each([
    ['a key of another team', mapping('db', { key: 'team-a/db' }), 'NOT_ALLOWED'],
    ['a key outside of all bounds', mapping('db', { key: 'payments/db' }), 'NOT_ALLOWED'],
    [
      'another store',
      'mappings:\n  - name: db\n    data: { A: { store: local, key: shop/db } }\n',
      'NOT_ALLOWED',
    ],
    [
      'a type that others act on',
      mapping('db', { more: '    target: { type: helm.sh/release.v1 }\n' }),
      'TYPE_FORBIDDEN',
    ],
    [
      'a search beyond the bounds',
      "mappings:\n  - name: db\n    dataFrom: [ { store: team-vault, find: { path: '' } } ]\n",
      'NOT_ALLOWED',
    ],
  ])('does not reach %s', async (_, text, code) => {
    const loaded = await loadOnly({ 'shop/app': text, 'team-a/app': mapping('db', { key: 'team-a/db' }) });
    expect(loaded.problems.map((problem) => problem.code)).toEqual([code]);
    const broken = statesOf(loaded).filter((state) => !state.endsWith(' valid'));
    expect(broken).toEqual([]);
  });

  it('checks each read at run time against the bounds of the namespace', async () => {
    const loaded = await loadOnly({
      'shop/app': mapping('db'),
      'team-a/app': mapping('x', { key: 'team-a/x' }),
    });
    const { config } = usable(loaded);
    const access = createAccess(config);
    const mappingOfShop = config.mappings.find(({ name }) => name === 'shop.db') ?? expect.unreachable();
    const allows = (namespace: string, key: string) =>
      access.allows({ mapping: mappingOfShop, namespace, store: 'team-vault', key });
    expect(allows('shop', 'shop/db')).toBe(true);
    expect(allows('shop', 'team-a/x')).toBe(false);
    expect(allows('team-a', 'shop/db')).toBe(false);
  });

  it.each([
    ['stores: []', '`stores`'],
    ['access: []', '`access`'],
    ['instance: x', '`instance`'],
    ['include: []', '`include`'],
  ])('may contain only mappings, and not %s', async (section, name) => {
    const loaded = await loadOnly({ 'shop/app': `${section}\n${mapping('db')}` });
    expect(messagesOf(loaded)).toEqual([
      `configmap:shop/app:1:1 CONFIG_INVALID: an included file may contain only \`mappings\`, not ${name}`,
    ]);
  });
});

describe('the keys of a ConfigMap', () => {
  it.each([
    [{ data: {} }, 'the key `mappings.yaml` is missing; the ConfigMap is empty'],
    [
      { data: { 'mappings.yml': 'x' } },
      'the key `mappings.yaml` is missing; the ConfigMap has `mappings.yml`',
    ],
    [{ binaryKeys: ['mappings.yaml'] }, '`mappings.yaml` is in `binaryData`; write it as text in `data`'],
    [
      { data: { 'mappings.yaml': 'mappings: []', 'b.yaml': '', c: '' }, binaryKeys: ['d', 'e'] },
      'only the key `mappings.yaml` is read; move `b.yaml`, `c`, `d` and 1 more to another ConfigMap without the labels',
    ],
    [
      { data: { 'mappings.yaml': ' \n' } },
      'the file is empty; delete it, or add a comment if this is intended',
    ],
  ])('reports %j', async (map, message) => {
    const loaded = await loadOnly({ 'shop/bad': map, 'shop/good': mapping('db') });
    expect(messagesOf(loaded)).toEqual([`configmap:shop/bad:1:1 CONFIG_INVALID: ${message}`]);
    expect(statesOf(loaded)).toEqual(['configmap:shop/bad disabled', 'configmap:shop/good valid']);
  });
});

describe('several ConfigMaps', () => {
  it('of two ConfigMaps for one target, the first gets it, and the second says so', async () => {
    const same = '    target: { secret: same }\n';
    const loaded = await loadOnly({
      'shop/a': mapping('one', { more: same }),
      'shop/b': mapping('two', { more: same }),
    });
    expect(namesOf(loaded)).toEqual(['payments-db', 'shop.one']);
    expect(statesOf(loaded)).toEqual(['configmap:shop/a valid', 'configmap:shop/b disabled']);
    expect(messagesOf(loaded)).toEqual([
      'configmap:shop/b:3:13 TARGET_CLAIMED: mapping `shop.one` also has the target `shop/same`, at configmap:shop/a:3:13',
    ]);
  });

  it('the ConfigMap that had a target keeps it', async () => {
    const second = { 'shop/b': mapping('two', { more: '    target: { secret: same }\n' }) };
    const before = usable(await loadOnly(second));
    const both = { ...second, 'shop/a': mapping('one', { more: '    target: { secret: same }\n' }) };
    const { loaded } = await loadMaps(MAIN, memoryFolders(both), { inForce: before.inForce });
    expect(statesOf(loaded)).toEqual(['configmap:shop/a disabled', 'configmap:shop/b valid']);
  });

  it('many ConfigMaps that claim one target do not slow down the load', async () => {
    const maps = Array.from({ length: 900 }, (_, n) => [
      `shop/m${n}`,
      mapping(`m${n}`, { more: '    target: { secret: same }\n' }),
    ]);
    const before = process.cpuUsage();
    const loaded = await loadOnly(Object.fromEntries(maps));
    expect(namesOf(loaded)).toHaveLength(2);
    expect(process.cpuUsage(before).user / 1_000).toBeLessThan(5_000);
  });

  it("the operator's own file wins a name and a target", async () => {
    const own = `${MAIN}`.replace(
      'mappings:\n',
      'mappings:\n  - name: shop.db\n    target: { namespace: shop, secret: x }\n    data: { A: { store: team-vault, key: a } }\n',
    );
    const loaded = await loadOnly({ 'shop/app': mapping('db') }, own);
    expect(statesOf(loaded)).toEqual(['configmap:shop/app disabled']);
    expect(loaded.problems).toHaveLength(1);
  });

  it('reads a ConfigMap that two selectors match only once', async () => {
    const other = INCLUDE.replace('"true"', '"yes"');
    const loaded = await loadOnly({ 'shop/app': mapping('db') }, main(INCLUDE, other));
    expect(statesOf(loaded)).toEqual(['configmap:shop/app valid']);
    expect(messagesOf(loaded)).toEqual([]);
  });

  it('a broken ConfigMap keeps its last version, while all others change', async () => {
    const before = usable(await loadOnly({ 'shop/a': mapping('one'), 'shop/b': mapping('two') }));
    const { loaded } = await loadMaps(
      MAIN,
      memoryFolders({ 'shop/a': 'mappings: [ { nam: one } ]', 'shop/b': mapping('three') }),
      { inForce: before.inForce },
    );
    expect(statesOf(loaded)).toEqual(['configmap:shop/a outdated', 'configmap:shop/b valid']);
    expect(namesOf(loaded)).toEqual(['payments-db', 'shop.one', 'shop.three']);
  });

  it('each namespace has the limits of the `include` for itself', async () => {
    const text = main(INCLUDE.replace("'{namespace}/**']", "'{namespace}/**'], limits: { mappings: 1 }"));
    const loaded = await loadOnly(
      {
        'shop/a': mapping('one'),
        'shop/b': mapping('two'),
        'team-a/a': mapping('one', { key: 'team-a/db' }),
      },
      text,
    );
    expect(messagesOf(loaded)).toEqual([expect.stringMatching(/^configmap:shop\/b:2:5 LIMIT_REACHED: /)]);
  });

  it('an unchanged mapping stays the same object after a change of another ConfigMap', async () => {
    const parsed = createParsedFiles();
    const maps: MemoryConfigMaps = { 'shop/a': mapping('one'), 'shop/b': mapping('two') };
    const first = usable((await loadMaps(MAIN, memoryFolders(maps), { parsed })).loaded);
    maps['shop/b'] = mapping('two', { key: 'shop/other' });
    const { mappings } = first.config;
    const options = { parsed, mappings, inForce: first.inForce };
    const next = usable((await loadMaps(MAIN, memoryFolders(maps), options)).loaded);
    expect(next.config.mappings[1]).toBe(mappings[1]);
    expect(next.config.mappings[2]).not.toBe(mappings[2]);
  });
});

describe('ConfigMaps that cannot be listed', () => {
  const forbidden = new AppError('CLUSTER_FORBIDDEN', { subject: 'ConfigMaps of namespace shop' });
  const maps = { 'shop/a': mapping('one'), 'team-a/a': mapping('one', { key: 'team-a/db' }) };

  it('stay in force with their last version', async () => {
    const before = usable(await loadOnly(maps));
    const folders = memoryFolders({ 'team-a/a': maps['team-a/a'] }, { shop: forbidden });
    const { loaded } = await loadMaps(MAIN, folders, { inForce: before.inForce });
    expect(statesOf(loaded)).toEqual(['configmap:shop/a outdated', 'configmap:team-a/a valid']);
    expect(namesOf(loaded)).toEqual(['payments-db', 'shop.one', 'team-a.one']);
    expect(loaded.problems).toEqual([
      expect.objectContaining({
        code: 'CLUSTER_FORBIDDEN',
        path: 'include[0].configMaps',
        suggestion: forbidden.remedy,
      }),
    ]);
  });

  it('disable only their namespace at a start', async () => {
    const { loaded } = await loadMaps(MAIN, memoryFolders(maps, { shop: forbidden }));
    expect(statesOf(loaded)).toEqual(['configmap:shop disabled', 'configmap:team-a/a valid']);
    expect(usable(loaded).config.includes[0]?.namespaces).toEqual(['shop']);
  });

  it('named namespaces work while the others cannot be found', async () => {
    const { loaded } = await loadMaps(MAIN, memoryFolders(maps, { '*': forbidden }));
    expect(statesOf(loaded)).toEqual(['configmap:shop/a valid', 'configmap:team-* disabled']);
  });

  it('one entry for each ConfigMap stays if two entries of `include` select the namespace', async () => {
    const two = main(INCLUDE, INCLUDE);
    const before = usable((await loadMaps(MAIN, memoryFolders(maps))).loaded);
    const folders = memoryFolders({}, { shop: forbidden });
    const { loaded } = await loadMaps(two, folders, { inForce: before.inForce });
    expect(statesOf(loaded)).toEqual(['configmap:shop/a outdated']);
    expect(namesOf(loaded)).toEqual(['payments-db', 'shop.one']);
  });
});

describe('the entry of `include`', () => {
  it.each([
    [`{ ${LABELS}, path: teams, namespaces: [a], stores: [a], keys: [a] }`, 'either `path` or `configMaps`'],
    ['{ namespaces: [a], stores: [a], keys: [a] }', 'either `path` or `configMaps`'],
    [
      '{ configMaps: {}, namespaces: [a], stores: [a], keys: [a] }',
      '`matchLabels`, `matchExpressions` or both',
    ],
  ])('rejects %s', async (entry, message) => {
    const loaded = await load({ '/home/ann/secretbridge.yaml': main(entry) });
    expect(loaded.kind).toBe('invalid');
    expect(messagesOf(loaded).join('\n')).toContain(message);
  });

  it('needs an API server', async () => {
    const loaded = await load({
      '/home/ann/secretbridge.yaml': `${MAIN}cluster: { kind: directory, path: ./cluster }\n`,
    });
    expect(messagesOf(loaded).join('\n')).toContain('ConfigMaps need `cluster.kind: kubernetes`');
  });

  it('leaves ConfigMaps out without a source of ConfigMaps', async () => {
    const loaded = await load({ '/home/ann/secretbridge.yaml': MAIN });
    expect(statesOf(loaded)).toEqual([]);
  });
});
