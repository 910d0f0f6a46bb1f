import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createKubernetesCluster } from '../../../src/cluster/kubernetes.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { openWorld } from '../../reconcile/world.ts';
import { serve } from '../../service/serving.ts';
import { within } from '../service/service-process.ts';
import { HELM_NOTE, isHelmAvailable } from '../services/kubectl-layer.ts';
import { assertStatus } from '../services/kubernetes-api.ts';
import { type ControlledCluster, startControlledCluster } from '../services/kubernetes-controllers.ts';
import { BREAKING_IMAGE, deploy, READY_IMAGE } from './live-workloads.ts';

// StatefulSets and DaemonSets have no progress deadline, so their rollouts count as stuck after ten minutes. The
// workloads and their controllers are real. The Secrets are in memory and the clock is manual, because of the minutes.

let cluster: ControlledCluster;
beforeAll(async () => {
  if (isHelmAvailable) cluster = await startControlledCluster();
}, 1_200_000);
afterAll(() => cluster?.stop());

const RESTARTS = { db: 'StatefulSet', agent: 'DaemonSet', web: 'Deployment' };
const STUCK = { state: 'failed', code: 'ROLLOUT_STUCK' };

describe.skipIf(!isHelmAvailable)(`rollouts without a progress deadline${HELM_NOTE}`, () => {
  it('a StatefulSet and a DaemonSet that are stuck are shown, and block no other workload', async () => {
    assertStatus(
      await cluster.request('POST', '/api/v1/namespaces', { metadata: { name: 'apps' } }),
      201,
      'apps',
    );
    const apps = { ns: () => 'apps' };
    const broken = { image: BREAKING_IMAGE };
    const db = await deploy(apps, cluster, 'StatefulSet', 'db', {
      ...broken,
      replicas: 3,
      podManagementPolicy: 'OrderedReady',
    });
    const agent = await deploy(apps, cluster, 'DaemonSet', 'agent', broken);
    const web = await deploy(apps, cluster, 'Deployment', 'web', { replicas: 2 });

    const { kubeconfig } = cluster;
    await using real = await createKubernetesCluster({ kubeconfig, env: {}, clock: systemClock });
    const { workloads } = real;
    if (workloads === undefined) throw new Error('a real cluster has workloads');
    const world = await openWorld({
      cluster: { workloads },
      more: 'restarts: { window: 1s, atOnce: 2 }\ndefaults: { refresh: 12h }',
      mappings: Object.entries(RESTARTS)
        .map(
          ([name, kind]) => `
  - name: ${name}
    target: { namespace: apps }
    data: { A: { store: vault, key: ${name} } }
    restart: [ { kind: ${kind}, name: ${name} } ]`,
        )
        .join(''),
    });
    const { store, clock } = world;
    for (const name of Object.keys(RESTARTS)) store.put(name, 'first');
    await using serving = await serve(world);
    const { controller, service } = serving;
    const targets = async () =>
      Object.fromEntries(
        (await service.status()).targets.map(({ mapping, state, code }) => [mapping, { state, code }]),
      );
    /** Lets time pass until the check holds. */
    const eventually = (check: () => Promise<void>) =>
      within(60_000, async () => {
        await clock.advance(2_000);
        await check();
      });
    const change = (name: string) => {
      store.put(name, 'second', '2');
      controller.takeHints([{ store: 'vault', keys: [name] }], { kind: 'webhook', name: 'ci' });
    };
    await eventually(async () =>
      expect(Object.values(await targets()).map(({ state }) => state)).toEqual([
        'synced',
        'synced',
        'synced',
      ]),
    );

    change('db');
    change('agent');
    await eventually(async () => {
      expect(await db.restartAnnotations()).toHaveLength(1);
      expect(await agent.restartAnnotations()).toHaveLength(1);
    });
    // Both rollouts use the whole budget.
    change('web');
    await eventually(async () => {
      expect(await targets()).toMatchObject({ db: STUCK, agent: STUCK });
      expect(await web.restartAnnotations()).toHaveLength(1);
    });
    expect(await web.rolloutStatus()).toBe(0);
    expect(await targets()).toMatchObject({ web: { state: 'synced' } });

    const containers = [{ name: 'app', image: READY_IMAGE }];
    const fixed = { spec: { template: { spec: { containers } } } };
    await db.patch(fixed);
    await agent.patch(fixed);
    await eventually(async () => expect(await targets()).toMatchObject({ agent: { state: 'synced' } }));
    // The controller of StatefulSets never replaces a pod that was not ready. A person has to delete it.
    expect(await targets()).toMatchObject({ db: STUCK });
    assertStatus(await cluster.request('DELETE', '/api/v1/namespaces/apps/pods/db-2'), 200, 'delete the pod');
    await eventually(async () => expect(await targets()).toMatchObject({ db: { state: 'synced' } }));
  }, 300_000);
});
