import { describe, expect, it } from 'vitest';
import type { App } from '../../src/app/app.ts';
import { startService } from '../../src/app/service.ts';
import type { Entry } from '../../src/audit/entry.ts';
import { objectIn } from '../../src/cluster/json.ts';
import { AppError } from '../../src/core/errors.ts';
import { silentLogger } from '../../src/log/logger.ts';
import { createMemoryQueue } from '../../src/queue/memory.ts';
import { recoverIntents } from '../../src/reconcile/recover.ts';
import { resolveTargets } from '../../src/reconcile/targets.ts';
import { startEngine } from '../../src/service/run.ts';
import type { Watch } from '../fakes/faulty.ts';
import { createMemoryWorkloads } from '../fakes/memory-workloads.ts';
import { APPS_DB, base64, DB_ONLY, openWorld, type World } from '../reconcile/world.ts';
import { soon } from '../soon.ts';
import { settled } from './sample.ts';

const db = (password: string) => JSON.stringify({ user: 'ann', password });
const HINT = [{ store: 'vault', keys: ['db'] }];
const CI = { kind: 'webhook', name: 'ci' } as const;
const WEB = { kind: 'Deployment', name: 'web' } as const;
const RESTARTED = DB_ONLY.replace('    data:', '    restart: [ { kind: Deployment, name: web } ]\n    data:');

/** A service on a world whose time the test makes go by. */
async function serve(world: World, watch?: Watch) {
  const process = await world.start(watch);
  const { clock, cluster } = world;
  const app: App = Object.defineProperties(
    { ...process.app },
    { ...Object.getOwnPropertyDescriptors(process.app), cluster: { value: cluster, enumerable: true } },
  );
  const queue = createMemoryQueue({ concurrency: 8, timers: clock });
  const { service, engine } = await startService(app, {
    queue,
    replica: 'r',
    version: '1',
    random: () => 1,
    onOutcome: () => undefined,
    onCycle: () => undefined,
    configProblems: () => [],
    intakes: () => [],
  });
  return {
    app,
    engine,
    service,
    password: () => objectIn(cluster.raw(APPS_DB) ?? {}, 'data')?.PASSWORD,
    async pass(ms: number) {
      for (let t = 0; t < ms; t += 1_000) {
        await clock.advance(1_000);
        await settled();
      }
    },
    async [Symbol.asyncDispose]() {
      await engine.close(1_000);
      await queue[Symbol.asyncDispose]();
      await process[Symbol.asyncDispose]();
    },
  };
}

/** What a service does every few seconds. */
const recover = ({ app }: Awaited<ReturnType<typeof serve>>) =>
  recoverIntents({ ...app, restartOf: () => [WEB] });

const told = (world: World) => world.story().filter((line) => /update|restart/.test(line));
/** That it was made, and that its workload waits for a restart. */
const WHOLE = ['update outcome db ok', expect.stringContaining('restart intent')];

describe('a change of which it is not known what became', () => {
  it('is on record once the audit takes records again, and its workload is restarted', async () => {
    const world = await openWorld({ mappings: RESTARTED, cluster: { workloads: createMemoryWorkloads() } });
    let isAway = false;
    await using it = await serve(world, ({ call, phase, args }) => {
      const [entries = []] = call === 'audit.append' && phase === 'before' ? (args as [Entry[]]) : [];
      if (isAway && entries.some(({ phase: of, action }) => of === 'outcome' && action === 'update'))
        throw new AppError('AUDIT_UNAVAILABLE');
    });
    await soon(() => expect(it.password()).toBe(base64('first')));
    await it.pass(20_000);
    world.store.put('db', db('second'), '2');
    isAway = true;
    it.engine.take(HINT, CI);
    await it.pass(2_000);
    expect(it.password()).toBe(base64('second'));
    isAway = false;
    await recover(it);
    expect(told(world)).toEqual(expect.arrayContaining(WHOLE));
    expect(world.records.at(-2)).toMatchObject({ note: 'seen in the cluster', phase: 'outcome' });
    const count = world.records.length;
    await recover(it);
    expect(world.records).toHaveLength(count);
  });

  it('is on record once the cluster can be looked at again', async () => {
    const world = await openWorld({ mappings: RESTARTED, cluster: { workloads: createMemoryWorkloads() } });
    await using it = await serve(world);
    await soon(() => expect(it.password()).toBe(base64('first')));
    await it.pass(20_000);
    world.store.put('db', db('second'), '2');
    world.cluster.loseAnswer('replace', new AppError('CLUSTER_UNAVAILABLE'));
    world.cluster.before('replace', () => world.cluster.fail('read', new AppError('CLUSTER_UNAVAILABLE')));
    it.engine.take(HINT, CI);
    await it.pass(2_000);
    await recover(it);
    expect(told(world)).toEqual(expect.arrayContaining(WHOLE));
  });

  it('is left alone while it is under way', async () => {
    const world = await openWorld({ mappings: DB_ONLY });
    await using it = await serve(world);
    await soon(() => expect(it.password()).toBe(base64('first')));
    await it.pass(20_000);
    world.store.put('db', db('second'), '2');
    const found = Promise.withResolvers<number>();
    world.cluster.before('replace', async () => found.resolve(await recover(it)));
    it.engine.take(HINT, CI);
    await it.pass(2_000);
    expect(await found.promise).toBe(0);
    expect(told(world).filter((line) => line.startsWith('update'))).toEqual([
      'update intent db ok',
      'update outcome db ok',
    ]);
  });

  it('counts for the brake when it was a deletion', async () => {
    const names = Array.from({ length: 10 }, (_, n) => `n${n}`);
    const mappings = names.map(
      (name) =>
        `\n  - { name: ${name}, target: { namespace: apps }, onSourceMissing: delete, data: { A: { store: vault, key: ${name} } } }`,
    );
    const world = await openWorld({ mappings: mappings.join('') });
    for (const name of names) world.store.put(name, name);
    await using process = await world.start();
    await process.sync();
    const isThere = (secret: string) => world.cluster.raw({ namespace: 'apps', secret }) !== undefined;
    const prove = async (name: string) => {
      world.store.absent(name);
      for (let look = 0; look < 2; look += 1) {
        await process.sync();
        await world.clock.advance(6 * 60_000);
      }
    };
    await prove('n0');
    world.cluster.loseAnswer('remove', new AppError('CLUSTER_UNAVAILABLE'));
    world.cluster.before('remove', () => world.cluster.fail('read', new AppError('CLUSTER_UNAVAILABLE')));
    await process.sync();
    expect(isThere('n0')).toBe(false);
    await prove('n1');
    await process.sync();
    expect(isThere('n1')).toBe(true);
  });
});

