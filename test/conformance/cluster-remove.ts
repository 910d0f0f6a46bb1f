import { expect, it } from 'vitest';
import { type ClusterHarness, change, dataAsText, manifest, readNow } from './cluster-harness.ts';

const base64 = (value: string) => Buffer.from(value).toString('base64');

/** Registers the tests for the rule that a deletion removes only the object that was read. */
export function describeRemove(open: () => Promise<ClusterHarness>): void {
  const app = (h: ClusterHarness) => ({ namespace: h.namespace, secret: 'app' });

  it('removes the object that was read, and returns `removed` for a missing object', async () => {
    await using h = await open();
    await h.cluster.create(app(h), manifest());
    const live = await readNow(h.cluster, app(h));
    expect(await h.cluster.remove(live)).toEqual({ kind: 'removed' });
    expect(await h.cluster.read(app(h))).toBeUndefined();
    expect(await h.cluster.remove(live)).toEqual({ kind: 'removed' });
    expect((await h.cluster.create(app(h), manifest())).kind).toBe('written');
  });

  it('removes nothing in a dry run, but returns the result that a real run would return', async () => {
    await using h = await open();
    await h.cluster.create(app(h), manifest());
    const live = await readNow(h.cluster, app(h));
    expect(await h.cluster.remove(live, { dryRun: true })).toEqual({ kind: 'removed' });
    expect(await readNow(h.cluster, app(h))).toMatchObject({ uid: live.uid });
    await h.edit(app(h), { data: { theirs: base64('1') } });
    expect(await h.cluster.remove(live, { dryRun: true })).toEqual({ kind: 'conflict' });
    await h.remove(app(h));
    expect(await h.cluster.remove(live, { dryRun: true })).toEqual({ kind: 'removed' });
  });

  it('does not remove an object edited since the read', async () => {
    await using h = await open();
    await h.cluster.create(app(h), manifest());
    const live = await readNow(h.cluster, app(h));
    await h.edit(app(h), { data: { theirs: base64('1') } });
    expect(await h.cluster.remove(live)).toEqual({ kind: 'conflict' });
    expect(dataAsText((await readNow(h.cluster, app(h))).data)).toHaveProperty('theirs', '1');
  });

  it('does not remove an object that replaced the one that was read, even with identical content', async () => {
    await using h = await open();
    await h.cluster.create(app(h), manifest());
    const live = await readNow(h.cluster, app(h));
    await h.remove(app(h));
    await h.cluster.create(app(h), manifest());
    expect(await h.cluster.remove(live)).toEqual({ kind: 'conflict' });
    expect(await h.cluster.read(app(h))).toBeDefined();
  });

  it('rejects an outdated read, and removes with the newest one', async () => {
    await using h = await open();
    await h.cluster.create(app(h), manifest());
    const old = await readNow(h.cluster, app(h));
    await h.cluster.replace(old, change({ labels: { a: '1' } }));
    const fresh = await readNow(h.cluster, app(h));
    expect(await h.cluster.remove(old)).toEqual({ kind: 'conflict' });
    expect(await h.cluster.remove(fresh)).toEqual({ kind: 'removed' });
  });

  it('lets only one of a concurrent removal and replacement succeed', async () => {
    await using h = await open();
    await h.cluster.create(app(h), manifest());
    const second = await h.another();
    const reads = await Promise.all([readNow(h.cluster, app(h)), readNow(second, app(h))]);
    const [removed, replaced] = await Promise.all([
      h.cluster.remove(reads[0]),
      second.replace(reads[1], change({ labels: { a: '1' } })),
    ]);
    const exists = (await h.cluster.read(app(h))) !== undefined;
    expect([removed.kind, replaced.kind]).toEqual(exists ? ['conflict', 'written'] : ['removed', 'conflict']);
    await second[Symbol.asyncDispose]();
  });

  it('removes nothing after it is cancelled', async () => {
    await using h = await open();
    await h.cluster.create(app(h), manifest());
    const live = await readNow(h.cluster, app(h));
    const signal = AbortSignal.abort();
    await expect(h.cluster.remove(live, { signal })).rejects.toMatchObject({ code: 'CLUSTER_UNAVAILABLE' });
    expect(await h.cluster.read(app(h))).toBeDefined();
  });
}
