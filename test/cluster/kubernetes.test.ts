import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { createKubernetesCluster } from '../../src/cluster/kubernetes.ts';
import { AppError } from '../../src/core/errors.ts';
import { change, manifest, readNow } from '../conformance/cluster-harness.ts';
import { type Answer, type ApiServer, json, secret, startApiServer, status } from './api-server.ts';

const id = { namespace: 'team', secret: 'app' };
const MARKER = 'marker-of-the-server';

async function open(server: ApiServer, timeoutMs = 5_000) {
  return createKubernetesCluster({
    kubeconfig: server.kubeconfig,
    env: {},
    clock: { now: () => 0 },
    timeoutMs,
  });
}

const text =
  (code: number, body: string): Answer =>
  (_, response) =>
    response.writeHead(code, { 'content-type': 'text/html' }).end(body);

const RBAC = `secrets "app" is forbidden: User "${MARKER}" cannot create resource "secrets" in API group "" in the namespace "team"`;
const terminating = {
  causes: [{ reason: 'NamespaceTerminating', message: MARKER, field: 'metadata.namespace' }],
};
const cause = (field: string, message: string, reason = 'FieldValueInvalid') => ({
  causes: [{ field, message, reason }],
});

describe('the response to a write', () => {
  it.each<[string, Answer, AppError['code']]>([
    [
      'no namespace',
      json(404, status(404, 'NotFound', { kind: 'namespaces', name: 'team' }, MARKER)),
      'NAMESPACE_MISSING',
    ],
    ['namespace ends', json(403, status(403, 'Forbidden', terminating, MARKER)), 'NAMESPACE_MISSING'],
    ['RBAC', json(403, status(403, 'Forbidden', { kind: 'secrets' }, RBAC)), 'CLUSTER_FORBIDDEN'],
    [
      'quota',
      json(403, status(403, 'Forbidden', { kind: 'secrets' }, `${MARKER}: exceeded quota: q`)),
      'CLUSTER_REFUSED',
    ],
    [
      'webhook',
      json(400, status(400, 'BadRequest', {}, `admission webhook "${MARKER}" denied the request`)),
      'CLUSTER_REFUSED',
    ],
    ['login', json(401, status(401, 'Unauthorized', {}, MARKER)), 'CLUSTER_FORBIDDEN'],
    ['too large for etcd', json(500, status(500, '', {}, 'etcdserver: request is too large')), 'TOO_LARGE'],
    [
      'too large for the connection to etcd',
      json(
        500,
        status(500, '', {}, 'rpc error: trying to send message larger than max (2527306 vs. 2097152)'),
      ),
      'TOO_LARGE',
    ],
    ['too large, a proxy says', text(500, 'request is too large'), 'CLUSTER_UNAVAILABLE'],
    [
      'too large, one of these days',
      json(503, status(503, '', {}, 'request is too large')),
      'CLUSTER_UNAVAILABLE',
    ],
    ['too large', json(413, status(413, 'RequestEntityTooLarge', {}, MARKER)), 'TOO_LARGE'],
    [
      'data too long',
      json(422, status(422, 'Invalid', cause('data', MARKER, 'FieldValueTooLong'))),
      'TOO_LARGE',
    ],
    [
      'type',
      json(422, status(422, 'Invalid', cause('type', `Invalid value: "${MARKER}": field is immutable`))),
      'IMMUTABLE',
    ],
    [
      'immutable',
      json(422, status(422, 'Invalid', cause('data', 'field is immutable when `immutable` is set'))),
      'IMMUTABLE',
    ],
    ['invalid', json(422, status(422, 'Invalid', cause('metadata.labels', MARKER))), 'CLUSTER_REFUSED'],
    ['slow down', json(429, status(429, 'TooManyRequests', {}, MARKER)), 'CLUSTER_UNAVAILABLE'],
    ['500', json(500, status(500, 'InternalError', {}, MARKER)), 'CLUSTER_UNAVAILABLE'],
    ['503', text(503, MARKER), 'CLUSTER_UNAVAILABLE'],
    ['403 of a proxy', text(403, MARKER), 'CLUSTER_UNAVAILABLE'],
    ['404 of a proxy', text(404, MARKER), 'CLUSTER_UNAVAILABLE'],
    ['409 of a proxy', text(409, MARKER), 'CLUSTER_UNAVAILABLE'],
    ['a login page', text(200, `<html>${MARKER}</html>`), 'CLUSTER_UNAVAILABLE'],
    [
      'another object',
      json(201, { kind: 'Pod', apiVersion: 'v1', metadata: { name: MARKER } }),
      'CLUSTER_UNAVAILABLE',
    ],
  ])('the error for %s has a code, and contains no text from the server', async (_, answer, code) => {
    await using server = await startApiServer();
    await using cluster = await open(server);
    server.answer(answer);
    const thrown = await cluster.create(id, manifest()).catch((error: unknown) => error);
    expect(thrown).toBeInstanceOf(AppError);
    expect(thrown).toMatchObject({ code, subject: 'team/app' });
    expect(`${String(thrown)} ${inspect(thrown)} ${JSON.stringify(thrown)}`).not.toContain(MARKER);
  });

  it.each([
    [
      403,
      `secrets "x" is forbidden: exceeded quota: ${MARKER}, requested: count/secrets=1`,
      'a quota of the namespace is used up',
    ],
    [
      403,
      `admission webhook "${MARKER}" denied the request: ${MARKER}`,
      'an admission webhook denied the request',
    ],
    [
      422,
      `secrets "x" is forbidden: ValidatingAdmissionPolicy '${MARKER}' with binding '${MARKER}' denied request: ${MARKER}`,
      'an admission policy denied the request',
    ],
    [
      500,
      `Internal error occurred: failed calling webhook "${MARKER}": ${MARKER}`,
      'an admission webhook of the cluster does not answer',
    ],
    [422, `Secret "x" is invalid: ${MARKER}`, undefined],
  ])('describes the violated rule in our own words for the status %i (%s)', async (code, message, detail) => {
    await using server = await startApiServer();
    await using cluster = await open(server);
    server.answer(json(code, status(code, '', { kind: 'secrets' }, message)));
    const thrown = await cluster.create(id, manifest()).catch((error: unknown) => error);
    expect(thrown).toMatchObject({ code: code === 500 ? 'CLUSTER_UNAVAILABLE' : 'CLUSTER_REFUSED' });
    expect(thrown).toHaveProperty('detail', detail);
    expect(JSON.stringify(thrown)).not.toContain(MARKER);
  });

  it.each([
    ['it exists already', status(409, 'AlreadyExists', { kind: 'secrets' })],
    ['another version', status(409, 'Conflict', { kind: 'secrets' })],
    ['a concurrent quota update', status(409, 'Conflict', { kind: 'resourcequotas' })],
  ])('reports a conflict for the response %s', async (_, body) => {
    await using server = await startApiServer();
    await using cluster = await open(server);
    server.answer(json(409, body));
    expect(await cluster.create(id, manifest())).toEqual({ kind: 'conflict' });
  });

  it('accepts the response to a write whether or not the response contains the values', async () => {
    await using server = await startApiServer();
    await using cluster = await open(server);
    const metadata = { name: 'app', namespace: 'team', uid: 'u1', resourceVersion: '8' };
    const bare = { apiVersion: 'meta.k8s.io/v1', kind: 'PartialObjectMetadata', metadata };
    server.answer(json(201, bare));
    expect(await cluster.create(id, manifest())).toEqual({ kind: 'written', resourceVersion: '8' });
    expect(server.seen.at(-1)?.headers.accept).toMatch(
      /^application\/json;as=PartialObjectMetadata;.*,application\/json$/,
    );
    server.answer(json(201, secret()));
    expect(await cluster.create(id, manifest())).toEqual({ kind: 'written', resourceVersion: '7' });
  });

  it.each([
    ['of another name', { name: 'other' }],
    ['of another namespace', { namespace: 'other' }],
    ['without a version', { resourceVersion: '' }],
  ])('rejects the response to a write if it contains an object %s', async (_, part) => {
    await using server = await startApiServer();
    await using cluster = await open(server);
    const metadata = { name: 'app', namespace: 'team', uid: 'u1', resourceVersion: '8', ...part };
    server.answer(json(201, { apiVersion: 'meta.k8s.io/v1', kind: 'PartialObjectMetadata', metadata }));
    await expect(cluster.create(id, manifest())).rejects.toMatchObject({
      code: 'CLUSTER_UNAVAILABLE',
      subject: 'team/app',
    });
  });

  it('reports the retry delay that the server requests', async () => {
    await using server = await startApiServer();
    await using cluster = await open(server);
    server.answer(json(429, status(429, 'TooManyRequests'), { 'retry-after': '3' }));
    await expect(cluster.read(id)).rejects.toMatchObject({ retryAfterMs: 3_000 });
    server.answer(json(429, status(429, 'TooManyRequests'), { 'retry-after': 'soon' }));
    await expect(cluster.read(id)).rejects.toMatchObject({ retryAfterMs: undefined });
  });

  it('does not follow a redirect, because a redirect would send the Secret to another address', async () => {
    await using server = await startApiServer();
    await using other = await startApiServer();
    await using cluster = await open(server);
    server.answer((_, response) => response.writeHead(307, { location: `${other.address}/stolen` }).end());
    await expect(cluster.create(id, manifest())).rejects.toMatchObject({ code: 'CLUSTER_UNAVAILABLE' });
    expect(other.seen).toEqual([]);
  });
});

