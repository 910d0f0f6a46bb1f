/**
 * Measures reads of a healthy store in three situations: `node bench/isolation.ts`. In the first, the healthy store is
 * the only store. In the second, another store never answers. In the third, the circuit breaker of that other store is
 * open. Prints p50 and p99 in milliseconds.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createStores } from '../src/app/stores.ts';
import { StoreConfig } from '../src/config/schema.ts';
import { systemClock } from '../src/core/clock.ts';
import { createFingerprinter } from '../src/core/fingerprint.ts';
import { SecretValue } from '../src/core/secret-value.ts';
import { createSourceReaders } from '../src/providers/source-reader.ts';
import { startVaultServer } from '../test/fakes/vault-server.ts';

const READS = 600;
const EVERY_MS = 10;

const silent = createServer(() => undefined);
silent.listen(0, '127.0.0.1');
await once(silent, 'listening');
const { port } = silent.address() as AddressInfo;
await using server = await startVaultServer();
server.put('secret', 'k', '{"a":"b"}');

const auth = { method: 'token', token: { env: 'TOKEN' } };
const limits = { timeout: '3s' };
const stores = createStores(
  [
    { kind: 'vault', name: 'healthy', address: server.address, auth, limits },
    { kind: 'vault', name: 'dead', address: `http://127.0.0.1:${port}`, auth, limits },
  ].map((store) => StoreConfig.parse(store)),
  {
    clock: systemClock,
    fingerprints: createFingerprinter(SecretValue.fromBytes(Buffer.alloc(32, 1))),
    credential: async () => SecretValue.fromText(server.rootToken),
  },
);

/** Creates a reader and reads a key with it, because each job of the service also creates its own reader. */
async function read(store: string, key: string): Promise<number> {
  const started = performance.now();
  const reader = createSourceReaders({ open: (name) => stores.open(name) }).reader({
    onRead: async () => undefined,
  });
  await reader.read([{ store, ref: { key } }]);
  return performance.now() - started;
}

async function measure(withDead: boolean): Promise<{ p50: number; p99: number }> {
  const times: Promise<number>[] = [];
  const dead: Promise<number>[] = [];
  for (let n = 0; n < READS; n += 1) {
    times.push(read('healthy', 'k'));
    if (withDead) dead.push(read('dead', `k${n}`));
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  }
  const all = (await Promise.all(times)).sort((a, b) => a - b);
  await Promise.all(dead);
  const at = (share: number) => Number((all[Math.floor(all.length * share)] ?? 0).toFixed(2));
  return { p50: at(0.5), p99: at(0.99) };
}

await measure(false); // The first measurement only warms up the process.
const alone = await measure(false);
const finding = await measure(true);
const open = await measure(true);
const factor = (p99: number) => Number((p99 / alone.p99).toFixed(2));
process.stdout.write(
  `${JSON.stringify({ alone, finding: { ...finding, factor: factor(finding.p99) }, open: { ...open, factor: factor(open.p99) } })}\n`,
);
await stores[Symbol.asyncDispose]();
silent.closeAllConnections();
silent.close();
