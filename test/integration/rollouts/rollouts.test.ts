import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectSynced, range } from '../service/many-mappings.ts';
import { type ServiceProcess, within } from '../service/service-process.ts';
import { openWorld, type World } from '../service/world.ts';
import { HELM_NOTE, isHelmAvailable } from '../services/kubectl-layer.ts';
import { type ControlledCluster, startControlledCluster } from '../services/kubernetes-controllers.ts';
import { BREAKING_IMAGE, deploy, type LiveWorkload, READY_IMAGE, restarted } from './live-workloads.ts';

const NODES = 5;
const REPLICAS = 10;

let cluster: ControlledCluster;
beforeAll(async () => {
  if (isHelmAvailable) cluster = await startControlledCluster({ nodes: NODES });
}, 1_200_000);
afterAll(() => cluster?.stop());

/** A service with mappings `m0`, `m1`, …, each with a key of the same name in the store. */
function open(restarts: readonly string[], options = ''): Promise<World> {
  return openWorld({
    cluster,
    config: ({ prefix, ns }) => `defaults: { refresh: 1s }
${options}
mappings:
${restarts
  .map(
    (restart, n) => `  - name: m${n}
    target: { namespace: ${ns('apps')} }
    data: { A: { store: vault, key: ${prefix}/m${n}, property: value } }
    restart: ${restart}
`,
  )
  .join('')}`,
  });
}

const put = (world: World, numbers: readonly number[], value: string): Promise<unknown> =>
  Promise.all(numbers.map((n) => world.vault.put(`m${n}`, { value: `${value} ${n}` })));

const restartRecords = async (world: World): Promise<readonly string[]> =>
  (await world.records())
    .filter(({ action, phase }) => action === 'restart' && phase !== 'intent')
    .map(({ note, outcome, code }) => [note, outcome, code].filter((part) => part !== undefined).join(' '));