describe('the response to a read', () => {
  it('treats a Secret as missing only if the API server says that this Secret does not exist', async () => {
    await using server = await startApiServer();
    await using cluster = await open(server);
    server.answer(json(404, status(404, 'NotFound', { kind: 'secrets', name: 'app' })));
    expect(await cluster.read(id)).toBeUndefined();
    for (const other of [
      json(404, status(404, 'NotFound')),
      json(404, { error: 'no such route' }),
      json(404, status(404, 'NotFound', { kind: 'pods' })),
      text(404, '<html>not found</html>'),
      json(410, status(410, 'Gone', { kind: 'secrets' })),
    ]) {
      server.answer(other);
      await expect(cluster.read(id)).rejects.toMatchObject({ code: 'CLUSTER_UNAVAILABLE' });
    }
  });

  it.each([
    ['cut in the middle', text(200, JSON.stringify(secret()).slice(0, 60))],
    [
      'of another Secret',
      json(200, secret({ metadata: { name: 'other', namespace: 'team', uid: 'u', resourceVersion: '1' } })),
    ],
    [
      'without a uid',
      json(200, secret({ metadata: { name: 'app', namespace: 'team', resourceVersion: '1' } })),
    ],
    ['with data that is not text', json(200, secret({ data: { a: 1 } }))],
    ['empty', text(200, '')],
    ['an array', text(200, '[]')],
  ])('reports CLUSTER_UNAVAILABLE, and never an empty Secret, if the response is %s', async (_, answer) => {
    await using server = await startApiServer();
    await using cluster = await open(server);
    server.answer(answer);
    await expect(cluster.read(id)).rejects.toMatchObject({ code: 'CLUSTER_UNAVAILABLE' });
  });

  it('reports CLUSTER_UNAVAILABLE if the connection is cut in the middle of the response', async () => {
    await using server = await startApiServer();
    await using cluster = await open(server);
    server.answer((_, response) => {
      response.writeHead(200, { 'content-length': '1000' });
      response.write('{"kind":', () => response.destroy());
    });
    await expect(cluster.read(id)).rejects.toMatchObject({ detail: 'the connection was cut' });
  });

  it('reports CLUSTER_UNAVAILABLE with the time limit if the response does not arrive in time', async () => {
    await using server = await startApiServer();
    await using cluster = await open(server, 50);
    server.answer(() => undefined);
    await expect(cluster.read(id)).rejects.toMatchObject({
      code: 'CLUSTER_UNAVAILABLE',
      subject: server.address,
      detail: 'no answer within 0.05 s',
    });
  });

  it('stops waiting for the response when the read is cancelled, whatever the abort reason is', async () => {
    await using server = await startApiServer();
    await using cluster = await open(server);
    const controller = new AbortController();
    server.answer(() => controller.abort(new Error('shutting down')));
    await expect(cluster.read(id, { signal: controller.signal })).rejects.toMatchObject({
      code: 'CLUSTER_UNAVAILABLE',
      detail: 'cancelled before the API server answered',
    });
  });
});

