import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { Agent, request } from 'undici';
import { expect, it } from 'vitest';
import { kubernetes } from '../services/inject.ts';
import { assertStatus, createKubernetesApi } from '../services/kubernetes-api.ts';
import { type BenchOptions, openBench } from './bench.ts';

interface DelayingProxy extends AsyncDisposable {
  readonly address: string;
  /**
   * Delays the next matching request until `release`. Closes the client's connection without an answer, like a load
   * balancer after its timeout.
   */
  delay(method: string, path: RegExp): void;
  /** Sends the delayed request. Returns the status that the API server answered. */
  release(): Promise<number>;
}

async function openDelayingProxy(upstream: string, caFile: string): Promise<DelayingProxy> {
  const dispatcher = new Agent({ allowH2: false, connect: { ca: readFileSync(caFile, 'utf8') } });
  let rule: { readonly method: string; readonly path: RegExp } | undefined;
  let sendDelayed: (() => Promise<number>) | undefined;
  const server = createServer(async (incoming, outgoing) => {
    const { method = 'GET', url = '/', headers: all } = incoming;
    const { host: _, connection: __, 'transfer-encoding': ___, ...headers } = all;
    const body = await buffer(incoming);
    const send = () =>
      request(new URL(url, upstream), {
        dispatcher,
        method: method as 'GET',
        headers: headers as Record<string, string>,
        body: body.length === 0 ? null : body,
      });
    if (rule?.method === method && rule.path.test(url)) {
      rule = undefined;
      sendDelayed = async () => {
        const answer = await send();
        await answer.body.dump();
        return answer.statusCode;
      };
      incoming.socket.destroy();
      return;
    }
    const answer = await send();
    outgoing.writeHead(answer.statusCode, { 'content-type': 'application/json' });
    outgoing.end(await buffer(answer.body));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    delay(method, path) {
      rule = { method, path };
    },
    release: () => sendDelayed?.() ?? Promise.reject(new Error('no request was cut off')),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
      await dispatcher.close();
    },
  };
}

/** A test environment that connects to its API server through the delaying proxy. */
async function openScene(mappings: BenchOptions['mappings']) {
  await using stack = new AsyncDisposableStack();
  const { request: admin, caFile, token, address, requestCounts } = kubernetes();
  const proxy = stack.use(await openDelayingProxy(address, caFile));
  const folder = await mkdtemp(join(tmpdir(), 'secretbridge-late-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const { serviceAccountKubeconfig, serviceAccountToken } = createKubernetesApi(
    { address: proxy.address, caFile, token, folder },
    admin,
  );
  const api = { request: admin, serviceAccountKubeconfig, serviceAccountToken, requestCounts };
  const cluster = { ...api, address, caFile, token };
  const bench = stack.use(await openBench({ inProcess: true, cluster, mappings }));
  const owned = stack.move();
  return {
    admin,
    front: proxy,
    bench,
    /** Returns the records with these actions from index `from`, one line each. */
    changes: async (from: number, actions: readonly string[]) =>
      (await bench.records())
        .slice(from)
        .flatMap(({ action, phase = '', outcome, code = '' }) =>
          actions.includes(action) ? [`${action} ${phase} ${outcome} ${code}`.trim()] : [],
        ),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

it('the program records a write that the API server completes after the sync gave up, and restarts the workload', async () => {
  await using scene = await openScene(
    ({ prefix, namespace }) => `
  - name: db
    target: { namespace: ${namespace} }
    restart: [ { kind: Deployment, name: web } ]
    data: { A: { store: vault, key: ${prefix}/db, property: a } }`,
  );
  const { admin, front: proxy, bench } = scene;
  const deployments = `/apis/apps/v1/namespaces/${bench.namespace}/deployments`;
  const spec = {
    selector: { matchLabels: { app: 'web' } },
    template: {
      metadata: { labels: { app: 'web' } },
      spec: { containers: [{ name: 'x', image: 'x' }] },
    },
  };
  assertStatus(await admin('POST', deployments, { metadata: { name: 'web' }, spec }), 201, 'deployment');
  const generation = async () => {
    const { body } = await admin<{ metadata: { generation: number } }>('GET', `${deployments}/web`);
    return body.metadata.generation;
  };
  const changes = (from: number) => scene.changes(from, ['update', 'restart']);

  await bench.vault.put('db', { a: 'first' });
  expect(await bench.sync()).toMatchObject({ code: 0 });
  const { length } = await bench.records();
  await bench.vault.put('db', { a: 'second' });
  proxy.delay('PUT', /\/secrets\/db\?/);
  expect(await bench.sync()).toMatchObject({ code: 1, targets: [{ code: 'CLUSTER_UNAVAILABLE' }] });
  expect(await changes(length)).toEqual(['update intent ok', 'update outcome failed CLUSTER_UNAVAILABLE']);

  expect(await proxy.release()).toBe(200);
  expect(await bench.sync()).toMatchObject({ code: 0, targets: [{ outcome: 'unchanged' }] });
  expect(await changes(length)).toEqual([
    'update intent ok',
    'update outcome failed CLUSTER_UNAVAILABLE',
    'update outcome ok',
    'restart intent ok',
    'restart outcome ok',
  ]);
  const written = (await bench.records()).findLast(({ action }) => action === 'update');
  expect(written?.resourceVersion).toBe((await bench.secret('db'))?.metadata.resourceVersion);
  expect(await generation()).toBe(2);
  expect(await bench.sync()).toMatchObject({ code: 0 });
  expect(await generation()).toBe(2);
  expect(await bench.chain()).toMatchObject({ kind: 'intact' });
}, 60_000);

it('the program records a deletion that the API server completes late, counts the deletion for the brake, and creates the Secret again', async () => {
  const names = ['one', 'two', 'three', 'four'];
  const mapping = (prefix: string, namespace: string) => (name: string) =>
    `
  - name: ${name}
    target: { namespace: ${namespace}, immutable: true, recreate: true }
    data: { A: { store: vault, key: ${prefix}/${name}, property: a } }`;
  await using scene = await openScene(({ prefix, namespace }) =>
    names.map(mapping(prefix, namespace)).join(''),
  );
  const { front: proxy, bench } = scene;
  for (const name of names) await bench.vault.put(name, { a: 'first' });
  expect(await bench.sync()).toMatchObject({ code: 0 });
  const { length } = await bench.records();
  await bench.vault.put('one', { a: 'second' });
  proxy.delay('DELETE', /\/secrets\/one/);
  expect(await bench.sync()).toMatchObject({ code: 1 });
  expect(await scene.changes(length, ['delete', 'create'])).toEqual([
    'delete intent ok',
    'delete outcome failed CLUSTER_UNAVAILABLE',
  ]);
  const { length: cutOff } = await bench.records();

  expect(await proxy.release()).toBe(200);
  expect(await bench.secret('one')).toBeUndefined();
  await bench.vault.put('two', { a: 'second' });
  const { code, targets } = await bench.sync();
  expect(code).toBe(4);
  expect(targets.map(({ secret, outcome }) => `${secret} ${outcome}`)).toEqual([
    'four unchanged',
    'one created',
    'three unchanged',
    'two held',
  ]);
  expect(await scene.changes(cutOff, ['delete', 'create', 'repair', 'hold'])).toEqual([
    'delete outcome ok',
    'create intent ok',
    'create outcome ok',
    'hold  held HELD',
  ]);
  expect(await bench.chain()).toMatchObject({ kind: 'intact' });
}, 60_000);
