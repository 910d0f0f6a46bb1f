import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createAuthority } from '../../test/fakes/certificates.ts';
import { fakeAws } from './aws.ts';
import { fakeAzure } from './azure.ts';
import type { Command, Reply } from './fake-store.ts';
import { fakeVault } from './vault.ts';

// Runs one fake store: `serve.ts aws|azure|vault`. The process ends when its parent process ends.

const KINDS = { aws: fakeAws, azure: fakeAzure, vault: fakeVault };
const kind = process.argv[2];
if (kind !== 'aws' && kind !== 'azure' && kind !== 'vault')
  throw new Error('usage: serve.ts aws|azure|vault');

const fakeStore = KINDS[kind]();
const authority = createAuthority();
let address = '';
let latencyMs = 0;
let connections = 0;
const calls = new Map<string, number>();
let quota: { readonly perSecond: number; startedAt: number; second: number; accepted: number } | undefined;

// Keep idle connections open, because the client must decide when to close them.
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
  } = throttle() ?? fakeStore.answer({ method, url, headers, body }, address);
  calls.set(operation, (calls.get(operation) ?? 0) + 1);
  setTimeout(() => {
    outgoing.writeHead(status, more);
    outgoing.end(text);
  }, latencyMs);
});
server.on('secureConnection', () => {
  connections += 1;
});

/** Returns the answer of a store whose quota for this second is used up. The seconds start with the first request. */
function throttle(): (Reply & { readonly operation: string }) | undefined {
  if (quota === undefined) return undefined;
  if (quota.startedAt === 0) quota.startedAt = performance.now();
  const second = Math.floor((performance.now() - quota.startedAt) / 1_000);
  if (second !== quota.second) Object.assign(quota, { second, accepted: 0 });
  quota.accepted += 1;
  if (quota.accepted <= quota.perSecond) return undefined;
  const text = JSON.stringify({ errors: ['request path: rate limit quota exceeded'] });
  return { operation: `throttled ${second}`, status: 429, headers: {}, body: text };
}

function execute(order: Command): unknown {
  if (order.kind === 'latency') latencyMs = order.ms;
  else if (order.kind === 'quota')
    quota =
      order.perSecond === undefined
        ? undefined
        : { perSecond: order.perSecond, startedAt: 0, second: 0, accepted: 0 };
  else if (order.kind === 'put')
    for (const [key, value] of Object.entries(order.values)) fakeStore.put(key, value);
  return { calls: Object.fromEntries(calls), connections };
}

process.on('message', (order: Command) => process.send?.(execute(order)));
process.on('disconnect', () => process.exit(0));
server.listen(0, '127.0.0.1', () => {
  address = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  process.send?.({ address, ca: authority.ca, env: fakeStore.env(address) });
});
