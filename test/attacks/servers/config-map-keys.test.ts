import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { openBench } from '../../cli/harness.ts';
import { bridgeOf, openRendered, type Rendered, render, templateOf } from '../../integration/deploy/chart.ts';
import { HELM_NOTE, isHelmAvailable } from '../../integration/services/kubectl-layer.ts';

// A tenant may edit its ConfigMap, and adds the file name of another tenant as a second key.

interface Source {
  readonly configMap: {
    readonly name: string;
    readonly optional?: boolean;
    readonly items?: readonly { readonly key: string; readonly path: string }[];
  };
}

type Data = Readonly<Record<string, string>>;

/** Returns the files that the kubelet puts into a projected volume. If two sources have the same path, the last wins. */
function filesIn(objects: readonly Rendered[], volume: string): Data {
  const { volumes } = templateOf(bridgeOf(objects)).spec;
  const sources = (volumes.find(({ name }) => name === volume)?.projected?.sources ??
    []) as readonly Source[];
  const files = sources.flatMap(({ configMap: { name, items, optional } }) => {
    const found = objects.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === name);
    const data = (found?.data ?? {}) as Data;
    return (items ?? Object.keys(data).map((key) => ({ key, path: key }))).flatMap(({ key, path }) => {
      const text = data[key];
      if (text === undefined && optional !== true)
        throw new Error(`${name} has no key ${key}, so no file is updated`);
      return text === undefined ? [] : [[path, text] as const];
    });
  });
  return Object.fromEntries(files);
}

const tenant = (team: string) => ({
  name: `team-${team}`,
  namespaces: [`team-${team}`],
  stores: ['vault'],
  keys: [`${team}/**`],
  limits: { mappings: 50 },
  mappings: [
    {
      name: `${team}-db`,
      target: { namespace: `team-${team}` },
      data: { KEY: { store: 'vault', key: `${team}/db` } },
    },
  ],
});

async function renderTenants(): Promise<readonly Rendered[]> {
  await using bench = await openBench();
  const store = {
    name: 'vault',
    kind: 'vault',
    address: 'https://v',
    auth: { method: 'kubernetes', role: 'b' },
  };
  const path = join(bench.folder, 'values.yaml');
  await writeFile(path, stringify({ config: { stores: [store] }, tenants: [tenant('a'), tenant('b')] }));
  return await render('--is-upgrade', '--values', path);
}

/** Returns the objects after a tenant has changed the data of its ConfigMap. */
function edit(objects: readonly Rendered[], team: string, change: (data: Data) => Data): readonly Rendered[] {
  return objects.map((object) =>
    object.kind === 'ConfigMap' && object.metadata.name.endsWith(`-tenant-team-${team}`)
      ? { ...object, data: change(object.data as Data) }
      : object,
  );
}

describe.skipIf(!isHelmAvailable)(`a tenant's ConfigMap${HELM_NOTE}`, () => {
  it('fills only the file of its own tenant, whatever keys the tenant adds to it', async () => {
    const objects = await renderTenants();
    const before = filesIn(objects, 'tenants');
    expect(Object.keys(before)).toEqual(['team-a.yaml', 'team-b.yaml']);
    const stolen = edit(objects, 'b', (data) => ({
      ...data,
      'team-a.yaml': 'mappings: []',
      'team-c.yaml': 'mappings: []',
      'secretbridge.yaml': 'instance: stolen',
    }));
    expect(filesIn(stolen, 'tenants')).toEqual(before);
    expect(filesIn(stolen, 'config')).toEqual(filesIn(objects, 'config'));
  });

  it('stops neither the files of other tenants nor a new pod if it loses its key or is deleted', async () => {
    const objects = await renderTenants();
    const { 'team-a.yaml': kept, ...others } = filesIn(objects, 'tenants');
    expect(Object.keys(others)).toEqual(['team-b.yaml']);
    for (const left of [
      edit(objects, 'b', () => ({})),
      objects.filter(({ metadata }) => !/-tenant-team-b$/.test(metadata.name)),
    ])
      expect(filesIn(left, 'tenants')).toEqual({ 'team-a.yaml': kept });
  });

  it('carries the limits of its tenant into the configuration', async () => {
    await using rendered = await openRendered(await renderTenants());
    const { code, json } = await rendered.command('validate');
    expect(json).toMatchObject({ valid: true, problems: [] });
    expect(code).toBe(0);
    expect(await rendered.read('etc/secretbridge/secretbridge.yaml')).toContain('"mappings": 50');
  });
});
