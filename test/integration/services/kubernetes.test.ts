import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRequest } from './http.ts';
import { kubernetes } from './inject.ts';
import { readKubeconfig, writeKubeconfig } from './kubeconfig.ts';
import { countsBetween } from './kubernetes-api.ts';
import { borrowKubernetes } from './kubernetes-borrowed.ts';

const NAMESPACE = 'services-test';
const SECRETS = `/api/v1/namespaces/${NAMESPACE}/secrets`;
const secret = (name: string, text: string) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name },
  stringData: { text },
});
// The API server updates its counters and its audit log a moment after its answer.
const POLL = { timeout: 10_000 };
const APPLY = { 'content-type': 'application/apply-patch+yaml' };

beforeAll(async () => {
  await kubernetes().request('POST', '/api/v1/namespaces', { metadata: { name: NAMESPACE } });
});
afterAll(async () => {
  await kubernetes().request('DELETE', `/api/v1/namespaces/${NAMESPACE}`);
});

describe('the cluster of the run', () => {
  it('the cluster has its usual namespaces', async () => {
    const { status } = await kubernetes().request('GET', '/api/v1/namespaces/default');
    expect(status).toBe(200);
  });

  it("the cluster accepts the administrator's kubeconfig", async () => {
    const request = createRequest(await readKubeconfig(kubernetes().kubeconfig));
    expect((await request('GET', '/api/v1/nodes')).status).toBe(200);
  });

  it('rejects an unknown token', async () => {
    const { address, caFile } = kubernetes();
    const ca = readFileSync(caFile, 'utf8');
    const unauthenticated = createRequest({ address, ca, headers: { authorization: 'Bearer wrong' } });
    expect((await unauthenticated('GET', SECRETS)).status).toBe(401);
  });

  it("issues a ServiceAccount token with only the rights of the account's roles", async () => {
    const { request, serviceAccountKubeconfig } = kubernetes();
    const path = await serviceAccountKubeconfig({ namespace: NAMESPACE, name: 'reader' });
    const reader = createRequest(await readKubeconfig(path));
    expect((await reader('GET', SECRETS)).status).toBe(403);

    const rbac = `/apis/rbac.authorization.k8s.io/v1/namespaces/${NAMESPACE}`;
    const rules = [{ apiGroups: [''], resources: ['secrets'], verbs: ['list'] }];
    await request('POST', `${rbac}/roles`, { metadata: { name: 'reader' }, rules });
    await request('POST', `${rbac}/rolebindings`, {
      metadata: { name: 'reader' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'reader' },
      subjects: [{ kind: 'ServiceAccount', name: 'reader', namespace: NAMESPACE }],
    });
    await expect.poll(async () => (await reader('GET', SECRETS)).status, POLL).toBe(200);
    expect((await reader('DELETE', `${SECRETS}/none`)).status).toBe(403);
    // A second call works too, even though account and namespace already exist.
    await expect(serviceAccountKubeconfig({ namespace: NAMESPACE, name: 'reader' })).resolves.not.toBe(path);
  });

  it('counts requests by verb and resource', async () => {
    const { request, requestCounts } = kubernetes();
    // Other tests run beside this one, and none of them uses this kind of object.
    const path = `/api/v1/namespaces/${NAMESPACE}/limitranges/counted`;
    const range = {
      apiVersion: 'v1',
      kind: 'LimitRange',
      metadata: { name: 'counted' },
      spec: { limits: [] },
    };
    const before = await requestCounts();
    await request('PATCH', `${path}?fieldManager=test`, range, APPLY);
    await request('PATCH', `${path}?fieldManager=test`, range, APPLY);
    await request('GET', path);
    await expect
      .poll(async () => countsBetween(before, await requestCounts()), POLL)
      .toMatchObject({ 'APPLY limitranges': 2, 'GET limitranges': 1 });
    expect(countsBetween(before, await requestCounts())).not.toHaveProperty(['DELETE limitranges']);
  });

  it('records access to Secrets in its audit log, without the values', async ({ skip }) => {
    const { request, auditLogPath } = kubernetes();
    if (auditLogPath === undefined) return skip('the audit log of a borrowed cluster is not accessible');
    await request(
      'PATCH',
      `${SECRETS}/witnessed?fieldManager=test`,
      secret('witnessed', 'marker-value'),
      APPLY,
    );
    const entries = () =>
      readFileSync(auditLogPath, 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line));
    await expect
      .poll(() => entries().find(({ objectRef }) => objectRef?.name === 'witnessed'), POLL)
      .toMatchObject({ verb: 'patch', user: { username: 'admin' }, responseStatus: { code: 201 } });
    expect(readFileSync(auditLogPath, 'utf8')).not.toContain('marker-value');
  });
});

describe('an existing cluster', () => {
  it('uses an existing cluster through its kubeconfig, and keeps the cluster running', async () => {
    const { kubeconfig, request } = kubernetes();
    await using borrowed = await borrowKubernetes(kubeconfig);
    expect(borrowed).toMatchObject({ borrowed: true, address: kubernetes().address });
    expect(Object.keys(await borrowed.requestCounts())).toContain('LIST namespaces');
    await borrowed.stop();
    expect((await request('GET', '/readyz')).status).toBe(200);
  });

  it.each([
    ['a missing file', '/no/such/file', /does not exist/],
    ['a wrong token', 'wrong.kubeconfig', /does not answer to its credentials/],
  ])('reports an error for an existing cluster with %s', async (_, name, message) => {
    const { address, caFile, kubeconfig } = kubernetes();
    const wrong = join(dirname(kubeconfig), 'wrong.kubeconfig');
    const ca = readFileSync(caFile, 'utf8');
    await writeKubeconfig(wrong, { address, ca, user: 'admin', token: 'wrong', namespace: 'default' });
    await expect(borrowKubernetes(name.startsWith('/') ? name : wrong)).rejects.toThrow(message);
  });
});
