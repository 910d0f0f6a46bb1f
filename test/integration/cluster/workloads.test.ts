import { describe, expect, it } from 'vitest';
import type { RbacRestart } from '../../../src/cluster/rbac-rules.ts';
import { WORKLOAD_KINDS, type WorkloadId, type WorkloadKind } from '../../../src/cluster/workloads.ts';
import type { Answer } from '../services/http.ts';
import { assertStatus } from '../services/kubernetes-api.ts';
import { admin, openReal, type RealHarness } from './harness.ts';

const MARK = 'restart.secretbridge.dev/0123456789abcdef';
const PLURALS = { Deployment: 'deployments', StatefulSet: 'statefulsets', DaemonSet: 'daemonsets' } as const;
const APPS = ['Deployment', 'StatefulSet', 'DaemonSet'] as const;
const merge = { 'content-type': 'application/merge-patch+json' };

async function open(restarts: readonly RbacRestart[]) {
  const h = await openReal({ selected: [{ secret: 'app', restarts }] });
  if (h.cluster.workloads === undefined) throw new Error('a real cluster has workloads');
  return Object.assign(h, { workloads: h.cluster.workloads });
}

function pathOf(h: RealHarness, kind: keyof typeof PLURALS, name = ''): string {
  return `/apis/apps/v1/namespaces/${h.namespace}/${PLURALS[kind]}${name && `/${name}`}`;
}

async function createWorkload(h: RealHarness, kind: keyof typeof PLURALS, name = 'web'): Promise<WorkloadId> {
  const labels = { app: name };
  const body = {
    apiVersion: 'apps/v1',
    kind,
    metadata: { name, labels: { tier: 'front' } },
    spec: {
      ...(kind === 'DaemonSet' ? {} : { replicas: 2 }),
      ...(kind === 'StatefulSet' ? { serviceName: name } : {}),
      selector: { matchLabels: labels },
      template: {
        metadata: { labels, annotations: { theirs: '1' } },
        spec: {
          containers: [{ name: 'main', image: 'example.com/app:1', env: [{ name: 'A', value: '1' }] }],
        },
      },
    },
  };
  assertStatus(await admin()('POST', pathOf(h, kind), body), 201, kind);
  return { kind, namespace: h.namespace, name };
}

/** Writes the status that a controller would write. */
async function finishRollout(h: RealHarness, kind: keyof typeof PLURALS, name = 'web') {
  const path = pathOf(h, kind, name);
  const { body } = (await admin()('GET', path)) as Answer<{ metadata: { generation: number } }>;
  const observedGeneration = body.metadata.generation;
  const counts = { replicas: 2, readyReplicas: 2, availableReplicas: 2, updatedReplicas: 2 };
  const status = {
    Deployment: counts,
    StatefulSet: { ...counts, currentRevision: 'a', updateRevision: 'a' },
    DaemonSet: {
      currentNumberScheduled: 1,
      numberMisscheduled: 0,
      desiredNumberScheduled: 1,
      numberReady: 1,
      numberAvailable: 1,
      updatedNumberScheduled: 1,
    },
  }[kind];
  const patch = { status: { observedGeneration, ...status } };
  assertStatus(await admin()('PATCH', `${path}/status`, patch, merge), 200, 'status');
}

const namedRestarts = WORKLOAD_KINDS.map((kind): RbacRestart => ({ kind, name: 'web' }));

/** The ClusterRole takes effect after a moment. */
async function untilAllowed(h: Awaited<ReturnType<typeof open>>, kind: WorkloadKind) {
  const read = () =>
    h.workloads.read({ kind, namespace: h.namespace, name: 'web' }).then(
      () => 'allowed',
      (error: { code: string }) => error.code,
    );
  await expect.poll(read, { timeout: 10_000 }).toBe('allowed');
}

