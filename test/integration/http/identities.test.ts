import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { createAuthenticator } from '../../../src/http/auth.ts';
import { ROLES } from '../../../src/http/identity.ts';
import { startTestServer } from '../../http/harness.ts';
import { admin, openReal } from '../cluster/harness.ts';
import { assertStatus } from '../services/kubernetes-api.ts';

const RBAC = '/apis/rbac.authorization.k8s.io/v1';

/** A service account with a role of ours, or none; gives a token of it for an audience. */
async function person(
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

async function openWorld() {
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

it('the API server says who holds a token and, by its own rules, what they may', async () => {
  await using world = await openWorld();
  const sync = (token: string) => world.bench.call('POST', '/api/v1/mappings/db/sync', { token });
  for (const role of [undefined, ...ROLES]) {
    const token = await (await person(world.real.namespace, role))('secretbridge');
    const rank = role === undefined ? -1 : ROLES.indexOf(role);
    // The authoriser learns of a new binding by a watch, and a refusal is kept for ten seconds.
    await expect
      .poll(async () => (await world.bench.get('/api/v1/status', token)).status, {
        timeout: 20_000,
        interval: 1_000,
      })
      .toBe(rank >= 0 ? 200 : 403);
    expect((await sync(token)).status, role).toBe(role === 'operator' ? 200 : 403);
  }
  expect(world.bench.calls.map(({ by }) => by.name)).toEqual([
    expect.stringMatching(`^system:serviceaccount:${world.real.namespace}:person-`),
  ]);
});

it('a token for another audience, a made-up one and a damaged one are refused', async () => {
  await using world = await openWorld();
  const issue = await person(world.real.namespace, 'operator');
  const good = await issue('secretbridge');
  for (const token of [
    await issue('https://kubernetes.default.svc'),
    'made-up',
    `${good.slice(0, -4)}AAAA`,
    `${good}=`,
  ])
    expect((await world.bench.get('/api/v1/status', token)).status).toBe(401);
});

it('without the right to ask, nobody is let in and nobody is called a liar', async () => {
  await using real = await openReal();
  const { identities } = real.cluster;
  if (identities === undefined) throw new Error('a real cluster has identities');
  await using bench = await startTestServer({ auth: createAuthenticator({ tokens: [], identities }) });
  expect(await bench.get('/api/v1/status', 'made-up')).toMatchObject({
    status: 503,
    json: { code: 'CLUSTER_FORBIDDEN' },
  });
});
