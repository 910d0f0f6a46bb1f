import { describe, expect, it } from 'vitest';
import { FIELD_MANAGER } from '../../../src/cluster/cluster.ts';
import { PAGE_SIZE } from '../../../src/cluster/pages.ts';
import type { RbacInput } from '../../../src/cluster/rbac.ts';
import { change, dataAsText, manifest, mergeManifest, readNow } from '../../conformance/cluster-harness.ts';
import { kubernetes } from '../services/inject.ts';
import { assertStatus } from '../services/kubernetes-api.ts';
import { admin, connect, openReal, type RealHarness } from './harness.ts';

const OURS = 'secretbridge.test.app';
const LABEL = { name: 'secretbridge.dev/instance', value: 'test' };
const base64 = (value: string) => Buffer.from(value).toString('base64');
const foreign = ({ namespace }: RealHarness) => ({ namespace, secret: 'foreign' });

/** Applies like `kubectl apply --server-side`, with another field manager. */
async function apply(h: RealHarness, manager: string, data: Record<string, string>, force = false) {
  const encoded = Object.fromEntries(Object.entries(data).map(([key, value]) => [key, base64(value)]));
  const body = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'foreign' }, data: encoded };
  const path = `/api/v1/namespaces/${h.namespace}/secrets/foreign?fieldManager=${manager}&force=${force}`;
  return admin()('PATCH', path, body, { 'content-type': 'application/apply-patch+yaml' });
}

describe('a merge into a Secret that has other field managers', () => {
  it('a merge keeps the keys of other managers, and gives up keys that another manager applies with force', async () => {
    await using h = await openReal();
    assertStatus(await apply(h, 'kubectl', { theirs: '1', both: '2' }), 201, 'apply');
    const merge = async (data: Record<string, string>) =>
      h.cluster.merge(await readNow(h.cluster, foreign(h)), mergeManifest(data));
    expect(await merge({ theirs: 'x' })).toEqual({ kind: 'conflict', keys: ['theirs'] });
    expect((await merge({ both: '2', ours: '3' })).kind).toBe('written');
    assertStatus(await apply(h, 'kubectl', { theirs: '1', ours: 'y' }), 409, 'apply');
    assertStatus(await apply(h, 'kubectl', { theirs: '1', ours: 'y' }, true), 200, 'apply');
    const live = await readNow(h.cluster, foreign(h));
    // The other manager released `both` and took over `ours`, so we own only `both`.
    expect(h.cluster.mergedKeys(live, OURS)).toEqual(['both']);
    expect(dataAsText(live.data)).toEqual({ theirs: '1', both: '2', ours: 'y' });
    expect((await merge({})).kind).toBe('written');
    expect(dataAsText((await readNow(h.cluster, foreign(h))).data)).toEqual({ theirs: '1', ours: 'y' });
  });

  it('a merge takes over no key after the managed fields were cleared', async () => {
    await using h = await openReal();
    await h.put(foreign(h), { data: { theirs: base64('1') } });
    const merge = async (data: Record<string, string>) =>
      h.cluster.merge(await readNow(h.cluster, foreign(h)), mergeManifest(data));
    await merge({ ours: '1' });
    await h.edit(foreign(h), { metadata: { managedFields: [{}] } });
    expect(await merge({ ours: '2' })).toEqual({ kind: 'conflict', keys: ['ours'] });
    expect(await merge({ theirs: '2' })).toEqual({ kind: 'conflict', keys: ['theirs'] });
    expect((await merge({})).kind).toBe('written');
    expect(dataAsText((await readNow(h.cluster, foreign(h))).data)).toEqual({ theirs: '1', ours: '1' });
  });

  it('a merge without keys leaves neither an empty field manager nor ownership metadata', async () => {
    await using h = await openReal();
    await h.put(foreign(h), { data: {} });
    await h.cluster.merge(await readNow(h.cluster, foreign(h)), mergeManifest({ ours: '1' }));
    const managers = async () => {
      const { metadata } = (await h.raw(foreign(h))) as {
        metadata: { managedFields: { manager: string }[] };
      };
      return metadata.managedFields.map(({ manager }) => manager);
    };
    expect(await managers()).toContain(OURS);
    expect(await managers()).not.toContain(FIELD_MANAGER);
    await h.cluster.merge(await readNow(h.cluster, foreign(h)), mergeManifest({}));
    expect(await managers()).not.toContain(OURS);
    expect((await readNow(h.cluster, foreign(h))).labels).toEqual({});
  });

  it('a merge does not create a missing Secret, even if the account may create Secrets', async () => {
    await using admin = await connect(kubernetes().kubeconfig);
    await using h = await openReal();
    await h.put(foreign(h), { data: {} });
    const live = await readNow(admin, foreign(h));
    await h.remove(foreign(h));
    expect(await admin.merge(live, mergeManifest({ ours: '1' }))).toEqual({ kind: 'missing' });
    expect(await h.raw(foreign(h))).toBeUndefined();
  });
});

