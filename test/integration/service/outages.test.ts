import { describe, expect, it } from 'vitest';
import { type FaultProxy, startFaultProxy } from '../../fakes/fault-proxy.ts';
import { kubernetes, openbao } from '../services/inject.ts';
import { type ServiceProcess, within } from './service-process.ts';
import { openTcpGate } from './tcp-gate.ts';
import { base64, openWorld, type World, type WorldOptions } from './world.ts';

const COUNT = 20;
const config: WorldOptions['config'] = ({ prefix, ns }) => `defaults: { refresh: 4s }
mappings:
${Array.from(
  { length: COUNT },
  (_, n) => `  - name: m${n}
    target: { namespace: ${ns('apps')} }
    data: { A: { store: vault, key: ${prefix}/m${n}, property: a } }
`,
).join('')}`;

const indexes = Array.from({ length: COUNT }, (_, n) => n);
const seed = (world: World, value: string) =>
  Promise.all(indexes.map((n) => world.vault.put(`m${n}`, { a: `${value} ${n}` })));
const expectValues = async (world: World, value: string): Promise<void> => {
  for (const n of indexes) expect((await world.secret(`m${n}`))?.data?.A).toBe(base64(`${value} ${n}`));
};
const states = async (served: ServiceProcess): Promise<readonly string[]> => [
  ...new Set(
    (await served.status()).targets.map(({ state, code }) =>
      code === undefined ? state : `${state} ${code}`,
    ),
  ),
];
const reads = ({ requests }: FaultProxy): number =>
  requests.filter(({ path }) => path.startsWith('/v1/secret/data/')).length;

