import { describe, expect, it, vi } from 'vitest';
import type { App } from '../../src/app/app.ts';
import { destroyProposed } from '../../src/commands/destroy.ts';
import { pruneOrphans } from '../../src/commands/prune.ts';
import { AppError } from '../../src/core/errors.ts';
import { createMemoryQueue } from '../../src/queue/memory.ts';
import type { Queue } from '../../src/queue/queue.ts';
import { formatSubject } from '../../src/queue/subject.ts';
import type { DesiredTarget } from '../../src/reconcile/targets.ts';
import type { Service } from '../../src/service/service.ts';
import { useFakeTimers } from '../fakes/fake-timers.ts';
import type { Step } from '../fakes/faulty.ts';
import { createMemoryWorkloads } from '../fakes/memory-workloads.ts';
import { openWorld, recordingLogger, type World } from '../reconcile/world.ts';
import { waitUntil } from '../wait-until.ts';
import { type Serving, serve } from './serving.ts';

const ANN = { name: 'ann' };
const NAMES = ['t0', 't1', 't2', 't3', 't4'];

/** Returns mappings whose targets are deleted with their source or mapping. */
const targets = (names: readonly string[]): string =>
  names
    .map(
      (name) => `
  - name: ${name}
    target: { namespace: apps }
    onSourceMissing: delete
    onMappingRemoved: delete
    data: { T: { store: vault, key: ${name} } }`,
    )
    .join('');

/** Returns a mapping with one target in each labeled namespace. */
const selected = (onMappingRemoved: string): string => `
  - name: t
    target: { namespaceSelector: { matchLabels: { bridge: 'yes' } } }
    onMappingRemoved: ${onMappingRemoved}
    data: { T: { store: vault, key: token } }`;

const isThere = ({ cluster }: World, secret: string, namespace = 'apps'): boolean =>
  cluster.raw({ namespace, secret }) !== undefined;

async function heldIn(service: Service): Promise<readonly string[]> {
  const { held } = await service.status();
  return held.map(({ secret }) => secret);
}

async function seconds({ clock }: World, count: number): Promise<void> {
  for (let second = 0; second < count; second += 1) await clock.advance(1_000);
}

/** Creates five targets, and then removes the first `left` targets from the configuration. */
async function openLeaving(options: Parameters<typeof openWorld>[0] = {}, left = 1): Promise<World> {
  const world = await openWorld({ mappings: targets(NAMES), ...options });
  for (const name of NAMES) world.store.put(name, name);
  await world.sync();
  await world.configure(targets(NAMES.slice(left)));
  return world;
}

it('the deletion step keeps an orphan while another replica has a different configuration, which may include the target', async () => {
  const world = await openLeaving();
  let replicasAgree = false;
  await using serving = await serve(world, undefined, { differing: () => (replicasAgree ? [] : ['b']) });
  await seconds(world, 60);
  expect(isThere(world, 't0')).toBe(true);
  expect(await serving.service.status()).toMatchObject({ config: { valid: true, differing: ['b'] } });
  const pruned = serving.service.prune({ name: 'eve' }, 'pruned');
  await expect(pruned).rejects.toMatchObject({ code: 'REPLICAS_DIFFER' });
  expect(world.records.at(-1)).toMatchObject({ action: 'command', note: 'prune' });
  replicasAgree = true;
  await seconds(world, 20);
  await waitUntil(() => expect(isThere(world, 't0')).toBe(false));
});

it('the deletion step waits without an audit error while another process deletes targets, and then deletes the orphans', async () => {
  const world = await openLeaving();
  let isBusy = true;
  await using serving = await serve(world, ({ call, phase, args: [name] }) => {
    if (isBusy && call === 'audit.exclusively' && name === 'destroy' && phase === 'before')
      throw new AppError('BUSY_ELSEWHERE');
  });
  await seconds(world, 30);
  expect(isThere(world, 't0')).toBe(true);
  expect((await serving.service.status()).audit).toMatchObject({ state: 'up' });
  expect(serving.controller.auditHealth.error()).toBeUndefined();
  isBusy = false;
  await seconds(world, 20);
  await waitUntil(() => expect(isThere(world, 't0')).toBe(false));
});

