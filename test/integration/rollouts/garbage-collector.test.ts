import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Raw } from '../e2e/bench.ts';
import { syncReport } from '../e2e/program.ts';
import { GROUP, openExternalSecretsCluster } from '../import/external-secrets-cluster.ts';
import { CONFIG, openMigration, secretsPath } from '../import/migration.ts';
import { move } from '../import/move.ts';
import { WALKS } from '../import/walks.ts';
import { expectSynced, expectValues, manyMappings, seed } from '../service/many-mappings.ts';
import { within } from '../service/service-process.ts';
import { openWorld, type World } from '../service/world.ts';
import { assertStatus } from '../services/kubernetes-api.ts';
import { type ControlledCluster, startControlledCluster } from '../services/kubernetes-controllers.ts';

// What the controllers of a cluster delete: dependents of a deleted owner, and the content of a namespace that ends.

let cluster: ControlledCluster;
beforeAll(async () => {
  cluster = await startControlledCluster({ nodes: 0 });
}, 1_200_000);
afterAll(() => cluster?.stop());

const SWEEPS = 'secretbridge_last_cycle_timestamp_seconds';
const MERGE = { 'content-type': 'application/merge-patch+json' };
const NAMES = Array.from({ length: 10 }, (_, n) => `app-${n}`);

it('the move from external-secrets keeps every Secret when the garbage collector follows the deleted owners', async () => {
  await using theirs = await openExternalSecretsCluster(cluster);
  const { namespace, account, vault, folder } = theirs;
  const { request } = cluster;
  const secrets = `/api/v1/namespaces/${namespace}/secrets`;
  for (const name of NAMES) {
    await vault.put(name, { user: 'ann', password: name });
    const key = `${vault.prefix}/${name}`;
    const dataFrom = [{ extract: { key } }];
    await theirs.createExternalSecret(name, { dataFrom }, { user: 'ann', password: name });
  }
  // The same owner has a second Secret, which no mapping takes over. Its end shows what the garbage collector does.
  const owned = await theirs.get<Raw & { metadata: { ownerReferences: object[] } }>(`${secrets}/app-0`);
  const { ownerReferences } = owned.metadata;
  assertStatus(await request('POST', secrets, { metadata: { name: 'left', ownerReferences } }), 201, 'left');

  await theirs.allowList();
  const imported = [
    ...['import', 'external-secrets', '--own-namespace', account.namespace, '--instance', 'moved'],
    ...['--out', 'imported.yaml', '--report', 'report.json'],
  ];
  await within(30_000, async () => {
    await theirs.run(...imported);
    expect(await readFile(join(folder, 'imported.yaml'), 'utf8')).toContain('app-9');
  });
  await writeFile(
    join(folder, 'base.yaml'),
    `apiVersion: secretbridge.dev/v1
cluster: { kind: kubernetes, scope: names, kubeconfig: ${theirs.kubeconfig} }
audit: { store: { kind: sqlite, path: ./state/audit.db } }
`,
  );
  const config = ['--config', 'base.yaml', '--config', 'imported.yaml'];
  const serviceAccount = `${account.namespace}/${account.name}`;
  await theirs.apply((await theirs.run('rbac', ...config, '--service-account', serviceAccount)).stdout);
  await within(30_000, async () =>
    expect((await theirs.run('doctor', ...config)).stdout).not.toContain('CLUSTER_FORBIDDEN'),
  );
  const synced = syncReport(await theirs.run('sync', ...config, '--output', 'json'));
  expect(synced).toMatchObject({ code: 0, summary: { updated: NAMES.length, created: 0, deleted: 0 } });

  for (const name of NAMES) {
    const path = `${GROUP}/namespaces/${namespace}/externalsecrets/${name}`;
    assertStatus(await request('PATCH', path, { metadata: { finalizers: null } }, MERGE), 200, name);
    assertStatus(await request('DELETE', `${path}?propagationPolicy=Background`), 200, `delete ${name}`);
  }
  await within(60_000, async () => expect((await request('GET', `${secrets}/left`)).status).toBe(404));
  const { items } = await theirs.get<{ items: readonly Raw[] }>(secrets);
  expect(items.map(({ metadata }) => metadata.name)).toEqual(NAMES);
  expect(await theirs.run('plan', ...config)).toMatchObject({ code: 0 });
}, 300_000);

it.each(WALKS.map((walk) => [walk.tool.name, walk] as const))(
  'the move from %s keeps every Secret when the garbage collector follows the deleted owners',
  async (_, walk) => {
    await using theirs = await openMigration(cluster, walk.tool.api);
    const { namespace } = theirs;
    const { request } = cluster;
    const { secrets, owners } = await walk.arrange(theirs);
    const path = secretsPath(namespace);
    // The same owner has a second Secret, which no mapping takes over. Its end shows what the garbage collector does.
    const owned = await theirs.get<Raw & { metadata: { ownerReferences: object[] } }>(
      `${path}/${secrets[0]}`,
    );
    const { ownerReferences } = owned.metadata;
    assertStatus(await request('POST', path, { metadata: { name: 'left', ownerReferences } }), 201, 'left');
    await move(theirs, walk, secrets);
    for (const owner of owners) {
      assertStatus(await request('PATCH', owner, { metadata: { finalizers: null } }, MERGE), 200, owner);
      assertStatus(await request('DELETE', `${owner}?propagationPolicy=Background`), 200, `delete ${owner}`);
    }
    await within(60_000, async () => expect((await request('GET', `${path}/left`)).status).toBe(404));
    const { items } = await theirs.get<{ items: readonly Raw[] }>(path);
    const names = items.map(({ metadata }) => metadata.name);
    expect(names).toEqual(expect.arrayContaining([...secrets]));
    expect(await theirs.run('plan', ...CONFIG)).toMatchObject({ code: 0 });
  },
  300_000,
);

