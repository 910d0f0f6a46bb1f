import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { parse } from 'yaml';
import { createDirectoryCluster } from '../../src/cluster/directory/directory.ts';
import { withDiskErrors } from '../../src/cluster/directory/disk.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import { change, dataAsText, manifest, readNow } from '../conformance/cluster-harness.ts';

const id = { namespace: 'team', secret: 'app' };
const clock = { now: () => Date.parse('2026-11-25T10:00:00.123Z') };

async function open() {
  const path = await mkdtemp(join(tmpdir(), 'secretbridge-files-'));
  const file = join(path, 'team', 'app.yaml');
  return {
    path,
    file,
    cluster: createDirectoryCluster({ path, clock, newUid: () => 'a-uid' }),
    /** Writes a manifest as a person would. */
    async hand(text: string) {
      await mkdir(join(path, 'team'), { recursive: true });
      await writeFile(file, text);
    },
    async [Symbol.asyncDispose]() {
      await rm(path, { recursive: true, force: true });
    },
  };
}

const FINGERPRINT = expect.stringMatching(/^[0-9a-f]{8}:[0-9a-f]{64}$/);

const modeOf = async (path: string) => ((await stat(path)).mode & 0o777).toString(8);

describe('files of a directory cluster', () => {
  it.each(['EACCES', 'EPERM', 'EROFS'])(
    'blames file permissions, and not missing Roles, for the system error %s',
    async (code) => {
      const work = () => Promise.reject(Object.assign(new Error('no'), { code }));
      const thrown = await withDiskErrors('team/app', work).catch((error: unknown) => error);
      expect(thrown).toMatchObject({
        code: 'CLUSTER_FORBIDDEN',
        remedy: expect.stringContaining('`cluster.path`'),
      });
      expect(thrown).not.toHaveProperty('remedy', expect.stringContaining('rbac'));
    },
  );

  it('makes files and folders readable only by their owner', async () => {
    await using d = await open();
    const cluster = createDirectoryCluster({ path: join(d.path, 'new', 'folder'), clock });
    await cluster.create(id, manifest());
    for (const folder of ['new', 'new/folder', 'new/folder/team'])
      expect(await modeOf(join(d.path, folder))).toBe('700');
    expect(await modeOf(join(d.path, 'new/folder/team/app.yaml'))).toBe('600');
    await d.hand('apiVersion: v1\nkind: Secret\nmetadata: { name: app }\n');
    await chmod(d.file, 0o644);
    await d.cluster.replace(await readNow(d.cluster, id), change());
    expect(await modeOf(d.file)).toBe('600');
  });

  it('writes manifests for kubectl, without uid, version and managed fields', async () => {
    await using d = await open();
    await d.cluster.create(id, manifest());
    const { metadata, ...rest } = parse(await readFile(d.file, 'utf8'));
    expect(rest).toEqual({
      apiVersion: 'v1',
      kind: 'Secret',
      type: 'Opaque',
      data: { password: Buffer.from('p@ss\nwörd').toString('base64') },
    });
    expect(Object.keys(metadata).sort()).toEqual([
      'annotations',
      'creationTimestamp',
      'labels',
      'name',
      'namespace',
    ]);
    expect(metadata.creationTimestamp).toBe('2026-11-25T10:00:00Z');
    expect(JSON.parse(metadata.annotations['directory.secretbridge.dev/state'])).toEqual({
      uid: 'a-uid',
      version: 1,
      place: 'team/app',
      labels: { 'secretbridge.dev/instance': FINGERPRINT, team: FINGERPRINT },
      annotations: { 'secretbridge.dev/sources': FINGERPRINT },
    });
    expect((await readNow(d.cluster, id)).annotations).toEqual(manifest().annotations);
  });

  it('quotes a text if the YAML 1.1 parser of kubectl would read it as another type', async () => {
    await using d = await open();
    const labels = { answer: 'yes', y: 'no', mode: '0755', at: '12:30' };
    await d.cluster.create(id, manifest({ labels, data: new Map([['on', SecretValue.fromText('x')]]) }));
    const { metadata, data } = parse(await readFile(d.file, 'utf8'), { version: '1.1' });
    expect(metadata.labels).toEqual(labels);
    expect(Object.keys(data)).toEqual(['on']);
  });

  it('stores only the Secret files, the lock and the fingerprint key in the folder', async () => {
    await using d = await open();
    await d.cluster.create(id, manifest());
    await d.cluster.create(id, manifest());
    await d.cluster.replace(await readNow(d.cluster, id), change({ labels: { a: '1' } }));
    expect(await readdir(join(d.path, 'team'))).toEqual(['app.yaml']);
    expect((await readdir(d.path)).sort()).toEqual(['.lock', '.merge.key', 'team']);
    expect((await stat(join(d.path, '.lock'))).size).toBe(0);
  });

  it('makes the resource version from a counter and a time, which reveal nothing about the values', async () => {
    await using d = await open();
    const one = await d.cluster.create(
      id,
      manifest({ data: new Map([['pin', SecretValue.fromText('1234')]]) }),
    );
    expect(one).toMatchObject({ resourceVersion: expect.stringMatching(/^1-[0-9a-z]+$/) });
  });
});