it('a stop does not wait for a deletion step that has written nothing, and the orphan stays', async () => {
  const world = await openLeaving();
  const hanging = Promise.withResolvers<void>();
  await using serving = await serve(world, ({ call, args: [name], phase }) => {
    if (call !== 'audit.exclusively' || name !== 'destroy' || phase !== 'before') return undefined;
    hanging.resolve();
    return new Promise<void>(() => undefined);
  });
  await seconds(world, 20);
  await hanging.promise;
  const timers = useFakeTimers();
  let isClosed = false;
  const closing = serving.controller.close(60_000).then(() => {
    isClosed = true;
  });
  await timers.advance(1_000);
  expect(isClosed).toBe(false);
  await timers.advance(1_500);
  await closing;
  expect(isThere(world, 't0')).toBe(true);
});

it('the deletion step keeps an orphan if another replica receives a different configuration during the scan for orphans', async () => {
  const world = await openLeaving();
  let checks = 0;
  let replicasAgree = false;
  await using _ = await serve(world, undefined, {
    differing: () => (checks++ === 0 || replicasAgree ? [] : ['b']),
  });
  await seconds(world, 60);
  expect(isThere(world, 't0')).toBe(true);
  replicasAgree = true;
  await seconds(world, 20);
  await waitUntil(() => expect(isThere(world, 't0')).toBe(false));
});

it('the deletion step does not prune an orphan if its mapping returns during the scan for orphans, in this replica or in another replica', async () => {
  const kept = (names: readonly string[]) =>
    targets(names).replaceAll('onMappingRemoved: delete', 'onMappingRemoved: keep');
  const world = await openWorld({ mappings: kept(NAMES) });
  for (const name of NAMES) world.store.put(name, name);
  await world.sync();
  await using all = await world.start();
  const put = await all.app.resolve();
  await world.configure(kept(NAMES.slice(1)));
  let checked = 0;
  await using serving = await serve(world, undefined, { differing: () => (checked++ === 0 ? [] : ['b']) });
  await expect(serving.service.prune(ANN, 'pruned')).rejects.toMatchObject({ code: 'REPLICAS_DIFFER' });
  expect(isThere(world, 't0')).toBe(true);
  let desired = await serving.app.resolve();
  const app = under(serving.app, () => ({ targets: desired }));
  let checks = 0;
  const check = () => {
    if (++checks === 2) desired = put;
  };
  expect((await pruneOrphans(app, { check })).targets).toEqual([]);
  expect(isThere(world, 't0')).toBe(true);
});

/**
 * Creates all targets, and then removes the first `left` targets from the configuration. Also returns the full target
 * list, which a test can restore.
 */
async function openPutBack(left: number, more = '') {
  const world = await openWorld({ mappings: targets(NAMES), more });
  for (const name of NAMES) world.store.put(name, name);
  await world.sync();
  await using all = await world.start();
  const put = await all.app.resolve();
  await world.configure(targets(NAMES.slice(left)));
  const process = await world.start();
  const desired = await process.app.resolve();
  return {
    world,
    put,
    process,
    wanted: desired,
    [Symbol.asyncDispose]: () => process[Symbol.asyncDispose](),
  };
}

/** Returns an app whose configuration and targets are always the current ones of `now`. */
function under(app: App, now: () => Partial<Pick<App, 'config' | 'targets'>>): App {
  return Object.defineProperties(
    { ...app },
    {
      ...Object.getOwnPropertyDescriptors(app),
      config: { get: () => now().config ?? app.config },
      targets: { get: () => now().targets ?? app.targets },
    },
  );
}

const SEE = {
  ...{ includeOrphans: true, heldOrphans: 0, meta: () => undefined, replicasAgree: () => true },
  ...{ isProposed: () => false, isUndecided: () => false },
  ...{ onWithdrawn: () => undefined, onUnreadable: () => undefined },
  ...{ onProgress: () => undefined, onWaiting: () => undefined, onWriting: () => undefined },
  onSkipped: () => undefined,
  signal: new AbortController().signal,
};

it('the deletion step keeps an orphan if its mapping returns during the scan for orphans', async () => {
  await using opened = await openPutBack(1);
  const { world, put, process } = opened;
  let { wanted: desired } = opened;
  const app = under(process.app, () => ({ targets: desired }));
  const putBack = () => {
    desired = put;
  };
  const context = await process.app.createContext();
  expect(await destroyProposed(app, context, { ...SEE, onWaiting: putBack })).toBeUndefined();
  expect(isThere(world, 't0')).toBe(true);
  desired = put.slice(1);
  const decided = await destroyProposed(app, context, SEE);
  expect(decided).toMatchObject([{ kind: 'deleted', target: { secret: 't0' } }]);
});

