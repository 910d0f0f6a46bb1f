import { describe, expect, it, vi } from 'vitest';
import type { Entry } from '../../src/audit/entry.ts';
import { objectIn } from '../../src/cluster/json.ts';
import { AppError } from '../../src/core/errors.ts';
import { recoverIntents } from '../../src/reconcile/recover.ts';
import { failing } from '../fakes/faulty.ts';
import { createMemoryWorkloads } from '../fakes/memory-workloads.ts';
import { APPS_DB, base64, DB_ONLY, openWorld, type World } from '../reconcile/world.ts';
import { waitUntil } from '../wait-until.ts';
import { settled } from './sample.ts';
import { type Serving, serve } from './serving.ts';

const db = (password: string) => JSON.stringify({ user: 'ann', password });
const HINT = [{ store: 'vault', keys: ['db'] }];
const CI = { kind: 'webhook', name: 'ci' } as const;
const WEB = { kind: 'Deployment', name: 'web' } as const;
const RESTARTED = DB_ONLY.replace('    data:', '    restart: [ { kind: Deployment, name: web } ]\n    data:');

const passwordOf = ({ cluster }: World) => objectIn(cluster.raw(APPS_DB) ?? {}, 'data')?.PASSWORD;

/** Advances the clock in steps of a second, and lets the started work run. */
async function context({ clock }: World, ms: number): Promise<void> {
  for (let elapsedMs = 0; elapsedMs < ms; elapsedMs += 1_000) {
    await clock.advance(1_000);
    await settled();
  }
}

/** Runs the recovery that the service runs periodically. */
const recover = ({ app }: Serving) => recoverIntents({ ...app, restartOf: () => [WEB] });

const writesAndRestarts = (world: World) => world.story().filter((line) => /update|restart/.test(line));
/** The records of a completed change: its outcome and the intent to restart its workload. */
const WHOLE = ['update outcome db ok', expect.stringContaining('restart intent')];

it('the service detects a key that was recreated with version 1 while no process was running', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  using _timers = { [Symbol.dispose]: () => void vi.useRealTimers() };
  const world = await openWorld({ mappings: DB_ONLY.replace('    data:', '    refresh: 1m\n    data:') });
  {
    await using _ = await serve(world);
    await waitUntil(() => expect(passwordOf(world)).toBe(base64('first')));
  }
  world.store.put('db', db('recreated'), '1');
  await using _ = await serve(world);
  for (let half = 0; half < 4; half += 1) {
    await world.clock.advance(30_000);
    vi.advanceTimersByTime(250);
    await settled();
  }
  await waitUntil(() => expect(passwordOf(world)).toBe(base64('recreated')));
});

