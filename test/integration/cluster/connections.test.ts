import { execFile } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { rootCertificates } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { change, manifest, readNow } from '../../conformance/cluster-harness.ts';
import { collectGarbage } from '../../fakes/collect-garbage.ts';
import { openTcpGate } from '../service/tcp-gate.ts';
import { kubernetes } from '../services/inject.ts';
import { connect, openReal, variant } from './harness.ts';

it('makes 2,000 requests over few TLS connections without memory growth', async () => {
  await using h = await openReal();
  const id = { namespace: h.namespace, secret: 'app' };
  await h.cluster.create(id, manifest());
  let connections = 0;
  const count = () => {
    connections += 1;
  };
  subscribe('undici:client:connected', count);
  const readAtOnce = (n: number) => Promise.all(Array.from({ length: n }, () => h.cluster.read(id)));
  try {
    await readAtOnce(200);
    collectGarbage();
    const before = process.memoryUsage().heapUsed;
    for (let round = 0; round < 20; round++) await readAtOnce(100);
    collectGarbage();
    const growth = process.memoryUsage().heapUsed - before;
    expect(connections).toBeLessThanOrEqual(32);
    // The client library creates one agent for each request. With these agents, the heap would grow by 54 MB.
    expect(growth).toBeLessThan(4_000_000);
  } finally {
    unsubscribe('undici:client:connected', count);
  }
});

it('watches 200 namespaces over three connections', async () => {
  await using h = await openReal({ scope: 'namespace', watch: true });
  await using gate = await openTcpGate(kubernetes().address);
  // The administrator may list the Secrets of namespaces that do not exist.
  const kubeconfig = await variant(kubernetes().kubeconfig, ({ clusters }) => {
    Object.assign(clusters[0]?.cluster ?? {}, { server: gate.address });
  });
  let requestConnections = 0;
  const count = ({ connectParams }: { connectParams: { port: string } }) => {
    if (connectParams.port === new URL(gate.address).port) requestConnections += 1;
  };
  const listener = (message: unknown) => count(message as Parameters<typeof count>[0]);
  subscribe('undici:client:connected', listener);
  try {
    await using cluster = await connect(kubeconfig);
    const changed = Promise.withResolvers<string>();
    const opened = Array.from({ length: 200 }, (_, n) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      let signs = 0;
      cluster.watch(
        { namespace: n === 199 ? h.namespace : `absent-${n}` },
        {
          listed: () => undefined,
          changed: ({ id }) => changed.resolve(id.secret),
          deleted: () => undefined,
          // The first sign of life is the list, the second one is the start of the watch.
          progress: () => {
            signs += 1;
            if (signs === 2) resolve();
          },
        },
      );
      return promise;
    });
    await Promise.all(opened);
    expect(gate.accepted - requestConnections).toBe(3);
    await h.put({ namespace: h.namespace, secret: 'app' }, {});
    expect(await changed.promise).toBe('app');
  } finally {
    unsubscribe('undici:client:connected', listener);
  }
});

it('sends one request for each call, and a PUT without changes keeps the resource version', async () => {
  await using h = await openReal();
  const id = { namespace: h.namespace, secret: 'app' };
  const requests: string[] = [];
  // Counts the requests in this process. The metrics of the API server would include requests of parallel tests.
  const note = (message: unknown) => {
    const { method, path } = (message as { request: { method: string; path: string } }).request;
    if (path.includes(`/namespaces/${h.namespace}/secrets`)) requests.push(method);
  };
  subscribe('undici:request:create', note);
  try {
    await h.cluster.create(id, manifest());
    const live = await readNow(h.cluster, id);
    expect(await h.cluster.replace(live, change())).toEqual({
      kind: 'written',
      resourceVersion: live.resourceVersion,
    });
    expect(requests).toEqual(['POST', 'GET', 'PUT']);
  } finally {
    unsubscribe('undici:request:create', note);
  }
});

it('trusts NODE_EXTRA_CA_CERTS in addition to the CA of the kubeconfig', async () => {
  await using h = await openReal();
  // This CA did not sign the certificate of the API server.
  const ca = Buffer.from(rootCertificates[0] ?? '').toString('base64');
  const path = await variant(h.kubeconfig, ({ clusters }) => {
    Object.assign(clusters[0]?.cluster ?? {}, { 'certificate-authority-data': ca });
  });
  const script = fileURLToPath(new URL('./ping.ts', import.meta.url));
  const ping = (env: Record<string, string>) =>
    new Promise<string>((done) =>
      execFile(process.execPath, [script, path], { env }, (_, stdout) => done(stdout)),
    );
  expect(await ping({ NODE_EXTRA_CA_CERTS: kubernetes().caFile })).toBe('answers');
  expect(await ping({})).toBe('CLUSTER_UNAVAILABLE');
});