it('the deletion step deletes no target if the configuration is replaced before the decision about the deletion', async () => {
  const world = await openWorld({ mappings: targets(NAMES), more: 'absence: { readings: 2, over: 1s }' });
  for (const name of NAMES) world.store.put(name, name);
  await world.sync();
  world.store.absent('t0');
  await world.sync();
  await world.clock.advance(2_000);
  await using process = await world.start();
  await process.app.resolve();
  let { config } = process.app;
  const app = under(process.app, () => ({ config }));
  const see = { ...SEE, isProposed: ({ id }: DesiredTarget) => id.secret === 't0' };
  const change = () => {
    config = { ...config };
  };
  const context = await process.app.createContext();
  expect(await destroyProposed(app, context, { ...see, onWaiting: change })).toBeUndefined();
  expect(isThere(world, 't0')).toBe(true);
  const decided = await destroyProposed(app, context, see);
  expect(decided).toMatchObject([{ kind: 'deleted', target: { secret: 't0' } }]);
});

it.each([
  ['if their mapping returns', (app: App, put: App['targets']) => ({ ...app, targets: put })],
  ['if the configuration changes', (app: App) => ({ ...app, config: { ...app.config } })],
])('the deletion step keeps the remaining orphans %s while other orphans are deleted', async (_, change) => {
  await using opened = await openPutBack(3, 'brake: { share: 1, window: 1h }');
  const { world, put, process } = opened;
  const context = await process.app.createContext();
  let now: Pick<App, 'config' | 'targets'> = process.app;
  const app = under(process.app, () => now);
  world.cluster.before('remove', () => {
    now = change(process.app, put);
  });
  const decided = await destroyProposed(app, context, SEE);
  expect(decided).toMatchObject([{ kind: 'deleted', target: { secret: 't0' } }]);
  expect(NAMES.map((name) => isThere(world, name))).toEqual([false, true, true, true, true]);
});

it('the deletion step resumes within seconds after a new mapping interrupted it', async () => {
  const world = await openLeaving({ more: 'brake: { share: 1, window: 1h }' }, 3);
  await using serving = await serve(world);
  // A new mapping replaces the configuration, and requests no orphan check.
  world.cluster.before('remove', () => {
    Object.assign(serving.app, { config: { ...serving.app.config } });
  });
  await seconds(world, 5);
  await waitUntil(() => expect(isThere(world, 't0')).toBe(false));
  expect(NAMES.map((name) => isThere(world, name))).toEqual([false, true, true, true, true]);
  await seconds(world, 20);
  await waitUntil(() =>
    expect(NAMES.map((name) => isThere(world, name))).toEqual([false, false, false, true, true]),
  );
});

it('the deletion step does not prune the remaining orphans if their mappings return while other orphans are deleted', async () => {
  await using opened = await openPutBack(3, 'brake: { share: 1, window: 1h }');
  const { world, put, process } = opened;
  let { wanted: desired } = opened;
  const app = under(process.app, () => ({ targets: desired }));
  world.cluster.before('remove', () => {
    desired = put;
  });
  expect(await pruneOrphans(app)).toMatchObject({ summary: { deleted: 1, held: 0 } });
  expect(NAMES.map((name) => isThere(world, name))).toEqual([false, true, true, true, true]);
});

