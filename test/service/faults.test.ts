import { describe, expect, it, vi } from 'vitest';
import type { Entry } from '../../src/audit/entry.ts';
import { objectIn } from '../../src/cluster/json.ts';
import { AppError } from '../../src/core/errors.ts';
import { recoverIntents } from '../../src/reconcile/recover.ts';
import { failing } from '../fakes/faulty.ts';
import { createMemoryWorkloads } from '../fakes/memory-workloads.ts';
import { APPS_DB, base64, DB_ONLY, openWorld, type World } from '../reconcile/world.ts';
import { soon } from '../soon.ts';
import { settled } from './sample.ts';
import { type Serving, serve } from './serving.ts';

const db = (password: string) => JSON.stringify({ user: 'ann', password });
const HINT = [{ store: 'vault', keys: ['db'] }];
const CI = { kind: 'webhook', name: 'ci' } as const;
const WEB = { kind: 'Deployment', name: 'web' } as const;
const RESTARTED = DB_ONLY.replace('    data:', '    restart: [ { kind: Deployment, name: web } ]\n    data:');

const passwordOf = ({ cluster }: World) => objectIn(cluster.raw(APPS_DB) ?? {}, 'data')?.PASSWORD;

/** Lets time go by, as a service sees it. */
async function context({ clock }: World, ms: number): Promise<void> {
  for (let gone = 0; gone < ms; gone += 1_000) {
    await clock.advance(1_000);
    await settled();
  }
}

/** What a service does every few seconds. */
const recover = ({ app }: Serving) => recoverIntents({ ...app, restartOf: () => [WEB] });

const told = (world: World) => world.story().filter((line) => /update|restart/.test(line));
/** That it was made, and that its workload waits for a restart. */
const WHOLE = ['update outcome db ok', expect.stringContaining('restart intent')];

it('a key of a store that counts versions from 1 again is followed, also when it was made anew in a pause', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  using _timers = { [Symbol.dispose]: () => void vi.useRealTimers() };
  const world = await openWorld({ mappings: DB_ONLY.replace('    data:', '    refresh: 1m\n    data:') });
  {
    await using _ = await serve(world);
    await soon(() => expect(passwordOf(world)).toBe(base64('first')));
  }
  world.store.put('db', db('anew'), '1');
  await using _ = await serve(world);
  for (let half = 0; half < 4; half += 1) {
    await world.clock.advance(30_000);
    vi.advanceTimersByTime(250);
    await settled();
  }
  await soon(() => expect(passwordOf(world)).toBe(base64('anew')));
});

it.each([
  ['AUDIT_UNAVAILABLE', new AppError('AUDIT_UNAVAILABLE')],
  ['INTERNAL', new TypeError('nobody expected it')],
])('a target that cannot be renewed for %s is not said to be in step', async (code, thrown) => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  using _timers = { [Symbol.dispose]: () => void vi.useRealTimers() };
  const world = await openWorld({ mappings: DB_ONLY.replace('    data:', '    refresh: 1m\n    data:') });
  let isAway = false;
  await using it = await serve(world, ({ call, phase }) => {
    if (isAway && call === 'audit.append' && phase === 'before') throw thrown;
  });
  const rounds = async (minutes: number) => {
    for (let half = 0; half < minutes * 2; half += 1) {
      await world.clock.advance(30_000);
      vi.advanceTimersByTime(250);
      await settled();
    }
  };
  const shown = () => it.service.mappings()[0]?.targets[0];
  await soon(() => expect(passwordOf(world)).toBe(base64('first')));
  await rounds(1);
  isAway = true;
  await rounds(3);
  // What has nothing to record goes on as ever.
  expect(shown()).toMatchObject({ state: 'synced' });
  world.store.put('db', db('second'), '2');
  await rounds(5);
  expect(shown()).toMatchObject({ state: 'stale', code });
  expect(shown()?.staleSeconds).toBeGreaterThan(180);
  isAway = false;
  await rounds(2);
  expect(passwordOf(world)).toBe(base64('second'));
  expect(shown()).toMatchObject({ state: 'synced' });
  expect(shown()?.code).toBeUndefined();
});

