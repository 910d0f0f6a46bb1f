import { expect, it } from 'vitest';
import { type ClusterHarness, change, manifest, type Raw, readNow } from './cluster-harness.ts';

const base64 = (value: string) => Buffer.from(value).toString('base64');
const metadataOf = (raw: Raw | undefined) => (raw?.metadata ?? {}) as Record<string, unknown>;

/** Registers tests for this rule: a write keeps every field that another writer has set. */
export function describeForeignFields(open: () => Promise<ClusterHarness>): void {
  const app = (h: ClusterHarness) => ({ namespace: h.namespace, secret: 'app' });
  const foreign = (h: ClusterHarness) => ({ namespace: h.namespace, secret: 'foreign' });

  it('keeps fields of other writers and unknown fields when it replaces a Secret', async () => {
    await using h = await open();
    await h.put(foreign(h), {
      metadata: {
        labels: { theirs: 'kept', team: 'theirs' },
        annotations: { 'example.com/note': 'kept: "yes"\n' },
        finalizers: ['example.com/keep'],
      },
      data: { old: base64('1') },
    });
    await h.cluster.replace(await readNow(h.cluster, foreign(h)), change());
    const metadata = metadataOf(await h.raw(foreign(h)));
    expect(metadata.labels).toMatchObject({ theirs: 'kept', ...manifest().labels });
    expect(metadata.annotations).toMatchObject({
      'example.com/note': 'kept: "yes"\n',
      ...manifest().annotations,
    });
    expect(metadata.finalizers).toEqual(['example.com/keep']);
    await h.edit(foreign(h), { metadata: { finalizers: null } });
  });

  it('owns a label if a write changed the value of this label, but not if the label already had the wanted value', async () => {
    await using h = await open();
    await h.put(foreign(h), { metadata: { labels: { same: '1', other: '1' } }, data: {} });
    const labels = { same: '1', other: '2', added: '3' };
    await h.cluster.replace(await readNow(h.cluster, foreign(h)), change({ labels }));
    expect((await readNow(h.cluster, foreign(h))).ours?.labels).toEqual(['added', 'other']);
  });

  it('loses the ownership of a label or annotation that another writer changed', async () => {
    await using h = await open();
    const metadata = { labels: { a: '1', b: '2' }, annotations: { c: '3', d: '4' } };
    await h.cluster.create(app(h), manifest(metadata));
    await h.edit(app(h), { metadata: { labels: { b: 'theirs' }, annotations: { c: 'theirs' } } });
    expect((await readNow(h.cluster, app(h))).ours).toEqual({ labels: ['a'], annotations: ['d'] });
    await h.cluster.replace(await readNow(h.cluster, app(h)), change(metadata));
    expect((await readNow(h.cluster, app(h))).ours).toEqual({ labels: ['a', 'b'], annotations: ['c', 'd'] });
  });

  it('drops only the given labels and annotations when it replaces a Secret', async () => {
    await using h = await open();
    await h.cluster.create(app(h), manifest({ labels: { a: '1', b: '2' }, annotations: { c: '3', d: '4' } }));
    await h.edit(app(h), { metadata: { labels: { theirs: 'kept' } } });
    const live = await readNow(h.cluster, app(h));
    const replacement = change({
      labels: { b: '2' },
      annotations: { d: '5' },
      dropLabels: ['a'],
      dropAnnotations: ['c'],
    });
    expect((await h.cluster.replace(live, replacement)).kind).toBe('written');
    const after = await readNow(h.cluster, app(h));
    expect(after.labels).toEqual({ b: '2', theirs: 'kept' });
    expect(after.annotations).toEqual({ d: '5' });
    expect(after.ours).toEqual({ labels: ['b'], annotations: ['d'] });
  });

  it('distinguishes a controller from other owners, and drops owner references only if the caller requests it', async () => {
    await using h = await open();
    const owner = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      name: 'web',
      uid: '00000000-0000-4000-8000-000000000001',
    };
    await h.put(foreign(h), { metadata: { ownerReferences: [owner] }, data: {} });
    expect((await readNow(h.cluster, foreign(h))).controlled).toBe(false);
    await h.edit(foreign(h), { metadata: { ownerReferences: [{ ...owner, controller: true }] } });
    expect((await readNow(h.cluster, foreign(h))).controlled).toBe(true);
    await h.cluster.replace(await readNow(h.cluster, foreign(h)), change());
    expect((await readNow(h.cluster, foreign(h))).controlled).toBe(true);
    await h.cluster.replace(await readNow(h.cluster, foreign(h)), change({ dropOwners: true }));
    expect((await readNow(h.cluster, foreign(h))).controlled).toBe(false);
    expect(metadataOf(await h.raw(foreign(h))).ownerReferences ?? []).toEqual([]);
  });
}