it.each([
  ['AUDIT_UNAVAILABLE', new AppError('AUDIT_UNAVAILABLE')],
  ['INTERNAL', new TypeError('unexpected error')],
])('the service reports a target as stale if its runs fail with %s', async (code, thrown) => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  using _timers = { [Symbol.dispose]: () => void vi.useRealTimers() };
  const world = await openWorld({ mappings: DB_ONLY.replace('    data:', '    refresh: 1m\n    data:') });
  let isAway = false;
  await using serving = await serve(world, ({ call, phase }) => {
    if (isAway && call === 'audit.append' && phase === 'before') throw thrown;
  });
  const rounds = async (minutes: number) => {
    for (let half = 0; half < minutes * 2; half += 1) {
      await world.clock.advance(30_000);
      vi.advanceTimersByTime(250);
      await settled();
    }
  };
  const shown = () => serving.service.mappings()[0]?.targets[0];
  await waitUntil(() => expect(passwordOf(world)).toBe(base64('first')));
  await rounds(1);
  isAway = true;
  await rounds(3);
  // Jobs that write no record continue as usual.
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

it('the service reads a missing source once per sweep, even if many targets wait for the source after an event', async () => {
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
  await using serving = await serve(world);
  const rounds = async (minutes: number) => {
    for (let half = 0; half < minutes * 2; half += 1) {
      await world.clock.advance(30_000);
      vi.advanceTimersByTime(250);
      await settled();
    }
  };
  const allStates = () => [...serving.controller.states.all()];
  await rounds(1);
  expect(allStates().filter(({ error }) => error === undefined)).toHaveLength(20);
  world.store.absent('shared');
  serving.controller.takeHints([{ store: 'vault', keys: ['shared'] }], CI);
  await rounds(3);
  expect(allStates().filter(({ error }) => error?.code === 'SOURCE_ABSENT')).toHaveLength(20);
  const { length } = world.store.reads;
  await rounds(10);
  // Each sweep reads the source once, and its targets use this read. A retry that is due may read the source again.
  expect(world.store.reads.length - length).toBeLessThanOrEqual(3 * 10);
  expect(world.store.reads.length - length).toBeGreaterThanOrEqual(10);
});

it('the service shows an unreachable audit store as down in `status`, with the error code and the last sequence number', async () => {
  const world = await openWorld({ mappings: RESTARTED, cluster: { workloads: createMemoryWorkloads() } });
  let isAway = false;
  await using serving = await serve(world, ({ call, phase }) => {
    if (isAway && call === 'audit.head' && phase === 'before') throw new AppError('AUDIT_UNAVAILABLE');
  });
  await waitUntil(() => expect(passwordOf(world)).toBe(base64('first')));
  await context(world, 2_000);
  const { sequence } = (await serving.service.status()).audit;
  expect(sequence).toBeGreaterThan(0);
  isAway = true;
  expect((await serving.service.status()).audit).toMatchObject({
    state: 'down',
    sequence,
    code: 'AUDIT_UNAVAILABLE',
  });
});

describe('a change with unknown result', () => {
  it('a change with unknown result is recorded once the audit log accepts records again, and causes the restart of its workload', async () => {
    const world = await openWorld({ mappings: RESTARTED, cluster: { workloads: createMemoryWorkloads() } });
    let isAway = false;
    await using serving = await serve(world, ({ call, phase, args }) => {
      const [entries = []] = call === 'audit.append' && phase === 'before' ? (args as [Entry[]]) : [];
      if (isAway && entries.some(({ phase: of, action }) => of === 'outcome' && action === 'update'))
        throw new AppError('AUDIT_UNAVAILABLE');
    });
    await waitUntil(() => expect(passwordOf(world)).toBe(base64('first')));
    await context(world, 20_000);
    world.store.put('db', db('second'), '2');
    isAway = true;
    serving.controller.takeHints(HINT, CI);
    await context(world, 2_000);
    expect(passwordOf(world)).toBe(base64('second'));
    isAway = false;
    await recover(serving);
    expect(writesAndRestarts(world)).toEqual(expect.arrayContaining(WHOLE));
    expect(world.records.at(-2)).toMatchObject({ note: 'read from the cluster', phase: 'outcome' });
    const count = world.records.length;
    await recover(serving);
    expect(world.records).toHaveLength(count);
  });

  it('the outcome of a change with unknown result is recorded once the cluster can be read again', async () => {
    const world = await openWorld({ mappings: RESTARTED, cluster: { workloads: createMemoryWorkloads() } });
    await using serving = await serve(world);
    await waitUntil(() => expect(passwordOf(world)).toBe(base64('first')));
    await context(world, 20_000);
    world.store.put('db', db('second'), '2');
    world.cluster.loseAnswer('replace', new AppError('CLUSTER_UNAVAILABLE'));
    world.cluster.before('replace', () => world.cluster.fail('read', new AppError('CLUSTER_UNAVAILABLE')));
    serving.controller.takeHints(HINT, CI);
    await context(world, 2_000);
    await recover(serving);
    expect(writesAndRestarts(world)).toEqual(expect.arrayContaining(WHOLE));
  });

  it('a change with unknown result does not become the latest record if another process has already synced the target', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    using _timers = { [Symbol.dispose]: () => void vi.useRealTimers() };
    const world = await openWorld({ mappings: DB_ONLY });
    await using serving = await serve(world);
    await waitUntil(() => expect(passwordOf(world)).toBe(base64('first')));
    await context(world, 20_000);
    world.store.put('db', db('second'), '2');
    const dead = new AppError('AUDIT_UNAVAILABLE');
    await expect(world.sync(failing('cluster.replace', dead))).rejects.toBe(dead);
    world.store.put('db', db('third'), '3');
    serving.controller.takeHints(HINT, CI);
    await context(world, 2_000);
    expect(passwordOf(world)).toBe(base64('third'));
    vi.advanceTimersByTime(11_000);
    await waitUntil(() =>
      expect(world.records.at(-1)).toMatchObject({ secret: 'db', note: 'in sync again' }),
    );
    expect(world.records.at(-2)).toMatchObject({ outcome: 'failed', code: 'INTERRUPTED', phase: 'outcome' });
  });

  it('a change with unknown result stays unresolved while its process is running', async () => {
    const world = await openWorld({ mappings: DB_ONLY });
    await using serving = await serve(world);
    await waitUntil(() => expect(passwordOf(world)).toBe(base64('first')));
    await context(world, 20_000);
    world.store.put('db', db('second'), '2');
    const recovered = Promise.withResolvers<number>();
    world.cluster.before('replace', async () => recovered.resolve(await recover(serving)));
    serving.controller.takeHints(HINT, CI);
    await context(world, 2_000);
    expect(await recovered.promise).toBe(0);
    expect(writesAndRestarts(world).filter((line) => line.startsWith('update'))).toEqual([
      'update intent db ok',
      'update outcome db ok',
    ]);
  });

  it('a deletion with unknown result counts toward the limit of the brake', async () => {
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

describe('a target that is deleted and recreated', () => {
  it('a target that was deleted to be created again is retried soon if the creation fails', async () => {
    const mappings = DB_ONLY.replace(
      'namespace: apps',
      'namespace: apps, immutable: true, recreate: true',
    ).replace('    data:', '    refresh: 12h\n    data:');
    const world = await openWorld({ mappings });
    await using serving = await serve(world);
    await waitUntil(() => expect(passwordOf(world)).toBe(base64('first')));
    await context(world, 20_000);
    world.store.put('db', db('second'), '2');
    // The first attempt deletes the Secret, and its creation then fails with an API server error.
    world.cluster.fail('create', undefined, new AppError('CLUSTER_UNAVAILABLE'));
    serving.controller.takeHints(HINT, CI);
    await context(world, 5_000);
    expect(world.story().filter((line) => /^delete outcome/.test(line))).toHaveLength(1);
    await context(world, 60_000);
    expect(passwordOf(world)).toBe(base64('second'));
  });

  it('if the audit store fails between the deletion and the creation of a recreated target, the service soon retries the target', async () => {
    const mappings = DB_ONLY.replace(
      'namespace: apps',
      'namespace: apps, immutable: true, recreate: true',
    ).replace('    data:', '    refresh: 12h\n    data:');
    const world = await openWorld({ mappings });
    let [mayEnd, isAway] = [true, false];
    await using serving = await serve(world, ({ call, phase, args }) => {
      const [entries = []] = call === 'audit.append' && phase === 'before' ? (args as [Entry[]]) : [];
      const isDeleted = entries.some(({ phase: of, action }) => of === 'outcome' && action === 'delete');
      isAway ||= isDeleted && !mayEnd;
      if (isAway && entries.length > 0) throw new AppError('AUDIT_UNAVAILABLE');
    });
    await waitUntil(() => expect(passwordOf(world)).toBe(base64('first')));
    await context(world, 20_000);
    world.store.put('db', db('second'), '2');
    mayEnd = false;
    serving.controller.takeHints(HINT, CI);
    await context(world, 5_000);
    expect(passwordOf(world)).toBeUndefined();
    [mayEnd, isAway] = [true, false];
    await context(world, 60_000);
    expect(passwordOf(world)).toBe(base64('second'));
    expect(serving.service.mappings()[0]?.targets[0]).toMatchObject({ state: 'synced' });
  });
});

it('the absence of a namespace and its return are recorded once each, however often the target is retried', async () => {
  const world = await openWorld({ mappings: DB_ONLY, cluster: { namespaces: ['other'] } });
  await using serving = await serve(world);
  const state = () => serving.service.mappings()[0]?.targets[0];
  await waitUntil(() => expect(state()).toMatchObject({ state: 'failed', code: 'NAMESPACE_MISSING' }));
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
