import { describe, expect, it } from 'vitest';
import { createKubernetesCluster } from '../../src/cluster/kubernetes.ts';
import type { WorkloadId } from '../../src/cluster/workloads.ts';
import { type Answer, type ApiServer, json, startApiServer, status } from './api-server.ts';

const id: WorkloadId = { kind: 'Deployment', namespace: 'team', name: 'app' };
const rollout: WorkloadId = { ...id, kind: 'Rollout' };
const mark = { 'restart.secretbridge.dev/0123456789abcdef': 'v1:ff' };

async function open(server: ApiServer) {
  const verbs: string[] = [];
  const cluster = await createKubernetesCluster({
    kubeconfig: server.kubeconfig,
    env: {},
    clock: { now: () => 0 },
    onWrite: (verb) => verbs.push(verb),
  });
  const { workloads } = cluster;
  if (workloads === undefined) throw new Error('it has workloads');
  return { workloads, verbs, [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose]() };
}

function workload(part: { kind?: string; uid?: string; spec?: object } = {}): object {
  const { kind = 'Deployment', uid = 'u1', spec = {} } = part;
  return {
    apiVersion: 'apps/v1',
    kind,
    metadata: { name: 'app', namespace: 'team', uid, resourceVersion: '5', generation: 1 },
    spec: { template: { metadata: { annotations: { theirs: '1' } } }, ...spec },
    status: { observedGeneration: 1, replicas: 1, updatedReplicas: 1, availableReplicas: 1 },
  };
}

/** Answers each path with one response. If a path has a list of responses, returns them in order. */
const routes = (table: Record<string, Answer | Answer[]>): Answer => {
  const remaining = new Map(Object.entries(table).map(([path, answers]) => [path, [answers].flat()]));
  return (request, response) => {
    const answers = remaining.get(`${request.method} ${request.url.split('?')[0]}`) ?? [];
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    (answer ?? ((_, to) => to.writeHead(404).end('404 page not found')))(request, response);
  };
};

const PATH = '/apis/apps/v1/namespaces/team/deployments';
const notFound = (kind: string) => json(404, status(404, 'NotFound', { kind, name: 'app' }));
const GROUPS = { kind: 'APIGroupList', apiVersion: 'v1', groups: [{ name: 'apps' }] };
const ARGO = { ...GROUPS, groups: [{ name: 'apps' }, { name: 'argoproj.io' }] };
const RESOURCES = {
  kind: 'APIResourceList',
  groupVersion: 'argoproj.io/v1alpha1',
  resources: [{ name: 'applications' }],
};

