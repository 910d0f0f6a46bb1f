import { describe, expect, it } from 'vitest';
import { SecretValue } from '../../../src/core/secret-value.ts';
import { change, manifest, readNow } from '../../conformance/cluster-harness.ts';
import { kubernetes } from '../services/inject.ts';
import { assertStatus } from '../services/kubernetes-api.ts';
import { admin, connect, type Kubeconfig, openReal, type RealHarness, variant } from './harness.ts';

const app = ({ namespace }: RealHarness) => ({ namespace, secret: 'app' });

const clusterIn = (config: Kubeconfig) => config.clusters[0]?.cluster ?? {};
const userIn = (config: Kubeconfig) => config.users[0]?.user ?? {};

/** Waits until a new quota or policy takes effect. Until then, a dry run succeeds. */
async function untilCreatesAreRefused({ namespace }: RealHarness): Promise<void> {
  const path = `/api/v1/namespaces/${namespace}/secrets?dryRun=All`;
  const probe = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'probe' } };
  await expect.poll(async () => (await admin()('POST', path, probe)).status, { timeout: 20_000 }).toBe(403);
}

describe('a request to a real API server', () => {
  it('a create in a missing namespace fails with NAMESPACE_MISSING, and a read there finds nothing', async () => {
    await using admin = await connect(kubernetes().kubeconfig);
    const id = { namespace: 'not-there', secret: 'app' };
    expect(await admin.read(id)).toBeUndefined();
    await expect(admin.create(id, manifest())).rejects.toMatchObject({
      code: 'NAMESPACE_MISSING',
      subject: 'not-there/app',
    });
  });

  it('a create in a terminating namespace fails with NAMESPACE_MISSING, and a replace of an existing Secret there succeeds', async () => {
    await using h = await openReal();
    await h.cluster.create(app(h), manifest());
    await h.edit(app(h), { metadata: { finalizers: ['example.com/keep'] } });
    assertStatus(await admin()('DELETE', `/api/v1/namespaces/${h.namespace}`), 200, 'delete namespace');
    const other = { ...app(h), secret: 'foreign' };
    await expect(h.cluster.create(other, manifest())).rejects.toMatchObject({ code: 'NAMESPACE_MISSING' });
    await h.remove(app(h));
    const live = await readNow(h.cluster, app(h));
    expect(live.deleting).toBe(true);
    expect((await h.cluster.replace(live, change({ labels: { a: '1' } }))).kind).toBe('written');
    await h.edit(app(h), { metadata: { finalizers: null } });
  });

  it('a create fails with CLUSTER_REFUSED when a quota is used up', async () => {
    await using h = await openReal();
    const quota = { metadata: { name: 'none' }, spec: { hard: { 'count/secrets': '0' } } };
    assertStatus(
      await admin()('POST', `/api/v1/namespaces/${h.namespace}/resourcequotas`, quota),
      201,
      'quota',
    );
    // This cluster has no controller that counts usage, and the API server enforces no quota without a status. The test
    // writes the status.
    const status = { ...quota, status: { hard: { 'count/secrets': '0' }, used: { 'count/secrets': '0' } } };
    const path = `/api/v1/namespaces/${h.namespace}/resourcequotas/none/status`;
    const headers = { 'content-type': 'application/merge-patch+json' };
    assertStatus(await admin()('PATCH', path, status, headers), 200, 'quota status');
    await untilCreatesAreRefused(h);
    const error = await h.cluster.create(app(h), manifest()).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'CLUSTER_REFUSED', detail: 'a quota of the namespace is used up' });
    expect(String(error)).not.toContain('exceeded quota');
  });

  it('a write fails with CLUSTER_REFUSED when an admission policy denies the request', async () => {
    await using h = await openReal();
    const api = '/apis/admissionregistration.k8s.io/v1';
    const policy = {
      metadata: { name: h.namespace },
      spec: {
        matchConstraints: {
          resourceRules: [
            { apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['secrets'] },
          ],
        },
        validations: [{ expression: "object.metadata.name == 'nothing'", reason: 'Forbidden' }],
      },
    };
    const binding = {
      metadata: { name: h.namespace },
      spec: {
        policyName: h.namespace,
        validationActions: ['Deny'],
        matchResources: {
          namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': h.namespace } },
        },
      },
    };
    assertStatus(await admin()('POST', `${api}/validatingadmissionpolicies`, policy), 201, 'policy');
    assertStatus(await admin()('POST', `${api}/validatingadmissionpolicybindings`, binding), 201, 'binding');
    await untilCreatesAreRefused(h);
    await expect(h.cluster.create(app(h), manifest())).rejects.toMatchObject({
      code: 'CLUSTER_REFUSED',
      detail: 'an admission policy denied the request',
    });
    assertStatus(await admin()('DELETE', `${api}/validatingadmissionpolicies/${h.namespace}`), 200, 'policy');
    assertStatus(
      await admin()('DELETE', `${api}/validatingadmissionpolicybindings/${h.namespace}`),
      200,
      'binding',
    );
  });

  it('a write fails with CLUSTER_UNAVAILABLE when an admission webhook does not answer', async () => {
    await using h = await openReal();
    const path = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations';
    const webhook = {
      metadata: { name: h.namespace },
      webhooks: [
        {
          name: 'away.example.com',
          clientConfig: { url: 'https://127.0.0.1:1/' },
          rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['secrets'] }],
          namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': h.namespace } },
          failurePolicy: 'Fail',
          sideEffects: 'None',
          admissionReviewVersions: ['v1'],
        },
      ],
    };
    assertStatus(await admin()('POST', path, webhook), 201, 'webhook');
    const dryRun = `/api/v1/namespaces/${h.namespace}/secrets?dryRun=All`;
    const probe = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'probe' } };
    await expect
      .poll(async () => (await admin()('POST', dryRun, probe)).status, { timeout: 20_000 })
      .toBe(500);
    await expect(h.cluster.create(app(h), manifest())).rejects.toMatchObject({
      code: 'CLUSTER_UNAVAILABLE',
      detail: 'an admission webhook of the cluster does not answer',
      remedy: expect.stringContaining('validatingwebhookconfigurations'),
    });
    assertStatus(await admin()('DELETE', `${path}/${h.namespace}`), 200, 'webhook');
  });

  it('a write fails with CLUSTER_REFUSED if the object is invalid, and with TOO_LARGE if it is too large', async () => {
    await using h = await openReal();
    const withoutKeys = manifest({ type: 'kubernetes.io/tls', data: new Map() });
    await expect(h.cluster.create(app(h), withoutKeys)).rejects.toMatchObject({ code: 'CLUSTER_REFUSED' });
    const badLabel = manifest({ labels: { 'not a label!': 'x' } });
    await expect(h.cluster.create(app(h), badLabel)).rejects.toMatchObject({ code: 'CLUSTER_REFUSED' });
    const big = (bytes: number) =>
      manifest({ data: new Map([['big', SecretValue.fromBytes(Buffer.alloc(bytes, 'x'))]]) });
    await expect(h.cluster.create(app(h), big(1024 * 1024 + 1))).rejects.toMatchObject({ code: 'TOO_LARGE' });
    await expect(h.cluster.create(app(h), big(8 * 1024 * 1024))).rejects.toMatchObject({ code: 'TOO_LARGE' });
    // The API server ignores the names of keys when it checks the size, but etcd counts them.
    const many = (keys: number) =>
      manifest({
        data: new Map(
          Array.from({ length: keys }, (_, n) => [`${n}-`.padEnd(253, 'x'), SecretValue.fromText('v')]),
        ),
      });
    for (const keys of [7_000, 9_000])
      await expect(h.cluster.create(app(h), many(keys))).rejects.toMatchObject({ code: 'TOO_LARGE' });
    expect(await h.cluster.read(app(h))).toBeUndefined();
  });

  it('a request fails with CLUSTER_FORBIDDEN if the account has no rights on the Secret', async () => {
    await using h = await openReal();
    const other = { namespace: h.namespace, secret: 'other' };
    const elsewhere = { namespace: 'default', secret: 'app' };
    await expect(h.cluster.read(other)).rejects.toMatchObject({ code: 'CLUSTER_FORBIDDEN' });
    await expect(h.cluster.read(elsewhere)).rejects.toMatchObject({ code: 'CLUSTER_FORBIDDEN' });
    await expect(h.cluster.create(elsewhere, manifest())).rejects.toMatchObject({
      code: 'CLUSTER_FORBIDDEN',
    });
    const { namespace } = h;
    expect(await h.cluster.checkAccess({ namespace, verb: 'get', secret: 'other' })).toBe(false);
    expect(await h.cluster.checkAccess({ namespace, verb: 'delete', secret: 'app' })).toBe(true);
    expect(await h.cluster.checkAccess({ namespace, verb: 'delete', secret: 'other' })).toBe(false);
  });

  it('a replace fails with CLUSTER_FORBIDDEN if the account is only allowed to read the Secret', async () => {
    await using h = await openReal();
    await h.cluster.create(app(h), manifest());
    const rules = [{ apiGroups: [''], resources: ['secrets'], verbs: ['get'] }];
    const headers = { 'content-type': 'application/merge-patch+json' };
    assertStatus(await admin()('PATCH', h.role, { rules }, headers), 200, 'role');
    const { namespace } = h;
    const canUpdate = () => h.cluster.checkAccess({ namespace, verb: 'update', secret: 'app' });
    await expect.poll(canUpdate, { timeout: 10_000 }).toBe(false);
    const replaced = h.cluster.replace(await readNow(h.cluster, app(h)), change());
    await expect(replaced).rejects.toMatchObject({ code: 'CLUSTER_FORBIDDEN' });
  });
});

