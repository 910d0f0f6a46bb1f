import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { createDirectoryCluster } from '../../src/cluster/directory/directory.ts';
import { change, dataAsText, manifest, mergeManifest, readNow } from '../conformance/cluster-harness.ts';

const id = { namespace: 'team', secret: 'app' };
const OURS = 'secretbridge.test.app';
const VALUE = 'a-value-to-look-for';

async function open() {
  const path = await mkdtemp(join(tmpdir(), 'secretbridge-merge-'));
  await mkdir(join(path, 'team'));
  const cluster = createDirectoryCluster({ path, clock: { now: () => 0 } });
  const file = join(path, 'team', 'app.yaml');
  return {
    path,
    file,
    cluster,
    key: join(path, '.merge.key'),
    hand: (text: string, name = 'app') => writeFile(join(path, 'team', `${name}.yaml`), text),
    text: () => readFile(file, 'utf8'),
    merge: async (data: Record<string, string>) =>
      cluster.merge(await readNow(cluster, id), mergeManifest(data)),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}

const THEIRS = 'apiVersion: v1\nkind: Secret\nmetadata: { name: app }\nstringData: { theirs: kept }\n';

describe('a merge into a file of a directory cluster', () => {
  it('stores only a keyed fingerprint of each merged key in the metadata, and stores values only in the data', async () => {
    await using d = await open();
    await d.hand(THEIRS);
    await d.merge({ ours: VALUE });
    const { metadata, data } = parse(await d.text());
    expect(data).toEqual({
      theirs: Buffer.from('kept').toString('base64'),
      ours: Buffer.from(VALUE).toString('base64'),
    });
    const { held, ...state } = JSON.parse(metadata.annotations['directory.secretbridge.dev/state']);
    expect(state).toEqual({ uid: expect.any(String), version: 1, place: 'team/app' });
    expect(held).toEqual([
      {
        manager: OURS,
        operation: 'Apply',
        labels: {},
        annotations: {},
        data: { ours: expect.stringMatching(/^[0-9a-f]{8}:[0-9a-f]{64}$/) },
      },
    ]);
    expect(JSON.stringify(metadata)).not.toContain(VALUE);
  });

  it('creates the fingerprint key at its first use, in a file that only the owner may read', async () => {
    await using d = await open();
    await d.hand(THEIRS);
    await readNow(d.cluster, id);
    await expect(stat(d.key)).rejects.toMatchObject({ code: 'ENOENT' });
    await d.merge({ ours: '1' });
    expect(((await stat(d.key)).mode & 0o777).toString(8)).toBe('600');
    const key = await readFile(d.key, 'utf8');
    expect(Buffer.from(key, 'base64')).toHaveLength(32);
    await d.merge({ ours: '2' });
    expect(await readFile(d.key, 'utf8')).toBe(key);
  });

  it('keeps the ownership of merged keys after the fingerprint key is lost, and records new fingerprints', async () => {
    await using d = await open();
    await d.hand(THEIRS);
    await d.merge({ ours: '1' });
    await rm(d.key);
    expect(d.cluster.mergedKeys(await readNow(d.cluster, id), OURS)).toEqual(['ours']);
    expect((await d.merge({ ours: '2' })).kind).toBe('written');
    expect(d.cluster.mergedKeys(await readNow(d.cluster, id), OURS)).toEqual(['ours']);
    expect((await d.merge({})).kind).toBe('written');
    expect(dataAsText((await readNow(d.cluster, id)).data)).toEqual({ theirs: 'kept' });
  });

  it('fails and writes nothing if the fingerprint key is invalid', async () => {
    await using d = await open();
    await d.hand(THEIRS);
    const live = await readNow(d.cluster, id);
    await writeFile(d.key, 'short');
    const thrown = await d.cluster.merge(live, mergeManifest({ ours: '1' })).catch((error: unknown) => error);
    expect(thrown).toMatchObject({ code: 'CLUSTER_UNAVAILABLE', subject: 'team/app' });
    expect(await d.text()).toBe(THEIRS);
  });

  it('restores the original file, except for its resource version, after all merged keys are released', async () => {
    await using d = await open();
    await d.hand(THEIRS);
    await d.merge({ ours: '1' });
    await d.merge({});
    const { metadata } = parse(await d.text());
    expect(JSON.parse(metadata.annotations['directory.secretbridge.dev/state'])).not.toHaveProperty('held');
  });
});

describe('a copy of a file', () => {
  it('does not treat a copied file with a new name, or any key in this file, as ours', async () => {
    await using d = await open();
    await d.cluster.create(id, manifest());
    await d.merge({ ours: '1' });
    const copy = parse(await d.text());
    copy.metadata.name = 'copy';
    await d.hand(stringify(copy), 'copy');
    const live = await readNow(d.cluster, { ...id, secret: 'copy' });
    expect(live.ours).toBeUndefined();
    expect(live.labels).toEqual(manifest().labels);
    expect(live.uid).not.toBe((await readNow(d.cluster, id)).uid);
    expect(d.cluster.mergedKeys(live, OURS)).toEqual([]);
  });
});

describe('folders of a directory cluster', () => {
  const namespace = (name: string, part: object = {}) =>
    stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, ...part } });

  it('treats each folder as a namespace, and reads the labels of a namespace from the manifest of this namespace', async () => {
    await using d = await open();
    await mkdir(join(d.path, 'web'));
    await mkdir(join(d.path, 'Not_A_Namespace'));
    await writeFile(join(d.path, 'web.yaml'), namespace('web', { labels: { tier: 'web' } }));
    await writeFile(join(d.path, 'new.yaml'), namespace('new', { labels: { tier: 'web' } }));
    await writeFile(
      join(d.path, 'old.yaml'),
      namespace('old', { deletionTimestamp: '2026-11-25T10:00:00Z' }),
    );
    await writeFile(join(d.path, 'config.yaml'), 'apiVersion: secretbridge.dev/v1\ninstance: test\n');
    await d.cluster.create(id, manifest());
    expect(await d.cluster.namespaces({})).toEqual(['new', 'team', 'web']);
    expect(await d.cluster.namespaces({ matchLabels: { tier: 'web' } })).toEqual(['new', 'web']);
    expect(await d.cluster.namespaces({ matchLabels: { 'kubernetes.io/metadata.name': 'team' } })).toEqual([
      'team',
    ]);
    // As in Kubernetes, a namespace cannot have the name label of another namespace.
    const lie = { labels: { 'kubernetes.io/metadata.name': 'team' } };
    await writeFile(join(d.path, 'web.yaml'), namespace('web', lie));
    expect(await d.cluster.namespaces({ matchLabels: { 'kubernetes.io/metadata.name': 'team' } })).toEqual([
      'team',
    ]);
  });

  it('lists no namespaces if the path does not exist, and does not create the path', async () => {
    await using d = await open();
    const cluster = createDirectoryCluster({ path: join(d.path, 'later'), clock: { now: () => 0 } });
    expect(await cluster.namespaces({})).toEqual([]);
    expect(await cluster.list('team', { name: 'a', value: 'b' })).toEqual([]);
    await expect(stat(join(d.path, 'later'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it.each([
    ['cannot be parsed', 'kind: [', 'team'],
    ['has another name', namespace('other'), 'team'],
    ['has labels that are not text', namespace('team', { labels: { a: 1 } }), 'team'],
  ])(
    'rejects the whole list of namespaces if the manifest of one namespace %s, so that no namespace is overlooked',
    async (_, text) => {
      await using d = await open();
      await writeFile(join(d.path, 'team.yaml'), text);
      await expect(d.cluster.namespaces({ matchLabels: { tier: 'web' } })).rejects.toMatchObject({
        code: 'CLUSTER_UNAVAILABLE',
      });
    },
  );

  it('lists only the Secrets of a folder and no objects of other kinds, and fails if any manifest is unreadable', async () => {
    await using d = await open();
    const label = { name: 'team', value: 'payments' };
    await d.cluster.create(id, manifest());
    await d.hand('apiVersion: v1\nkind: ConfigMap\nmetadata: { name: other }\n', 'other');
    await mkdir(join(d.path, 'team', 'folder.yaml'));
    await writeFile(join(d.path, 'team', 'notes.txt'), '');
    expect((await d.cluster.list('team', label)).map((live) => live.id.secret)).toEqual(['app']);
    await d.hand('kind: Secret\nmetadata: {', 'broken');
    await expect(d.cluster.list('team', label)).rejects.toMatchObject({ code: 'CLUSTER_UNAVAILABLE' });
  });

  it('does not create a missing folder if a Secret in this folder is to be deleted', async () => {
    await using d = await open();
    await d.cluster.create(id, manifest());
    const live = await readNow(d.cluster, id);
    await rm(join(d.path, 'team'), { recursive: true });
    expect(await d.cluster.merge(live, mergeManifest({ ours: '1' }))).toEqual({ kind: 'missing' });
    expect(await d.cluster.remove(live)).toEqual({ kind: 'removed' });
    await expect(stat(join(d.path, 'team'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('keeps a folder after its last Secret is removed', async () => {
    await using d = await open();
    await d.cluster.create(id, manifest());
    await d.cluster.remove(await readNow(d.cluster, id));
    expect((await stat(join(d.path, 'team'))).isDirectory()).toBe(true);
    expect((await d.cluster.replace(await create(d), change())).kind).toBe('written');
  });

  async function create({ cluster }: Awaited<ReturnType<typeof open>>) {
    await cluster.create(id, manifest());
    return readNow(cluster, id);
  }
});