describe('the replacement of a Secret', () => {
  it('keeps all fields that the client has read, including unknown fields, when it replaces a Secret', async () => {
    await using server = await startApiServer();
    await using cluster = await open(server);
    const metadata = {
      name: 'app',
      namespace: 'team',
      uid: 'u1',
      resourceVersion: '7',
      creationTimestamp: '2026-11-25T10:00:00Z',
      finalizers: ['example.com/keep'],
      managedFields: [{ manager: 'kubectl', operation: 'Update', time: '2026-11-25T10:00:00Z' }],
      labels: { theirs: '1', 'a.b/c': '2' },
      futureField: { nested: [1, null, 'x'] },
    };
    server.answer(json(200, secret({ metadata, data: { old: 'MQ==' }, futureTop: { a: 1 } })));
    const live = await readNow(cluster, id);
    await cluster.replace(live, change({ labels: { ours: '1' }, annotations: {}, dropLabels: ['a.b/c'] }));
    const { method, url, body } = server.seen[1] ?? {};
    expect(`${method} ${url}`).toBe('PUT /api/v1/namespaces/team/secrets/app?fieldManager=secretbridge');
    expect(JSON.parse(body ?? '')).toEqual({
      apiVersion: 'v1',
      kind: 'Secret',
      type: 'Opaque',
      metadata: { ...metadata, labels: { theirs: '1', ours: '1' }, annotations: {} },
      data: { password: Buffer.from('p@ss\nwörd').toString('base64') },
      futureTop: { a: 1 },
    });
  });

  it('refuses to replace a Secret that this cluster client has not read itself', async () => {
    await using server = await startApiServer();
    await using cluster = await open(server);
    server.answer(json(200, secret()));
    const live = await readNow(cluster, id);
    await expect(cluster.replace({ ...live }, change())).rejects.toMatchObject({ code: 'INTERNAL' });
    expect(server.seen).toHaveLength(1);
  });
});

describe('a ping', () => {
  it('returns the time of the server, and accepts a 403 because a 403 shows that the server knows the identity', async () => {
    await using server = await startApiServer();
    await using cluster = await open(server);
    const date = { date: 'Wed, 25 Nov 2026 10:00:00 GMT' };
    server.answer(json(200, {}, date));
    expect(await cluster.ping()).toEqual({ time: Date.parse('2026-11-25T10:00:00Z') });
    server.answer(json(403, status(403, 'Forbidden'), date));
    expect(await cluster.ping()).toEqual({ time: Date.parse('2026-11-25T10:00:00Z') });
    server.answer(json(401, status(401, 'Unauthorized')));
    await expect(cluster.ping()).rejects.toMatchObject({
      ...{ code: 'CLUSTER_FORBIDDEN', subject: server.address },
      remedy: expect.stringContaining('kubectl auth whoami'),
    });
  });
});
