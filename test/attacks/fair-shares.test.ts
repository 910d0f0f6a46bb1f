import { expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { Collector, openBench } from '../cli/harness.ts';
import { startVaultServer } from '../fakes/vault-server.ts';
import { waitUntil } from '../wait-until.ts';

// A tenant has far more mappings than its store can read within their refresh. Another tenant uses the same store.

const FLOOD = Array.from({ length: 280 }, (_, index) => `flood${index}`);
const REFRESH_S = 2;
const MAX_LAG_MS = (REFRESH_S + 10) * 1_000;

const config = (address: string) => `apiVersion: secretbridge.dev/v1
instance: prod
cluster: { kind: directory, path: ./cluster }
http: { listen: '127.0.0.1:0' }
stores:
  - { name: v, kind: vault, address: '${address}', auth: { method: token, token: { env: T } }, limits: { requestsPerSecond: 20 } }
include:
  - { path: teams/a, namespaces: [a], stores: [v], keys: ['k/**'], limits: { refresh: 1s, callsPerMinute: 1000000 } }
  - { path: teams/b, namespaces: [b], stores: [v], keys: ['k/**'], limits: { refresh: ${REFRESH_S}s } }
`;
const mapping = (name: string, namespace: string, refreshS: number) =>
  `  - { name: ${name}, target: { namespace: ${namespace} }, refresh: ${refreshS}s, data: { A: { store: v, key: k/${name}, property: a } } }\n`;

it('a tenant that floods its store does not delay another tenant of the same store', async () => {
  await using vault = await startVaultServer();
  const put = (name: string, value: string) => vault.put('secret', `k/${name}`, JSON.stringify({ a: value }));
  for (const name of [...FLOOD, 'theirs']) put(name, 'first');
  await using bench = await openBench(config(vault.address));
  await bench.write('teams/a/one.yaml', `mappings:\n${FLOOD.map((name) => mapping(name, 'a', 1)).join('')}`);
  await bench.write('teams/b/one.yaml', `mappings:\n${mapping('theirs', 'b', REFRESH_S)}`);
  const stop = new AbortController();
  const context = { stderr: new Collector(), signal: stop.signal, env: { T: vault.rootToken } };
  const running = bench.runWith({ ...context, clock: systemClock }, 'serve', '--grace', '10s');
  for (const value of ['first', 'second']) {
    put('theirs', value);
    const start = performance.now();
    const text = Buffer.from(value).toString('base64');
    await waitUntil(async () => expect(await bench.read('cluster/b/theirs.yaml')).toContain(text));
    expect(performance.now() - start).toBeLessThan(MAX_LAG_MS);
  }
  stop.abort();
  expect((await running).code).toBe(0);
});