describe('a workload', () => {
  it('reads a workload with the annotations of its pod template', async () => {
    await using server = await startApiServer();
    await using h = await open(server);
    server.answer(routes({ [`GET ${PATH}/app`]: json(200, workload()) }));
    expect(await h.workloads.read(id)).toEqual({
      id,
      uid: 'u1',
      resourceVersion: '5',
      podAnnotations: { theirs: '1' },
      foreign: [],
      rolling: false,
      stalled: false,
      updatedPods: 1,
      templateHash: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
  });

  it('reads the annotations of other writers if the API server records the owner of each annotation', async () => {
    await using server = await startApiServer();
    await using h = await open(server);
    const entry = (manager: string, ...names: string[]) => ({
      manager,
      operation: 'Update',
      fieldsV1: {
        'f:spec': {
          'f:template': {
            'f:metadata': {
              'f:annotations': Object.fromEntries(names.map((name) => [`f:${name}`, {}])),
            },
          },
        },
      },
    });
    const { metadata, ...raw } = workload() as { metadata: object };
    const managedFields = [
      entry('kubectl', 'theirs', 'back'),
      entry('secretbridge', 'ours'),
      { manager: 'kube-controller-manager' },
    ];
    const template = { metadata: { annotations: { theirs: '1', back: '2', ours: '3' } } };
    const item = { ...raw, metadata: { ...metadata, managedFields }, spec: { template } };
    server.answer(routes({ [`GET ${PATH}/app`]: json(200, item) }));
    expect((await h.workloads.read(id))?.foreign).toEqual(['theirs', 'back']);
  });

  it('treats a workload as missing only if the API server says that it does not exist', async () => {
    await using server = await startApiServer();
    await using h = await open(server);
    server.answer(notFound('deployments'));
    expect(await h.workloads.read(id)).toBeUndefined();
    server.answer(routes({}));
    await expect(h.workloads.read(id)).rejects.toMatchObject({ code: 'CLUSTER_UNAVAILABLE' });
    server.answer(json(200, workload({ kind: 'Pod' })));
    await expect(h.workloads.read(id)).rejects.toMatchObject({ code: 'CLUSTER_UNAVAILABLE' });
    const text = 'x is forbidden: User "x" cannot get resource';
    server.answer(json(403, status(403, 'Forbidden', {}, text)));
    await expect(h.workloads.read(id)).rejects.toMatchObject({ code: 'CLUSTER_FORBIDDEN' });
  });

  it.each([
    ['group', { 'GET /apis': json(200, GROUPS) }],
    ['kind', { 'GET /apis': json(200, ARGO), 'GET /apis/argoproj.io/v1alpha1': json(200, RESOURCES) }],
  ])(
    'treats a workload as missing if the cluster does not have the API of this workload %s',
    async (_, table) => {
      await using server = await startApiServer();
      await using h = await open(server);
      server.answer(routes(table));
      expect(await h.workloads.read(rollout)).toBeUndefined();
      expect(await h.workloads.list('Rollout', 'team', { matchLabels: { app: 'x' } })).toEqual([]);
    },
  );

  it('reports CLUSTER_UNAVAILABLE if a 404 does not show that the kind or the object is missing', async () => {
    await using server = await startApiServer();
    await using h = await open(server);
    server.answer(routes({}));
    await expect(h.workloads.read(rollout)).rejects.toMatchObject({ code: 'CLUSTER_UNAVAILABLE' });
    await expect(h.workloads.list('Rollout', 'team', {})).rejects.toMatchObject({
      code: 'CLUSTER_UNAVAILABLE',
    });
    const known = { ...RESOURCES, resources: [{ name: 'rollouts' }] };
    server.answer(
      routes({ 'GET /apis': json(200, ARGO), 'GET /apis/argoproj.io/v1alpha1': json(200, known) }),
    );
    await expect(h.workloads.read(rollout)).rejects.toMatchObject({ code: 'CLUSTER_UNAVAILABLE' });
  });

  it('finds workloads by their labels', async () => {
    await using server = await startApiServer();
    await using h = await open(server);
    const list = { apiVersion: 'apps/v1', kind: 'DeploymentList', metadata: {}, items: [workload()] };
    server.answer(routes({ [`GET ${PATH}`]: json(200, list) }));
    expect(await h.workloads.list('Deployment', 'team', { matchLabels: { app: 'x' } })).toMatchObject([
      { id, uid: 'u1' },
    ]);
    expect(server.seen[0]?.url).toContain('labelSelector=app%3Dx');
  });

  it.each([
    ['Pod', 'team', 'app'],
    ['Deployment', '..', 'app'],
    ['Deployment', 'team', '../app'],
  ])('rejects an invalid workload before any request: %s %s/%s', async (kind, namespace, name) => {
    await using server = await startApiServer();
    await using h = await open(server);
    await expect(h.workloads.read({ kind, namespace, name } as WorkloadId)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
    expect(server.seen).toEqual([]);
  });
});

describe('a restart of a workload', () => {
  const read = async (h: Awaited<ReturnType<typeof open>>, of = id) => {
    const live = await h.workloads.read(of);
    if (live === undefined) throw new Error('the workload is missing');
    return live;
  };

  it('restarts a workload by setting only annotations in its pod template', async () => {
    await using server = await startApiServer();
    await using h = await open(server);
    server.answer(
      routes({ [`GET ${PATH}/app`]: json(200, workload()), [`PATCH ${PATH}/app`]: json(200, {}) }),
    );
    expect(await h.workloads.annotatePods(await read(h), mark)).toBe('written');
    const patch = server.seen.at(-1);
    expect(patch?.url).toBe(`${PATH}/app?fieldManager=secretbridge`);
    expect(patch?.headers['content-type']).toBe('application/merge-patch+json');
    expect(JSON.parse(patch?.body ?? '')).toEqual({
      metadata: { uid: 'u1' },
      spec: { template: { metadata: { annotations: mark } } },
    });
    expect(h.verbs).toEqual(['patch']);
  });

  it.each([
    ['gone', notFound('deployments')],
    ['replaced by another one', json(422, status(422, 'Invalid', { causes: [{ field: 'metadata.uid' }] }))],
  ])('restarts nothing if the workload is %s', async (_, answer) => {
    await using server = await startApiServer();
    await using h = await open(server);
    server.answer(routes({ [`GET ${PATH}/app`]: json(200, workload()), [`PATCH ${PATH}/app`]: answer }));
    expect(await h.workloads.annotatePods(await read(h), mark)).toBe('missing');
  });

  it('repeats the restart a few times after conflicts', async () => {
    await using server = await startApiServer();
    await using h = await open(server);
    const lost = json(409, status(409, 'Conflict'));
    const there = json(200, workload());
    server.answer(routes({ [`GET ${PATH}/app`]: there, [`PATCH ${PATH}/app`]: [lost, lost, json(200, {})] }));
    expect(await h.workloads.annotatePods(await read(h), mark)).toBe('written');
    server.answer(routes({ [`GET ${PATH}/app`]: there, [`PATCH ${PATH}/app`]: lost }));
    const live = await read(h);
    await expect(h.workloads.annotatePods(live, mark)).rejects.toMatchObject({ code: 'CONFLICT' });
    const other = json(200, workload({ uid: 'u2' }));
    server.answer(routes({ [`GET ${PATH}/app`]: other, [`PATCH ${PATH}/app`]: lost }));
    expect(await h.workloads.annotatePods(live, mark)).toBe('missing');
  });

  it('refuses to restart a Rollout with a workloadRef, and writes nothing', async () => {
    await using server = await startApiServer();
    await using h = await open(server);
    server.answer(json(200, workload({ kind: 'Rollout', spec: { workloadRef: { name: 'app' } } })));
    const live = await read(h, rollout);
    await expect(h.workloads.annotatePods(live, mark)).rejects.toMatchObject({ code: 'CLUSTER_REFUSED' });
    expect(h.verbs).toEqual([]);
  });
});
