import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Cluster } from '../../src/cluster/cluster.ts';
import { createKubernetesCluster } from '../../src/cluster/kubernetes.ts';
import { type ApiServer, json, startApiServer, status } from './api-server.ts';

let server: ApiServer;
let cluster: Cluster;

beforeEach(async () => {
  server = await startApiServer();
  cluster = await createKubernetesCluster({
    kubeconfig: server.kubeconfig,
    context: undefined,
    env: {},
    clock: { now: () => 0 },
  });
});

afterEach(async () => {
  await cluster[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

const place = { namespace: 'bridge', name: 'proof' };
const object = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { ...place, resourceVersion: '7', labels: { team: 'security' } },
  data: { key: 'old' },
  binaryData: { other: 'AA==' },
};

function maps() {
  const { configMaps } = cluster;
  if (configMaps === undefined) throw new Error('no ConfigMaps');
  return configMaps;
}

describe('a ConfigMap', () => {
  it('returns undefined if a ConfigMap is missing, and can then create this ConfigMap', async () => {
    server.answer((request, response) =>
      (request.method === 'GET'
        ? json(404, status(404, 'NotFound', { kind: 'configmaps' }))
        : json(201, object))(request, response),
    );
    expect(await maps().read('bridge', 'proof')).toBeUndefined();
    expect(await maps().write(place, { key: 'new' }, undefined)).toBe('written');
    const { method, url, body } = server.seen.at(-1) ?? {};
    expect([method, url]).toEqual(['POST', '/api/v1/namespaces/bridge/configmaps?fieldManager=secretbridge']);
    expect(JSON.parse(body ?? '')).toMatchObject({
      kind: 'ConfigMap',
      metadata: place,
      data: { key: 'new' },
    });
  });

  it('replaces a ConfigMap without losing fields of other writers', async () => {
    server.answer(json(200, object));
    const read = await maps().read('bridge', 'proof');
    expect(read).toEqual({ data: { key: 'old' }, resourceVersion: '7' });
    expect(await maps().write(place, { key: 'new' }, read)).toBe('written');
    expect(JSON.parse(server.seen.at(-1)?.body ?? '')).toEqual({ ...object, data: { key: 'new' } });
  });

  it.each([
    ['changed meanwhile', 409, 'Conflict'],
    ['created meanwhile', 409, 'AlreadyExists'],
    ['deleted meanwhile', 404, 'NotFound'],
  ])('reports a conflict if the ConfigMap was %s', async (_, code, reason) => {
    server.answer((request, response) =>
      (request.method === 'GET'
        ? json(200, object)
        : json(code, status(code, reason, { kind: 'configmaps' })))(request, response),
    );
    expect(await maps().write(place, {}, await maps().read('bridge', 'proof'))).toBe('conflict');
  });

  it.each([
    [403, 'CLUSTER_REFUSED'],
    [500, 'CLUSTER_UNAVAILABLE'],
  ])('reports the HTTP status %i as the error %s', async (code, expected) => {
    server.answer(json(code, status(code, 'Other')));
    await expect(maps().read('bridge', 'proof')).rejects.toMatchObject({ code: expected });
    await expect(maps().write(place, {}, undefined)).rejects.toMatchObject({ code: expected });
  });

  it('rejects a response that is a login page or an object of a kind other than ConfigMap', async () => {
    server.answer(json(200, { kind: 'Secret' }));
    await expect(maps().read('bridge', 'proof')).rejects.toMatchObject({ code: 'CLUSTER_UNAVAILABLE' });
    server.answer((_, response) => response.end('<html>s3cret</html>'));
    const error: unknown = await maps()
      .read('bridge', 'proof')
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'CLUSTER_UNAVAILABLE' });
    expect(String(error)).not.toContain('s3cret');
  });
});