describe('a target that is deleted and made anew', () => {
  it('comes back soon when it could not be made at once', async () => {
    const mappings = DB_ONLY.replace(
      'namespace: apps',
      'namespace: apps, immutable: true, recreate: true',
    ).replace('    data:', '    refresh: 12h\n    data:');
    const world = await openWorld({ mappings });
    await using it = await serve(world);
    await soon(() => expect(it.password()).toBe(base64('first')));
    await it.pass(20_000);
    world.store.put('db', db('second'), '2');
    // What is tried first passes; what follows the deletion meets a bad moment of the API server.
    world.cluster.fail('create', undefined, new AppError('CLUSTER_UNAVAILABLE'));
    it.engine.take(HINT, CI);
    await it.pass(5_000);
    expect(world.story().filter((line) => /^delete outcome/.test(line))).toHaveLength(1);
    await it.pass(60_000);
    expect(it.password()).toBe(base64('second'));
  });
});

describe('a mapping that was turned to other namespaces', () => {
  it('is written into no namespace of the selector that it had before, when the new one cannot be looked up', async () => {
    const world = await openWorld({
      mappings: DB_ONLY.replace(
        '{ namespace: apps }',
        '{ namespaceSelector: { matchLabels: { env: prod } } }',
      ),
      cluster: { namespaces: { prod: { env: 'prod' }, dev: { env: 'dev' } } },
    });
    world.store.put('dev-db', '{"user":"dev","password":"dev"}');
    const { app } = await world.start();
    const { clock, cluster } = world;
    const queue = createMemoryQueue({ concurrency: 8, timers: clock });
    const state = { mappings: app.config.mappings };
    const engine = await startEngine({
      clock,
      logger: silentLogger,
      random: () => 0.5,
      instance: 'prod',
      heldId: () => 'held',
      queue,
      cluster,
      audit: app.audit,
      scope: 'namespace',
      concurrency: 8,
      restartWindowMs: () => 1_000,
      mappings: () => state.mappings,
      resolve: () => resolveTargets(state.mappings, cluster, undefined),
      stores: { definitions: () => app.stores.definitions, tellsVersions: () => false, isDown: () => false },
      beginPass: async () => ({ ...(await app.pass()) }),
      destroy: async () => [],
      restart: async () => undefined,
      recover: async () => 0,
      onOutcome: () => undefined,
      onCycle: () => undefined,
    });
    await using _ = { [Symbol.asyncDispose]: () => engine.close(1_000) };
    const PROD = { namespace: 'prod', secret: 'db' };
    const user = () => objectIn(cluster.raw(PROD) ?? {}, 'data')?.USER;
    await soon(() => expect(user()).toBe(base64('ann')));
    // The person turns the mapping to the development namespaces and its source to theirs.
    state.mappings = state.mappings.map((it) => ({
      ...it,
      target: { ...it.target, namespaceSelector: { matchLabels: { env: 'dev' } } },
      data: Object.fromEntries(Object.entries(it.data).map(([k, v]) => [k, { ...v, key: 'dev-db' }])),
    }));
    clock.set(clock.now() + 20_000);
    cluster.fail('namespaces', new AppError('CLUSTER_UNAVAILABLE'));
    await engine.reconfigured({ mappings: new Set(['db']), all: false });
    for (let i = 0; i < 20; i++) {
      await clock.advance(500);
      await settled();
    }
    expect(user()).toBe(base64('ann'));
  });
});
