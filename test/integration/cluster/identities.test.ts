import { describe, expect, it } from 'vitest';
import { createKubeClient } from '../../../src/cluster/client.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { SecretValue } from '../../../src/core/secret-value.ts';
import { kubernetes } from '../services/inject.ts';
import { assertStatus } from '../services/kubernetes-api.ts';
import { admin, openReal, type RealHarness, variant } from './harness.ts';

const RBAC = '/apis/rbac.authorization.k8s.io/v1';

function identitiesOf({ cluster }: RealHarness) {
  if (cluster.identities === undefined) throw new Error('a real cluster has identities');
  return cluster.identities;
}

async function tokenOf(h: RealHarness, audiences: readonly string[]): Promise<SecretValue> {
  await kubernetes().serviceAccountToken({ namespace: h.namespace, name: 'caller' });
  const path = `/api/v1/namespaces/${h.namespace}/serviceaccounts/caller/token`;
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { audiences } };
  const answer = await admin()<{ status: { token: string } }>('POST', path, body);
  assertStatus(answer, 201, path);
  return SecretValue.fromText(answer.body.status.token);
}

describe('Kubernetes identities (with only the rights that rbac prints)', () => {
  it('accepts only tokens for the audience of the bridge', async () => {
    await using h = await openReal({ reviews: true });
    const identities = identitiesOf(h);
    const review = (token: SecretValue) => identities.review(token, 'secretbridge');
    // The ClusterRole takes effect after a moment.
    await expect
      .poll(async () => review(await tokenOf(h, ['secretbridge'])).catch(() => undefined), {
        timeout: 10_000,
      })
      .toMatchObject({
        name: `system:serviceaccount:${h.namespace}:caller`,
        uid: expect.any(String),
        groups: expect.arrayContaining(['system:serviceaccounts', 'system:authenticated']),
      });
    expect(await review(await tokenOf(h, ['another']))).toBeUndefined();
    expect(await review(await tokenOf(h, []))).toBeUndefined();
    expect(await review(SecretValue.fromText('not-a-token'))).toBeUndefined();
  });

  it('gives each identity the role of the bridge that RBAC grants to it', async () => {
    await using h = await openReal({ reviews: true });
    const identities = identitiesOf(h);
    const name = `role-${h.namespace}`;
    const rules = [
      { apiGroups: ['secretbridge.dev'], resources: ['roles'], resourceNames: ['reviewer'], verbs: ['use'] },
    ];
    const subjects = [{ kind: 'Group', apiGroup: 'rbac.authorization.k8s.io', name: 'team' }];
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name };
    assertStatus(
      await admin()('POST', `${RBAC}/clusterroles`, { metadata: { name }, rules }),
      201,
      'clusterrole',
    );
    const binding = { metadata: { name }, subjects, roleRef };
    assertStatus(await admin()('POST', `${RBAC}/clusterrolebindings`, binding), 201, 'binding');
    const ann = { name: 'ann', groups: ['team'] };
    await expect
      .poll(() => identities.canUseRole(ann, 'reviewer').catch(() => false), { timeout: 10_000 })
      .toBe(true);
    expect(await identities.canUseRole(ann, 'operator')).toBe(false);
    expect(await identities.canUseRole({ name: 'bob', groups: [] }, 'reviewer')).toBe(false);
    await admin()('DELETE', `${RBAC}/clusterrolebindings/${name}`);
    await admin()('DELETE', `${RBAC}/clusterroles/${name}`);
  });

  it('a check of a token fails with CLUSTER_FORBIDDEN if the bridge is not allowed to create token reviews', async () => {
    await using h = await openReal();
    const review = identitiesOf(h).review(SecretValue.fromText('a-token'), 'secretbridge');
    await expect(review).rejects.toMatchObject({ code: 'CLUSTER_FORBIDDEN' });
  });
});

describe('impersonation by a kubeconfig', () => {
  it('impersonation sends user, uid, groups and extra fields', async () => {
    const kubeconfig = await variant(kubernetes().kubeconfig, ({ users }) => {
      Object.assign(users[0]?.user ?? {}, {
        as: 'bob',
        'as-uid': 'u-1',
        'as-groups': ['team:a', 'équipe 東京'],
        'as-user-extra': { scopes: ['read', 'write'], 'example.com/50%': ['x'] },
      });
    });
    await using client = await createKubeClient({ kubeconfig, env: {}, clock: systemClock });
    const path = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
    const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' };
    const answer = await client.send({ method: 'POST', path, body });
    expect(JSON.parse(answer.text)).toMatchObject({
      status: {
        userInfo: {
          username: 'bob',
          uid: 'u-1',
          groups: ['team:a', 'équipe 東京', 'system:authenticated'],
          extra: { scopes: ['read', 'write'], 'example.com/50%': ['x'] },
        },
      },
    });
  });
});