describe('a manifest that a person wrote', () => {
  it('prefers stringData to data in a manifest that a person wrote, and does not treat the manifest as ours', async () => {
    await using d = await open();
    await d.hand(
      'apiVersion: v1\nkind: Secret\nmetadata: { name: app }\ndata: { a: MQ==, b: Mg== }\nstringData: { b: "3", c: "é" }\n',
    );
    const live = await readNow(d.cluster, id);
    expect(live).toMatchObject({
      type: 'Opaque',
      labels: {},
      ours: undefined,
      uid: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
    expect(dataAsText(live.data)).toEqual({ a: '1', b: '3', c: Buffer.from('é').toString('latin1') });
    expect(await d.cluster.create(id, manifest())).toEqual({ kind: 'conflict' });
    await d.cluster.replace(live, change());
    const after = await readNow(d.cluster, id);
    expect(after.uid).toBe(live.uid);
    expect(Object.keys(dataAsText(after.data))).toEqual(['password']);
    expect(parse(await readFile(d.file, 'utf8'))).not.toHaveProperty('stringData');
  });

  it.each([
    ['empty', ''],
    ['not YAML', 'a: [b'],
    ['cut in the middle', 'apiVersion: v1\nkind: Secret\nmetadata: { name: app, namespa'],
    ['of another kind', 'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: app }\n'],
    ['of another name', 'apiVersion: v1\nkind: Secret\nmetadata: { name: other }\n'],
    ['of another namespace', 'apiVersion: v1\nkind: Secret\nmetadata: { name: app, namespace: other }\n'],
    ['of two documents', 'apiVersion: v1\nkind: Secret\nmetadata: { name: app }\n---\n{}\n'],
    [
      'with data that is not base64',
      'apiVersion: v1\nkind: Secret\nmetadata: { name: app }\ndata: { a: s3cret! }\n',
    ],
    [
      'with a number for a value',
      'apiVersion: v1\nkind: Secret\nmetadata: { name: app }\nstringData: { a: 1234 }\n',
    ],
    [
      'with a duplicate key',
      'apiVersion: v1\nkind: Secret\nmetadata: { name: app }\ndata: { a: MQ==, a: Mg== }\n',
    ],
    [
      'with an alias bomb',
      `a: &a [x,x]\n${'bcdefghijkl'
        .split('')
        .map((n, i) => `${n}: &${n} [${Array(9).fill(`*${'abcdefghijkl'[i]}`).join()}]`)
        .join('\n')}\n`,
    ],
    [
      'with an unknown tag',
      'apiVersion: v1\nkind: Secret\nmetadata: { name: app }\nstringData: { a: !vault s3cret }\n',
    ],
    [
      'with a map for a key',
      'apiVersion: v1\nkind: Secret\nmetadata: { name: app }\nstringData: { { s3cret: x }: y }\n',
    ],
    ['not UTF-8', Buffer.from([0x61, 0x3a, 0xff, 0xfe]).toString('latin1')],
  ])('rejects a manifest that is %s, and never treats it as a Secret without data', async (_, text) => {
    await using d = await open();
    await d.hand(text);
    using warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const thrown = await d.cluster.read(id).catch((error: unknown) => error);
    expect(warned).not.toHaveBeenCalled();
    expect(thrown).toMatchObject({ code: 'CLUSTER_UNAVAILABLE', subject: 'team/app' });
    expect(String(thrown)).not.toContain('s3cret');
    expect(await d.cluster.create(id, manifest())).toEqual({ kind: 'conflict' });
    expect(await readFile(d.file, 'utf8')).toBe(text);
  });
});

describe('the name of a Secret file', () => {
  it('accepts a Secret name with the maximum length of a file name, and rejects a longer name', async () => {
    await using d = await open();
    const long = { ...id, secret: 's'.repeat(250) };
    await d.cluster.create(long, manifest());
    await d.cluster.replace(await readNow(d.cluster, long), change({ labels: { a: '1' } }));
    expect(await readdir(join(d.path, 'team'))).toEqual([`${long.secret}.yaml`]);
    const work = d.cluster.create({ ...id, secret: 's'.repeat(251) }, manifest());
    await expect(work).rejects.toMatchObject({
      code: 'CLUSTER_REFUSED',
      remedy: expect.stringContaining('`target.secret`'),
    });
  });
});

describe('files left behind by a crash', () => {
  it('replaces a temporary file that a crash left behind, even if the file is a symbolic link', async () => {
    await using d = await open();
    await mkdir(join(d.path, 'team'));
    await writeFile(join(d.path, 'team', '.app.yaml.new'), 'half a manif');
    await d.cluster.create(id, manifest());
    const outside = join(d.path, 'outside');
    await writeFile(outside, 'theirs');
    await symlink(outside, join(d.path, 'team', '.app.yaml.new'));
    expect((await d.cluster.replace(await readNow(d.cluster, id), change({ labels: { a: '1' } }))).kind).toBe(
      'written',
    );
    expect(await readFile(outside, 'utf8')).toBe('theirs');
    expect(await readdir(join(d.path, 'team'))).toEqual(['app.yaml']);
  });
});

describe('an unusable cluster path', () => {
  it('every call fails with a typed error if the cluster path is a file', async () => {
    await using d = await open();
    const path = join(d.path, 'file');
    await writeFile(path, '');
    const cluster = createDirectoryCluster({ path, clock });
    await expect(cluster.ping()).rejects.toMatchObject({ code: 'CLUSTER_UNAVAILABLE' });
    await expect(cluster.read(id)).rejects.toMatchObject({ code: 'CLUSTER_UNAVAILABLE', detail: 'ENOTDIR' });
    await expect(cluster.create(id, manifest())).rejects.toMatchObject({ code: 'CLUSTER_UNAVAILABLE' });
  });

  it('fails with a typed error if the parent of the cluster path is a file', async () => {
    await using d = await open();
    await writeFile(join(d.path, 'file'), '');
    const cluster = createDirectoryCluster({ path: join(d.path, 'file', 'below'), clock });
    await expect(cluster.ping()).rejects.toMatchObject({ code: 'CLUSTER_UNAVAILABLE', detail: 'ENOTDIR' });
    const may = cluster.checkAccess({ namespace: 'team', verb: 'create' });
    await expect(may).rejects.toMatchObject({ code: 'CLUSTER_UNAVAILABLE', detail: 'ENOTDIR' });
  });

  it('reports CLUSTER_FORBIDDEN if the cluster path is not writable', async (context) => {
    context.skip(process.getuid?.() === 0, 'root may read and write everything');
    await using d = await open();
    await chmod(d.path, 0o500);
    await expect(d.cluster.create(id, manifest())).rejects.toMatchObject({ code: 'CLUSTER_FORBIDDEN' });
    expect(await d.cluster.checkAccess({ namespace: 'team', verb: 'create' })).toBe(false);
  });

  it('rejects a Secret name that is too long for a file name, instead of shortening it', async () => {
    await using d = await open();
    const long = { namespace: 'team', secret: 'a'.repeat(253) };
    await expect(d.cluster.create(long, manifest())).rejects.toMatchObject({ code: 'CLUSTER_REFUSED' });
    expect(await readdir(join(d.path, 'team'))).toEqual([]);
  });

  it('answers a ping and a read if the cluster path does not exist, and does not create this path', async () => {
    await using d = await open();
    const cluster = createDirectoryCluster({ path: join(d.path, 'later'), clock });
    await expect(cluster.ping()).resolves.toEqual({});
    expect(await cluster.read(id)).toBeUndefined();
    expect(await cluster.checkAccess({ namespace: 'team', verb: 'create' })).toBe(true);
    expect(await readdir(d.path)).toEqual([]);
  });

  it('rejects a `secretRef`, because the bridge has no namespace of its own in a directory cluster', async () => {
    await using d = await open();
    expect(d.cluster.ownNamespace()).toBeUndefined();
    await expect(d.cluster.ownSecret('a', 'b')).rejects.toMatchObject({ code: 'CREDENTIAL_MISSING' });
  });
});
