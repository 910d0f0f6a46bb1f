import { generateKeyPairSync } from 'node:crypto';
import { expect, it } from 'vitest';
import { configMapLocation } from '../../../src/audit/checkpoint/locations.ts';
import { createSigner } from '../../../src/audit/checkpoint/signing.ts';
import type { Cluster } from '../../../src/cluster/cluster.ts';
import { createKubernetesCluster } from '../../../src/cluster/kubernetes.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { admin, openReal } from './harness.ts';

const signer = createSigner(generateKeyPairSync('ed25519').privateKey);
const checkpoint = (sequence: number) =>
  signer.sign({
    sequence,
    hash: 'a'.repeat(64),
    time: new Date(1_800_000_000_000 + sequence).toISOString(),
    instance: 'prod',
  });

function locationOf({ configMaps }: Cluster, namespace: string, name: string) {
  if (configMaps === undefined) throw new Error('no ConfigMaps');
  return configMapLocation(`ConfigMap ${namespace}/${name}`, {
    read: () => configMaps.read(namespace, name),
    write: (data, read, options) => configMaps.write({ namespace, name }, data, read, options),
  });
}

it('replicas need only the rights that `rbac` prints to store their checkpoints in one shared ConfigMap', async () => {
  await using harness = await openReal({ checkpoints: [{ name: 'proof' }] });
  const { kubeconfig, ownNamespace } = harness;
  const open = () => createKubernetesCluster({ kubeconfig, context: undefined, env: {}, clock: systemClock });
  await using one = await open();
  await using other = await open();
  const locations = [one, other, one, other].map((cluster) => locationOf(cluster, ownNamespace, 'proof'));
  await locations[0]?.checkWritable();
  expect(await one.configMaps?.read(ownNamespace, 'proof')).toBeUndefined();
  expect(await locations[0]?.read()).toEqual([]);
  await Promise.all(locations.map((location, index) => location.write(checkpoint(index + 1))));
  expect((await locations[1]?.read())?.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4]);

  const before = await one.configMaps?.read(ownNamespace, 'proof');
  await locations[2]?.checkWritable();
  expect(await one.configMaps?.read(ownNamespace, 'proof')).toEqual(before);

  // The ConfigMap still contains the data of other writers.
  const path = `/api/v1/namespaces/${ownNamespace}/configmaps/proof`;
  const response = await admin()('GET', path);
  expect(response.status).toBe(200);
  await expect(locationOf(one, ownNamespace, 'another').read()).rejects.toMatchObject({
    code: 'CLUSTER_FORBIDDEN',
  });
});
