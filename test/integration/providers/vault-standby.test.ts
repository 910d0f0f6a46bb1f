import { mkdir, writeFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { codeOf, reveal } from '../../conformance/provider.ts';
import { closeServer, listen } from '../../fakes/loopback.ts';
import { waitUntil } from '../../wait-until.ts';
import { freePort, retryOnPortClash } from '../services/free-port.ts';
import { openTemporaryGuard } from '../services/guarded.ts';
import { createRequest, type Request, tryRequest } from '../services/http.ts';
import { installOpenBao } from '../services/openbao.ts';
import { reportToStderr, until } from '../services/service.ts';
import { call, createMount, openProvider, urlOf } from './vault-harness.ts';

/** Starts one node of a cluster, without data and sealed. */
async function startNode() {
  const program = await installOpenBao(reportToStderr);
  const guard = await openTemporaryGuard('openbao-node');
  const [port, clusterPort] = [await freePort(), await freePort()];
  const address = `http://127.0.0.1:${port}`;
  const config = join(guard.folder, 'node.hcl');
  await mkdir(join(guard.folder, 'data'));
  await writeFile(
    config,
    `storage "raft" {
       path = "${join(guard.folder, 'data')}"
       node_id = "${port}"
       performance_multiplier = 1
     }
     listener "tcp" {
       address = "127.0.0.1:${port}"
       cluster_address = "127.0.0.1:${clusterPort}"
       tls_disable = true
     }
     api_addr = "${address}"
     cluster_addr = "https://127.0.0.1:${clusterPort}"`,
  );
  guard.start({
    name: 'OpenBao',
    command: program,
    args: ['server', `-config=${config}`, '-log-level=warn'],
    env: { HOME: guard.folder },
  });
  const send = createRequest({ address });
  await until(
    'The start of a node',
    30_000,
    async () => (await tryRequest(send, 'GET', '/v1/sys/seal-status')) !== undefined,
  );
  return { address, send, [Symbol.asyncDispose]: guard.close };
}

async function post<Body>(send: Request, path: string, body: unknown): Promise<Body> {
  const response = await send<Body>('POST', `/v1/${path}`, body);
  if (response.status >= 300) throw new Error(`${path} answered ${response.status}`);
  return response.body;
}

async function startCluster() {
  const [active, standby] = await Promise.all([startNode(), startNode()]);
  const { keys, root_token: token } = await post<{ keys: string[]; root_token: string }>(
    active.send,
    'sys/init',
    { secret_shares: 1, secret_threshold: 1 },
  );
  const unseal = { key: keys[0] };
  await post(active.send, 'sys/unseal', unseal);
  const bao = {
    address: active.address,
    token,
    request: createRequest({ address: active.address, headers: { 'x-vault-token': token } }),
  };
  const mount = await waitUntil(() => createMount(bao, 2));
  await post(standby.send, 'sys/storage/raft/join', { leader_api_addr: active.address });
  await post(standby.send, 'sys/unseal', unseal);
  const standbyRequest = createRequest({ address: standby.address, headers: { 'x-vault-token': token } });
  await until('A standby that answers', 30_000, async () => {
    const answer = await tryRequest(standbyRequest, 'GET', `/v1/sys/internal/ui/mounts/${mount}`);
    return answer?.status === 200;
  });
  return { active, standby, bao, mount };
}

/** A load balancer that sends all requests to the selected node. */
async function openLoadBalancer(first: string) {
  let node = first;
  const server = createServer((incoming, outgoing) => {
    const upstream = request(new URL(incoming.url ?? '/', node), {
      method: incoming.method,
      headers: incoming.headers,
    });
    upstream.on('error', () => outgoing.destroy());
    upstream.on('response', (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    incoming.pipe(upstream);
  });
  const port = await listen(server);
  return {
    address: `http://127.0.0.1:${port}`,
    routeTo(to: { readonly address: string }): void {
      node = to.address;
    },
    [Symbol.asyncDispose]: () => closeServer(server),
  };
}

it('a standby never reports an absence, or an older value than the active node has already returned', async () => {
  const { active, standby, bao, mount } = await retryOnPortClash(startCluster);
  await using _standby = standby;
  await using balancer = await openLoadBalancer(active.address);
  {
    await using _active = active;
    await using provider = await openProvider({ address: balancer.address, mount }, { TOKEN: bao.token });
    const readOne = async (key: string) => (await provider.read([{ key }]))[0];
    for (let round = 1; round <= 10; round += 1) {
      balancer.routeTo(active);
      await call(bao, 'POST', urlOf(mount, 2, 'old'), { data: { round } });
      await call(bao, 'POST', urlOf(mount, 2, `new-${round}`), { data: { round } });
      for (const node of [active, standby]) {
        balancer.routeTo(node);
        expect(reveal(await readOne(`new-${round}`))).toBe(`{"round":${round}}`);
        expect(reveal(await readOne('old'))).toBe(`{"round":${round}}`);
      }
    }
    balancer.routeTo(active);
    await call(bao, 'POST', urlOf(mount, 2, 'last'), { data: { x: '1' } });
    await readOne('last');
    // The active node stops right after the read. The standby may return the value or fail.
    await active[Symbol.asyncDispose]();
    balancer.routeTo(standby);
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const result = await readOne('last');
      expect(['{"x":"1"}', 'BAD_ANSWER', 'STORE_UNAVAILABLE']).toContain(
        result?.kind === 'found' ? reveal(result) : codeOf(result),
      );
    }
  }
});
