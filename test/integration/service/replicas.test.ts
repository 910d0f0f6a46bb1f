import { describe, expect, it } from 'vitest';
import { openIntents, recordedChanges } from '../e2e/bench.ts';
import { watchSecrets } from '../e2e/witness.ts';
import { kubernetes, redis } from '../services/inject.ts';
import { expectSynced, expectValues, manyMappings, range, seed } from './many-mappings.ts';
import { type ServiceProcess, within } from './service-process.ts';
import { base64, openWorld, type World, type WorldOptions } from './world.ts';

interface Scene extends AsyncDisposable {
  readonly world: World;
  readonly a: ServiceProcess;
  readonly b: ServiceProcess;
}

/** Two replicas on Redis and PostgreSQL that start at the same time. */
async function openTwo(config: WorldOptions['config'], count: number): Promise<Scene> {
  await using stack = new AsyncDisposableStack();
  const world = stack.use(
    await openWorld({ config, scope: 'namespace', redisUrl: redis().url, postgres: true }),
  );
  await seed(world, count, 'first');
  const [a, b] = await Promise.all(['a', 'b'].map(async (name) => stack.use(await world.replica(name))));
  if (a === undefined || b === undefined) throw new Error('expected two replicas');
  const owned = stack.move();
  return { world, a, b, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

const bothSynced = async ({ a, b }: Scene, count: number): Promise<void> => {
  await expectSynced(a, count);
  await expectSynced(b, count);
};
const nameOf = async (served: ServiceProcess): Promise<string> => (await served.status()).replica;
const creates = (writes: readonly string[]) => writes.filter((write) => write.startsWith('create'));

describe('two replicas', () => {
  it('two replicas share a first sync of 40 targets, and create each target once and in one audit chain', async () => {
    // Adds the mappings when both replicas run, so neither has a head start.
    await using scene = await openTwo(manyMappings(1), 40);
    const { world, a, b } = scene;
    await within(20_000, () => bothSynced(scene, 1));
    await world.configure({ config: manyMappings(40) });
    const elapsedMs = await within(40_000, () => bothSynced(scene, 40));
    await expectValues(world, 40, 'first');
    await within(5_000, async () => expect((await world.writes()).length).toBeGreaterThanOrEqual(40));
    const writes = await world.writes();
    expect(creates(writes)).toEqual(writes);
    expect(new Set(writes).size).toBe(40);
    expect(writes).toHaveLength(40);
    const records = await world.records();
    const shares = Object.fromEntries(
      [...Map.groupBy(records, ({ replica }) => replica)].map(([replica, replicaRecords]) => [
        replica,
        recordedChanges(replicaRecords).length,
      ]),
    );
    const [countA = 0, countB = 0] = [shares[await nameOf(a)], shares[await nameOf(b)]];
    console.log(`first sync of 40 targets by two replicas: ${elapsedMs} ms, ${countA} and ${countB}`);
    expect(countA + countB).toBe(40);
    expect(Math.min(countA, countB)).toBeGreaterThan(0);
    expect(openIntents(records).length).toBe(0);
    expect(await world.chain()).toMatchObject({ kind: 'intact' });
  });

  it('two replicas write a rotation once, and repair drift once', { tags: ['long'] }, async () => {
    const count = 20;
    await using scene = await openTwo(manyMappings(count, 'defaults: { refresh: 4s }'), count);
    const { world } = scene;
    await within(30_000, () => bothSynced(scene, count));
    await within(5_000, async () => expect(await world.writes()).toHaveLength(count));

    await seed(world, count, 'second');
    const rotated = await within(15_000, () => expectValues(world, count, 'second'));
    // There are no more writes in the next refresh interval.
    const began = performance.now();
    await within(10_000, () => expect(performance.now() - began).toBeGreaterThan(5_000));
    const updates = (await world.writes()).slice(count);
    expect(updates.toSorted()).toEqual(
      range(count)
        .map((n) => `update ${world.ns('apps')}/m${n}`)
        .toSorted(),
    );

    await world.patch('m7', { data: { A: base64('by hand') } });
    const repaired = await within(5_000, () => expectValues(world, count, 'second'));
    const again = performance.now();
    await within(10_000, () => expect(performance.now() - again).toBeGreaterThan(5_000));
    console.log(`two replicas: rotation of ${count} targets ${rotated} ms, repair ${repaired} ms`);
    expect((await world.writes()).slice(2 * count)).toEqual([`update ${world.ns('apps')}/m7`]);
    const repairs = (await world.records()).filter(
      ({ action, phase }) => action === 'repair' && phase === 'outcome',
    );
    expect(repairs).toMatchObject([{ secret: 'm7', outcome: 'ok', actor: { kind: 'drift' } }]);
    expect(await world.chain()).toMatchObject({ kind: 'intact' });
  });

  it('both replicas report the same `status`, and each replica answers a sync no matter which replica runs the sync', {
    tags: ['long'],
  }, async () => {
    const count = 20;
    // The sweeps are too rare to run before the requested syncs.
    await using scene = await openTwo(manyMappings(count, 'defaults: { refresh: 1h }'), count);
    const { world, a, b } = scene;
    await world.put('other', { data: { THEIRS: base64('x') } });
    const comparableStatus = async (served: ServiceProcess) => {
      const { targets, held, engine, audit } = await served.status();
      const comparableTargets = targets.map(({ staleSeconds: _, ...target }) => target);
      return { targets: comparableTargets, held, engine, audit: { kind: audit.kind, state: audit.state } };
    };
    await within(30_000, () => expectSynced(a, count));
    const agreed = await within(10_000, async () =>
      expect(await comparableStatus(b)).toEqual(await comparableStatus(a)),
    );
    expect((await comparableStatus(a)).engine).toEqual({ kind: 'redis', state: 'up' });
    expect((await comparableStatus(a)).audit).toEqual({ kind: 'postgres', state: 'up' });

    const workers = new Set<string>();
    const times: number[] = [];
    for (let round = 0; workers.size < 2; round++) {
      expect(round).toBeLessThan(40);
      await seed(world, count, `round ${round}`);
      const began = performance.now();
      const name = `m${round % count}`;
      const answer = await world.cli('sync', '--server', a.address, '--mapping', name, '--output', 'json');
      times.push(Math.round(performance.now() - began));
      const { requestId, summary, ok } = JSON.parse(answer.stdout) as {
        requestId: string;
        ok: boolean;
        summary: object;
      };
      expect({ code: answer.code, ok, summary }).toMatchObject({
        code: 0,
        ok: true,
        summary: { updated: 1 },
      });
      expect((await world.secret(name))?.data?.A).toBe(base64(`round ${round} ${round % count}`));
      const done = (await world.records()).find(
        (record) =>
          record.requestId === requestId && record.phase === 'outcome' && record.action === 'update',
      );
      expect(done?.actor).toMatchObject({ kind: 'operator', name: 'ann' });
      workers.add(done?.replica ?? '');
    }
    console.log(
      `status agreed after ${agreed} ms; syncs sent to one replica, run by either: ${times.join(', ')} ms`,
    );
    expect([...workers].toSorted()).toEqual([await nameOf(a), await nameOf(b)].toSorted());
    await within(10_000, async () => expect(await comparableStatus(b)).toEqual(await comparableStatus(a)));
  });

  it('replicas apply configuration changes that were made while both replicas were stopped', {
    tags: ['long'],
  }, async () => {
    const labelled =
      (label: string): WorldOptions['config'] =>
      (names) =>
        manyMappings(
          3,
          'defaults: { refresh: 1h }',
        )(names).replaceAll(
          `namespace: ${names.ns('apps')} }`,
          `namespace: ${names.ns('apps')}, labels: { app: ${label} } }`,
        );
    await using scene = await openTwo(labelled('one'), 3);
    const { world, a, b } = scene;
    await within(30_000, () => bothSynced(scene, 3));
    const labels = async () =>
      Promise.all(range(3).map(async (n) => (await world.secret(`m${n}`))?.metadata.labels?.app));
    expect(await labels()).toEqual(['one', 'one', 'one']);
    await Promise.all([a.stop(), b.stop()]);
    await world.configure({ config: labelled('two') });
    // Redis still contains the target states of the previous replicas.
    await using _ = await world.replica('a');
    await within(20_000, async () => expect(await labels()).toEqual(['two', 'two', 'two']));
  });

  it('two replicas complete 60 writes and resolve all intents if one of the replicas is killed', async () => {
    const count = 60;
    // Adds the mappings when both replicas run, so both do part of the work.
    await using scene = await openTwo(manyMappings(1), count);
    const { world, a, b } = scene;
    await within(20_000, () => bothSynced(scene, 1));
    await using witness = await watchSecrets(kubernetes(), world.ns('apps'));
    const reached = Promise.withResolvers<void>();
    witness.onChange = () => {
      if (witness.received.length >= 15) reached.resolve();
    };
    await world.configure({ config: manyMappings(count) });
    await reached.promise;
    a.kill('SIGKILL');
    const began = performance.now();
    await a.ended;
    const written = witness.received.length;
    const unresolved = openIntents(await world.records()).length;
    const finished = await within(40_000, () => expectValues(world, count, 'first'));
    const allSyncedMs = await within(40_000, () => expectSynced(b, count));
    const resolved = await within(75_000 - (performance.now() - began), async () =>
      expect(openIntents(await world.records()).length).toBe(0),
    );
    const total = Math.round(performance.now() - began);
    console.log(
      `killed with ${written} of ${count} written and ${unresolved} intents open: all present ${finished} ms later, all synced ${finished + allSyncedMs} ms, intents resolved ${total} ms (${resolved} of waiting)`,
    );
    await within(5_000, async () => expect((await world.writes()).length).toBeGreaterThanOrEqual(count));
    const writes = await world.writes();
    expect(new Set(creates(writes)).size).toBe(count);
    expect(writes).toHaveLength(count);
    const changes = (await witness.changes()).map(
      ({ secret, resourceVersion }) => `${secret} ${resourceVersion}`,
    );
    expect(recordedChanges(await world.records()).toSorted()).toEqual(expect.arrayContaining(changes));
    expect(await world.chain()).toMatchObject({ kind: 'intact' });
    expect((await b.stop()).code).toBe(0);
  }, 240_000);
});