it('targets that an event has found without their source read it once with each sweep, and not each of them', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  using _timers = { [Symbol.dispose]: () => void vi.useRealTimers() };
  const mappings = Array.from(
    { length: 20 },
    (_, n) => `
  - name: t${n}
    target: { namespace: apps }
    refresh: 1m
    data: { T: { store: vault, key: shared } }`,
  );
  const world = await openWorld({ mappings: mappings.join('') });
  world.store.put('shared', 'value');
  await using it = await serve(world);
  const rounds = async (minutes: number) => {
    for (let half = 0; half < minutes * 2; half += 1) {
      await world.clock.advance(30_000);
      vi.advanceTimersByTime(250);
      await settled();
    }
  };
  const known = () => [...it.controller.states.all()];
  await rounds(1);
  expect(known().filter(({ error }) => error === undefined)).toHaveLength(20);
  world.store.absent('shared');
  it.controller.takeHints([{ store: 'vault', keys: ['shared'] }], CI);
  await rounds(3);
  expect(known().filter(({ error }) => error?.code === 'SOURCE_ABSENT')).toHaveLength(20);
  const { length } = world.store.reads;
  await rounds(10);
  // By each sweep, by all together that wait in the name of the event, and by those whose own time has come.
  expect(world.store.reads.length - length).toBeLessThanOrEqual(3 * 10);
  expect(world.store.reads.length - length).toBeGreaterThanOrEqual(2 * 10);
});

it('an audit that cannot be asked is down, with its code, and ends in `status` where it last did', async () => {
  const world = await openWorld({ mappings: RESTARTED, cluster: { workloads: createMemoryWorkloads() } });
  let isAway = false;
  await using it = await serve(world, ({ call, phase }) => {
    if (isAway && call === 'audit.head' && phase === 'before') throw new AppError('AUDIT_UNAVAILABLE');
  });
  await soon(() => expect(passwordOf(world)).toBe(base64('first')));
  await context(world, 2_000);
  const { sequence } = (await it.service.status()).audit;
  expect(sequence).toBeGreaterThan(0);
  isAway = true;
  expect((await it.service.status()).audit).toMatchObject({
    state: 'down',
    sequence,
    code: 'AUDIT_UNAVAILABLE',
  });
});