/** Polls `/livez` continuously. Returns the status codes and the longest response time. */
function watchLiveness(served: ServiceProcess) {
  const statuses = new Set<number>();
  let longest = 0;
  let isDone = false;
  const polling = (async () => {
    while (!isDone) {
      const began = performance.now();
      statuses.add((await served.get('/livez', '')).status);
      longest = Math.max(longest, Math.round(performance.now() - began));
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  })();
  const end = async () => {
    isDone = true;
    await polling;
    return { statuses: [...statuses], longest };
  };
  return { end, [Symbol.asyncDispose]: async () => void (await end()) };
}

describe('the service', () => {
  it('deletes nothing during an outage of the store, reports the outage, makes few calls, and recovers soon afterwards', async () => {
    await using proxy = await startFaultProxy(openbao().address);
    await using world = await openWorld({ config, scope: 'namespace', vaultAddress: proxy.address });
    await seed(world, 'first');
    await using served = await world.serve();
    await within(15_000, async () => expect(await states(served)).toEqual(['synced']));
    const before = (await world.writes()).length;
    await using livez = watchLiveness(served);

    proxy.set('reset');
    const { length } = proxy.requests;
    const began = performance.now();
    await world.remove('m3');
    await within(15_000, async () =>
      expect((await served.status()).stores).toMatchObject([{ state: 'down', code: 'STORE_UNAVAILABLE' }]),
    );
    expect(await served.metric('secretbridge_store_up{store="vault"}')).toBe(0);
    await within(40_000, async () => {
      expect(await states(served)).toEqual(expect.arrayContaining(['failed STORE_UNAVAILABLE']));
      expect(performance.now() - began).toBeGreaterThan(25_000);
    });
    const cli = await world.cli('status', '--output', 'json');
    expect(cli.code).toBe(1);
    const calls = proxy.requests.length - length;
    const seconds = (performance.now() - began) / 1_000;
    await seed(world, 'second');
    proxy.set(undefined);
    const elapsedMs = await within(60_000, () => expectValues(world, 'second'));
    const allSyncedMs = await within(20_000, async () => expect(await states(served)).toEqual(['synced']));
    console.log(
      `store down for ${seconds.toFixed(0)} s: ${calls} calls to it; values current ${elapsedMs} ms after its return, all synced after ${elapsedMs + allSyncedMs} ms`,
    );
    expect(calls).toBeLessThan(60);
    expect((await world.writes()).slice(before).filter((write) => write.startsWith('delete'))).toEqual([]);
    expect(await livez.end()).toMatchObject({ statuses: [200] });
    expect(await world.chain()).toMatchObject({ kind: 'intact' });
  }, 180_000);

  it('deletes nothing during an outage of the API server, reports the outage, and recovers soon afterwards', {
    tags: ['long'],
  }, async () => {
    await using gate = await openTcpGate(kubernetes().address);
    await using world = await openWorld({ config, scope: 'namespace', apiAddress: gate.address });
    await seed(world, 'first');
    await using served = await world.serve();
    await within(15_000, async () => expect(await states(served)).toEqual(['synced']));
    const before = (await world.writes()).length;
    // When this repair is visible, the watch has delivered all writes from before the repair.
    await world.patch('m3', { data: { A: base64('by hand') } });
    await within(15_000, () => expectValues(world, 'first'));
    await using livez = watchLiveness(served);

    gate.disconnect();
    const began = performance.now();
    await seed(world, 'second');
    await world.patch('m3', { data: { A: base64('by hand again') } });
    await within(15_000, async () =>
      expect((await served.status()).cluster).toMatchObject({
        state: 'degraded',
        code: 'CLUSTER_UNAVAILABLE',
      }),
    );
    await within(25_000, async () => {
      expect(await states(served)).toEqual(['stale CLUSTER_UNAVAILABLE']);
      expect(performance.now() - began).toBeGreaterThan(20_000);
    });
    expect((await world.cli('status')).code).toBe(1);
    expect((await served.get('/readyz', '')).status).toBe(200);
    gate.restore();
    const elapsedMs = await within(60_000, () => expectValues(world, 'second'));
    const allSyncedMs = await within(45_000, async () => {
      expect(await states(served)).toEqual(['synced']);
      expect((await served.status()).cluster.state).toBe('up');
    });
    console.log(
      `API server down for 20 s: values current ${elapsedMs} ms after its return, all synced after ${elapsedMs + allSyncedMs} ms`,
    );
    expect((await world.writes()).slice(before).filter((write) => !write.startsWith('update'))).toEqual([]);
    expect(await livez.end()).toMatchObject({ statuses: [200] });
    expect(await world.chain()).toMatchObject({ kind: 'intact' });
  });

  it('the service delays its first sync if the API server is down at the start, and then recovers', {
    tags: ['long'],
  }, async () => {
    await using gate = await openTcpGate(kubernetes().address);
    await using world = await openWorld({ config, scope: 'namespace', apiAddress: gate.address });
    await seed(world, 'first');
    gate.disconnect();
    await using served = await world.serve();
    await within(15_000, async () => expect((await served.status()).cluster.state).toBe('degraded'));
    expect((await served.get('/livez', '')).status).toBe(200);
    gate.restore();
    const elapsedMs = await within(45_000, async () => expect(await states(served)).toEqual(['synced']));
    console.log(`started without the API server: all synced ${elapsedMs} ms after its return`);
    await expectValues(world, 'first');
  });
});

it('a restarted service writes nothing, and reads only keys whose check is due', {
  tags: ['long'],
}, async () => {
  await using proxy = await startFaultProxy(openbao().address);
  const slowRefresh: WorldOptions['config'] = (names) => config(names).replace('refresh: 4s', 'refresh: 10m');
  await using world = await openWorld({
    config: slowRefresh,
    scope: 'namespace',
    vaultAddress: proxy.address,
  });
  await seed(world, 'first');
  // `doctor`, which runs before this point, also reads each key.
  const before = reads(proxy);
  {
    await using served = await world.serve();
    await within(15_000, async () => expect(await states(served)).toEqual(['synced']));
    expect(reads(proxy) - before).toBe(COUNT);
    expect((await served.stop()).code).toBe(0);
  }
  const [writes, records] = [(await world.writes()).length, (await world.records()).length];
  for (let times = 0; times < 3; times++) {
    await using served = await world.serve();
    await within(5_000, async () => expect(await states(served)).toEqual(['synced']));
    // The wait is long enough for several ticks of the scheduler.
    const began = performance.now();
    await within(5_000, () => expect(performance.now() - began).toBeGreaterThan(2_500));
    expect((await served.stop()).code).toBe(0);
  }
  const more = reads(proxy) - before - COUNT;
  console.log(`three restarts of ${COUNT} targets: ${more} reads`);
  // The service sweeps every ten minutes, so at most one sweep happens during the test. A sweep reads each key once.
  expect([0, COUNT]).toContain(more);
  expect(await world.writes()).toHaveLength(writes);
  const added = (await world.records()).slice(records);
  expect(added.filter(({ action }) => action !== 'configure' && action !== 'sweep')).toEqual([]);
});
