import { writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { IDENTITY_TTL_MS } from '../../../src/cluster/kubeconfig/identity.ts';
import { createKubernetesCluster } from '../../../src/cluster/kubernetes.ts';
import type { WatchTuning } from '../../../src/cluster/watch.ts';
import { manifest, readNow } from '../../conformance/cluster-harness.ts';
import { openWatchLog } from '../../conformance/cluster-watch-log.ts';
import { kubernetes } from '../services/inject.ts';
import { assertStatus } from '../services/kubernetes-api.ts';
import { admin, type Kubeconfig, openReal, type RealHarness, variant } from './harness.ts';
import { startWatchProxy } from './watch-proxy.ts';

const json = { 'content-type': 'application/json' };

async function open(
  tuning: WatchTuning = {},
  userOf: (real: RealHarness) => Promise<object> = async () => ({}),
) {
  await using stack = new AsyncDisposableStack();
  const real = stack.use(await openReal({ watch: true }));
  const proxy = stack.use(await startWatchProxy());
  const user = await userOf(real);
  const kubeconfig = await variant(real.kubeconfig, ({ clusters, users }: Kubeconfig) => {
    Object.assign(clusters[0]?.cluster ?? {}, {
      server: proxy.address,
      'certificate-authority-data': undefined,
      'certificate-authority': undefined,
    });
    Object.assign(users[0]?.user ?? {}, user);
  });
  let now = 0;
  const cluster = stack.use(
    await createKubernetesCluster({
      kubeconfig,
      env: {},
      clock: { now: () => now },
      watches: { firstWaitMs: 50, longestWaitMs: 200, ...tuning },
    }),
  );
  const id = { namespace: real.namespace, secret: 'app' };
  await real.cluster.create(id, manifest());
  const log = stack.use(openWatchLog(cluster, id));
  await log.until(({ listCount }) => listCount() === 1);
  const opened = (n: number) =>
    expect
      .poll(() => proxy.requests.filter(({ kind }) => kind === 'watch').length, {
        interval: 10,
        timeout: 5_000,
      })
      .toBeGreaterThanOrEqual(n);
  await opened(1);
  let edits = 0;
  const owned = stack.move();
  const h = {
    real,
    proxy,
    log,
    id,
    opened,
    advance(ms: number) {
      now += ms;
    },
    async edit() {
      edits += 1;
      await real.edit(id, { data: { password: Buffer.from(`edit ${edits}`).toString('base64') } });
      return (await readNow(real.cluster, id)).resourceVersion;
    },
    /** Edits the Secret, and waits for the event. */
    async expectNextEvent(timeoutMs?: number) {
      const version = await this.edit();
      await log.until(({ now: current }) => current().get('app')?.resourceVersion === version, timeoutMs);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
  // An event proves that the stream is open. Only then may a test inject a fault.
  await h.expectNextEvent();
  return h;
}

describe('a watch of a real API server', () => {
  it('reports an edit within a second, even when the answer arrives byte by byte', async () => {
    await using h = await open();
    await h.expectNextEvent(1_000);
    h.proxy.drip = true;
    await h.expectNextEvent(1_000);
    expect(h.log.errors).toEqual([]);
  });

  it('continues after its connection was cut, without a new list and without losing an event', async () => {
    await using h = await open();
    await h.expectNextEvent();
    h.proxy.cut();
    await h.expectNextEvent();
    await h.expectNextEvent();
    expect(h.log.listCount()).toBe(1);
    expect(h.log.records.filter(({ kind }) => kind === 'changed')).toHaveLength(4);
  });

  it('detects a half-open connection by its silence, and reports the missed events', async () => {
    await using h = await open({ silenceMs: 700 });
    h.proxy.freeze();
    await h.expectNextEvent(3_000);
    expect(h.log.errors[0]).toMatchObject({ detail: 'no sign of life for 0.7 s' });
  });

  it('requests a new list when the resource version has expired', async () => {
    await using h = await open();
    await h.expectNextEvent();
    // Injects the answer that the API server sends for an expired version. A real API server keeps its history too long
    // for a test.
    const object = { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'Expired', code: 410 };
    h.proxy.inject(`${JSON.stringify({ type: 'ERROR', object })}\n`);
    await h.log.until(({ listCount }) => listCount() === 2);
    await h.expectNextEvent();
  });

  it('waits for the duration that a 429 answer contains, and then continues', async () => {
    await using h = await open();
    h.proxy.next('watch', (_, outgoing) => {
      const body = {
        kind: 'Status',
        apiVersion: 'v1',
        status: 'Failure',
        code: 429,
        reason: 'TooManyRequests',
      };
      outgoing.writeHead(429, { ...json, 'retry-after': '1' }).end(JSON.stringify(body));
      return undefined;
    });
    const started = performance.now();
    h.proxy.cut();
    await h.opened(3);
    expect(performance.now() - started).toBeGreaterThanOrEqual(1_000);
    await h.expectNextEvent();
  });

  it('requests a new list after an unreadable line', async () => {
    await using h = await open();
    h.proxy.inject('{"type":"MODIFIED"\n');
    await h.log.until(({ listCount }) => listCount() === 2);
    await h.expectNextEvent();
  });

  it('retries while the server is down', async () => {
    await using h = await open();
    await h.proxy.stop();
    await h.log.until(({ errors }) => errors.length >= 3);
    const version = await h.edit();
    await h.proxy.start();
    await h.log.until(({ now }) => now().get('app')?.resourceVersion === version, 2_000);
    expect(new Set(h.log.errors.map(({ code }) => code))).toEqual(new Set(['CLUSTER_UNAVAILABLE']));
    await h.expectNextEvent();
  });

  it('retries while the account lacks the right to watch', async () => {
    await using h = await open();
    const role = await admin()<{ rules: object[] }>('GET', h.real.role);
    const headers = { 'content-type': 'application/merge-patch+json' };
    assertStatus(await admin()('PATCH', h.real.role, { rules: [] }, headers), 200, 'role');
    const may = () => h.real.cluster.checkAccess({ namespace: h.id.namespace, verb: 'get', secret: 'app' });
    await expect.poll(may, { timeout: 10_000 }).toBe(false);
    h.proxy.cut();
    await h.log.until(({ errors }) => errors.some(({ code }) => code === 'CLUSTER_FORBIDDEN'));
    assertStatus(await admin()('PATCH', h.real.role, { rules: role.body.rules }, headers), 200, 'role');
    await expect.poll(may, { timeout: 10_000 }).toBe(true);
    await h.expectNextEvent();
  });

  it('reads the token file again when the old token is rejected', async () => {
    let file = '';
    const token = (namespace: string) =>
      kubernetes().serviceAccountToken({ namespace, name: 'secretbridge' });
    await using h = await open({}, async ({ kubeconfig, ownNamespace }) => {
      file = `${kubeconfig}.token`;
      await writeFile(file, await token(ownNamespace));
      return { token: undefined, tokenFile: file };
    });
    const renewed = await token(h.real.ownNamespace);
    await writeFile(file, renewed);
    h.advance(IDENTITY_TTL_MS);
    h.proxy.next('watch', (_, outgoing) => {
      outgoing.writeHead(401, json).end('{"kind":"Status","apiVersion":"v1","code":401}');
      return undefined;
    });
    h.proxy.cut();
    await h.opened(3);
    expect(h.proxy.requests.at(-1)?.headers.authorization).toBe(`Bearer ${renewed}`);
    await h.expectNextEvent();
    // The watch reported only the cut connection as a failure.
    expect(h.log.errors).toHaveLength(1);
  });
});