describe('the workloads port (on a real API server, with the rights that rbac prints)', () => {
  it.each(APPS)(
    'reads a %s, restarts it by changing the pod template, and reports the rollout until its end',
    async (kind) => {
      await using h = await open(namedRestarts);
      await untilAllowed(h, kind);
      const id = { kind, namespace: h.namespace, name: 'web' };
      expect(await h.workloads.read(id)).toBeUndefined();
      await createWorkload(h, kind);
      const live = await h.workloads.read(id);
      expect(live).toMatchObject({ id, podAnnotations: { theirs: '1' }, rolling: true });
      await finishRollout(h, kind);
      expect(await h.workloads.read(id)).toMatchObject({ rolling: false });
      if (live === undefined) throw new Error('the workload was not created');
      // A controller wrote to the workload after the read. This write must not cause a conflict.
      expect(await h.workloads.annotatePods(live, { [MARK]: 'v1' })).toBe('written');
      const after = await h.workloads.read(id);
      expect(after).toMatchObject({ podAnnotations: { theirs: '1', [MARK]: 'v1' }, rolling: true });
      await finishRollout(h, kind);
      expect(await h.workloads.read(id)).toMatchObject({ rolling: false });
      // An identical patch changes nothing and starts no rollout.
      expect(await h.workloads.annotatePods(live, { [MARK]: 'v1' })).toBe('written');
      expect(await h.workloads.read(id)).toMatchObject({ rolling: false });
      const { body } = (await admin()('GET', pathOf(h, kind, 'web'))) as Answer<{
        spec: { template: { spec: { containers: object[] } } };
      }>;
      expect(body.spec.template.spec.containers).toMatchObject([{ env: [{ name: 'A', value: '1' }] }]);
    },
  );

  it('restarts neither a deleted workload nor a new workload with the same name', async () => {
    await using h = await open(namedRestarts);
    await untilAllowed(h, 'Deployment');
    const live = await h.workloads.read(await createWorkload(h, 'Deployment'));
    if (live === undefined) throw new Error('the workload was not created');
    assertStatus(await admin()('DELETE', pathOf(h, 'Deployment', 'web')), 200, 'delete');
    expect(await h.workloads.annotatePods(live, { [MARK]: 'v1' })).toBe('missing');
    await createWorkload(h, 'Deployment');
    expect(await h.workloads.annotatePods(live, { [MARK]: 'v1' })).toBe('missing');
    expect((await h.workloads.read(live.id))?.podAnnotations).toEqual({ theirs: '1' });
  });

  it.each(WORKLOAD_KINDS)('reports our rights on a %s that does not exist yet', async (kind) => {
    await using h = await open([{ kind, name: 'web' }]);
    await untilAllowed(h, kind);
    const may = (verb: 'get' | 'list' | 'patch', name?: string) =>
      h.cluster.checkAccess({ namespace: h.namespace, verb, workload: { kind, ...(name && { name }) } });
    expect([await may('get', 'web'), await may('patch', 'web')]).toEqual([true, true]);
    expect([await may('patch', 'api'), await may('patch'), await may('list')]).toEqual([false, false, false]);
  });

  it('finds workloads by selector', async () => {
    await using h = await open(WORKLOAD_KINDS.map((kind) => ({ kind })));
    await untilAllowed(h, 'Deployment');
    await createWorkload(h, 'Deployment', 'web');
    await createWorkload(h, 'Deployment', 'api');
    const list = (labels: Record<string, string>) =>
      h.workloads.list('Deployment', h.namespace, { matchLabels: labels });
    expect((await list({ tier: 'front' })).map(({ id }) => id.name)).toEqual(['api', 'web']);
    expect(await list({ tier: 'back' })).toEqual([]);
  });

  it('finds no Rollout if Argo Rollouts is not installed', async () => {
    await using h = await open(WORKLOAD_KINDS.map((kind) => ({ kind })));
    await untilAllowed(h, 'Rollout');
    const id: WorkloadId = { kind: 'Rollout', namespace: h.namespace, name: 'web' };
    expect(await h.workloads.read(id)).toBeUndefined();
    expect(await h.workloads.list('Rollout', h.namespace, { matchLabels: { tier: 'front' } })).toEqual([]);
  });

  it('the account may access only the configured names', async () => {
    await using h = await open([{ kind: 'Deployment', name: 'web' }]);
    await untilAllowed(h, 'Deployment');
    const read = (kind: WorkloadKind, name: string) =>
      h.workloads.read({ kind, namespace: h.namespace, name });
    await expect(read('Deployment', 'api')).rejects.toMatchObject({ code: 'CLUSTER_FORBIDDEN' });
    await expect(read('Rollout', 'web')).rejects.toMatchObject({ code: 'CLUSTER_FORBIDDEN' });
    const listed = h.workloads.list('Deployment', h.namespace, {});
    await expect(listed).rejects.toMatchObject({ code: 'CLUSTER_FORBIDDEN' });
  });
});
