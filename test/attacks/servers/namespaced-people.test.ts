import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { AuditRecord } from '../../../src/audit/entry.ts';
import { type ServiceProcess, within } from '../../integration/service/service-process.ts';
import { openWorld, type World } from '../../integration/service/world.ts';
import { kubernetes } from '../../integration/services/inject.ts';
import { assertStatus } from '../../integration/services/kubernetes-api.ts';
import { startRedis } from '../../integration/services/redis.ts';

// Two people who are limited to the namespace `own` use the whole service on real servers: one with a token, one with a
// Kubernetes role. All names of the other namespace contain the text `marker`. Both namespaces have the same value.

const MARKER = /marker/i;
const RBAC = '/apis/rbac.authorization.k8s.io/v1';
const LIMITED = randomBytes(24).toString('hex');

const mapping = (name: string, target: string, key: string) =>
  `  - { name: ${name}, target: { ${target} }, data: { A: { store: vault, key: ${key}, property: a } } }\n`;

async function openPeople(redisUrl: string): Promise<World> {
  const world = await openWorld({
    ...{ namespaces: ['own', 'marker'], scope: 'namespace', postgres: true, signed: true, redisUrl },
    http: ', metricsNeedToken: true, kubernetes: true',
    tokens: ({ ns }) =>
      `{ name: lim, role: operator, namespaces: ['${ns('own')}'], token: { file: ./lim.token } }`,
    config: ({ prefix, ns }) =>
      `mappings:\n${[
        mapping('own', `namespace: ${ns('own')}`, `${prefix}/own`),
        mapping('both', `namespaces: [${ns('own')}, ${ns('marker')}]`, `${prefix}/own`),
        mapping('marker-m', `namespace: ${ns('marker')}`, `${prefix}/marker-key`),
        // The same value as `own`.
        mapping('marker-same', `namespace: ${ns('marker')}`, `${prefix}/marker-same`),
      ].join('')}`,
    granted: false,
  });
  await writeFile(join(world.folder, 'lim.token'), LIMITED, { mode: 0o600 });
  await world.vault.put('own', { a: 'same' });
  await world.vault.put('marker-same', { a: 'same' });
  await world.vault.put('marker-key', { a: 'other' });
  await world.grant();
  return world;
}

/** Creates a service account with a role of the bridge in the namespace `own`, and returns a token for it. */
async function kubernetesPerson(world: World): Promise<string> {
  const { request } = kubernetes();
  const [name, namespace] = ['person', world.ns('own')];
  const accounts = `/api/v1/namespaces/${namespace}/serviceaccounts`;
  const create = async (path: string, body: object): Promise<void> =>
    assertStatus(await request('POST', path, { metadata: { name }, ...body }), 201, path);
  await create(accounts, {});
  const use = { apiGroups: ['secretbridge.dev'], resources: ['roles'], verbs: ['use'] };
  await create(`${RBAC}/namespaces/${namespace}/roles`, { rules: [{ ...use, resourceNames: ['operator'] }] });
  await create(`${RBAC}/namespaces/${namespace}/rolebindings`, {
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
    subjects: [{ kind: 'ServiceAccount', name, namespace }],
  });
  const path = `${accounts}/${name}/token`;
  const issued = await request<{ status: { token: string } }>('POST', path, {
    spec: { audiences: ['secretbridge'] },
  });
  assertStatus(issued, 201, path);
  return issued.body.status.token;
}

