import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDatabase, type Database } from '../audit/database.ts';
import { installImage } from '../deploy/image-archive.ts';
import { openbao, postgres, redis } from '../services/inject.ts';
import { NODE_NAME } from '../services/node/node.ts';
import { installPythonImage } from '../services/node/python-image.ts';
import { reportToStderr } from '../services/service.ts';
import { noPods, PODS_NOTE, type PodCluster, startPodCluster } from './pod-cluster.ts';
import { createVolume, openRelease, type Release, secretValue } from './release.ts';
import { deployShop, signsWith, WAYS } from './shop.ts';
import { AUDIENCE, openPodStore, type PodStore } from './store.ts';

const APPS = 'apps';
const PATIENT = { timeout: 120_000, interval: 250 };
/** The shortest life of a token that the API server allows, in seconds. The kubelet renews it after 80 % of it. */
const TOKEN_SECONDS = 600;

const mapping = (prefix: string, name: string) => ({
  name,
  target: { namespace: APPS },
  data: { KEY: { store: 'team', key: `${prefix}/${name}`, property: 'key' } },
});
/** The mapping of `docs/how-to/use-from-an-application.md`. */
const shopMapping = (prefix: string) => ({
  name: 'shop-signing',
  target: { namespace: 'shop' },
  data: { 'signing-key': { store: 'team', key: `${prefix}/signing`, property: 'key' } },
  restart: [{ kind: 'Deployment', name: 'shop-environment' }],
});

