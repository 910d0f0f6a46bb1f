import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { kubernetes } from '../services/inject.ts';
import { assertStatus } from '../services/kubernetes-api.ts';
import { within } from './service-process.ts';
import { base64, openWorld, type World, type WorldOptions } from './world.ts';

const RBAC = '/apis/rbac.authorization.k8s.io/v1';

const config: WorldOptions['config'] = ({ prefix, ns }) => `mappings:
  - name: app
    target: { namespace: ${ns('apps')} }
    data: { A: { store: vault, key: ${prefix}/app, property: a } }
`;

interface Person {
  /** The user name of the account in the cluster. */
  readonly name: string;
  token(audience: string): Promise<string>;
}

/** Creates a service account. If a role is given, the account may `use` this role of the bridge. */
async function createPerson(world: World, role?: string): Promise<Person> {
  const { request } = kubernetes();
  const name = `person-${randomBytes(4).toString('hex')}`;
  const namespace = world.ns('apps');
  const accounts = `/api/v1/namespaces/${namespace}/serviceaccounts`;
  const create = async (path: string, body: object): Promise<void> =>
    assertStatus(await request('POST', path, { metadata: { name }, ...body }), 201, path);
  await create(accounts, {});
  if (role !== undefined) {
    const rule = {
      apiGroups: ['secretbridge.dev'],
      resources: ['roles'],
      resourceNames: [role],
      verbs: ['use'],
    };
    await create(`${RBAC}/clusterroles`, { rules: [rule] });
    await create(`${RBAC}/clusterrolebindings`, {
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name },
      subjects: [{ kind: 'ServiceAccount', name, namespace }],
    });
  }
  return {
    name: `system:serviceaccount:${namespace}:${name}`,
    async token(audience) {
      const path = `${accounts}/${name}/token`;
      const answer = await request<{ status: { token: string } }>('POST', path, {
        spec: { audiences: [audience] },
      });
      assertStatus(answer, 201, path);
      return answer.body.status.token;
    },
  };
}

it('grants each Kubernetes identity the access of its role, with only the rights that rbac prints', async () => {
  await using world = await openWorld({ config, http: ', kubernetes: true' });
  await world.vault.put('app', { a: 'first' });
  await using served = await world.serve();
  await within(15_000, async () => expect((await served.target('app'))?.state).toBe('synced'));
  const status = async (token: string) => (await served.get('/api/v1/status', token)).status;
  const sync = (token: string) => served.send('POST', '/api/v1/mappings/app/sync', token);

  const [withoutRole, viewer, operator] = [
    await createPerson(world),
    await createPerson(world, 'viewer'),
    await createPerson(world, 'operator'),
  ];
  const tokens = {
    nobody: await withoutRole.token('secretbridge'),
    viewer: await viewer.token('secretbridge'),
    operator: await operator.token('secretbridge'),
  };
  // The cluster applies a binding after a moment, and caches a denial for ten seconds.
  const elapsedMs = await within(25_000, async () => {
    expect(await status(tokens.viewer)).toBe(200);
    expect(await status(tokens.operator)).toBe(200);
  });
  expect(await status(tokens.nobody)).toBe(403);
  expect((await sync(tokens.nobody)).status).toBe(403);
  expect((await sync(tokens.viewer)).status).toBe(403);

  await world.vault.put('app', { a: 'second' });
  const answer = await sync(tokens.operator);
  expect(answer.status, answer.text).toBe(200);
  expect((await world.secret('app'))?.data).toEqual({ A: base64('second') });
  const { requestId } = JSON.parse(answer.text) as { requestId: string };
  const [record] = (await world.records()).filter((entry) => entry.requestId === requestId);
  expect(record).toMatchObject({ action: 'command', actor: { kind: 'operator', name: operator.name } });

  const invalidTokens = {
    'another audience': await operator.token('https://kubernetes.default.svc'),
    invented: randomBytes(24).toString('hex'),
    damaged: `${tokens.operator.slice(0, -4)}AAAA`,
  };
  for (const [why, token] of Object.entries(invalidTokens)) {
    expect(await status(token), why).toBe(401);
    expect((await sync(token)).status, why).toBe(401);
  }
  // Static tokens remain valid.
  expect(await status(world.tokens.vic)).toBe(200);
  expect((await sync(world.tokens.vic)).status).toBe(403);
  console.log(`roles of the cluster took effect ${elapsedMs} ms after they were bound`);
  const { stdout, stderr } = await served.stop();
  for (const token of [...Object.values(tokens), ...Object.values(invalidTokens)])
    expect(stdout + stderr + JSON.stringify(await world.records())).not.toContain(token);
});

it('rejects a token of the cluster when `http.kubernetes` is off', async () => {
  await using world = await openWorld({ config });
  await world.vault.put('app', { a: 'first' });
  await using served = await world.serve();
  const operator = await createPerson(world, 'operator');
  const { status } = await served.get('/api/v1/status', await operator.token('secretbridge'));
  expect(status).toBe(401);
});