describe.skipIf(!isHelmAvailable)(`rollouts by the controllers of Kubernetes${HELM_NOTE}`, () => {
  it('ten Secrets that change within the restart window roll each workload once, within its limits of availability', async () => {
    const all =
      '[ { kind: Deployment, name: web }, { kind: StatefulSet, name: db }, { kind: DaemonSet, name: agent } ]';
    await using world = await open(range(10).map(() => all));
    const web = await deploy(world, cluster, 'Deployment', 'web', { replicas: REPLICAS });
    const db = await deploy(world, cluster, 'StatefulSet', 'db', { replicas: REPLICAS });
    const agent = await deploy(world, cluster, 'DaemonSet', 'agent');
    const workloads = [web, db, agent];
    await put(world, range(10), 'first');
    await using served = await world.serve();
    await within(30_000, () => expectSynced(served, 10));
    const before = await Promise.all(workloads.map((workload) => workload.read()));

    await put(world, range(5), 'second');
    await within(10_000, async () => expect((await world.secret('m0'))?.data?.A).toBe(base64('second 0')));
    await put(world, range(10).slice(5), 'second');
    for (const workload of workloads) await restarted(workload, 10);
    expect(await Promise.all(workloads.map((workload) => workload.rolloutStatus()))).toEqual([0, 0, 0]);

    for (const [index, workload] of workloads.entries()) {
      const { name } = workload;
      expect(await world.writes(resourceOf(workload)), name).toEqual([`patch ${world.ns('apps')}/${name}`]);
      expect(await workload.revisions(), name).toBe(2);
      const pods = await workload.pods();
      expect(pods, name).toHaveLength(workload === agent ? NODES : REPLICAS);
      for (const { metadata } of pods) expect(ours(metadata.annotations), name).toHaveLength(10);
      const since = before[index]?.metadata.resourceVersion ?? '';
      const available = (await workload.statesSince(since)).map(availablePods);
      // By default, a Deployment of ten may lose two pods (25 %), and the other kinds lose one pod at a time.
      expect(Math.min(...available), name).toBeGreaterThanOrEqual(
        { Deployment: REPLICAS - 2, StatefulSet: REPLICAS - 1, DaemonSet: NODES - 1 }[workload.kind],
      );
      expect(available.length, name).toBeGreaterThan(NODES);
    }
    await expectSynced(served, 10);
    expect((await restartRecords(world)).toSorted()).toEqual(
      ['DaemonSet/agent ok', 'Deployment/web ok', 'StatefulSet/db ok'].flatMap((line) =>
        range(10).map(() => line),
      ),
    );
  }, 300_000);

  it('a rollout that is stuck blocks no other workload, and its target fails until the pods are replaced', async () => {
    const named = (name: string) => `[ { kind: Deployment, name: ${name} } ]`;
    await using world = await open(
      ['broken', 'paused', 'web'].map(named),
      'restarts: { window: 1s, atOnce: 1 }',
    );
    const spec = { replicas: 3, progressDeadlineSeconds: 5 };
    const broken = await deploy(world, cluster, 'Deployment', 'broken', { ...spec, image: BREAKING_IMAGE });
    const paused = await deploy(world, cluster, 'Deployment', 'paused', spec);
    const web = await deploy(world, cluster, 'Deployment', 'web', spec);
    await paused.patch({ spec: { paused: true } });
    await put(world, range(3), 'first');
    await using served = await world.serve();
    await within(30_000, () => expectSynced(served, 3));
    const { resourceVersion } = (await broken.read()).metadata;

    for (const [n, workload] of [broken, paused, web].entries()) {
      await put(world, [n], 'second');
      await restarted(workload);
    }
    expect(await web.rolloutStatus()).toBe(0);
    expect(await broken.rolloutStatus()).not.toBe(0);
    const stuck = { state: 'failed', code: 'ROLLOUT_STUCK', remedy: expect.stringContaining('kubectl') };
    await within(60_000, async () => {
      expect(await served.target('m0')).toMatchObject(stuck);
      expect(await served.target('m1')).toMatchObject(stuck);
    });
    expect(await served.target('m2')).toMatchObject({ state: 'synced' });
    const series = `secretbridge_target_errors{mapping="m0",namespace="${world.ns('apps')}",code="ROLLOUT_STUCK"}`;
    expect(await served.metric(series)).toBe(1);
    const available = (await broken.statesSince(resourceVersion)).map(availablePods);
    expect(Math.min(...available), 'the old pods stay').toBe(3);

    await paused.patch({ spec: { paused: false } });
    const containers = [{ name: 'app', image: READY_IMAGE }];
    await broken.patch({ spec: { template: { spec: { containers } } } });
    await within(60_000, () => expectSynced(served, 3));
    const lines = ['failed ROLLOUT_STUCK', 'ok', 'ok'];
    expect((await restartRecords(world)).toSorted()).toEqual([
      ...lines.map((line) => `Deployment/broken ${line}`),
      ...lines.map((line) => `Deployment/paused ${line}`),
      'Deployment/web ok',
    ]);
  }, 300_000);

  it('a GitOps tool that restores its manifest by server-side apply keeps the annotation', async () => {
    await using world = await open(['[ { kind: Deployment, name: web } ]'], 'restarts: { window: 1s }');
    const web = await deploy(world, cluster, 'Deployment', 'web', { replicas: 2 });
    await applyByForce(web);
    await put(world, [0], 'first');
    await using served = await world.serve();
    await within(30_000, () => expectSynced(served, 1));

    await put(world, [0], 'second');
    await restarted(web);
    await duringSweeps(served, () => applyByForce(web));
    expect(await web.rolloutStatus()).toBe(0);
    expect(await restartsOf(world)).toBe(1);
    expect(await web.restartAnnotations()).toHaveLength(1);
    expect(await web.revisions()).toBe(2);
    await expectSynced(served, 1);

    await put(world, [0], 'third');
    await within(30_000, async () => {
      await applyByForce(web);
      expect(await restartsOf(world)).toBe(2);
    });
    expect(await web.rolloutStatus()).toBe(0);
  }, 300_000);

  it('a GitOps tool that replaces the object causes no endless restarts, and old pods that stay are shown', async () => {
    await using world = await open(['[ { kind: Deployment, name: web } ]'], 'restarts: { window: 1s }');
    const web = await deploy(world, cluster, 'Deployment', 'web', { replicas: 4 });
    const names = async () => (await web.pods()).map(({ metadata }) => metadata.name);
    await put(world, [0], 'first');
    await using served = await world.serve();
    await within(30_000, () => expectSynced(served, 1));
    const old = new Set(await names());

    // During the rollout: Kubernetes goes back to the first ReplicaSet, so some of its pods are never replaced.
    await put(world, [0], 'second');
    await restarted(web);
    await duringSweeps(served, () => replace(web));
    expect(await web.rolloutStatus()).toBe(0);
    expect(await restartsOf(world)).toBe(1);
    expect(await web.restartAnnotations()).toEqual([]);
    expect(await web.revisions()).toBe(2);
    expect((await names()).filter((name) => old.has(name))).not.toEqual([]);
    await within(60_000, async () =>
      expect(await served.target('m0')).toMatchObject({ state: 'failed', code: 'ROLLOUT_STUCK' }),
    );
    // `kubectl rollout restart` sends the same patch.
    const annotations = { 'kubectl.kubernetes.io/restartedAt': new Date().toISOString() };
    await web.patch({ spec: { template: { metadata: { annotations } } } });
    await within(60_000, () => expectSynced(served, 1));

    // After the rollout: Kubernetes replaces the new pods once more.
    const before = new Set(await names());
    await put(world, [0], 'third');
    await restarted(web);
    expect(await web.rolloutStatus()).toBe(0);
    await duringSweeps(served, () => replace(web));
    expect(await web.rolloutStatus()).toBe(0);
    expect(await restartsOf(world)).toBe(2);
    expect(await web.restartAnnotations()).toEqual([]);
    expect((await names()).filter((name) => before.has(name))).toEqual([]);
  }, 300_000);
});

