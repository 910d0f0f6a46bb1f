import { expect, it } from 'vitest';
import { assertStatus } from './kubernetes-api.ts';
import { startControlledCluster } from './kubernetes-controllers.ts';

interface Deployment {
  readonly status: { readonly availableReplicas?: number };
}

it('the pods of a Deployment become ready on nodes without kubelets', async () => {
  await using cluster = await startControlledCluster({ nodes: 2 });
  const labels = { app: 'web' };
  const template = { metadata: { labels }, spec: { containers: [{ name: 'web', image: 'web' }] } };
  const spec = { replicas: 5, selector: { matchLabels: labels }, template };
  const path = '/apis/apps/v1/namespaces/default/deployments';
  assertStatus(await cluster.request('POST', path, { metadata: { name: 'web' }, spec }), 201, 'create');
  const available = async () =>
    (await cluster.request<Deployment>('GET', `${path}/web`)).body.status.availableReplicas;
  await expect.poll(available).toBe(5);
}, 1_200_000);
