import { mkdir, writeFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { codeOf, reveal } from '../../conformance/provider.ts';
import { closeServer, listen } from '../../fakes/loopback.ts';
import { soon } from '../../soon.ts';
import { freePort, retryOnPortClash } from '../services/free-port.ts';
import { openTemporaryGuard } from '../services/guarded.ts';
import { createRequest, type Request, tryRequest } from '../services/http.ts';
import { installOpenBao } from '../services/openbao.ts';
import { reportToStderr, until } from '../services/service.ts';
import { call, createMount, openProvider, urlOf } from './vault-harness.ts';

/** One node of a cluster, sealed and empty as it starts. */
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

async function mustAnswer<Body>(send: Request, path: string, body: unknown): Promise<Body> {
  const answer = await send<Body>('POST', `/v1/${path}`, body);
  if (answer.status >= 300) throw new Error(`${path} answered ${answer.status}`);
  return answer.body;
}

async function startCluster() {
  const [active, standby] = await Promise.all([startNode(), startNode()]);
  const { keys, root_token: token } = await mustAnswer<{ keys: string[]; root_token: string }>(
    active.send,
    'sys/init',
    { secret_shares: 1, secret_threshold: 1 },
  );
  const unseal = { key: keys[0] };
  await mustAnswer(active.send, 'sys/unseal', unseal);
  const bao = {
    address: active.address,
    token,
    request: createRequest({ address: active.address, headers: { 'x-vault-token': token } }),
  };
  const mount = await soon(() => createMount(bao, 2));
  await mustAnswer(standby.send, 'sys/storage/raft/join', { leader_api_addr: active.address });
  await mustAnswer(standby.send, 'sys/unseal', unseal);
  const ofStandby = createRequest({ address: standby.address, headers: { 'x-vault-token': token } });
  await until('A standby that answers', 30_000, async () => {
    const answer = await tryRequest(ofStandby, 'GET', `/v1/sys/internal/ui/mounts/${mount}`);
    return answer?.status === 200;
  });
  return { active, standby, bao, mount };
}

/** Leads each request to the node of now, as a load balancer may. */
async function openSwitch(first: string) {
  let node = first;
  const server = createServer((incoming, outgoing) => {
    const onward = request(new URL(incoming.url ?? '/', node), {
      method: incoming.method,
      headers: incoming.headers,
    });
    onward.on('error', () => outgoing.destroy());
    onward.on('response', (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    incoming.pipe(onward);
  });
  const port = await listen(server);
  return {
    address: `http://127.0.0.1:${port}`,
    turn(to: { readonly address: string }): void {
      node = to.address;
    },
    [Symbol.asyncDispose]: () => closeServer(server),
  };
}

it('a key that was read through the active node is never absent at a standby, nor is its value an older one', async () => {
  const { active, standby, bao, mount } = await retryOnPortClash(startCluster);
  await using _standby = standby;
  await using way = await openSwitch(active.address);
  {
    await using _active = active;
    await using provider = await openProvider({ address: way.address, mount }, { TOKEN: bao.token });
    const readOne = async (key: string) => (await provider.read([{ key }]))[0];
    for (let round = 1; round <= 10; round += 1) {
      way.turn(active);
      await call(bao, 'POST', urlOf(mount, 2, 'old'), { data: { round } });
      await call(bao, 'POST', urlOf(mount, 2, `new-${round}`), { data: { round } });
      for (const node of [active, standby]) {
        way.turn(node);
        expect(reveal(await readOne(`new-${round}`))).toBe(`{"round":${round}}`);
        expect(reveal(await readOne('old'))).toBe(`{"round":${round}}`);
      }
    }
    way.turn(active);
    await call(bao, 'POST', urlOf(mount, 2, 'last'), { data: { x: '1' } });
    await readOne('last');
    // Cut off in the moment after; what it goes on to answer is what it has, or nothing.
    await active[Symbol.asyncDispose]();
    way.turn(standby);
    for (let look = 0; look < 3; look += 1) {
      const result = await readOne('last');
      expect(['{"x":"1"}', 'BAD_ANSWER', 'STORE_UNAVAILABLE']).toContain(
        result?.kind === 'found' ? reveal(result) : codeOf(result),
      );
    }
  }
});
