import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { ROLES } from '../../../src/core/words.ts';
import { createAuthenticator } from '../../../src/http/auth.ts';
import { startTestServer } from '../../http/harness.ts';
import { admin, openReal } from '../cluster/harness.ts';
import { assertStatus } from '../services/kubernetes-api.ts';

const RBAC = '/apis/rbac.authorization.k8s.io/v1';

/**
 * Creates a service account. If a role is given, binds the account to this role of the bridge. Returns a function that
 * issues the account's token for an audience.
 */
async function createPerson(
  namespace: string,
  role: string | undefined,
): Promise<(audience: string) => Promise<string>> {
  const name = `person-${randomBytes(4).toString('hex')}`;
  const accounts = `/api/v1/namespaces/${namespace}/serviceaccounts`;
  assertStatus(await admin()('POST', accounts, { metadata: { name } }), 201, name);
  if (role !== undefined) {
    const rule = {
      apiGroups: ['secretbridge.dev'],
      resources: ['roles'],
      resourceNames: [role],
      verbs: ['use'],
    };
    assertStatus(
      await admin()('POST', `${RBAC}/clusterroles`, { metadata: { name }, rules: [rule] }),
      201,
      name,
    );
    const binding = {
      metadata: { name },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name },
      subjects: [{ kind: 'ServiceAccount', name, namespace }],
    };
    assertStatus(await admin()('POST', `${RBAC}/clusterrolebindings`, binding), 201, name);
  }
  return async (audience) => {
    const answer = await admin()('POST', `${accounts}/${name}/token`, { spec: { audiences: [audience] } });
    assertStatus(answer, 201, 'token');
    return (answer.body as { status: { token: string } }).status.token;
  };
}

async function openServer() {
  const real = await openReal({ reviews: true });
  const { identities } = real.cluster;
  if (identities === undefined) throw new Error('a real cluster has identities');
  const bench = await startTestServer({ auth: createAuthenticator({ tokens: [], identities }) });
  return {
    real,
    bench,
    async [Symbol.asyncDispose]() {
      await bench[Symbol.asyncDispose]();
      await real[Symbol.asyncDispose]();
    },
  };
}

it("identifies the holder of a token, and checks the holder's role through the API server", async () => {
  await using setup = await openServer();
  const sync = (token: string) => setup.bench.call('POST', '/api/v1/mappings/db/sync', { token });
  for (const role of [undefined, ...ROLES]) {
    const token = await (await createPerson(setup.real.namespace, role))('secretbridge');
    const rank = role === undefined ? -1 : ROLES.indexOf(role);
    // The authorizer receives a new binding through a watch. The authorizer caches a denial for ten seconds.
    await expect
      .poll(async () => (await setup.bench.get('/api/v1/status', token)).status, {
        timeout: 20_000,
        interval: 1_000,
      })
      .toBe(rank >= 0 ? 200 : 403);
    expect((await sync(token)).status, role).toBe(role === 'operator' ? 200 : 403);
  }
  expect(setup.bench.calls.map(({ by }) => by.name)).toEqual([
    expect.stringMatching(`^system:serviceaccount:${setup.real.namespace}:person-`),
  ]);
});

it('rejects an invalid token, and a token for another audience', async () => {
  await using setup = await openServer();
  const issue = await createPerson(setup.real.namespace, 'operator');
  const validToken = await issue('secretbridge');
  for (const token of [
    await issue('https://kubernetes.default.svc'),
    'made-up',
    `${validToken.slice(0, -4)}AAAA`,
    `${validToken}=`,
  ])
    expect((await setup.bench.get('/api/v1/status', token)).status).toBe(401);
});

it('answers 503 instead of 401 if the bridge is not allowed to review tokens', async () => {
  await using real = await openReal();
  const { identities } = real.cluster;
  if (identities === undefined) throw new Error('a real cluster has identities');
  await using bench = await startTestServer({ auth: createAuthenticator({ tokens: [], identities }) });
  expect(await bench.get('/api/v1/status', 'made-up')).toMatchObject({
    status: 503,
    json: { code: 'CLUSTER_FORBIDDEN' },
  });
});