describe.skipIf(noPods !== undefined)(`the chart in real pods${PODS_NOTE}`, () => {
  let pods: PodCluster;
  let store: PodStore;
  let solo: Release;
  let database: Database;
  let soloStarted = 0;
  const value = (name: string) => secretValue(pods, APPS, name, 'KEY');
  const soloValues = (...mappings: readonly object[]) => ({
    config: {
      defaults: { refresh: '1s' },
      stores: [{ ...store.store, auth: { ...storeAuth(store), tokenFile: '/var/run/short/token' } }],
      mappings,
    },
    // The shortest time that the chart allows, because a process that hangs ends only after it.
    terminationGracePeriodSeconds: 26,
    volumes: [
      {
        name: 'short',
        projected: {
          sources: [
            { serviceAccountToken: { path: 'token', audience: AUDIENCE, expirationSeconds: TOKEN_SECONDS } },
          ],
        },
      },
    ],
    volumeMounts: [{ name: 'short', mountPath: '/var/run/short', readOnly: true }],
  });

  beforeAll(async () => {
    pods = await startPodCluster();
    await pods.node.importImages((await installImage('slim')).archive);
    await pods.createNamespace(APPS);
    solo = await openRelease(pods, 'solo');
    await createVolume(pods, solo, NODE_NAME);
    database = await createDatabase(postgres());
    store = await openPodStore(pods, openbao(), {
      namespaces: ['solo', 'several'],
      names: [solo.fullname, 'several-secretbridge'],
    });
    await store.put('one', { key: 'first' });
    await store.put('two', { key: 'second' });
    await store.put('shared', { key: '0' });
    await solo.upgrade(soloValues(mapping(store.prefix, 'one')));
    soloStarted = Date.now();
  }, 900_000);
  afterAll(async () => {
    await pods?.[Symbol.asyncDispose]();
    await database?.[Symbol.asyncDispose]();
  });

  it('`helm install` runs a pod that writes the Secret, and `helm test` passes', async () => {
    await expect.poll(() => value('one'), PATIENT).toBe('first');
    expect(await solo.test()).toContain('Phase:          Succeeded');
  });

  it('`helm upgrade` runs its checks, and the pod reloads the configuration without a restart', async () => {
    const [before] = await solo.ready();
    await solo.upgrade(soloValues(mapping(store.prefix, 'one'), mapping(store.prefix, 'two')));
    const job = await pods.kubectl(
      'get',
      'job',
      `${solo.fullname}-doctor`,
      '--namespace',
      'solo',
      '--output',
      'jsonpath={.status.succeeded}',
    );
    expect(job).toBe('1');
    await pods.poke('solo', solo.selector);
    await expect.poll(() => value('two'), PATIENT).toBe('second');
    const [after] = await solo.ready();
    expect(after?.metadata.uid).toBe(before?.metadata.uid);
    expect(after?.status.containerStatuses?.[0]?.restartCount).toBe(0);
  });

  it('the kubelet restarts a process that hangs, and the audit survives', async () => {
    const [pod] = await solo.ready();
    const [container] = pod?.status.containerStatuses ?? [];
    const id = container?.containerID.replace('containerd://', '') ?? '';
    const tasks = await pods.node.runInside('ctr', '--namespace', 'k8s.io', 'tasks', 'ls');
    const processId = new RegExp(`^${id}\\s+(\\d+)`, 'm').exec(tasks)?.[1] ?? '';
    await pods.node.runInside('kill', '-STOP', processId);
    await expect
      .poll(async () => (await solo.ready())[0]?.status.containerStatuses?.[0]?.restartCount, PATIENT)
      .toBe(1);
    const [restarted] = await solo.ready();
    expect(restarted?.metadata.uid).toBe(pod?.metadata.uid);
    expect(restarted?.status.containerStatuses?.[0]?.lastState.terminated?.exitCode).toBe(137);

    await store.put('one', { key: 'after the restart' });
    await expect.poll(() => value('one'), PATIENT).toBe('after the restart');
    const records = await solo.secretbridge(
      'audit',
      'list',
      '--config',
      '/etc/secretbridge/',
      '--output',
      'json',
    );
    expect(records).toContain('"create"');
    const verified = await solo.secretbridge('audit', 'verify', '--config', '/etc/secretbridge/');
    expect(verified).toContain('The chain is intact');
  });

  it('a rotation in the store reaches the Python service as variable, file and API read', async ({
    annotate,
  }) => {
    await pods.node.importImages(await installPythonImage(reportToStderr));
    await pods.createNamespace('shop', { 'pod-security.kubernetes.io/enforce': 'restricted' });
    await deployShop(pods);
    await store.put('signing', { key: 'first key' });
    await solo.upgrade(soloValues(mapping(store.prefix, 'one'), shopMapping(store.prefix)));
    for (const way of WAYS)
      await expect.poll(() => signsWith(pods, way, 'first key'), { ...PATIENT, message: way }).toBe(true);

    const start = performance.now();
    await store.put('signing', { key: 'second key' });
    const seconds = await Promise.all(
      WAYS.map(async (way) => {
        await expect.poll(() => signsWith(pods, way, 'second key'), { ...PATIENT, message: way }).toBe(true);
        return [way, (performance.now() - start) / 1000] as const;
      }),
    );
    await annotate(seconds.map(([way, time]) => `${way}: ${time.toFixed(1)} s`).join(', '));
    // The kubelet checks mounted files about once a minute. The example reads the API every 30 seconds.
    expect(Object.fromEntries(seconds).files).toBeLessThan(100);
    expect(Object.fromEntries(seconds).api).toBeLessThan(45);
  });

  it('a rolling update and a drain of the node leave no gap with two replicas', async () => {
    const several = await openRelease(pods, 'several');
    await createSecrets(several);
    const values = (podAnnotations: object) => ({
      replicas: 2,
      podAnnotations,
      terminationGracePeriodSeconds: 30,
      env: ['DATABASE_URL', 'REDIS_URL'].map((name) => ({
        name,
        valueFrom: { secretKeyRef: { name: 'urls', key: name } },
      })),
      config: {
        engine: { kind: 'redis', url: { env: 'REDIS_URL' } },
        audit: { store: { kind: 'postgres', url: { env: 'DATABASE_URL' } } },
        keys: { fingerprint: [{ secretRef: { name: 'bridge-keys', key: 'fingerprint' } }] },
        defaults: { refresh: '500ms' },
        stores: [store.store],
        mappings: [mapping(store.prefix, 'shared')],
      },
      identity: { vaultAudience: AUDIENCE },
      resources: { requests: { cpu: '10m', memory: '64Mi' } },
    });
    await several.upgrade(values({}));
    const oldPods = new Set((await several.ready()).map(({ metadata }) => metadata.uid));
    expect(oldPods.size).toBe(2);

    await using rotations = rotateAll('shared');
    await expect.poll(rotations.count, PATIENT).toBeGreaterThan(2);
    await several.upgrade(values({ round: 'two' }));
    const kept = async () => (await several.ready()).filter(({ metadata }) => oldPods.has(metadata.uid));
    await expect.poll(kept, PATIENT).toEqual([]);
    const afterRollout = rotations.count();
    await expect.poll(rotations.count, PATIENT).toBeGreaterThan(afterRollout + 2);

    await drainWithOneNode(several);
    const afterDrain = rotations.count();
    await expect.poll(rotations.count, PATIENT).toBeGreaterThan(afterDrain + 2);
    expect(rotations.slowest()).toBeLessThan(15_000);
  });

  it('the service uses the service account token that the kubelet has renewed', async () => {
    const issued = async () => {
      const script =
        "const [, body] = require('node:fs').readFileSync('/var/run/short/token', 'utf8').split('.');" +
        "console.log(JSON.parse(Buffer.from(body, 'base64url')).iat)";
      const target = ['exec', '--namespace', 'solo', `deployment/${solo.fullname}`];
      return Number(await pods.kubectl(...target, '--', '/usr/local/bin/node', '-e', script));
    };
    const renewed = { timeout: TOKEN_SECONDS * 1000, interval: 5000 };
    await expect.poll(issued, renewed).toBeGreaterThan(soloStarted / 1000 + 60);
    // The first token has ended, and OpenBao's token ends after a minute. So a login with the new token is the only way.
    const ended = soloStarted + (TOKEN_SECONDS + 60) * 1000;
    await expect.poll(() => Date.now(), { ...renewed, interval: 1000 }).toBeGreaterThan(ended);
    await store.put('one', { key: 'with a new token' });
    await expect.poll(() => value('one'), PATIENT).toBe('with a new token');
  }, 900_000);

  async function createSecrets({ namespace }: Release): Promise<void> {
    const secret = (name: string, stringData: object) => ({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name },
      stringData,
    });
    await pods.apply(
      namespace,
      secret('urls', {
        // The test servers have no TLS.
        DATABASE_URL: `${await pods.node.expose(database.url)}?sslmode=disable`,
        REDIS_URL: await pods.node.expose(redis().url),
      }),
      secret('bridge-keys', { fingerprint: Buffer.alloc(32, 7).toString('base64') }),
    );
  }

  /** Writes a new value to the store whenever the previous one has arrived in the Secret. */
  function rotateAll(name: string) {
    let [count, slowest, running] = [0, 0, true];
    const loop = (async () => {
      while (running) {
        const next = String(count + 1);
        await store.put(name, { key: next });
        const start = performance.now();
        await expect.poll(() => value(name), PATIENT).toBe(next);
        slowest = Math.max(slowest, performance.now() - start);
        count++;
      }
    })();
    return {
      count: () => count,
      slowest: () => slowest,
      async [Symbol.asyncDispose]() {
        running = false;
        await loop;
      },
    };
  }

  /**
   * Drains the only node. The budget lets one pod go, and refuses the other one until the node takes pods again and a
   * new pod is ready.
   */
  async function drainWithOneNode(release: Release): Promise<void> {
    const { namespace, selector } = release;
    const drain = pods.kubectl(
      ...['drain', NODE_NAME, '--pod-selector', selector, '--delete-emptydir-data', '--ignore-daemonsets'],
      '--timeout=200s',
    );
    await expect.poll(async () => (await pods.pods(namespace, selector)).length, PATIENT).toBe(1);
    const [last] = await pods.pods(namespace, selector);
    const name = last?.metadata.name ?? '';
    const { status } = await pods.cluster.request(
      'POST',
      `/api/v1/namespaces/${namespace}/pods/${name}/eviction`,
      { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name, namespace } },
    );
    expect(status).toBe(429);
    await pods.kubectl('uncordon', NODE_NAME);
    await drain;
    await expect.poll(async () => (await release.ready()).length, PATIENT).toBe(2);
  }
});

const storeAuth = ({ store }: PodStore) => (store as { readonly auth: object }).auth;
