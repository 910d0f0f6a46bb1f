import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { createAuthenticator } from '../../../src/http/auth.ts';
import { createManualTime } from '../../fakes/manual-time.ts';
import { startTestServer, target } from '../../http/harness.ts';
import { admin, openReal } from '../../integration/cluster/harness.ts';
import { assertStatus } from '../../integration/services/kubernetes-api.ts';

const RBAC = '/apis/rbac.authorization.k8s.io/v1';
/** The API server gets changes of RBAC through a watch of its own. */
const SOON = { timeout: 20_000, interval: 200 };

// A service account has a role in one namespace. The API server reviews its token and its role.
it('a Kubernetes role in one namespace shows nothing of another one, and ends within 15 s after it is revoked', async () => {
  await using real = await openReal({ reviews: true });
  const { identities } = real.cluster;
  if (identities === undefined) throw new Error('a real cluster has identities');
  const { namespace } = real;
  const name = `person-${randomBytes(4).toString('hex')}`;
  const accounts = `/api/v1/namespaces/${namespace}/serviceaccounts`;
  const roles = `${RBAC}/namespaces/${namespace}`;
  assertStatus(await admin()('POST', accounts, { metadata: { name } }), 201, 'account');
  const rule = {
    apiGroups: ['secretbridge.dev'],
    resources: ['roles'],
    resourceNames: ['viewer'],
    verbs: ['use'],
  };
  assertStatus(await admin()('POST', `${roles}/roles`, { metadata: { name }, rules: [rule] }), 201, 'role');
  const binding = {
    metadata: { name },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
    subjects: [{ kind: 'ServiceAccount', name, namespace }],
  };
  assertStatus(await admin()('POST', `${roles}/rolebindings`, binding), 201, 'binding');
  const issued = await admin()('POST', `${accounts}/${name}/token`, {
    spec: { audiences: ['secretbridge'] },
  });
  const { token } = (issued.body as { status: { token: string } }).status;

  const time = createManualTime();
  const mappings = [namespace, 'marker-ns'].map((one) => ({
    ...{ mapping: one, refreshSeconds: 60, sources: [], searches: [] },
    targets: [target({ mapping: one, namespace: one })],
  }));
  await using api = await startTestServer({
    auth: createAuthenticator({ tokens: [], identities, clock: time }),
    service: { mappings: () => mappings, mapping: (one) => mappings.find(({ mapping }) => mapping === one) },
  });
  const statusOf = async (path: string) => {
    // The service keeps answers of the API server for less than 15 s, and the lack of a role for a minute.
    await time.advance(60_000);
    return (await api.get(path, token)).status;
  };
  await expect.poll(() => statusOf('/api/v1/mappings'), SOON).toBe(200);
  const { text } = await api.get('/api/v1/mappings', token);
  expect(text).toContain(namespace);
  expect(text).not.toContain('marker');
  expect(await statusOf('/api/v1/mappings/marker-ns')).toBe(404);
  expect(await statusOf('/api/v1/audit/verify')).toBe(403);
  const sync = await api.call('POST', `/api/v1/mappings/${namespace}/sync`, { token });
  expect(sync.status).toBe(403);

  assertStatus(await admin()('DELETE', `${roles}/rolebindings/${name}`), 200, 'revoke');
  const afterTenSeconds = async () => {
    await time.advance(10_000);
    return (await api.get('/api/v1/mappings', token)).status;
  };
  await expect.poll(afterTenSeconds, SOON).toBe(403);
});