describe('a change of which it is not known what became', () => {
  it('is on record once the audit takes records again, and its workload is restarted', async () => {
    const world = await openWorld({ mappings: RESTARTED, cluster: { workloads: createMemoryWorkloads() } });
    let isAway = false;
    await using it = await serve(world, ({ call, phase, args }) => {
      const [entries = []] = call === 'audit.append' && phase === 'before' ? (args as [Entry[]]) : [];
      if (isAway && entries.some(({ phase: of, action }) => of === 'outcome' && action === 'update'))
        throw new AppError('AUDIT_UNAVAILABLE');
    });
    await soon(() => expect(passwordOf(world)).toBe(base64('first')));
    await context(world, 20_000);
    world.store.put('db', db('second'), '2');
    isAway = true;
    it.controller.takeHints(HINT, CI);
    await context(world, 2_000);
    expect(passwordOf(world)).toBe(base64('second'));
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
    await soon(() => expect(passwordOf(world)).toBe(base64('first')));
    await context(world, 20_000);
    world.store.put('db', db('second'), '2');
    world.cluster.loseAnswer('replace', new AppError('CLUSTER_UNAVAILABLE'));
    world.cluster.before('replace', () => world.cluster.fail('read', new AppError('CLUSTER_UNAVAILABLE')));
    it.controller.takeHints(HINT, CI);
    await context(world, 2_000);
    await recover(it);
    expect(told(world)).toEqual(expect.arrayContaining(WHOLE));
  });

  it('of a process that was killed is no last word, where another had brought its target into step by then', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    using _timers = { [Symbol.dispose]: () => void vi.useRealTimers() };
    const world = await openWorld({ mappings: DB_ONLY });
    await using it = await serve(world);
    await soon(() => expect(passwordOf(world)).toBe(base64('first')));
    await context(world, 20_000);
    world.store.put('db', db('second'), '2');
    const dead = new AppError('AUDIT_UNAVAILABLE');
    await expect(world.sync(failing('cluster.replace', dead))).rejects.toBe(dead);
    world.store.put('db', db('third'), '3');
    it.controller.takeHints(HINT, CI);
    await context(world, 2_000);
    expect(passwordOf(world)).toBe(base64('third'));
    vi.advanceTimersByTime(11_000);
    await soon(() => expect(world.records.at(-1)).toMatchObject({ secret: 'db', note: 'in step again' }));
    expect(world.records.at(-2)).toMatchObject({ outcome: 'failed', code: 'INTERRUPTED', phase: 'outcome' });
  });

  it('is left alone while it is under way', async () => {
    const world = await openWorld({ mappings: DB_ONLY });
    await using it = await serve(world);
    await soon(() => expect(passwordOf(world)).toBe(base64('first')));
    await context(world, 20_000);
    world.store.put('db', db('second'), '2');
    const found = Promise.withResolvers<number>();
    world.cluster.before('replace', async () => found.resolve(await recover(it)));
    it.controller.takeHints(HINT, CI);
    await context(world, 2_000);
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
    await soon(() => expect(passwordOf(world)).toBe(base64('first')));
    await context(world, 20_000);
    world.store.put('db', db('second'), '2');
    // What is tried first contexts; what follows the deletion meets a bad moment of the API server.
    world.cluster.fail('create', undefined, new AppError('CLUSTER_UNAVAILABLE'));
    it.controller.takeHints(HINT, CI);
    await context(world, 5_000);
    expect(world.story().filter((line) => /^delete outcome/.test(line))).toHaveLength(1);
    await context(world, 60_000);
    expect(passwordOf(world)).toBe(base64('second'));
  });

  it('comes back soon when the audit was away in between', async () => {
    const mappings = DB_ONLY.replace(
      'namespace: apps',
      'namespace: apps, immutable: true, recreate: true',
    ).replace('    data:', '    refresh: 12h\n    data:');
    const world = await openWorld({ mappings });
    let [mayEnd, isAway] = [true, false];
    await using it = await serve(world, ({ call, phase, args }) => {
      const [entries = []] = call === 'audit.append' && phase === 'before' ? (args as [Entry[]]) : [];
      const isDeleted = entries.some(({ phase: of, action }) => of === 'outcome' && action === 'delete');
      isAway ||= isDeleted && !mayEnd;
      if (isAway && entries.length > 0) throw new AppError('AUDIT_UNAVAILABLE');
    });
    await soon(() => expect(passwordOf(world)).toBe(base64('first')));
    await context(world, 20_000);
    world.store.put('db', db('second'), '2');
    mayEnd = false;
    it.controller.takeHints(HINT, CI);
    await context(world, 5_000);
    expect(passwordOf(world)).toBeUndefined();
    [mayEnd, isAway] = [true, false];
    await context(world, 60_000);
    expect(passwordOf(world)).toBe(base64('second'));
    expect(it.service.mappings()[0]?.targets[0]).toMatchObject({ state: 'synced' });
  });
});

it('a target whose namespace is not there is on record when that begins and when it ends, however often it is tried', async () => {
  const world = await openWorld({ mappings: DB_ONLY, cluster: { namespaces: ['other'] } });
  await using it = await serve(world);
  const state = () => it.service.mappings()[0]?.targets[0];
  await soon(() => expect(state()).toMatchObject({ state: 'failed', code: 'NAMESPACE_MISSING' }));
  await context(world, 600_000);
  const FAILED = ['create intent db ok', 'create outcome db failed NAMESPACE_MISSING'];
  const tellings = () => world.story().filter((line) => !line.startsWith('read'));
  expect(tellings()).toEqual(FAILED);
  expect(world.cluster.calls.create).toBeGreaterThan(10);
  world.cluster.namespace('apps', {});
  await context(world, 40_000);
  expect(passwordOf(world)).toBe(base64('first'));
  expect(tellings()).toEqual([...FAILED, 'create intent db ok', 'create outcome db ok']);
});
