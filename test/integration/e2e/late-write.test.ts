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
import { openBench } from './bench.ts';

interface LateFront extends AsyncDisposable {
  readonly address: string;
  /** Cuts off the next of these without an answer, and passes it on when told: as a load balancer that loses patience. */
  delay(method: string, path: RegExp): void;
  /** Passes on what was cut off; gives the API server's answer. */
  pass(): Promise<number>;
}

async function openLateFront(upstream: string, caFile: string): Promise<LateFront> {
  const dispatcher = new Agent({ allowH2: false, connect: { ca: readFileSync(caFile, 'utf8') } });
  let late: { readonly method: string; readonly path: RegExp } | undefined;
  let held: (() => Promise<number>) | undefined;
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
    if (late?.method === method && late.path.test(url)) {
      late = undefined;
      held = async () => {
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
      late = { method, path };
    },
    pass: () => held?.() ?? Promise.reject(new Error('nothing was cut off')),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
      await dispatcher.close();
    },
  };
}

it('a write that the API server makes after we were cut off, and have looked, is on record and restarts its workload', async () => {
  const { request: admin, caFile, token, address, requestCounts } = kubernetes();
  await using front = await openLateFront(address, caFile);
  const folder = await mkdtemp(join(tmpdir(), 'secretbridge-late-'));
  await using _ = { [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
  const { serviceAccountKubeconfig, serviceAccountToken } = createKubernetesApi(
    { address: front.address, caFile, token, folder },
    admin,
  );
  const api = { request: admin, serviceAccountKubeconfig, serviceAccountToken, requestCounts };
  await using bench = await openBench({
    here: true,
    cluster: { ...api, address, caFile, token },
    mappings: ({ prefix, namespace }) => `
  - name: db
    target: { namespace: ${namespace} }
    restart: [ { kind: Deployment, name: web } ]
    data: { A: { store: vault, key: ${prefix}/db, property: a } }`,
  });
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
  const changes = async (from: number) =>
    (await bench.records())
      .slice(from)
      .flatMap(({ action, phase = '', outcome, code = '' }) =>
        ['update', 'restart'].includes(action) ? [`${action} ${phase} ${outcome} ${code}`.trim()] : [],
      );

  await bench.vault.put('db', { a: 'first' });
  expect(await bench.sync()).toMatchObject({ code: 0 });
  const { length } = await bench.records();
  await bench.vault.put('db', { a: 'second' });
  front.delay('PUT', /\/secrets\/db\?/);
  expect(await bench.sync()).toMatchObject({ code: 1, targets: [{ code: 'CLUSTER_UNAVAILABLE' }] });
  expect(await changes(length)).toEqual(['update intent ok', 'update outcome failed CLUSTER_UNAVAILABLE']);

  expect(await front.pass()).toBe(200);
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
