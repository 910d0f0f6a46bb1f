import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { waitUntil } from '../../wait-until.ts';
import { freePort } from '../services/free-port.ts';
import { openTemporaryGuard } from '../services/guarded.ts';
import { createRequest, type Request, tryRequest } from '../services/http.ts';
import { until } from '../services/service.ts';
import { createMount, installProgram } from './vault-harness.ts';

/** Starts one node of a cluster, without data and sealed. */
async function startNode() {
  const { product, path: program } = await installProgram();
  const guard = await openTemporaryGuard('vault-node');
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
     ${product === 'Vault' ? 'disable_mlock = true' : ''}
     api_addr = "${address}"
     cluster_addr = "https://127.0.0.1:${clusterPort}"`,
  );
  guard.start({
    name: 'node',
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

/** Starts a node, initializes it and unseals it. */
export async function startActive() {
  const node = await startNode();
  const { keys, root_token: token } = await post<{ keys: string[]; root_token: string }>(
    node.send,
    'sys/init',
    { secret_shares: 1, secret_threshold: 1 },
  );
  const unseal = (sealed: { readonly send: Request }) => post(sealed.send, 'sys/unseal', { key: keys[0] });
  await unseal(node);
  const request = createRequest({ address: node.address, headers: { 'x-vault-token': token } });
  const server = { address: node.address, token, request };
  const mount = await waitUntil(() => createMount(server, 2));
  return { node, server, mount, unseal };
}

/** Starts an active node and a standby. */
export async function startCluster() {
  const [{ node: active, server, mount, unseal }, standby] = await Promise.all([startActive(), startNode()]);
  await post(standby.send, 'sys/storage/raft/join', { leader_api_addr: active.address });
  await unseal(standby);
  const headers = { 'x-vault-token': server.token };
  const request = createRequest({ address: standby.address, headers });
  await until('A standby that answers', 30_000, async () => {
    const answer = await tryRequest(request, 'GET', `/v1/sys/internal/ui/mounts/${mount}`);
    return answer?.status === 200;
  });
  return { active, standby, server, mount };
}
