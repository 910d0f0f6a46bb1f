import { mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Bench, openBench } from '../cli/harness.ts';

const MAIN = `apiVersion: secretbridge.dev/v1
instance: prod
cluster: { kind: directory, path: ./cluster }
stores: [ { name: local, kind: files, path: ./store } ]
include: [ { path: teams/a, namespaces: [a], stores: [local], keys: ['a/**'] } ]
`;

interface Outcome {
  readonly mapping: string;
  readonly outcome: string;
  readonly code?: string;
}

async function sync(
  bench: Bench,
): Promise<{ readonly outcomes: readonly Outcome[]; readonly output: string }> {
  const { json, stdout, stderr } = await bench.run('sync', '--output', 'json');
  const { targets } = json as { readonly targets: readonly Outcome[] };
  const outcomes = targets.map(({ mapping, outcome, code }) => ({
    mapping,
    outcome,
    ...(code === undefined ? {} : { code }),
  }));
  return { outcomes, output: stdout + stderr };
}

const mapping = (name: string, sources: string) =>
  `  - { name: ${name}, target: { namespace: a }, ${sources} }\n`;
const source = (key: string) => `data: { KEY: { store: local, key: ${key}, optional: true } }`;
const search = (path: string) => `dataFrom: [ { store: local, find: { path: ${path} } } ]`;

it('a link in the folder of an include shows nothing of the file to which it leads', async () => {
  const teamB = "{ path: teams/b, namespaces: [b], stores: [local], keys: ['b/**'] }";
  await using bench = await openBench(MAIN.replace("'] } ]", `'] }, ${teamB} ]`));
  await bench.write('store/a/own', 'ours');
  await bench.write('store/b/marker-key', 'theirs');
  // As in a mounted ConfigMap.
  await bench.write('teams/a/..data/own.yaml', `mappings:\n${mapping('own', source('a/own'))}`);
  const theirs = mapping('marker-m', source('b/marker-key')).replace('namespace: a', 'namespace: b');
  await bench.write('teams/b/one.yaml', `mappings:\n${theirs}`);
  await bench.write('marker.yaml', 'marker: 1');
  for (const [name, to] of Object.entries({
    a: '../b/one.yaml',
    b: '../../marker.yaml',
    own: '..data/own.yaml',
  }))
    await symlink(to, join(bench.folder, 'teams/a', `${name}.yaml`));
  const { code, json, stdout } = await bench.run('validate', '--output', 'json');
  expect(code).toBe(3);
  expect(json).toMatchObject({
    problems: [
      { message: expect.stringContaining('`teams/a/a.yaml` is a link that leads out of the folder') },
      { message: expect.stringContaining('`teams/a/b.yaml` is a link that leads out of the folder') },
    ],
  });
  expect(stdout).not.toContain('marker');
  expect((await sync(bench)).outcomes).toMatchObject([
    { mapping: 'own', outcome: 'created' },
    { mapping: 'marker-m', outcome: 'created' },
  ]);
});

