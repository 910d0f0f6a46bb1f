import { expect, it } from 'vitest';
import { type ClusterHarness, change, dataAsText, manifest, readNow } from './cluster-harness.ts';

const base64 = (value: string) => Buffer.from(value).toString('base64');

/** Registers tests for this rule: a deletion removes only the exact object that was read. */
export function describeRemove(open: () => Promise<ClusterHarness>): void {
  const app = (h: ClusterHarness) => ({ namespace: h.namespace, secret: 'app' });

  it('removes the object that was read, and returns `removed` if the object does not exist any more', async () => {
    await using h = await open();
    await h.cluster.create(app(h), manifest());
    const live = await readNow(h.cluster, app(h));
    expect(await h.cluster.remove(live)).toEqual({ kind: 'removed' });
    expect(await h.cluster.read(app(h))).toBeUndefined();
    expect(await h.cluster.remove(live)).toEqual({ kind: 'removed' });
    expect((await h.cluster.create(app(h), manifest())).kind).toBe('written');
  });

  it('removes nothing in a dry run, and returns the same result as a real removal', async () => {
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

  it('does not remove an object that was edited after it was read', async () => {
    await using h = await open();
    await h.cluster.create(app(h), manifest());
    const live = await readNow(h.cluster, app(h));
    await h.edit(app(h), { data: { theirs: base64('1') } });
    expect(await h.cluster.remove(live)).toEqual({ kind: 'conflict' });
    expect(dataAsText((await readNow(h.cluster, app(h))).data)).toHaveProperty('theirs', '1');
  });

  it('does not remove an object that was recreated after the read, even if its content is the same', async () => {
    await using h = await open();
    await h.cluster.create(app(h), manifest());
    const live = await readNow(h.cluster, app(h));
    await h.remove(app(h));
    await h.cluster.create(app(h), manifest());
    expect(await h.cluster.remove(live)).toEqual({ kind: 'conflict' });
    expect(await h.cluster.read(app(h))).toBeDefined();
  });

  it('refuses to remove an object that was changed after it was read, and removes it after a new read', async () => {
    await using h = await open();
    await h.cluster.create(app(h), manifest());
    const old = await readNow(h.cluster, app(h));
    await h.cluster.replace(old, change({ labels: { a: '1' } }));
    const fresh = await readNow(h.cluster, app(h));
    expect(await h.cluster.remove(old)).toEqual({ kind: 'conflict' });
    expect(await h.cluster.remove(fresh)).toEqual({ kind: 'removed' });
  });

  it('lets either a removal or a replacement succeed, but not both, if they run at the same time', async () => {
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

  it('removes nothing if its signal is already aborted', async () => {
    await using h = await open();
    await h.cluster.create(app(h), manifest());
    const live = await readNow(h.cluster, app(h));
    const signal = AbortSignal.abort();
    await expect(h.cluster.remove(live, { signal })).rejects.toMatchObject({ code: 'CLUSTER_UNAVAILABLE' });
    expect(await h.cluster.read(app(h))).toBeDefined();
  });
}