const SWEEPS = 'secretbridge_last_cycle_timestamp_seconds';

const base64 = (text: string) => Buffer.from(text).toString('base64');
const ours = (annotations: Readonly<Record<string, string>> = {}) =>
  Object.keys(annotations).filter((key) => key.startsWith('restart.secretbridge.dev/'));
const resourceOf = ({ kind }: LiveWorkload) => `${kind.toLowerCase()}s`;
const availablePods = ({ status }: Awaited<ReturnType<LiveWorkload['read']>>): number =>
  status.availableReplicas ?? status.numberAvailable ?? 0;

const restartsOf = async (world: World): Promise<number> =>
  (await world.writes('deployments')).filter((line) => line.startsWith('patch')).length;

/** Restores the manifest again and again, until the service has completed several sweeps. */
async function duringSweeps(served: ServiceProcess, restore: () => Promise<void>): Promise<void> {
  const sweeps = async () => (await served.metric(SWEEPS)) ?? 0;
  const begun = await sweeps();
  await within(60_000, async () => {
    await restore();
    expect(await sweeps()).toBeGreaterThan(begun + 5);
  });
}

/** Applies the manifest as Argo CD does with server-side apply. */
async function applyByForce({ path, manifest }: LiveWorkload): Promise<void> {
  const headers = { 'content-type': 'application/apply-patch+yaml' };
  const answer = await cluster.request('PATCH', `${path}?fieldManager=argocd&force=true`, manifest, headers);
  expect(answer.status).toBe(200);
}

/** Replaces the object by the manifest if its template differs. This removes all annotations that others have set. */
async function replace(workload: LiveWorkload): Promise<void> {
  if ((await workload.restartAnnotations()).length === 0) return;
  const answer = await cluster.request('PUT', workload.path, workload.manifest);
  expect(answer.status).toBe(200);
}
