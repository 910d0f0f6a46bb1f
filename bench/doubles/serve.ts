import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createAuthority } from '../../test/fakes/certificates.ts';
import { awsDouble } from './aws.ts';
import { azureDouble } from './azure.ts';
import type { Order } from './double.ts';
import { vaultDouble } from './vault.ts';

// The process of one double: `serve.ts aws|azure|vault`. It ends with whoever started it.

const KINDS = { aws: awsDouble, azure: azureDouble, vault: vaultDouble };
const kind = process.argv[2];
if (kind !== 'aws' && kind !== 'azure' && kind !== 'vault') throw new Error('which double?');

const double = KINDS[kind]();
const authority = createAuthority();
let address = '';
let latencyMs = 0;
let connections = 0;
const calls = new Map<string, number>();

// Idle connections stay: when to close them is the client's business.
const options = { ...authority.issue({ names: ['127.0.0.1', 'localhost'] }), keepAliveTimeout: 120_000 };
const server = createServer(options, async (incoming, outgoing) => {
  const body = Buffer.concat(await Array.fromAsync<Buffer>(incoming)).toString('utf8');
  const url = new URL(incoming.url ?? '/', address);
  const { method = 'GET', headers } = incoming;
  const {
    operation,
    status,
    headers: more,
    body: text,
  } = double.answer({ method, url, headers, body }, address);
  calls.set(operation, (calls.get(operation) ?? 0) + 1);
  setTimeout(() => {
    outgoing.writeHead(status, more);
    outgoing.end(text);
  }, latencyMs);
});
server.on('secureConnection', () => {
  connections += 1;
});

function carryOut(order: Order): unknown {
  if (order.kind === 'latency') latencyMs = order.ms;
  else if (order.kind === 'put')
    for (const [key, value] of Object.entries(order.values)) double.put(key, value);
  return { calls: Object.fromEntries(calls), connections };
}

process.on('message', (order: Order) => process.send?.(carryOut(order)));
process.on('disconnect', () => process.exit(0));
server.listen(0, '127.0.0.1', () => {
  address = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  process.send?.({ address, ca: authority.ca, env: double.env(address) });
});