describe('held proposals', () => {
  /**
   * Opens a world with five targets, and a brake that allows one deletion. The sources in `absent` are proved absent,
   * and the target `left` is no longer configured.
   */
  async function openHeld(absent: readonly string[], left?: string): Promise<World> {
    const world = await openWorld({ mappings: targets(NAMES), more: 'absence: { readings: 2, over: 1s }' });
    for (const name of NAMES) world.store.put(name, name);
    await world.sync();
    for (const name of absent) world.store.absent(name);
    await world.sync();
    await world.clock.advance(2_000);
    await world.configure(targets(NAMES.filter((name) => name !== left)));
    expect((await world.sync()).held).toHaveLength(2);
    return world;
  }

  it('held proposals stay held after a restart, even if only the audit log contains them', async () => {
    const world = await openHeld(['t0'], 't4');
    const { length } = world.records;
    await using serving = await serve(world);
    await seconds(world, 5);
    await waitUntil(async () => expect(await heldIn(serving.service)).toEqual(['t0', 't4']));
    expect([isThere(world, 't0'), isThere(world, 't4')]).toEqual([true, true]);
    const { targets: shown } = await serving.service.status();
    expect(shown.map(({ secret, state }) => `${secret} ${state}`)).toEqual([
      't0 held',
      't1 synced',
      't2 synced',
      't3 synced',
    ]);
    // The hold is already on record, so it is not recorded again.
    expect(world.story(length).filter((line) => line.startsWith('hold'))).toEqual([]);
  });

  it('held proposals stay held after a restart, even if the first run of their target ends without an outcome', async () => {
    const world = await openHeld(['t0'], 't4');
    const outageEnd = world.clock.now() + 30_000;
    const watch = ({ call, phase, args }: Step): void => {
      const entries = call === 'audit.append' ? (args[0] as readonly { readonly key?: string }[]) : [];
      if (phase === 'before' && world.clock.now() < outageEnd && entries.some(({ key }) => key === 't0'))
        throw new AppError('AUDIT_UNAVAILABLE');
    };
    // Delays the orphan check until the run of `t0` has failed.
    const differing = () => (world.clock.now() > outageEnd - 20_000 ? [] : ['b']);
    await using serving = await serve(world, watch, { differing });
    for (const desiredTarget of serving.controller.snapshot().forTarget({ namespace: 'apps', secret: 't0' }))
      await serving.controller.request(desiredTarget, 'asked');
    await seconds(world, 120);
    expect(isThere(world, 't4')).toBe(true);
    await waitUntil(async () => expect(await heldIn(serving.service)).toEqual(['t0', 't4']));
  });

  it('held proposals are listed and can be released after a restart, even if no other deletion is due', async () => {
    const world = await openHeld(['t0', 't1']);
    await using serving = await serve(world);
    await seconds(world, 5);
    await waitUntil(async () => expect(await heldIn(serving.service)).toEqual(['t0', 't1']));
    const [t0] = serving.service.held();
    await serving.service.release(t0?.id ?? '', ANN, 'asked');
    expect([isThere(world, 't0'), isThere(world, 't1')]).toEqual([false, true]);
  });

  it('a held proposal is released once, even if several requests release it at the same time', async () => {
    const world = await openHeld(['t0', 't1']);
    await using serving = await serve(world);
    await seconds(world, 5);
    await waitUntil(async () => expect(await heldIn(serving.service)).toEqual(['t0', 't1']));
    const [t0] = serving.service.held();
    const { length } = world.records;
    const releases = ['a', 'b', 'c'].map((id) => serving.service.release(t0?.id ?? '', ANN, id));
    const ends = await Promise.allSettled(releases);
    expect(ends.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected', 'rejected']);
    expect(ends.filter(({ status }) => status === 'rejected')).toMatchObject([
      { reason: { code: 'NOT_HELD' } },
      { reason: { code: 'NOT_HELD' } },
    ]);
    expect(world.story(length).filter((line) => /^(release|delete outcome)/.test(line))).toHaveLength(2);
    expect([isThere(world, 't0'), isThere(world, 't1')]).toEqual([false, true]);
  });

  it('deletions that a prune held are loaded after a restart, even if no run proposes them', async () => {
    const kept = targets(NAMES).replaceAll('onMappingRemoved: delete', 'onMappingRemoved: keep');
    const world = await openWorld({ mappings: kept });
    for (const name of NAMES) world.store.put(name, name);
    await world.sync();
    await world.configure(kept.slice(0, kept.indexOf('  - name: t3')));
    await using process = await world.start();
    expect(await pruneOrphans(process.app)).toMatchObject({ summary: { held: 2 } });
    await using serving = await serve(world);
    await seconds(world, 5);
    await waitUntil(async () => expect(await heldIn(serving.service)).toEqual(['t3', 't4']));
    // The deletions are still held after the hourly orphan check.
    await world.clock.advance(2 * 3_600_000);
    await waitUntil(async () => expect(await heldIn(serving.service)).toEqual(['t3', 't4']));
    const [t3] = serving.service.held();
    await serving.service.release(t3?.id ?? '', ANN, 'asked');
    expect([isThere(world, 't3'), isThere(world, 't4')]).toEqual([false, true]);
  });

  it('deletions that a prune held stay held when the service checks for orphans', async () => {
    const kept = (names: readonly string[]) =>
      targets(names).replaceAll('onMappingRemoved: delete', 'onMappingRemoved: keep');
    const world = await openWorld({ mappings: kept(NAMES), more: 'absence: { readings: 2, over: 1s }' });
    for (const name of NAMES) world.store.put(name, name);
    await world.sync();
    await world.configure(kept(NAMES.slice(0, 3)));
    await using process = await world.start();
    await pruneOrphans(process.app);
    world.store.absent('t0');
    await process.sync();
    await world.clock.advance(2_000);
    await using serving = await serve(world);
    await seconds(world, 5);
    for (const _ of ['asked', 'and again after an orphan check']) {
      const answer = serving.service.sync('t0', ANN, 'asked');
      await seconds(world, 5);
      await answer;
      await waitUntil(async () => expect(await heldIn(serving.service)).toEqual(['t0', 't3', 't4']));
      await serving.controller.applyConfigChange({ mappings: new Set(), all: false });
      await seconds(world, 5);
    }
    expect(isThere(world, 't0')).toBe(true);
  });

  it('held proposals are dropped if their targets leave the configuration under `onMappingRemoved: keep`', async () => {
    const world = await openHeld(['t0', 't1']);
    await world.configure(targets(NAMES.slice(2)));
    for (const name of ['t0', 't1'])
      world.cluster.edit({ namespace: 'apps', secret: name }, (raw) => {
        const metadata = raw.metadata as { annotations: Record<string, string> };
        const annotations = { ...metadata.annotations, 'secretbridge.dev/on-mapping-removed': 'keep' };
        return { ...raw, metadata: { ...metadata, annotations } };
      });
    await using serving = await serve(world);
    await seconds(world, 5);
    expect(await heldIn(serving.service)).toEqual([]);
  });

  it('held proposals are loaded after a restart, even if the held change would remove every key of the target', async () => {
    const world = await openWorld({
      mappings: `
  - { name: a, target: { namespace: apps }, dataFrom: [ { store: vault, key: all } ] }
  - { name: b, target: { namespace: apps }, data: { T: { store: vault, key: token } } }`,
    });
    world.store.put('all', '{"a":"1"}', '1');
    await world.sync();
    world.store.put('all', '{}', '2');
    const [held] = (await world.sync()).held;
    await using serving = await serve(world);
    await seconds(world, 5);
    await waitUntil(() => expect(serving.service.held()).toMatchObject([{ id: held?.id, secret: 'a' }]));
  });

  it('held proposals are dropped when a source returns and the brake allows the remaining deletions', async () => {
    const world = await openHeld(['t0'], 't4');
    world.store.put('t0', 't0');
    await using serving = await serve(world);
    await seconds(world, 5);
    await waitUntil(() => expect(isThere(world, 't4')).toBe(false));
    expect([await heldIn(serving.service), isThere(world, 't0')]).toEqual([[], true]);
  });
});

/** Opens a world in which the next read proves the absence of `t0`. The next sweep is hours away. */
async function openAlmostAbsent() {
  const mappings = targets(NAMES).replaceAll('target:', 'refresh: 6h\n    target:');
  const world = await openWorld({ mappings, more: 'absence: { readings: 2, over: 1s }' });
  for (const name of NAMES) world.store.put(name, name);
  await world.sync();
  world.store.absent('t0');
  await world.sync();
  await world.clock.advance(2_000);
  return world;
}

it('the deletion step retries a failed deletion of a target soon, not only at its refresh', async () => {
  const world = await openAlmostAbsent();
  world.cluster.fail('remove', new AppError('CLUSTER_UNAVAILABLE'));
  await using serving = await serve(world);
  for (const desiredTarget of serving.controller.snapshot().forTarget({ namespace: 'apps', secret: 't0' }))
    await serving.controller.request(desiredTarget, 'asked');
  await seconds(world, 5);
  await waitUntil(() => expect(world.cluster.calls.remove).toBe(1));
  expect(isThere(world, 't0')).toBe(true);
  await seconds(world, 600);
  await waitUntil(() => expect(isThere(world, 't0')).toBe(false));
});

it('the service reports a missing source immediately after it has deleted the target of this source', async () => {
  const world = await openAlmostAbsent();
  const shownStates = new Set<string>();
  await using serving = await serve(world);
  const shown = () => serving.service.mappings().find(({ mapping }) => mapping === 't0')?.targets[0];
  serving.controller.states.onChange(({ mapping, kind }) => {
    if (mapping === 't0') shownStates.add(`${kind}, shown as ${shown()?.state}`);
  });
  for (const desiredTarget of serving.controller.snapshot().forTarget({ namespace: 'apps', secret: 't0' }))
    await serving.controller.request(desiredTarget, 'asked');
  await seconds(world, 20);
  await waitUntil(() => expect(shown()).toMatchObject({ state: 'failed', code: 'SOURCE_ABSENT' }));
  expect(isThere(world, 't0')).toBe(false);
  expect([...shownStates]).toEqual([
    'held, shown as held',
    'deleted, shown as waiting',
    'failed, shown as failed',
  ]);
  world.store.put('t0', 'back');
  for (const desiredTarget of serving.controller.snapshot().forTarget({ namespace: 'apps', secret: 't0' }))
    await serving.controller.request(desiredTarget, 'asked again');
  await seconds(world, 5);
  await waitUntil(() => expect(shown()).toMatchObject({ state: 'synced' }));
});

describe('orphans', () => {
  it('orphans that could not be read are checked again soon, and are logged once', async () => {
    const logger = recordingLogger();
    const world = await openLeaving({ logger });
    const outage = new AppError('CLUSTER_UNAVAILABLE');
    world.cluster.fail('read', outage, outage);
    await using _ = await serve(world);
    const logged = () => logger.lines.filter(({ fields }) => fields.name === 'apps/t0');
    await seconds(world, 5);
    await waitUntil(() => expect(logged()).toHaveLength(1));
    expect(isThere(world, 't0')).toBe(true);
    // The orphans are unreadable once more, then readable.
    await seconds(world, 60);
    await waitUntil(() => expect(isThere(world, 't0')).toBe(false));
    expect(logged()).toHaveLength(1);
    expect(NAMES.slice(1).map((name) => isThere(world, name))).toEqual([true, true, true, true]);
  });

  it('orphans that could not be deleted are checked again soon', async () => {
    const world = await openLeaving();
    world.cluster.fail('remove', new AppError('CLUSTER_UNAVAILABLE'));
    await using _ = await serve(world);
    await seconds(world, 5);
    await waitUntil(() => expect(world.cluster.calls.remove).toBe(1));
    expect(isThere(world, 't0')).toBe(true);
    await seconds(world, 120);
    await waitUntil(() => expect(isThere(world, 't0')).toBe(false));
  });

  it('orphans are checked with backoff while they cannot be deleted', async () => {
    const world = await openLeaving();
    world.cluster.fail('remove', ...Array.from({ length: 60 }, () => new AppError('CLUSTER_UNAVAILABLE')));
    await using _ = await serve(world);
    await seconds(world, 3_600);
    expect(world.cluster.calls.remove).toBeGreaterThan(3);
    expect(world.cluster.calls.remove).toBeLessThanOrEqual(7);
  });

  it('orphans are checked after the queue recovers from an outage', async () => {
    const world = await openLeaving();
    const queue = createMemoryQueue({ concurrency: 8, timers: world.clock });
    let isAway = true;
    let tell: Parameters<Queue['onHealth']>[0] = () => undefined;
    const addNow = queue.add.bind(queue);
    const add: Queue['add'] = async (...job) => {
      if (isAway) throw new AppError('QUEUE_UNAVAILABLE');
      await addNow(...job);
    };
    const onHealth: Queue['onHealth'] = (listener) => {
      tell = listener;
      return () => undefined;
    };
    await using _ = await serve(world, undefined, { queue: Object.assign(queue, { add, onHealth }) });
    await seconds(world, 5);
    isAway = false;
    await seconds(world, 60);
    expect(isThere(world, 't0')).toBe(true);
    tell({ state: 'up' });
    await seconds(world, 5);
    await waitUntil(() => expect(isThere(world, 't0')).toBe(false));
    await queue[Symbol.asyncDispose]();
  });

  it('a job that waits for the check of orphans causes no stall report', async () => {
    let now = 0;
    using _ = vi.spyOn(performance, 'now').mockImplementation(() => now);
    const world = await openLeaving();
    await world.configure([]);
    await using queue = createMemoryQueue({ concurrency: 8, timers: world.clock });
    await using serving = await serve(world, undefined, { queue });
    const ages: number[] = [];
    const { read } = world.cluster;
    world.cluster.read = async (...args) => {
      await queue.add([{ subject: formatSubject({ kind: 'destroy' }), reason: 'event', requestId: 'r' }]);
      await Promise.resolve();
      now += 2_000_000;
      const waiting = serving.controller.loops.states().find(({ name }) => name === 'job destroy');
      if (waiting !== undefined) ages.push(waiting.ageMs);
      return read(...args);
    };
    await seconds(world, 5);
    await waitUntil(() => expect(ages.length).toBeGreaterThanOrEqual(NAMES.length));
    expect(Math.max(...ages.slice(0, NAMES.length))).toBeLessThan(3_600_000);
  });

  it('many orphans cause no stall report, even if the cluster takes long to return each of them', async () => {
    let now = 0;
    using _ = vi.spyOn(performance, 'now').mockImplementation(() => now);
    const world = await openLeaving();
    await world.configure([]);
    await using serving = await serve(world);
    const ages: number[] = [];
    const { read } = world.cluster;
    world.cluster.read = async (...args) => {
      now += 2_000_000;
      const left = serving.controller.loops.states().find(({ name }) => name === 'job left');
      ages.push(left?.ageMs ?? 0);
      return read(...args);
    };
    await seconds(world, 5);
    await waitUntil(() => expect(ages.length).toBeGreaterThanOrEqual(NAMES.length));
    // The orphans are checked one at a time.
    expect(Math.max(...ages.slice(0, NAMES.length))).toBeLessThan(3_600_000);
  });
});

describe('a namespace that lost its label', () => {
  async function openSelected(onMappingRemoved: string): Promise<{ world: World; serving: Serving }> {
    const yes = { bridge: 'yes' };
    const world = await openWorld({
      mappings: selected(onMappingRemoved),
      cluster: { namespaces: { one: yes, two: yes, three: yes } },
    });
    await world.sync();
    const serving = await serve(world);
    await seconds(world, 5);
    world.cluster.namespace('two', {});
    await seconds(world, 5);
    return { world, serving };
  }

  it('a target is deleted within seconds after its namespace lost its label, under `onMappingRemoved: delete`', async () => {
    const { world, serving } = await openSelected('delete');
    await using _ = serving;
    await waitUntil(() => expect(isThere(world, 't', 'two')).toBe(false));
    expect([isThere(world, 't', 'one'), isThere(world, 't', 'three')]).toEqual([true, true]);
  });

  it('a target is kept after its namespace lost its label, without an orphan check, under other policies', async () => {
    const { world, serving } = await openSelected('keep');
    await using _ = serving;
    expect(serving.controller.snapshot().targets.map(({ id }) => id.namespace)).toEqual(['one', 'three']);
    expect(isThere(world, 't', 'two')).toBe(true);
    const { read } = world.cluster.calls;
    await seconds(world, 60);
    expect(world.cluster.calls.read).toBe(read);
  });
});

describe('several namespaces that lost their label', () => {
  it('targets of namespaces that lost their label are kept while their deletions are held, and each deletion is dropped when its namespace has the label again', async () => {
    const yes = { bridge: 'yes' };
    const world = await openWorld({
      mappings: selected('delete'),
      cluster: { namespaces: { one: yes, two: yes, three: yes } },
    });
    await world.sync();
    await using serving = await serve(world);
    await seconds(world, 5);
    const held = () => serving.service.held().map(({ namespace }) => namespace);
    const states = async () =>
      (await serving.service.status()).targets.map(({ namespace, state }) => `${namespace} ${state}`);
    world.cluster.namespace('one', {});
    world.cluster.namespace('two', {});
    await seconds(world, 5);
    await waitUntil(() => expect(held()).toEqual(['one', 'two']));

    world.cluster.namespace('one', yes);
    await seconds(world, 5);
    await waitUntil(async () => expect(await states()).toEqual(['one synced', 'three synced']));
    expect(held()).toEqual(['two']);
    expect(world.records.at(-1)).toMatchObject({ namespace: 'one', outcome: 'ok', note: 'in sync again' });
    world.cluster.namespace('two', yes);
    await seconds(world, 5);
    await waitUntil(() => expect(held()).toEqual([]));
    expect(['one', 'two', 'three'].map((namespace) => isThere(world, 't', namespace))).toEqual([
      true,
      true,
      true,
    ]);
  });
});

describe('held targets of namespaces', () => {
  it('targets are no longer held after they were deleted with their namespace', async () => {
    const yes = { bridge: 'yes' };
    const world = await openWorld({
      mappings: selected('delete'),
      cluster: { namespaces: { one: yes, two: yes, three: yes, four: yes } },
    });
    await world.sync();
    await using serving = await serve(world);
    await seconds(world, 5);
    const held = () => serving.service.held().map(({ namespace }) => namespace);
    for (const name of ['one', 'two', 'three']) world.cluster.namespace(name, {});
    await seconds(world, 5);
    await waitUntil(() => expect(held()).toEqual(['one', 'three', 'two']));

    world.cluster.endNamespace('one');
    await seconds(world, 5);
    expect(held()).toEqual(['one', 'three', 'two']);
    world.cluster.forget({ namespace: 'one', secret: 't' });
    world.cluster.endNamespace('one');
    await seconds(world, 5);
    await waitUntil(() => expect(held()).toEqual(['three', 'two']));
    // The brake allows one of the remaining deletions.
    world.cluster.forget({ namespace: 'two', secret: 't' });
    world.cluster.endNamespace('two');
    await seconds(world, 5);
    await waitUntil(() => expect(held()).toEqual([]));
    expect([isThere(world, 't', 'three'), isThere(world, 't', 'four')]).toEqual([false, true]);
  });
});

describe('held targets that somebody deletes', () => {
  const immutable = (value: string): string =>
    NAMES.map(
      (name) => `
  - name: ${name}
    target: { namespace: apps, immutable: true, recreate: true }
    refresh: 12h
    data: { T: { store: vault, key: ${value} } }`,
    ).join('');

  it('held targets that somebody deletes are created again within seconds, like any deleted target', async () => {
    const world = await openWorld({ mappings: immutable('token') });
    await world.sync();
    world.store.put('other', 'new');
    await world.configure(immutable('other'));
    await using serving = await serve(world);
    await seconds(world, 5);
    await waitUntil(async () => expect(await heldIn(serving.service)).toEqual(NAMES));
    world.cluster.forget({ namespace: 'apps', secret: 't1' });
    await seconds(world, 10);
    await waitUntil(() => expect(isThere(world, 't1')).toBe(true));
    await waitUntil(async () => expect(await heldIn(serving.service)).toEqual(['t0', 't2', 't3', 't4']));
  });

  it('held targets that somebody deletes are no longer held, and fail because their source is missing', async () => {
    const mappings = targets(NAMES).replaceAll('target:', 'refresh: 12h\n    target:');
    const world = await openWorld({ mappings, more: 'absence: { readings: 2, over: 1s }' });
    for (const name of NAMES) world.store.put(name, name);
    await world.sync();
    for (const name of ['t0', 't1']) world.store.absent(name);
    await world.sync();
    await world.clock.advance(2_000);
    expect((await world.sync()).held).toHaveLength(2);
    await using serving = await serve(world);
    await seconds(world, 5);
    await waitUntil(async () => expect(await heldIn(serving.service)).toEqual(['t0', 't1']));
    world.cluster.forget({ namespace: 'apps', secret: 't1' });
    await seconds(world, 10);
    await waitUntil(async () => expect(await heldIn(serving.service)).not.toContain('t1'));
    const { targets: shown } = await serving.service.status();
    expect(shown.find(({ secret }) => secret === 't1')).toMatchObject({ code: 'SOURCE_ABSENT' });
  });
});

describe('a release by the service', () => {
  const recreated = (type: string): string => `
  - name: a
    target: { namespace: apps, type: ${type}, recreate: true }
    data: { T: { store: vault, key: token } }
    restart: [ { kind: Deployment, name: web } ]
  - name: b
    target: { namespace: apps, type: ${type}, recreate: true }
    data: { T: { store: vault, key: token } }`;

  it('a release of a held change happens once, even if several requests arrive at the same time', async () => {
    const world = await openWorld({ mappings: recreated('example.com/old') });
    await world.sync();
    await world.configure(recreated('example.com/new'));
    await using serving = await serve(world);
    await seconds(world, 10);
    await waitUntil(async () => expect(await heldIn(serving.service)).toEqual(['a', 'b']));
    const [a] = serving.service.held();
    const { length } = world.records;
    const releases = ['1', '2', '3'].map((id) => serving.service.release(a?.id ?? '', ANN, id));
    const ends = await Promise.allSettled(releases);
    expect(ends.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected', 'rejected']);
    expect(world.story(length).filter((line) => /^(release|delete|create)/.test(line))).toEqual([
      'release a ok',
      'delete intent a ok',
      'delete outcome a ok',
      'create intent a ok',
      'create outcome a ok',
    ]);
  });

  it('after a release, the service delays restarts until the restart window has passed', async () => {
    const workloads = createMemoryWorkloads();
    workloads.put({ kind: 'Deployment', namespace: 'apps', name: 'web' });
    const world = await openWorld({
      mappings: recreated('example.com/old'),
      cluster: { workloads },
      more: 'restarts: { window: 60s, atOnce: 5 }',
    });
    await world.sync();
    await world.configure(recreated('example.com/new'));
    world.store.put('token', 'second', '2');
    await using serving = await serve(world);
    await seconds(world, 10);
    const held = await waitUntil(async () => {
      const { held } = await serving.service.status();
      expect(held.map(({ secret }) => secret)).toEqual(['a', 'b']);
      return held;
    });
    const { ok } = await serving.service.release(held[0]?.id ?? '', ANN, 'asked');
    await seconds(world, 50);
    expect([ok, workloads.annotated.length]).toEqual([true, 0]);
    await seconds(world, 20);
    await waitUntil(() => expect(workloads.annotated).toHaveLength(1));
  });
});