describe('a connection to the cluster', () => {
  it('a request fails with CLUSTER_FORBIDDEN if the token is wrong', async () => {
    await using h = await openReal();
    const path = await variant(h.kubeconfig, (config) => Object.assign(userIn(config), { token: 'wrong' }));
    await using cluster = await connect(path);
    await expect(cluster.ping()).rejects.toMatchObject({ code: 'CLUSTER_FORBIDDEN' });
    const error = await cluster.read(app(h)).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'CLUSTER_FORBIDDEN', detail: expect.stringContaining('identity') });
  });

  it('a request fails with CLUSTER_UNAVAILABLE and a TLS error if an unknown CA signed the certificate', async () => {
    await using h = await openReal();
    const path = await variant(h.kubeconfig, (config) =>
      Object.assign(clusterIn(config), {
        'certificate-authority-data': undefined,
      }),
    );
    await using cluster = await connect(path);
    await expect(cluster.ping()).rejects.toMatchObject({
      code: 'CLUSTER_UNAVAILABLE',
      detail: expect.stringMatching(/^TLS: .*CA that we trust$/),
    });
  });

  it('a request fails with CLUSTER_UNAVAILABLE if the certificate does not match `tls-server-name`', async () => {
    await using h = await openReal();
    const withServerName = (name: string) =>
      variant(h.kubeconfig, (config) => Object.assign(clusterIn(config), { 'tls-server-name': name }));
    await using wrong = await connect(await withServerName('example.com'));
    await expect(wrong.ping()).rejects.toMatchObject({
      detail: "TLS: the server's certificate is for another name",
    });
    await using right = await connect(await withServerName('kubernetes.default.svc'));
    await expect(right.ping()).resolves.toBeDefined();
  });

  it('a request fails with CLUSTER_UNAVAILABLE and the reason if no server answers', async () => {
    await using h = await openReal();
    const withServer = (server: string) =>
      variant(h.kubeconfig, (config) => Object.assign(clusterIn(config), { server }));
    await using closed = await connect(await withServer('https://127.0.0.1:1'));
    await expect(closed.read(app(h))).rejects.toMatchObject({
      code: 'CLUSTER_UNAVAILABLE',
      detail: "connection refused by the API server's address",
    });
    await using unnamed = await connect(await withServer('https://api.invalid'));
    await expect(unnamed.read(app(h))).rejects.toMatchObject({
      code: 'CLUSTER_UNAVAILABLE',
      detail: expect.stringContaining('does not resolve'),
    });
  });

  it('returns the time of the API server in response to a ping', async () => {
    await using h = await openReal();
    const { time = 0 } = await h.cluster.ping();
    expect(Math.abs(time - Date.now())).toBeLessThan(5_000);
  });
});

describe("the bridge's own namespace", () => {
  it('the bridge may access only those Secrets of its own namespace that the configuration refers to', async () => {
    await using h = await openReal();
    expect(h.cluster.ownNamespace()).toBe(h.ownNamespace);
    expect(h.cluster.inCluster).toBe(false);
    expect(await h.cluster.ownSecret('credentials', 'token')).toBeUndefined();
    const id = { namespace: h.ownNamespace, secret: 'credentials' };
    await h.put(id, { stringData: { token: 's3cret' } });
    const value = await h.cluster.ownSecret('credentials', 'token');
    expect(value?.equals(SecretValue.fromText('s3cret'))).toBe(true);
    expect(await h.cluster.ownSecret('credentials', 'other')).toBeUndefined();
    await expect(h.cluster.ownSecret('others', 'token')).rejects.toMatchObject({ code: 'CLUSTER_FORBIDDEN' });
  });
});
