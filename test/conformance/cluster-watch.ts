import { describe, expect, it } from 'vitest';
import type { WatchScope } from '../../src/cluster/cluster.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import { type ClusterHarness, change, manifest, mergeManifest, readNow } from './cluster-harness.ts';
import { metaOf, openWatchLog, type WatchLog } from './cluster-watch-log.ts';

export interface WatchTraits {
  /** Whether the watch covers only the Secret `app`, or its whole namespace. */
  readonly scope: 'name' | 'namespace';
  /** Whether the watch reports every version. A watch that polls can miss versions. */
  readonly reportsEveryVersion: boolean;
  /** Whether the cluster stores which field manager wrote a field. */
  readonly recordsManagers: boolean;
}

const base64 = (value: string) => Buffer.from(value).toString('base64');
const data = (value: string) => new Map([['password', SecretValue.fromText(value)]]);

export function describeWatch(
  name: string,
  open: () => Promise<ClusterHarness>,
  { scope: kind, reportsEveryVersion, recordsManagers }: WatchTraits,
): void {
  describe(`${name}: watches`, () => {
    const app = (h: ClusterHarness) => ({ namespace: h.namespace, secret: 'app' });
    const foreign = (h: ClusterHarness) => ({ namespace: h.namespace, secret: 'foreign' });
    const scope = (h: ClusterHarness): WatchScope =>
      kind === 'namespace' ? { namespace: h.namespace } : app(h);
    const writeValue = async (h: ClusterHarness, value: string) => {
      const result = await h.cluster.replace(await readNow(h.cluster, app(h)), change({ data: data(value) }));
      if (result.kind !== 'written') throw new Error('nothing was written');
      return result.resourceVersion;
    };
    const hasVersion = (version: string) => (log: WatchLog) =>
      log.now().get('app')?.resourceVersion === version;

    it('starts a watch with a list of the existing Secrets', async () => {
      await using h = await open();
      await h.cluster.create(app(h), manifest());
      await using log = openWatchLog(h.cluster, scope(h));
      await log.until(({ records }) => records.length > 0);
      const live = await readNow(h.cluster, app(h));
      expect(log.records[0]).toMatchObject({
        kind: 'listed',
        found: [
          {
            id: app(h),
            uid: live.uid,
            resourceVersion: live.resourceVersion,
            labels: live.labels,
            annotations: live.annotations,
            deleting: false,
            ours: { ...live.ours, data: ['password'] },
          },
        ],
      });
    });

    it('starts a watch with an empty list if no Secret exists, and reports progress', async () => {
      await using h = await open();
      await using log = openWatchLog(h.cluster, scope(h));
      await log.until(({ records, progressCount }) => records.length > 0 && progressCount() > 0);
      expect(log.records).toEqual([{ kind: 'listed', found: [] }]);
      expect(log.errors).toEqual([]);
    });

    it('reports our own writes, writes of other programs, and deletions', async () => {
      await using h = await open();
      await using log = openWatchLog(h.cluster, scope(h));
      await log.until(({ listCount }) => listCount() === 1);
      const created = await h.cluster.create(app(h), manifest());
      await log.until(hasVersion(created.kind === 'written' ? created.resourceVersion : ''));
      await log.until(hasVersion(await writeValue(h, 'second')));
      await h.edit(app(h), { data: { password: base64('by hand') } });
      await log.until(hasVersion((await readNow(h.cluster, app(h))).resourceVersion));
      await h.edit(app(h), { metadata: { labels: { added: '1' }, annotations: { added: '2' } } });
      await log.until(({ now }) => now().get('app')?.labels.added === '1');
      expect(metaOf(log, 'app').annotations.added).toBe('2');
      await h.remove(app(h));
      await log.until(({ now }) => !now().has('app'));
      expect(log.records.at(-1)).toEqual({ kind: 'gone', secret: 'app' });
      expect(log.listCount()).toBe(1);
      expect(log.errors).toEqual([]);
    });

    it('reports a manual edit after about a second', async () => {
      await using h = await open();
      await h.cluster.create(app(h), manifest());
      await using log = openWatchLog(h.cluster, scope(h));
      await log.until(({ listCount }) => listCount() === 1);
      await h.edit(app(h), { data: { password: base64('by hand') } });
      await log.until(hasVersion((await readNow(h.cluster, app(h))).resourceVersion), 1_500);
    });

    it('reports no Secret outside of the watched scope', async () => {
      await using h = await open();
      await using log = openWatchLog(h.cluster, scope(h));
      await log.until(({ listCount }) => listCount() === 1);
      await h.cluster.create(foreign(h), manifest());
      await h.cluster.create(app(h), manifest());
      await log.until(({ now }) => now().has('app'));
      expect([...log.now().keys()].sort()).toEqual(kind === 'namespace' ? ['app', 'foreign'] : ['app']);
    });

    it('reports a Secret without its content', async () => {
      await using h = await open();
      await using log = openWatchLog(h.cluster, scope(h));
      await h.cluster.create(app(h), manifest({ data: data('marker-value') }));
      await log.until(({ now }) => now().has('app'));
      const text = JSON.stringify(log.records);
      expect(text).not.toContain('marker-value');
      expect(text).not.toContain(base64('marker-value'));
    });

    it('reports the versions of a Secret in order', async () => {
      await using h = await open();
      await h.cluster.create(app(h), manifest());
      await using log = openWatchLog(h.cluster, scope(h));
      await log.until(({ listCount }) => listCount() === 1);
      const versions: string[] = [];
      for (let n = 0; n < 10; n += 1) versions.push(await writeValue(h, `${n}`));
      await log.until(hasVersion(versions.at(-1) ?? ''));
      const reported = log.records.flatMap((event) =>
        event.kind === 'changed' ? [event.meta.resourceVersion] : [],
      );
      if (reportsEveryVersion) expect(reported).toEqual(versions);
      else expect(versions.filter((version) => reported.includes(version))).toEqual(reported);
    });

    it('reports nothing after a write that changes nothing', async () => {
      await using h = await open();
      await h.cluster.create(app(h), manifest());
      await using log = openWatchLog(h.cluster, scope(h));
      await log.until(({ listCount }) => listCount() === 1);
      await h.cluster.replace(await readNow(h.cluster, app(h)), change());
      await log.until(hasVersion(await writeValue(h, 'real')));
      expect(log.records).toHaveLength(2);
    });

    it('reports the new uid of a Secret that was deleted and recreated', async () => {
      await using h = await open();
      await h.cluster.create(app(h), manifest());
      await using log = openWatchLog(h.cluster, scope(h));
      await log.until(({ listCount }) => listCount() === 1);
      const { uid } = metaOf(log, 'app');
      await h.cluster.remove(await readNow(h.cluster, app(h)));
      await h.cluster.create(app(h), manifest());
      await log.until(({ now }) => (now().get('app')?.uid ?? uid) !== uid);
    });

    if (recordsManagers)
      it('reports whether another writer made the last change to any part of the content (in a cluster that stores field managers)', async () => {
        await using h = await open();
        await using log = openWatchLog(h.cluster, scope(h));
        const two = new Map([...data('1'), ['other', SecretValue.fromText('2')]]);
        await h.cluster.create(app(h), manifest({ data: two }));
        await log.until(({ now }) => now().has('app'));
        expect(metaOf(log, 'app')).toMatchObject({ foreign: false, ours: { data: ['other', 'password'] } });
        await h.edit(app(h), { metadata: { labels: { theirs: '1' }, annotations: { theirs: '1' } } });
        await log.until(({ now }) => now().get('app')?.labels.theirs === '1');
        expect(metaOf(log, 'app').foreign).toBe(false);
        await h.edit(app(h), { data: { password: base64('by hand') } });
        await log.until(({ now }) => now().get('app')?.foreign === true);
        expect(metaOf(log, 'app').ours?.data).toEqual(['other']);
        await log.until(hasVersion(await writeValue(h, 'ours again')));
        expect(metaOf(log, 'app').foreign).toBe(false);
      });

    if (recordsManagers)
      it('no longer reports a key as ours after another writer removed it (in a cluster that stores field managers)', async () => {
        await using h = await open();
        const two = new Map([...data('1'), ['other', SecretValue.fromText('2')]]);
        await h.cluster.create(app(h), manifest({ data: two }));
        await using log = openWatchLog(h.cluster, scope(h));
        await log.until(({ listCount }) => listCount() === 1);
        await h.edit(app(h), { data: { other: null } });
        await log.until(({ now }) => now().get('app')?.ours?.data.length === 1);
        expect(metaOf(log, 'app').ours?.data).toEqual(['password']);
      });

    if (recordsManagers)
      it("does not report a field as ours if it is in another writer's Secret, or if an adoption left it unchanged (in a cluster that stores field managers)", async () => {
        await using h = await open();
        await h.put(app(h), { type: 'Opaque', data: { password: base64('theirs') } });
        await using log = openWatchLog(h.cluster, scope(h));
        await log.until(({ listCount }) => listCount() === 1);
        expect(metaOf(log, 'app')).toMatchObject({ foreign: true });
        expect(metaOf(log, 'app').ours).toBeUndefined();
        await log.until(hasVersion(await writeValue(h, 'theirs')));
        expect(metaOf(log, 'app')).toMatchObject({ foreign: true, ours: { data: [] } });
      });

    if (kind === 'namespace')
      it('reports a Secret with merged keys as changed by another writer', async () => {
        await using h = await open();
        await h.put(foreign(h), { data: { theirs: base64('1') } });
        await using log = openWatchLog(h.cluster, scope(h));
        await h.cluster.merge(await readNow(h.cluster, foreign(h)), mergeManifest({ ours: '1' }));
        const merged = (await readNow(h.cluster, foreign(h))).resourceVersion;
        await log.until(({ now }) => now().get('foreign')?.resourceVersion === merged);
        expect(metaOf(log, 'foreign')).toMatchObject({ foreign: recordsManagers ? true : 'unknown' });
      });

    if (!recordsManagers)
      it('reports the last writer as unknown if the cluster does not store field managers', async () => {
        await using h = await open();
        await h.cluster.create(app(h), manifest());
        await using log = openWatchLog(h.cluster, scope(h));
        await log.until(({ now }) => now().has('app'));
        expect(metaOf(log, 'app')).toMatchObject({ foreign: 'unknown', ours: { data: ['password'] } });
      });

    it('ends a watch immediately, and reports nothing after its end', async () => {
      await using h = await open();
      const ended = openWatchLog(h.cluster, scope(h));
      await using log = openWatchLog(h.cluster, scope(h));
      await ended.until(({ listCount }) => listCount() === 1);
      await log.until(({ listCount }) => listCount() === 1);
      await ended[Symbol.asyncDispose]();
      const before = ended.records.length;
      await h.cluster.create(app(h), manifest());
      await log.until(({ now }) => now().has('app'));
      expect(ended.records).toHaveLength(before);
    });

    it('rejects a watch of an invalid namespace or Secret name', async () => {
      await using h = await open();
      for (const invalidScope of [{ namespace: '..' }, { namespace: 'team', secret: '../x' }]) {
        expect(() => openWatchLog(h.cluster, invalidScope)).toThrow(
          expect.objectContaining({ code: 'CONFIG_INVALID' }),
        );
      }
    });
  });
}
