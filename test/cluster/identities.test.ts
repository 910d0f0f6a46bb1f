import { describe, expect, it } from 'vitest';
import { createKubernetesCluster } from '../../src/cluster/kubernetes.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import { type ApiServer, json, startApiServer, status } from './api-server.ts';

async function open(server: ApiServer) {
  const cluster = await createKubernetesCluster({
    kubeconfig: server.kubeconfig,
    env: {},
    clock: { now: () => 0 },
  });
  const { identities } = cluster;
  if (identities === undefined) throw new Error('it has identities');
  return { identities, [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose]() };
}

const token = SecretValue.fromText('marker.token');
const user = { username: 'ann', uid: 'u1', groups: ['team', 'system:authenticated'] };
const reviewed = (of: object) =>
  json(201, { kind: 'TokenReview', apiVersion: 'authentication.k8s.io/v1', status: of });
const access = (of: object) =>
  json(201, { kind: 'SubjectAccessReview', apiVersion: 'authorization.k8s.io/v1', status: of });

describe('a Kubernetes token', () => {
  it('asks the API server to review the token for the required audience', async () => {
    await using server = await startApiServer();
    await using h = await open(server);
    server.answer(reviewed({ authenticated: true, user, audiences: ['secretbridge'] }));
    expect(await h.identities.review(token, 'secretbridge')).toEqual({
      name: 'ann',
      uid: 'u1',
      groups: ['team', 'system:authenticated'],
    });
    expect(server.seen[0]).toMatchObject({
      method: 'POST',
      url: '/apis/authentication.k8s.io/v1/tokenreviews',
    });
    expect(JSON.parse(server.seen[0]?.body ?? '')).toMatchObject({
      spec: { token: 'marker.token', audiences: ['secretbridge'] },
    });
  });

  it('passes extra fields of the user, such as scopes, to the access review', async () => {
    await using server = await startApiServer();
    await using h = await open(server);
    const extra = { 'scopes.authorization.openshift.io': ['user:info'] };
    server.answer(reviewed({ authenticated: true, user: { ...user, extra }, audiences: ['secretbridge'] }));
    const caller = (await h.identities.review(token, 'secretbridge')) ?? expect.fail();
    server.answer(access({ allowed: false }));
    expect(await h.identities.canUseRole(caller, 'operator')).toBe(false);
    expect(JSON.parse(server.seen[1]?.body ?? '')).toMatchObject({ spec: { extra } });
  });

  it.each([
    ['is not accepted', { authenticated: false, error: 'invalid bearer token' }],
    ['gets no decision', {}],
    ['is for another audience', { authenticated: true, user, audiences: ['other'] }],
    ['was reviewed by a server without audiences', { authenticated: true, user }],
  ])('returns no caller if the token %s', async (_, of) => {
    await using server = await startApiServer();
    await using h = await open(server);
    server.answer(reviewed(of));
    expect(await h.identities.review(token, 'secretbridge')).toBeUndefined();
  });

  it.each(['', 'two words', 'line\nbreak', 'ünicode', 'a\0b'])(
    'never sends the token %j to the API server',
    async (text) => {
      await using server = await startApiServer();
      await using h = await open(server);
      expect(await h.identities.review(SecretValue.fromText(text), 'secretbridge')).toBeUndefined();
      expect(server.seen).toEqual([]);
    },
  );

  it.each([
    [200, { kind: 'TokenReview', status: { authenticated: true, user, audiences: ['secretbridge'] } }],
    [201, { kind: 'Status', status: 'Success' }],
    [201, { kind: 'TokenReview' }],
    [201, { kind: 'TokenReview', status: { authenticated: true, user: {}, audiences: ['secretbridge'] } }],
    [500, status(500, 'InternalError', {}, 'marker.token')],
  ])(
    'throws an error if the response is %s %j, instead of reporting the token as valid or invalid',
    async (code, body) => {
      await using server = await startApiServer();
      await using h = await open(server);
      server.answer(json(code, body));
      const error = await h.identities.review(token, 'secretbridge').catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'CLUSTER_UNAVAILABLE' });
      expect(`${String(error)} ${JSON.stringify(error)}`).not.toContain('marker');
    },
  );
});

describe('a secretbridge role', () => {
  const ann = { name: 'ann', uid: 'u1', groups: ['team'] };

  it.each([
    [{ allowed: true }, true],
    [{ allowed: false }, false],
    [{ allowed: false, denied: true }, false],
    [{ allowed: true, denied: true }, false],
  ])(
    'grants the role only if the access review is `allowed` and not also `denied`: %j',
    async (of, expected) => {
      await using server = await startApiServer();
      await using h = await open(server);
      server.answer(access(of));
      expect(await h.identities.canUseRole(ann, 'operator')).toBe(expected);
      expect(JSON.parse(server.seen[0]?.body ?? '')).toMatchObject({
        spec: {
          user: 'ann',
          uid: 'u1',
          groups: ['team'],
          resourceAttributes: {
            verb: 'use',
            group: 'secretbridge.dev',
            resource: 'roles',
            name: 'operator',
          },
        },
      });
    },
  );

  it('throws an error if the access review is forbidden', async () => {
    await using server = await startApiServer();
    await using h = await open(server);
    const text = 'x is forbidden: User "x" cannot create resource';
    server.answer(json(403, status(403, 'Forbidden', {}, text)));
    await expect(h.identities.canUseRole(ann, 'viewer')).rejects.toMatchObject({ code: 'CLUSTER_FORBIDDEN' });
    server.answer(access({}));
    await expect(h.identities.canUseRole(ann, 'viewer')).rejects.toMatchObject({
      code: 'CLUSTER_UNAVAILABLE',
    });
  });
});
