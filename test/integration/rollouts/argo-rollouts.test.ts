import { afterAll, beforeAll, expect, it } from 'vitest';
import { expectSynced } from '../service/many-mappings.ts';
import { within } from '../service/service-process.ts';
import { openWorld } from '../service/world.ts';
import { startArgoRollouts } from '../services/argo-rollouts.ts';
import { assertStatus } from '../services/kubernetes-api.ts';
import { type ControlledCluster, startControlledCluster } from '../services/kubernetes-controllers.ts';
import type { Lifetime } from '../services/service.ts';
import { BREAKING_IMAGE, type LiveObject, READY_IMAGE } from './live-workloads.ts';

let cluster: ControlledCluster;
let argo: Lifetime;
beforeAll(async () => {
  cluster = await startControlledCluster();
  argo = await startArgoRollouts(cluster);
}, 1_800_000);
afterAll(async () => {
  await argo?.stop();
  await cluster?.stop();
});

const MERGE = { 'content-type': 'application/merge-patch+json' };
const canary = (...steps: object[]) => ({ canary: { maxUnavailable: 0, maxSurge: 1, steps } });
const HALF = { setWeight: 50 };
const NAMES = ['web', 'broken', 'manual'];
/** Several rollouts take long on a busy machine. */
const PATIENTLY = 120_000;

interface Rollout {
  readonly spec: LiveObject['spec'];
  readonly status?: { readonly phase?: string; readonly availableReplicas?: number };
}

it('the annotation starts a new ReplicaSet of a Rollout, and a rollout that waits for a person is shown', async () => {
  await using world = await openWorld({
    cluster,
    config: ({ prefix, ns }) => `defaults: { refresh: 1s }
restarts: { window: 1s, atOnce: 1 }
mappings:
${NAMES.map(
  (name) => `  - name: ${name}
    target: { namespace: ${ns('apps')} }
    data: { A: { store: vault, key: ${prefix}/${name}, property: value } }
    restart: [ { kind: Rollout, name: ${name} } ]
`,
).join('')}`,
  });
  const folder = `/apis/argoproj.io/v1alpha1/namespaces/${world.ns('apps')}/rollouts`;
  const read = async (name: string) => (await cluster.request<Rollout>('GET', `${folder}/${name}`)).body;
  const pods = async (name: string) => {
    const path = `/api/v1/namespaces/${world.ns('apps')}/pods?labelSelector=app%3D${name}`;
    return (await cluster.request<{ items: readonly LiveObject[] }>('GET', path)).body.items;
  };
  const replicaSets = async (name: string) => {
    const path = `/apis/apps/v1/namespaces/${world.ns('apps')}/replicasets?labelSelector=app%3D${name}`;
    return (await cluster.request<{ items: readonly object[] }>('GET', path)).body.items.length;
  };
  const create = async (name: string, image: string, more: object = {}) => {
    const labels = { app: name };
    const template = { metadata: { labels }, spec: { containers: [{ name: 'app', image }] } };
    const spec = {
      replicas: 4,
      selector: { matchLabels: labels },
      template,
      strategy: canary(HALF),
      ...more,
    };
    const body = { apiVersion: 'argoproj.io/v1alpha1', kind: 'Rollout', metadata: { name }, spec };
    assertStatus(await cluster.request('POST', folder, body), 201, `create ${name}`);
  };
  const phaseIs = (name: string, phase: string) =>
    within(PATIENTLY, async () => expect((await read(name)).status?.phase, name).toBe(phase));
  const stuckIs = (name: string) =>
    within(PATIENTLY, async () =>
      expect(await served.target(name)).toMatchObject({ state: 'failed', code: 'ROLLOUT_STUCK' }),
    );

  await create('web', READY_IMAGE);
  await create('broken', BREAKING_IMAGE, { progressDeadlineSeconds: 5 });
  await create('manual', READY_IMAGE, { strategy: canary(HALF, { pause: {} }) });
  for (const name of NAMES) await phaseIs(name, 'Healthy');
  const old = (await pods('web')).map(({ metadata }) => metadata.name);
  for (const name of NAMES) await world.vault.put(name, { value: 'first' });
  await using served = await world.serve();
  await within(30_000, () => expectSynced(served, 3));

  await world.vault.put('broken', { value: 'second' });
  await world.vault.put('manual', { value: 'second' });
  await phaseIs('broken', 'Degraded');
  await phaseIs('manual', 'Paused');
  await stuckIs('broken');
  await stuckIs('manual');
  await world.vault.put('web', { value: 'second' });
  await within(PATIENTLY, async () => {
    const now = await pods('web');
    expect(now, JSON.stringify((await read('web')).status)).toHaveLength(4);
    expect(now.filter(({ metadata }) => old.includes(metadata.name))).toEqual([]);
  });
  expect(await replicaSets('web')).toBe(2);
  await phaseIs('web', 'Healthy');
  expect(await served.target('web')).toMatchObject({ state: 'synced' });
  expect((await world.writes('rollouts')).toSorted()).toEqual(
    NAMES.toSorted().map((name) => `patch ${world.ns('apps')}/${name}`),
  );

  const containers = [{ name: 'app', image: READY_IMAGE }];
  const patch = { spec: { template: { spec: { containers } } } };
  assertStatus(await cluster.request('PATCH', `${folder}/broken`, patch, MERGE), 200, 'fix');
  // `kubectl argo rollouts promote` sends the same patch.
  const promotion = { status: { pauseConditions: null, controllerPause: false, currentStepIndex: 2 } };
  assertStatus(await cluster.request('PATCH', `${folder}/manual/status`, promotion, MERGE), 200, 'promote');
  await within(PATIENTLY, () => expectSynced(served, 3));
}, 600_000);
