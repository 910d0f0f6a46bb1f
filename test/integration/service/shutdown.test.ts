import { expect, it } from 'vitest';
import { startFaultProxy } from '../../fakes/fault-proxy.ts';
import { openIntents, recordedChanges } from '../e2e/bench.ts';
import { watchSecrets } from '../e2e/witness.ts';
import { kubernetes, openbao } from '../services/inject.ts';
import { type ServiceProcess, within } from './service-process.ts';
import { openWorld, type World, type WorldOptions } from './world.ts';

const COUNT = 200;
const config: WorldOptions['config'] = ({ prefix, ns }) => `mappings:
${Array.from(
  { length: COUNT },
  (_, n) => `  - name: m${n}
    target: { namespace: ${ns('apps')} }
    data: { A: { store: vault, key: ${prefix}/app, property: p${n} } }
`,
).join('')}`;

async function open(): Promise<World> {
  const world = await openWorld({ config, scope: 'namespace' });
  await world.vault.put(
    'app',
    Object.fromEntries(Array.from({ length: COUNT }, (_, n) => [`p${n}`, `${n}`])),
  );
  return world;
}

/** Starts the service. After a given number of changes, sends the signal. */
async function endAfter(world: World, changes: number, signal: NodeJS.Signals) {
  await using witness = await watchSecrets(kubernetes(), world.ns('apps'));
  const reached = Promise.withResolvers<void>();
  witness.onChange = () => {
    if (witness.received.length >= changes) reached.resolve();
  };
  await using served = await world.serve();
  await reached.promise;
  const start = performance.now();
  served.kill(signal);
  const { code, stderr } = await served.ended;
  return { code, stderr, ms: Math.round(performance.now() - start), changes: await witness.changes() };
}

const expectSynced = async (served: ServiceProcess): Promise<void> => {
  const { targets } = await served.status();
  expect(targets.filter(({ state }) => state === 'synced')).toHaveLength(COUNT);
};

it('after SIGTERM during 200 writes, the service ends only when each started write has an outcome', async () => {
  await using world = await open();
  const { code, ms, stderr, changes } = await endAfter(world, 20, 'SIGTERM');
  console.log(`ended ${ms} ms after SIGTERM, with ${changes.length} of ${COUNT} written`);
  expect(code, stderr).toBe(0);
  expect(ms).toBeLessThan(25_000);
  expect(changes.length).toBeLessThan(COUNT);
  const records = await world.records();
  expect(openIntents(records)).toEqual([]);
  expect(recordedChanges(records).toSorted()).toEqual(
    changes.map(({ secret, resourceVersion }) => `${secret} ${resourceVersion}`).toSorted(),
  );
  await using served = await world.serve();
  await within(30_000, () => expectSynced(served));
  expect(await world.writes()).toHaveLength(COUNT);
  expect(await world.chain()).toMatchObject({ kind: 'intact' });
});

it('after SIGTERM, the service does not wait for a store that does not answer', async () => {
  await using proxy = await startFaultProxy(openbao().address);
  await using world = await openWorld({
    config,
    scope: 'namespace',
    vaultAddress: proxy.address,
    timeout: '60s',
  });
  const secrets = /^\/v1\/secret\/data\//;
  proxy.set('hang', secrets);
  const reading = proxy.arrival(secrets);
  await using served = await world.serve();
  await reading;
  const start = performance.now();
  const { code, stderr } = await served.stop();
  const ms = Math.round(performance.now() - start);
  console.log(`ended ${ms} ms after SIGTERM, while reads got no answer`);
  expect(code, stderr).toBe(0);
  expect(ms).toBeLessThan(10_000);
  expect(await world.writes()).toEqual([]);
});

it('the service resolves every unresolved intent when it starts again after a kill -9 during 200 writes', {
  tags: ['long'],
}, async () => {
  await using world = await open();
  const { code, changes } = await endAfter(world, 20, 'SIGKILL');
  expect(code).toBeNull();
  const unresolved = openIntents(await world.records());
  console.log(`killed with ${changes.length} of ${COUNT} written and ${unresolved.length} intents open`);
  await using served = await world.serve();
  await within(30_000, () => expectSynced(served));
  await within(30_000, async () => expect(openIntents(await world.records())).toEqual([]));
  expect(new Set(recordedChanges(await world.records())).size).toBe(COUNT);
  // The API server logs a write as failed if its client was killed before the response, even if the write was stored.
  const writes = await world.writes();
  expect(writes.length).toBeGreaterThanOrEqual(COUNT - unresolved.length);
  expect(new Set(writes).size).toBe(writes.length);
  expect(await world.chain()).toMatchObject({ kind: 'intact' });
  expect((await served.stop()).code).toBe(0);
});