async function expectLimited(world: World, served: ServiceProcess, token: string): Promise<void> {
  const own = world.ns('own');
  const get = (path: string) => served.get(path, token);
  const json = async (path: string) => JSON.parse((await get(path)).text) as Record<string, never[]>;
  const lists = [
    ...['/metrics', '/api/v1/status', '/api/v1/mappings', '/api/v1/mappings/both', '/api/v1/audit/records'],
    ...['jsonl', 'csv', 'ocsf'].map((format) => `/api/v1/audit/export?format=${format}`),
  ];
  for (const path of lists) {
    const answer = await get(path);
    expect({ path, status: answer.status, own: answer.text.includes(own) }).toEqual({
      ...{ path, status: 200, own: true },
    });
    expect(answer.text).not.toMatch(MARKER);
  }
  expect(await json('/api/v1/held')).toEqual({ held: [] });

  const { targets, stores } = await json('/api/v1/status');
  expect(targets).toMatchObject([{ mapping: 'both' }, { mapping: 'own' }]);
  expect(stores).not.toMatchObject([{ callsPerHour: expect.any(Number) }]);
  expect((await json('/api/v1/mappings')).mappings).toHaveLength(2);
  const { mappings: paged, next } = await json('/api/v1/mappings?limit=2');
  expect({ paged, next }).toMatchObject({ paged: [{}, {}], next: undefined });

  // Records of the other namespace, and searches for its value and its names.
  const all = await world.records();
  const others = all.filter((record) => MARKER.test(JSON.stringify(record)));
  expect(others.length).toBeGreaterThan(5);
  for (const { sequence } of others)
    expect((await get(`/api/v1/audit/records/${sequence}`)).status).toBe(404);
  const fingerprint = (key: string) => readOf(all, `${world.prefix}/${key}`)?.after;
  expect(fingerprint('own')).toBe(fingerprint('marker-same'));
  const found = async (query: string) =>
    (await json(`/api/v1/audit/records?${query}`)).records as unknown as readonly AuditRecord[];
  const same = await found(`fingerprint=${fingerprint('own')}`);
  expect(same.every(({ namespace }) => namespace === own)).toBe(true);
  expect(await found(`fingerprint=${fingerprint('marker-key')}`)).toEqual([]);
  for (const query of [
    `namespace=${world.ns('marker')}`,
    'mapping=marker-m',
    `key=${world.prefix}/marker-key`,
    'action=sweep',
    'action=configure',
  ])
    expect(await found(query)).toEqual([]);

  // Unknown mappings, and a request that needs all namespaces.
  const missing = async (name: string) => {
    const { status, text } = await get(`/api/v1/mappings/${name}`);
    return { status, ...(JSON.parse(text) as object), requestId: '' };
  };
  expect(await missing('marker-m')).toMatchObject({ status: 404, code: 'NOT_FOUND' });
  expect(await missing('marker-m')).toEqual(await missing('nowhere'));
  for (const command of ['sync', 'unpin'])
    expect((await served.send('POST', `/api/v1/mappings/marker-m/${command}`, token)).status).toBe(404);
  expect((await get('/api/v1/audit/verify')).status).toBe(403);

  // A command for a mapping in both namespaces.
  const synced = await served.send('POST', '/api/v1/mappings/both/sync', token);
  expect(synced.status).toBe(200);
  expect(synced.text).not.toMatch(MARKER);
  expect(JSON.parse(synced.text)).toMatchObject({
    ok: true,
    summary: { unchanged: 1 },
    targets: [{ mapping: 'both', namespace: own }],
  });
  const orphans = await served.get('/api/v1/prune', token);
  expect(orphans).toMatchObject({ status: 200, text: expect.not.stringMatching(MARKER) });
}

const readOf = (records: readonly AuditRecord[], key: string) =>
  records.find((record) => record.action === 'read' && record.key === key);

describe('people limited to one of two namespaces', () => {
  it('see and change nothing of the other namespace, with a token or a Kubernetes role', async () => {
    await using redis = await startRedis();
    await using world = await openPeople(redis.address);
    await using served = await world.serve();
    await within(20_000, async () =>
      expect((await served.status()).targets.map(({ state }) => state)).toEqual(Array(5).fill('synced')),
    );
    expect((await served.get('/api/v1/status')).text).toMatch(MARKER);
    await expectLimited(world, served, LIMITED);

    const person = await kubernetesPerson(world);
    // The cluster applies a binding after a moment, and the service keeps a refusal for a minute.
    await within(90_000, async () => expect((await served.get('/api/v1/status', person)).status).toBe(200));
    await expectLimited(world, served, person);
    expect((await served.get('/metrics', 'wrong')).status).toBe(401);
    expect(await world.chain()).toMatchObject({ kind: 'intact' });
  });
});
