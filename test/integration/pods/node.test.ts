import { existsSync, globSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applicationWith } from './application.ts';
import { isReady, noPods, PODS_NOTE, type PodCluster, startPodCluster } from './pod-cluster.ts';

const NAMESPACE = 'node-test';

describe.skipIf(noPods !== undefined)(`a pod on a real node${PODS_NOTE}`, () => {
  let pods: PodCluster;
  beforeAll(async () => {
    pods = await startPodCluster();
    await pods.createNamespace(NAMESPACE);
  }, 900_000);
  afterAll(() => pods?.[Symbol.asyncDispose]());

  it('the file of a Secret follows a change, and the environment variable keeps its value', async () => {
    const secret = (value: string) => ({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'app' },
      stringData: { KEY: value },
    });
    await pods.apply(NAMESPACE, secret('first'), applicationWith('app', 'app'));
    await expect
      .poll(async () => (await pods.pods(NAMESPACE, 'app=app')).filter(isReady), { timeout: 60_000 })
      .toHaveLength(2);
    const [pod] = await pods.pods(NAMESPACE, 'app=app');
    const name = pod?.metadata.name ?? '';
    const file = () => pods.exec(NAMESPACE, name, 'cat', '/etc/app/KEY');
    const variable = () => pods.exec(NAMESPACE, name, 'sh', '-c', 'echo -n $KEY');
    expect([await file(), await variable()]).toEqual(['first', 'first']);
    const folder = await pods.exec(NAMESPACE, name, 'readlink', '/etc/app/..data');

    await pods.apply(NAMESPACE, secret('second'));
    await pods.poke(NAMESPACE, 'app=app');
    await expect.poll(file, { timeout: 90_000, interval: 500 }).toBe('second');
    expect(await variable()).toBe('first');
    expect(await pods.exec(NAMESPACE, name, 'readlink', '/etc/app/..data')).not.toBe(folder);
    expect(await pods.kubectl('logs', '--namespace', NAMESPACE, name)).toBe('started\n');
  });

  it('a pod finds a Service by its name and reaches its pods', async () => {
    await pods.apply(NAMESPACE, {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'app' },
      spec: { selector: { app: 'app' }, ports: [{ port: 80, targetPort: 8000 }] },
    });
    const service = ['get', 'service', 'app', '--namespace', NAMESPACE];
    const address = await pods.kubectl(...service, '--output', 'jsonpath={.spec.clusterIP}');
    const [pod] = await pods.pods(NAMESPACE, 'app=app');
    const name = pod?.metadata.name ?? '';
    // The C library of a static program cannot look up names itself.
    expect(await pods.exec(NAMESPACE, name, 'nslookup', `app.${NAMESPACE}.svc.cluster.local`)).toContain(
      `Address: ${address}\n`,
    );
    // A connection that began before the node knew the Service may hang. The next one gets through.
    const wget = ['timeout', '3', 'wget', '-q', '-O', '-', `http://${address}/index.html`];
    const get = () => pods.exec(NAMESPACE, name, 'busybox', ...wget).catch(String);
    await expect.poll(get, { timeout: 30_000, interval: 500 }).toBe('hello\n');
  });

  it('the end of the node leaves no process, cgroup, network or file', async () => {
    const { folder, cgroup, firstProcess, address } = pods.node;
    const left = () =>
      [folder, `/proc/${firstProcess}`, ...globSync(`/sys/fs/cgroup{,/*}${cgroup}`)].filter(existsSync);
    expect(left().length).toBeGreaterThan(2);
    await pods[Symbol.asyncDispose]();
    expect(left()).toEqual([]);
    const network = new URL(address).hostname.replace(/2$/, '1');
    const addresses = Object.values(networkInterfaces()).flat();
    expect(addresses.map((each) => each?.address)).not.toContain(network);
  });
});
