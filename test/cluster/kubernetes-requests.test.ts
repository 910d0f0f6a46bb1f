import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { createKubernetesCluster } from '../../src/cluster/kubernetes.ts';
import { AppError } from '../../src/core/errors.ts';
import { mergeManifest, readNow } from '../conformance/cluster-harness.ts';
import { type Answer, type ApiServer, json, secret, startApiServer, status } from './api-server.ts';

const id = { namespace: 'team', secret: 'app' };
const MARKER = 'marker-of-the-server';
const GONE = status(404, 'NotFound', { kind: 'secrets', name: 'app' });

/** Opens a cluster client that has read the Secret. */
async function open(server: ApiServer) {
  const { kubeconfig } = server;
  const cluster = await createKubernetesCluster({ kubeconfig, env: {}, clock: { now: () => 0 } });
  server.answer(json(200, secret({ data: { theirs: 'MQ==' } })));
  return {
    cluster,
    live: await readNow(cluster, id),
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  };
}

const page: Answer = (_, response) =>
  response.writeHead(200, { 'content-type': 'text/html' }).end(`<html>${MARKER}</html>`);

const REFUSED: readonly (readonly [string, Answer, AppError['code']])[] = [
  [
    'RBAC',
    json(
      403,
      status(
        403,
        'Forbidden',
        { kind: 'secrets' },
        `secrets "app" is forbidden: User "${MARKER}" cannot delete resource`,
      ),
    ),
    'CLUSTER_FORBIDDEN',
  ],
  ['a webhook', json(403, status(403, 'Forbidden', { kind: 'secrets' }, MARKER)), 'CLUSTER_REFUSED'],
  ['slow down', json(429, status(429, 'TooManyRequests', {}, MARKER)), 'CLUSTER_UNAVAILABLE'],
  ['500', json(500, status(500, 'InternalError', {}, MARKER)), 'CLUSTER_UNAVAILABLE'],
  ['404 of a proxy', json(404, { error: MARKER }), 'CLUSTER_UNAVAILABLE'],
  ['409 of a proxy', json(409, { error: MARKER }), 'CLUSTER_UNAVAILABLE'],
  ['a login page', page, 'CLUSTER_UNAVAILABLE'],
];

describe('the deletion of a Secret', () => {
  it('deletes a Secret only if it still has the uid and the version that the client has read', async () => {
    await using server = await startApiServer();
    await using opened = await open(server);
    server.answer(json(200, status(200, '', {})));
    server.answer(json(200, { kind: 'Status', apiVersion: 'v1', status: 'Success' }));
    expect(await opened.cluster.remove(opened.live)).toEqual({ kind: 'removed' });
    const { method, url, body } = server.seen.at(-1) ?? {};
    expect(`${method} ${url}`).toBe('DELETE /api/v1/namespaces/team/secrets/app');
    expect(JSON.parse(body ?? '')).toEqual({
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      preconditions: { uid: 'u1', resourceVersion: '7' },
    });
  });

  it.each([
    ['already deleted', json(404, GONE), 'removed'],
    ['held by finalizers', json(200, secret()), 'removed'],
    ['with another uid', json(409, status(409, 'Conflict', { kind: 'Secret' })), 'conflict'],
  ] as const)('the deletion of a Secret %s has the result %3$s', async (_, answer, kind) => {
    await using server = await startApiServer();
    await using opened = await open(server);
    server.answer(answer);
    expect(await opened.cluster.remove(opened.live)).toEqual({ kind });
  });

  it.each(REFUSED)(
    'the error for %s has a code, and contains no text from the server',
    async (_, answer, code) => {
      await using server = await startApiServer();
      await using opened = await open(server);
      server.answer(answer);
      const thrown = await opened.cluster.remove(opened.live).catch((error: unknown) => error);
      expect(thrown).toBeInstanceOf(AppError);
      expect(thrown).toMatchObject({ code, subject: 'team/app' });
      expect(`${String(thrown)} ${inspect(thrown)} ${JSON.stringify(thrown)}`).not.toContain(MARKER);
    },
  );
});

describe('a merge', () => {
  it('merges by sending only our own fields, without force, and with the uid that the client has read', async () => {
    await using server = await startApiServer();
    await using opened = await open(server);
    const manager = 'secretbridge.prod.app';
    await opened.cluster.merge(opened.live, mergeManifest({ ours: '1' }, { manager, labels: { l: '1' } }));
    const { method, url, headers, body } = server.seen.at(-1) ?? {};
    expect(`${method} ${url}`).toBe(
      'PATCH /api/v1/namespaces/team/secrets/app?fieldManager=secretbridge.prod.app&force=false',
    );
    expect(headers?.['content-type']).toBe('application/apply-patch+yaml');
    expect(JSON.parse(body ?? '')).toEqual({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'app', namespace: 'team', uid: 'u1', labels: { l: '1' } },
      data: { ours: 'MQ==' },
    });
    await opened.cluster.merge(opened.live, mergeManifest({}, { manager }));
    expect(JSON.parse(server.seen.at(-1)?.body ?? '')).toEqual({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'app', namespace: 'team', uid: 'u1' },
    });
  });

  it('returns each conflicting key of a merge once, and no labels', async () => {
    await using server = await startApiServer();
    await using opened = await open(server);
    const causes = ['.data.tls.crt', '.data.b', '.data.b', '.metadata.labels.l', '.type'].map((field) => ({
      reason: 'FieldManagerConflict',
      message: `conflict with "${MARKER}" using v1`,
      field,
    }));
    server.answer(json(409, status(409, 'Conflict', { causes }, MARKER)));
    const result = await opened.cluster.merge(opened.live, mergeManifest({ b: '1' }));
    expect(result).toEqual({ kind: 'conflict', keys: ['b', 'tls.crt'] });
    server.answer(json(409, status(409, 'Conflict', { causes: causes.slice(3) }, MARKER)));
    expect(await opened.cluster.merge(opened.live, mergeManifest({ b: '1' }))).toEqual({
      kind: 'conflict',
      keys: [],
    });
  });

  it('reads the Secret again if the response to a merge may mean that the Secret no longer exists', async () => {
    await using server = await startApiServer();
    await using opened = await open(server);
    let exists = false;
    server.answer(({ method }, response) => {
      const uid = json(409, status(409, 'Conflict', { kind: 'secrets' }));
      const read = exists ? json(200, secret()) : json(404, GONE);
      (method === 'PATCH' ? uid : read)({ method, url: '', headers: {}, body: '' }, response);
    });
    expect(await opened.cluster.merge(opened.live, mergeManifest({ a: '1' }))).toEqual({ kind: 'missing' });
    exists = true;
    expect(await opened.cluster.merge(opened.live, mergeManifest({ a: '1' }))).toEqual({ kind: 'conflict' });
  });

  it.each(REFUSED)(
    'the error for %s has a code, and contains no text from the server',
    async (_, answer, code) => {
      await using server = await startApiServer();
      await using opened = await open(server);
      server.answer(answer);
      const thrown = await opened.cluster
        .merge(opened.live, mergeManifest({ a: '1' }))
        .catch((error: unknown) => error);
      expect(thrown).toMatchObject({ code, subject: 'team/app' });
      expect(`${String(thrown)} ${inspect(thrown)} ${JSON.stringify(thrown)}`).not.toContain(MARKER);
    },
  );
});
