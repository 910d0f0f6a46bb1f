import { describe, expect, it } from 'vitest';
import { SecretValue } from '../../src/core/secret-value.ts';
import type { TargetId } from '../../src/core/target.ts';
import { describeForeignFields } from './cluster-foreign-fields.ts';
import {
  type ClusterHarness,
  change,
  dataAsText,
  manifest,
  mergeManifest,
  readNow,
} from './cluster-harness.ts';
import { describeMerge } from './cluster-merge.ts';
import { describeRemove } from './cluster-remove.ts';

const text = (value: string) => SecretValue.fromText(value);
const base64 = (value: string) => Buffer.from(value).toString('base64');
const latin1 = (value: string) => Buffer.from(value).toString('latin1');

export function describeCluster(name: string, open: () => Promise<ClusterHarness>): void {
  describe(`${name} conforms to the cluster port`, () => {
    const app = (h: ClusterHarness): TargetId => ({ namespace: h.namespace, secret: 'app' });
    const foreign = (h: ClusterHarness): TargetId => ({ namespace: h.namespace, secret: 'foreign' });

    describeForeignFields(open);
    describeRemove(open);
    describeMerge(open);

    it('returns undefined for a Secret that does not exist', async () => {
      await using h = await open();
      expect(await h.cluster.read(app(h))).toBeUndefined();
    });

    it('creates a Secret, and reads it with the same content', async () => {
      await using h = await open();
      const written = await h.cluster.create(app(h), manifest());
      const live = await readNow(h.cluster, app(h));
      expect(live).toMatchObject({
        id: app(h),
        type: 'Opaque',
        immutable: false,
        labels: manifest().labels,
        annotations: manifest().annotations,
        controlled: false,
        deleting: false,
      });
      expect(dataAsText(live.data)).toEqual({ password: latin1('p@ss\nwörd') });
      expect(live.uid).not.toBe('');
      expect(written).toEqual({ kind: 'written', resourceVersion: live.resourceVersion });
    });

    it('reports which labels and annotations of a Secret are ours', async () => {
      await using h = await open();
      await h.cluster.create(app(h), manifest());
      expect((await readNow(h.cluster, app(h))).ours).toEqual({
        labels: ['secretbridge.dev/instance', 'team'],
        annotations: ['secretbridge.dev/sources'],
      });
      await h.put(foreign(h), { metadata: { labels: { team: 'payments' } }, data: {} });
      expect((await readNow(h.cluster, foreign(h))).ours).toBeUndefined();
    });

    it('does not create a Secret if a Secret with this name exists, and leaves the existing Secret unchanged', async () => {
      await using h = await open();
      await h.put(foreign(h), { data: { key: base64('theirs') } });
      const before = await h.raw(foreign(h));
      expect(await h.cluster.create(foreign(h), manifest())).toEqual({ kind: 'conflict' });
      expect(await h.raw(foreign(h))).toEqual(before);
    });

    it('creates nothing in a dry run, and returns the same kind of result as a real run', async () => {
      await using h = await open();
      const rehearsal = await h.cluster.create(app(h), manifest(), { dryRun: true });
      expect(rehearsal.kind).toBe('written');
      expect(await h.cluster.read(app(h))).toBeUndefined();
      await h.cluster.create(app(h), manifest());
      expect(await h.cluster.create(app(h), manifest(), { dryRun: true })).toEqual({ kind: 'conflict' });
    });

    it('replaces and merges nothing in a dry run, and returns the same results as a real run', async () => {
      await using h = await open();
      await h.cluster.create(app(h), manifest());
      await h.put(foreign(h), { data: { theirs: base64('kept') } });
      const before = [await h.raw(app(h)), await h.raw(foreign(h))];
      const [live, foreignLive] = [await readNow(h.cluster, app(h)), await readNow(h.cluster, foreign(h))];
      const replacement = change({ data: new Map([['n', text('1')]]) });
      const dryRun = { dryRun: true };
      expect((await h.cluster.replace(live, replacement, dryRun)).kind).toBe('written');
      expect((await h.cluster.merge(foreignLive, mergeManifest({ ours: '1' }), dryRun)).kind).toBe('written');
      expect([await h.raw(app(h)), await h.raw(foreign(h))]).toEqual(before);
      await h.edit(app(h), { data: { theirs: base64('1') } });
      expect(await h.cluster.replace(live, replacement, dryRun)).toEqual({ kind: 'conflict' });
      await h.remove(app(h));
      expect(await h.cluster.replace(live, replacement, dryRun)).toEqual({ kind: 'conflict' });
      expect(await h.cluster.read(app(h))).toBeUndefined();
    });

    it('replaces all data of a Secret, and so removes keys that are no longer wanted', async () => {
      await using h = await open();
      await h.cluster.create(
        app(h),
        manifest({
          data: new Map([
            ['old', text('1')],
            ['both', text('2')],
          ]),
        }),
      );
      const live = await readNow(h.cluster, app(h));
      const data = new Map([
        ['both', text('3')],
        ['new', text('4')],
      ]);
      const written = await h.cluster.replace(live, change({ data }));
      const after = await readNow(h.cluster, app(h));
      expect(dataAsText(after.data)).toEqual({ both: '3', new: '4' });
      expect(after.uid).toBe(live.uid);
      expect(after.resourceVersion).not.toBe(live.resourceVersion);
      expect(written).toEqual({ kind: 'written', resourceVersion: after.resourceVersion });
    });

    it('can replace a Secret that it wrote itself if it has read the Secret after this write', async () => {
      await using h = await open();
      await h.cluster.create(app(h), manifest());
      for (const value of ['1', '2', '3']) {
        const data = new Map([['n', text(value)]]);
        const result = await h.cluster.replace(await readNow(h.cluster, app(h)), change({ data }));
        expect(result.kind).toBe('written');
      }
      expect(dataAsText((await readNow(h.cluster, app(h))).data)).toEqual({ n: '3' });
    });

    it('keeps the resource version if a merge changes nothing', async () => {
      await using h = await open();
      await h.cluster.create(app(h), manifest());
      const live = await readNow(h.cluster, app(h));
      const { resourceVersion } = live;
      expect(await h.cluster.replace(live, change())).toEqual({ kind: 'written', resourceVersion });
      expect((await readNow(h.cluster, app(h))).resourceVersion).toBe(resourceVersion);
    });

    it('does not replace a Secret that was edited after it was read, and reports a conflict', async () => {
      await using h = await open();
      await h.cluster.create(app(h), manifest());
      const live = await readNow(h.cluster, app(h));
      await h.edit(app(h), { data: { theirs: base64('1') } });
      const edited = await readNow(h.cluster, app(h));
      expect(edited.resourceVersion).not.toBe(live.resourceVersion);
      expect(await h.cluster.replace(live, change())).toEqual({ kind: 'conflict' });
      expect(dataAsText((await readNow(h.cluster, app(h))).data)).toEqual(dataAsText(edited.data));
    });

    it('does not create a Secret that was deleted after it was read, and reports a conflict', async () => {
      await using h = await open();
      await h.cluster.create(app(h), manifest());
      const live = await readNow(h.cluster, app(h));
      await h.remove(app(h));
      expect(await h.cluster.replace(live, change())).toEqual({ kind: 'conflict' });
      expect(await h.cluster.read(app(h))).toBeUndefined();
    });

    it('does not replace a Secret that was recreated after it was read, and reports a conflict', async () => {
      await using h = await open();
      await h.cluster.create(app(h), manifest());
      const live = await readNow(h.cluster, app(h));
      await h.remove(app(h));
      await h.put(app(h), { data: { key: base64('theirs') } });
      expect(await h.cluster.replace(live, change())).toEqual({ kind: 'conflict' });
      expect(dataAsText((await readNow(h.cluster, app(h))).data)).toEqual({ key: 'theirs' });
    });

    it('keeps every byte of binary, empty and multi-line values, and accepts unusual key names', async () => {
      await using h = await open();
      const data = new Map([
        ['all', SecretValue.fromBytes(Uint8Array.from({ length: 256 }, (_, n) => n))],
        ['empty', text('')],
        ['crlf', text('a\r\nb\n')],
        ['nul', text('a\0b')],
        ['__proto__', text('a key like any other')],
        ['constructor', text('another')],
        ['-._0', text('1e3')],
      ]);
      await h.cluster.create(app(h), manifest({ data }));
      expect(dataAsText((await readNow(h.cluster, app(h))).data)).toEqual(dataAsText(data));
      await h.cluster.replace(await readNow(h.cluster, app(h)), change({ data, labels: { again: '1' } }));
      expect(dataAsText((await readNow(h.cluster, app(h))).data)).toEqual(dataAsText(data));
    });

    it('accepts a Secret with 1 MiB of data, and a Secret without data', async () => {
      await using h = await open();
      const bytes = Uint8Array.from({ length: 1024 * 1024 }, (_, n) => (n * 7919) % 251);
      await h.cluster.create(app(h), manifest({ data: new Map([['big', SecretValue.fromBytes(bytes)]]) }));
      const live = await readNow(h.cluster, app(h));
      expect(live.data.get('big')?.equals(SecretValue.fromBytes(bytes))).toBe(true);
      expect((await h.cluster.replace(live, change({ data: new Map() }))).kind).toBe('written');
      expect((await readNow(h.cluster, app(h))).data.size).toBe(0);
    });

    it('accepts a Secret whose name contains dots, and a Secret with a custom type', async () => {
      await using h = await open();
      const id = { namespace: h.namespace, secret: 'tls.example.com' };
      await h.cluster.create(id, manifest({ type: 'example.com/own' }));
      expect((await readNow(h.cluster, id)).type).toBe('example.com/own');
    });

    it('refuses a new type of a Secret with the code IMMUTABLE, and keeps the Secret', async () => {
      await using h = await open();
      await h.cluster.create(app(h), manifest());
      const before = await h.raw(app(h));
      const live = await readNow(h.cluster, app(h));
      const replaced = h.cluster.replace(live, change({ type: 'example.com/other' }));
      await expect(replaced).rejects.toMatchObject({ code: 'IMMUTABLE', subject: `${h.namespace}/app` });
      expect(await h.raw(app(h))).toEqual(before);
    });

    it('refuses to change the data or the `immutable` flag of an immutable Secret (code IMMUTABLE), but allows new labels', async () => {
      await using h = await open();
      await h.cluster.create(app(h), manifest({ immutable: true }));
      const live = await readNow(h.cluster, app(h));
      expect(live.immutable).toBe(true);
      const data = new Map([['password', text('new')]]);
      await expect(h.cluster.replace(live, change({ immutable: true, data }))).rejects.toMatchObject({
        code: 'IMMUTABLE',
      });
      await expect(h.cluster.replace(live, change({ immutable: false }))).rejects.toMatchObject({
        code: 'IMMUTABLE',
      });
      const labels = { team: 'other' };
      expect((await h.cluster.replace(live, change({ immutable: true, labels }))).kind).toBe('written');
    });

    it('makes an existing Secret immutable if the new manifest has the field `immutable`', async () => {
      await using h = await open();
      await h.cluster.create(app(h), manifest());
      await h.cluster.replace(await readNow(h.cluster, app(h)), change({ immutable: true }));
      expect((await readNow(h.cluster, app(h))).immutable).toBe(true);
    });

    it('lets exactly one of twenty concurrent replacements succeed if every replacement follows the same read', async () => {
      await using h = await open();
      await h.cluster.create(app(h), manifest());
      const second = await h.another();
      const readings = await Promise.all([readNow(h.cluster, app(h)), readNow(second, app(h))]);
      const results = await Promise.all(
        Array.from({ length: 20 }, async (_, n) => {
          const data = new Map([['winner', text(`${n}`)]]);
          const [cluster, live] = n % 2 === 0 ? [h.cluster, readings[0]] : [second, readings[1]];
          return { n, result: await cluster.replace(live, change({ data })) };
        }),
      );
      const winners = results.filter(({ result }) => result.kind === 'written');
      expect(winners).toHaveLength(1);
      expect(dataAsText((await readNow(h.cluster, app(h))).data)).toEqual({ winner: `${winners[0]?.n}` });
      await second[Symbol.asyncDispose]();
    });

    it('lets exactly one of twenty concurrent creations of a Secret succeed', async () => {
      await using h = await open();
      const second = await h.another();
      const results = await Promise.all(
        Array.from({ length: 20 }, (_, n) => {
          const data = new Map([['winner', text(`${n}`)]]);
          return (n % 2 === 0 ? h.cluster : second).create(app(h), manifest({ data }));
        }),
      );
      const winners = results.flatMap(({ kind }, n) => (kind === 'written' ? [n] : []));
      expect(winners).toHaveLength(1);
      expect(dataAsText((await readNow(h.cluster, app(h))).data)).toEqual({ winner: `${winners[0]}` });
      await second[Symbol.asyncDispose]();
    });

    it.each([
      ['..', 'app'],
      ['a/b', 'app'],
      ['', 'app'],
      ['A', 'app'],
      ['team', '..'],
      ['team', '../../etc/passwd'],
      ['team', 'a/b'],
      ['team', ''],
      ['team', 'App'],
      ['team', 'a%2fb'],
      ['team', `${'a'.repeat(254)}`],
    ])('rejects the namespace %j with the Secret name %j', async (namespace, secret) => {
      await using h = await open();
      const id = { namespace, secret };
      await expect(h.cluster.read(id)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
      await expect(h.cluster.create(id, manifest())).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    });

    it('writes nothing if its signal is already aborted', async () => {
      await using h = await open();
      await h.cluster.create(app(h), manifest());
      const live = await readNow(h.cluster, app(h));
      const signal = AbortSignal.abort();
      await expect(h.cluster.replace(live, change({ labels: { a: '1' } }), { signal })).rejects.toMatchObject(
        {
          code: 'CLUSTER_UNAVAILABLE',
        },
      );
      expect((await readNow(h.cluster, app(h))).resourceVersion).toBe(live.resourceVersion);
    });

    it('answers a ping, and has every permission that the service needs', async () => {
      await using h = await open();
      await expect(h.cluster.ping()).resolves.toBeDefined();
      const { namespace } = h;
      for (const verb of ['get', 'update'] as const) {
        expect(await h.cluster.checkAccess({ namespace, verb, secret: 'app' })).toBe(true);
      }
      expect(await h.cluster.checkAccess({ namespace, verb: 'create' })).toBe(true);
    });
  });
}
