import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { listen } from './loopback.ts';
import { startVaultServer, type VaultServer } from './vault-server.ts';

/**
 * Two nodes of OpenBao 2.7 at one address. A test writes to each node separately, so the standby may lack data of the
 * active node. A request can require newer data than the standby has. The standby forwards such a request to the active
 * node if a header of the request asks for it. Without this header, the standby answers 429. A standby that is cut off
 * from the active node answers with a redirect.
 */
export interface VaultCluster extends AsyncDisposable {
  readonly address: string;
  readonly token: string;
  readonly active: VaultServer;
  readonly standby: VaultServer;
  /** The node that answers the next requests. */
  node: 'active' | 'standby';
  isCutOff: boolean;
  /** The storage index of each node. */
  readonly index: { active: number; standby: number };
}

const CLUSTER = 'b83481ce-8441-75c9-3d25-91998a49d0ce';

export async function startVaultCluster(): Promise<VaultCluster> {
  const [active, standby] = [await startVaultServer(), await startVaultServer()];
  const token = 'of-both';
  for (const node of [active, standby]) node.addToken(token);
  const index = { active: 1, standby: 1 };

  const server = createServer(async (incoming, outgoing) => {
    const isBehind = cluster.node === 'standby' && requestedIndex(incoming) > index.standby;
    if (
      isBehind &&
      (cluster.isCutOff || incoming.headers['x-vault-inconsistent'] !== 'forward-active-node')
    ) {
      outgoing.writeHead(cluster.isCutOff ? 307 : 429).end();
      return;
    }
    const node = isBehind ? 'active' : cluster.node;
    const url = new URL(incoming.url ?? '/', cluster[node].address);
    const headers = { 'x-vault-token': String(incoming.headers['x-vault-token'] ?? '') };
    const answer = await fetch(url, { headers });
    // OpenBao sends this header only if it finds the secret.
    if (answer.status === 200) outgoing.setHeader('x-vault-index', headerOf(index[node]));
    outgoing.writeHead(answer.status, { 'content-type': 'application/json' });
    outgoing.end(await answer.text());
  });
  const port = await listen(server);

  const cluster: VaultCluster = {
    address: `http://127.0.0.1:${port}`,
    token,
    active,
    standby,
    node: 'active',
    isCutOff: false,
    index,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
      await Promise.all([active[Symbol.asyncDispose](), standby[Symbol.asyncDispose]()]);
    },
  };
  return cluster;
}

function headerOf(value: number): string {
  return Buffer.from(JSON.stringify({ cluster: CLUSTER, value: String(value) })).toString('base64');
}

function requestedIndex({ headers }: IncomingMessage): number {
  const header = headers['x-vault-index'];
  if (typeof header !== 'string') return 0;
  return Number((JSON.parse(Buffer.from(header, 'base64').toString()) as { value: string }).value);
}
