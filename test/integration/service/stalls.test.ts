import { describe, expect, it } from 'vitest';
import { startFaultProxy } from '../../fakes/fault-proxy.ts';
import { kubernetes, openbao } from '../services/inject.ts';
import { type ServiceProcess, within } from './service-process.ts';
import { openTcpGate } from './tcp-gate.ts';
import { base64, type Names, openWorld } from './world.ts';

const LONG = 200_000;

const COUNT = 40;

const config =
  (address: string) =>
  ({ prefix, ns }: Names) =>
    `  - name: dead
    kind: vault
    address: ${address}
    auth: { method: appRole, mountPath: ${prefix}, roleId: { env: ROLE_ID }, secretId: { env: SECRET_ID } }
    limits: { requestsPerSecond: 2000, concurrency: 16, timeout: 2s }
defaults: { refresh: 5s }
mappings:
${Array.from(
  { length: COUNT },
  (_, n) => `  - name: healthy-${n}
    target: { namespace: ${ns('apps')} }
    data: { A: { store: vault, key: ${prefix}/m${n}, property: a } }
  - name: dead-${n}
    target: { namespace: ${ns('apps')} }
    data: { A: { store: dead, key: ${prefix}/m${n}, property: a } }
`,
).join('')}`;

describe.concurrent('a stall', () => {
  it(
    'a stall of all connections to the API server ends at a deadline, and the service then repairs drift',
    async () => {
      await using gate = await openTcpGate(kubernetes().address);
      await using world = await openWorld({
        scope: 'namespace',
        apiAddress: gate.address,
        config: ({ prefix, ns }) => `mappings:
  - name: app
    target: { namespace: ${ns('apps')} }
    data: { A: { store: vault, key: ${prefix}/app, property: a } }
`,
      });
      await world.vault.put('app', { a: 'first' });
      await using served = await world.serve();
      const expectRepaired = async () =>
        expect((await world.secret('app'))?.data).toEqual({ A: base64('first') });
      await within(10_000, expectRepaired);
      await within(10_000, async () => expect((await served.target('app'))?.state).toBe('synced'));
      gate.freezeOpen();
      await world.patch('app', { data: { A: base64('by hand') } });
      const elapsedMs = await within(150_000, expectRepaired);
      console.log(`half-open: the drift was repaired after ${Math.round(elapsedMs / 1_000)} s`);
      expect(elapsedMs).toBeLessThan(120_000);
      expect((await served.get('/livez', '')).status).toBe(200);
      expect(served.logged()).toContainEqual(
        expect.objectContaining({ message: 'a watch failed and will be retried' }),
      );
      await within(5_000, async () => expect((await served.target('app'))?.state).toBe('synced'));
      expect((await served.stop()).code).toBe(0);
    },
    LONG,
  );

  it(
    'a stall of one store causes TIMEOUT only for the targets of that store, and delays no target of other stores',
    async () => {
      await using proxy = await startFaultProxy(openbao().address);
      await using world = await openWorld({ scope: 'namespace', config: config(proxy.address) });
      const seed = (value: string) =>
        Promise.all(Array.from({ length: COUNT }, (_, n) => world.vault.put(`m${n}`, { a: `${value}${n}` })));
      await seed('first');
      await using served = await world.serve();
      const states = async (of: string) => [
        ...new Set(
          (await served.status()).targets
            .filter(({ mapping }) => mapping.startsWith(of))
            .map(({ state, code }) => `${state} ${code ?? ''}`.trim()),
        ),
      ];
      await within(20_000, async () =>
        expect([await states('healthy'), await states('dead')]).toEqual([['synced'], ['synced']]),
      );
      const alone = await latencies(served);

      proxy.set('hang');
      await seed('second');
      await within(15_000, async () =>
        expect((await served.status()).stores).toContainEqual(
          expect.objectContaining({ name: 'dead', state: 'down', code: 'TIMEOUT' }),
        ),
      );
      const besideDeadStore = await latencies(served);
      await within(60_000, async () => expect(await states('dead')).toEqual(['stale TIMEOUT']));
      console.log(
        `sync of a healthy target, alone: p50 ${alone.p50} ms, p99 ${alone.p99} ms; next to a dead store: p50 ${besideDeadStore.p50} ms, p99 ${besideDeadStore.p99} ms`,
      );
      // No sync has waited for the dead store, whose calls take 2 s until their timeout.
      expect(besideDeadStore.p99).toBeLessThan(2_000);
      expect(await states('healthy')).toEqual(['synced']);
      for (let n = 0; n < COUNT; n++)
        expect((await world.secret(`healthy-${n}`))?.data?.A).toBe(base64(`second${n}`));
      expect((await served.get('/livez', '')).status).toBe(200);

      // A hanging call does not delay the exit.
      const began = performance.now();
      expect((await served.stop()).code).toBe(0);
      console.log(`ended ${Math.round(performance.now() - began)} ms after SIGTERM while a store hung`);
      expect(await world.chain()).toMatchObject({ kind: 'intact' });
    },
    LONG,
  );
});

async function latencies(served: ServiceProcess): Promise<{ readonly p50: number; readonly p99: number }> {
  const times: number[] = [];
  for (let round = 0; round < 5; round++)
    for (let n = 0; n < COUNT; n++) {
      const began = performance.now();
      const { status } = await served.send('POST', `/api/v1/mappings/healthy-${n}/sync`);
      times.push(performance.now() - began);
      expect(status).toBe(200);
    }
  times.sort((a, b) => a - b);
  const at = (share: number) => Math.round(times[Math.floor(times.length * share)] ?? 0);
  return { p50: at(0.5), p99: at(0.99) };
}