it('a target that the garbage collector deletes with an owner of somebody else is created again', async () => {
  await using world = await openWorld({ cluster, config: manyMappings(2, 'defaults: { refresh: 2s }') });
  await seed(world, 2, 'first');
  await using served = await world.serve();
  await within(30_000, () => expectSynced(served, 2));
  const before = await world.secret('m0');
  const configMaps = `/api/v1/namespaces/${world.ns('apps')}/configmaps`;
  const owner = await cluster.request<Raw>('POST', configMaps, { metadata: { name: 'owner' } });
  assertStatus(owner, 201, 'owner');
  const { uid } = owner.body.metadata;
  const ownerReferences = [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid }];
  await world.patch('m0', { metadata: { ownerReferences } });
  assertStatus(await cluster.request('DELETE', `${configMaps}/owner`), 200, 'delete the owner');

  await within(60_000, async () => {
    const { uid, ownerReferences } = (await world.secret('m0'))?.metadata ?? {};
    expect(uid).toEqual(expect.any(String));
    expect(uid).not.toBe(before?.metadata.uid);
    expect(ownerReferences).toBeUndefined();
  });
  await within(30_000, () => expectSynced(served, 2));
  await expectValues(world, 2, 'first');
  const repairs = (await world.records()).filter(
    ({ action, phase }) => action === 'repair' && phase === 'outcome',
  );
  expect(repairs.map(({ secret, outcome }) => `${secret} ${outcome}`)).toEqual(['m0 ok']);
}, 120_000);

it.each([
  // Kubernetes also deletes the Role of secretbridge in the namespace. Without rights, the reason is not visible.
  { rights: 'a Role', refusal: /^(NAMESPACE_MISSING|CLUSTER_FORBIDDEN)$/ },
  { rights: 'a ClusterRole', refusal: /^NAMESPACE_MISSING$/ },
])(
  'nothing is written into a namespace that ends, and a sync fills its next namespace ($rights)',
  async ({ rights, refusal }) => {
    await using world = await openWorld({ cluster, config: manyMappings(3, 'defaults: { refresh: 2s }') });
    if (rights === 'a ClusterRole') await grantEverywhere(world.account);
    await seed(world, 3, 'first');
    await using served = await world.serve();
    await within(30_000, () => expectSynced(served, 3));
    const namespace = `/api/v1/namespaces/${world.ns('apps')}`;
    // This object keeps the namespace in its end, while its Secrets are already deleted.
    const metadata = { name: 'last', finalizers: ['tests.example/kept'] };
    assertStatus(await cluster.request('POST', `${namespace}/configmaps`, { metadata }), 201, 'last');
    assertStatus(await cluster.request('DELETE', namespace), 200, 'delete the namespace');
    await within(60_000, async () => {
      expect((await cluster.request<{ items: [] }>('GET', `${namespace}/secrets`)).body.items).toEqual([]);
      for (const { state, code } of (await served.status()).targets)
        expect([state, code]).toEqual(['failed', expect.stringMatching(refusal)]);
    });
    await seed(world, 3, 'second');
    const reads = await served.metric(SWEEPS);
    await within(30_000, async () => expect(await served.metric(SWEEPS)).toBeGreaterThan((reads ?? 0) + 4));
    expect(await world.cli('sync')).toMatchObject({ code: 4, stdout: expect.stringMatching(/m0/) });
    const created = [0, 1, 2].map((n) => `create ${world.ns('apps')}/m${n}`);
    expect((await world.writes()).toSorted()).toEqual(created);
    await cluster.request('PATCH', `${namespace}/configmaps/last`, { metadata: { finalizers: null } }, MERGE);
    await within(60_000, async () => expect((await cluster.request('GET', namespace)).status).toBe(404));

    await world.createNamespace('apps');
    await world.grant();
    // The service itself tries again with growing pauses.
    expect(await world.cli('sync')).toMatchObject({ code: 0 });
    await expectValues(world, 3, 'second');
    expect((await world.writes()).toSorted()).toEqual([...created, ...created].toSorted());
    expect(await world.chain()).toMatchObject({ kind: 'intact' });
  },
  300_000,
);

async function grantEverywhere({ namespace, name }: World['account']): Promise<void> {
  const answer = await cluster.request('POST', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
    metadata: { name: namespace },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
    subjects: [{ kind: 'ServiceAccount', namespace, name }],
  });
  assertStatus(answer, 201, 'grant everywhere');
}