describe('a removal on a real API server', () => {
  it('a removal succeeds when finalizers keep the Secret terminating', async () => {
    await using h = await openReal();
    await h.cluster.create(foreign(h), manifest());
    await h.edit(foreign(h), { metadata: { finalizers: ['example.com/keep'] } });
    const live = await readNow(h.cluster, foreign(h));
    expect(await h.cluster.remove(live)).toEqual({ kind: 'removed' });
    const after = await readNow(h.cluster, foreign(h));
    expect(after).toMatchObject({ uid: live.uid, deleting: true });
    expect(await h.cluster.remove(after)).toEqual({ kind: 'removed' });
    await h.edit(foreign(h), { metadata: { finalizers: null } });
    expect(await h.cluster.read(foreign(h))).toBeUndefined();
  });

  it('a removal needs the right to delete (`rbac` prints this right only for mappings that delete)', async () => {
    await using h = await openReal();
    const { namespace } = h;
    assertStatus(
      await admin()(
        'PATCH',
        h.role,
        { rules: [{ apiGroups: [''], resources: ['secrets'], verbs: ['get', 'create'] }] },
        { 'content-type': 'application/merge-patch+json' },
      ),
      200,
      'role',
    );
    await h.cluster.create(foreign(h), manifest());
    const may = () => h.cluster.checkAccess({ namespace, verb: 'delete', secret: 'foreign' });
    await expect.poll(may, { timeout: 10_000 }).toBe(false);
    const live = await readNow(h.cluster, foreign(h));
    await expect(h.cluster.remove(live)).rejects.toMatchObject({ code: 'CLUSTER_FORBIDDEN' });
    expect(await h.raw(foreign(h))).toBeDefined();
  });

  it('a removal does not delete a Secret that was edited after the read', async () => {
    await using h = await openReal();
    for (let round = 0; round < 15; round += 1) {
      await h.cluster.create(foreign(h), manifest());
      const live = await readNow(h.cluster, foreign(h));
      const edit = h.edit(foreign(h), { data: { round: base64(`${round}`) } }).then(
        () => 'edited' as const,
        // The edit fails with 404 if the removal happened first.
        () => 'gone' as const,
      );
      const [removed, edited] = await Promise.all([h.cluster.remove(live), edit]);
      const remaining = await h.cluster.read(foreign(h));
      expect([removed.kind, edited, remaining !== undefined]).toEqual(
        remaining ? ['conflict', 'edited', true] : ['removed', 'gone', false],
      );
      if (remaining !== undefined) await h.remove(foreign(h));
    }
  });
});

describe('the rights that rbac prints', () => {
  it('the rights allow neither lists of Secrets nor reads of namespaces if the configuration names all targets', async () => {
    await using h = await openReal();
    const error = { code: 'CLUSTER_FORBIDDEN' };
    await expect(h.cluster.list(h.namespace, LABEL)).rejects.toMatchObject(error);
    await expect(h.cluster.namespaces({ matchLabels: { team: 'a' } })).rejects.toMatchObject(error);
  });

  it('the rights allow lists of Secrets only in the target namespace if the scope is `namespace`', async () => {
    await using h = await openReal({ scope: 'namespace' });
    expect(await h.cluster.list(h.namespace, LABEL)).toEqual([]);
    await expect(h.cluster.list('default', LABEL)).rejects.toMatchObject({ code: 'CLUSTER_FORBIDDEN' });
  });

  it('the rights for a selector can be bound in single namespaces, in the way that the printed manifest explains', async () => {
    const selected: RbacInput['selected'] = [{ secret: 'app', deletes: true }];
    await using h = await openReal({ targets: [], selected });
    await using other = await openReal();
    const app = (harness: RealHarness) => ({ namespace: harness.namespace, secret: 'app' });
    const mayCreate = () => h.cluster.checkAccess({ namespace: other.namespace, verb: 'create' });
    expect(await mayCreate()).toBe(true);
    await h.unbind('selected');
    await expect.poll(mayCreate, { timeout: 10_000 }).toBe(false);
    await h.bindIn(h.namespace, 'selected');
    const may = () => h.cluster.checkAccess({ namespace: h.namespace, verb: 'create' });
    await expect.poll(may, { timeout: 10_000 }).toBe(true);
    expect((await h.cluster.create(app(h), manifest())).kind).toBe('written');
    expect((await h.cluster.replace(await readNow(h.cluster, app(h)), change())).kind).toBe('written');
    await expect(h.cluster.create(app(other), manifest())).rejects.toMatchObject({
      code: 'CLUSTER_FORBIDDEN',
    });
    const name = { 'kubernetes.io/metadata.name': other.namespace };
    expect(await h.cluster.namespaces({ matchLabels: name })).toEqual([other.namespace]);
  });
});

describe('lists on a real API server', () => {
  it('a list contains the objects of all pages', async () => {
    await using h = await openReal({ scope: 'namespace' });
    const count = PAGE_SIZE * 2 + 1;
    const ids = Array.from({ length: count }, (_, n) => ({ namespace: h.namespace, secret: `s-${n}` }));
    await Promise.all(
      ids.map((id) => h.cluster.create(id, manifest({ labels: { [LABEL.name]: LABEL.value } }))),
    );
    await h.put(foreign(h), { data: {} });
    const listed = await h.cluster.list(h.namespace, LABEL);
    expect(listed).toHaveLength(count);
    expect(new Set(listed.map(({ id }) => id.secret)).size).toBe(count);
  });

  it('a list omits a terminating namespace', async () => {
    await using h = await openReal({ selected: [{ secret: 'app' }] });
    const name = { 'kubernetes.io/metadata.name': h.namespace };
    expect(await h.cluster.namespaces({ matchLabels: name })).toEqual([h.namespace]);
    assertStatus(await admin()('DELETE', `/api/v1/namespaces/${h.namespace}`), 200, 'delete namespace');
    expect(await h.cluster.namespaces({ matchLabels: name })).toEqual([]);
  });
});
