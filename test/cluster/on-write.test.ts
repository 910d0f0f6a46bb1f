import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { Cluster } from '../../src/cluster/cluster.ts';
import { createDirectoryCluster } from '../../src/cluster/directory/directory.ts';
import { createKubernetesCluster } from '../../src/cluster/kubernetes.ts';
import { change, manifest, mergeManifest, readNow } from '../conformance/cluster-harness.ts';
import { json, secret, startApiServer } from './api-server.ts';

const id = { namespace: 'team', secret: 'app' };

async function writeAll(cluster: Cluster): Promise<void> {
  await cluster.create(id, manifest(), { dryRun: true });
  await cluster.create(id, manifest());
  await cluster.merge(await readNow(cluster, id), mergeManifest({ ours: '1' }));
  await cluster.replace(await readNow(cluster, id), change());
  await cluster.list('team', { name: 'a', value: 'b' });
  await cluster.checkAccess({ namespace: 'team', verb: 'get' });
  await cluster.remove(await readNow(cluster, id));
}

const ALL = ['create', 'patch', 'update', 'delete'];

it('a cluster with an API server counts its write requests by RBAC verb', async () => {
  await using server = await startApiServer();
  const verbs: string[] = [];
  await using cluster = await createKubernetesCluster({
    kubeconfig: server.kubeconfig,
    env: {},
    clock: { now: () => 0 },
    onWrite: (verb) => verbs.push(verb),
  });
  server.answer((request, response) => {
    const body = request.url.includes('selfsubjectaccessreviews')
      ? { status: { allowed: true } }
      : request.url.includes('labelSelector')
        ? { apiVersion: 'v1', kind: 'SecretList', metadata: {}, items: [] }
        : secret();
    json(request.method === 'POST' ? 201 : 200, body)(request, response);
  });
  await writeAll(cluster);
  expect(verbs).toEqual(ALL);
});

it('a directory cluster counts its write requests by RBAC verb', async () => {
  const path = await mkdtemp(join(tmpdir(), 'secretbridge-writes-'));
  const verbs: string[] = [];
  await using cluster = createDirectoryCluster({
    path,
    clock: { now: () => 0 },
    onWrite: (verb) => verbs.push(verb),
  });
  await writeAll(cluster);
  expect(verbs).toEqual(ALL);
  await rm(path, { recursive: true });
});