describe('a link in a folder of files that a tenant may write', () => {
  async function openLinked(): Promise<Bench> {
    const bench = await openBench(MAIN);
    await bench.write('store/b/password-of-b', 'theirs');
    await bench.write('store/a/own', 'ours');
    await mkdir(join(bench.folder, 'store/a/found'));
    const link = (to: string, from: string) => symlink(to, join(bench.folder, 'store', from));
    await link('../b/password-of-b', 'a/file');
    await link('../b', 'a/folder');
    await link('../../b/password-of-b', 'a/found/one');
    await link('own', 'a/inside');
    await link('../../outside', 'a/out');
    await bench.write('outside', 'root of the machine');
    return bench;
  }

  it('gives no value of another tenant, by a source or by a search', async () => {
    await using bench = await openLinked();
    await bench.write(
      'teams/a/one.yaml',
      `mappings:\n${mapping('by-file', source('a/file'))}${mapping('by-folder', source('a/folder/password-of-b'))}${mapping('by-search', search('a/found'))}${mapping('by-search-in-folder', search('a/folder'))}${mapping('inside', source('a/inside'))}${mapping('out', source('a/out'))}`,
    );
    const { outcomes, output } = await sync(bench);
    const denied = { outcome: 'failed', code: 'NOT_ALLOWED' };
    expect(outcomes).toEqual([
      { mapping: 'by-file', ...denied },
      { mapping: 'by-folder', ...denied },
      { mapping: 'by-search', ...denied },
      { mapping: 'by-search-in-folder', ...denied },
      { mapping: 'inside', outcome: 'created' },
      { mapping: 'out', outcome: 'failed', code: 'ACCESS_DENIED' },
    ]);
    expect(output.replaceAll('a/folder/password-of-b', '')).not.toContain('password-of-b');
  });

  it('does not tell which names another tenant has', async () => {
    await using bench = await openLinked();
    await bench.write(
      'teams/a/one.yaml',
      `mappings:\n${mapping('exists', source('a/folder/password-of-b'))}${mapping('missing', source('a/folder/no-such-name'))}`,
    );
    const { outcomes } = await sync(bench);
    expect(outcomes).toEqual([
      { mapping: 'exists', outcome: 'failed', code: 'NOT_ALLOWED' },
      { mapping: 'missing', outcome: 'failed', code: 'NOT_ALLOWED' },
    ]);
  });

  it('still reads the links of a mounted volume, whose folders are no part of a key', async () => {
    await using bench = await openBench(MAIN);
    await bench.write('store/..2027_01/a/own', 'ours');
    await symlink('..2027_01', join(bench.folder, 'store/..data'));
    await symlink('..data/a', join(bench.folder, 'store/a'));
    await bench.write(
      'teams/a/one.yaml',
      `mappings:\n${mapping('by-search', search('a'))}${mapping('named', source('a/own'))}`,
    );
    expect((await sync(bench)).outcomes).toEqual([
      { mapping: 'by-search', outcome: 'created' },
      { mapping: 'named', outcome: 'created' },
    ]);
  });
});

describe('a Secret type that controllers act on', () => {
  const typed = (name: string, type: string) =>
    `  - { name: ${name}, target: { namespace: a, type: ${type} }, ${source('a/own')} }\n`;

  it.each(['helm.sh/release.v1', 'example.com/controller', 'Helm.sh/release.v1'])(
    'is refused in an included file: %s',
    async (type) => {
      await using bench = await openBench(MAIN);
      await bench.write('store/a/own', 'ours');
      await bench.write('teams/a/one.yaml', `mappings:\n${typed('fine', 'Opaque')}${typed('typed', type)}`);
      expect((await bench.run('validate', '--output', 'json')).json).toMatchObject({
        problems: [{ file: 'teams/a/one.yaml', path: 'mappings[1].target.type', code: 'TYPE_FORBIDDEN' }],
      });
      expect((await sync(bench)).outcomes).toEqual([
        { mapping: 'fine', outcome: 'created' },
        { mapping: 'typed', outcome: 'failed', code: 'TYPE_FORBIDDEN' },
      ]);
      const types = `types: ['${type}']`;
      await bench.write('secretbridge.yaml', MAIN.replace("keys: ['a/**']", `keys: ['a/**'], ${types}`));
      expect((await sync(bench)).outcomes[1]).toEqual({ mapping: 'typed', outcome: 'created' });
    },
  );

  it('is not reached by merging keys into an existing Secret of this type', async () => {
    await using bench = await openBench(MAIN);
    await bench.write('store/a/own', 'ours');
    const release = `apiVersion: v1\nkind: Secret\nmetadata: { name: release, namespace: a }\ntype: helm.sh/release.v1\nstringData: { release: theirs }\n`;
    await bench.write('cluster/a/release.yaml', release);
    await bench.write(
      'teams/a/one.yaml',
      `mappings: [ { name: m, target: { namespace: a, secret: release, mode: merge }, ${source('a/own')} } ]\n`,
    );
    expect((await sync(bench)).outcomes).toEqual([
      { mapping: 'm', outcome: 'failed', code: 'TYPE_FORBIDDEN' },
    ]);
    expect(await bench.read('cluster/a/release.yaml')).toBe(release);
  });

  it.each(['kubernetes.io/service-account-token', 'bootstrap.kubernetes.io/token'])(
    'is never written if it grants access, whatever `types` says: %s',
    async (type) => {
      await using bench = await openBench(MAIN.replace("keys: ['a/**']", "keys: ['a/**'], types: ['**']"));
      await bench.write('store/a/own', 'ours');
      await bench.write('teams/a/one.yaml', `mappings:\n${typed('typed', type)}`);
      const { json } = await bench.run('validate', '--output', 'json');
      expect(json).toMatchObject({ problems: [{ code: 'TYPE_FORBIDDEN' }] });
      expect((await sync(bench)).outcomes).toEqual([]);
    },
  );
});
