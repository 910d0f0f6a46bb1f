import { describe, expect, it, vi } from 'vitest';
import type { App } from '../../src/app/app.ts';
import { destroyProposed } from '../../src/app/destroy.ts';
import { pruneOrphans } from '../../src/app/prune.ts';
import { AppError } from '../../src/core/errors.ts';
import { createMemoryQueue } from '../../src/queue/memory.ts';
import type { Queue } from '../../src/queue/queue.ts';
import { formatSubject } from '../../src/queue/subject.ts';
import type { DesiredTarget } from '../../src/reconcile/targets.ts';
import type { Service } from '../../src/service/service.ts';
import type { Step } from '../fakes/faulty.ts';
import { createMemoryWorkloads } from '../fakes/memory-workloads.ts';
import { openWorld, recordingLogger, type World } from '../reconcile/world.ts';
import { soon } from '../soon.ts';
import { type Serving, serve } from './serving.ts';

const ANN = { name: 'ann' };
const NAMES = ['t0', 't1', 't2', 't3', 't4'];

/** Targets that go with their source and with their mapping. */
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

/** One target in each namespace with a label. */
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

/** All five are there, and the first has left the configuration. */
async function openLeaving(options: Parameters<typeof openWorld>[0] = {}): Promise<World> {
  const world = await openWorld({ mappings: targets(NAMES), ...options });
  for (const name of NAMES) world.store.put(name, name);
  await world.sync();
  await world.configure(targets(NAMES.slice(1)));
  return world;
}

it('what left the configuration of one replica stays while another may want it', async () => {
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
  await soon(() => expect(isThere(world, 't0')).toBe(false));
});

it('what left goes when another process has ended its own deletions, and nothing is wrong with the audit until then', async () => {
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
  await soon(() => expect(isThere(world, 't0')).toBe(false));
});

it('what left stays also where another replica is given another configuration while it is looked for', async () => {
  const world = await openLeaving();
  let asked = 0;
  let replicasAgree = false;
  await using _ = await serve(world, undefined, {
    differing: () => (asked++ === 0 || replicasAgree ? [] : ['b']),
  });
  await seconds(world, 60);
  expect(isThere(world, 't0')).toBe(true);
  replicasAgree = true;
  await seconds(world, 20);
  await soon(() => expect(isThere(world, 't0')).toBe(false));
});

it('what left stays for a prune where its mapping is put back while it looks, here or in another replica', async () => {
  const kept = (names: readonly string[]) =>
    targets(names).replaceAll('onMappingRemoved: delete', 'onMappingRemoved: keep');
  const world = await openWorld({ mappings: kept(NAMES) });
  for (const name of NAMES) world.store.put(name, name);
  await world.sync();
  await using all = await world.start();
  const put = await all.app.resolve();
  await world.configure(kept(NAMES.slice(1)));
  let asked = 0;
  await using serving = await serve(world, undefined, { differing: () => (asked++ === 0 ? [] : ['b']) });
  await expect(serving.service.prune(ANN, 'pruned')).rejects.toMatchObject({ code: 'REPLICAS_DIFFER' });
  expect(isThere(world, 't0')).toBe(true);
  let wanted = await serving.app.resolve();
  const app = under(serving.app, () => ({ targets: wanted }));
  let checks = 0;
  const check = () => {
    if (++checks === 2) wanted = put;
  };
  expect((await pruneOrphans(app, { check })).targets).toEqual([]);
  expect(isThere(world, 't0')).toBe(true);
});

/** All were made, and the first ones have left the configuration; with what was wanted of all, to be put back. */
async function openPutBack(left: number, more = '') {
  const world = await openWorld({ mappings: targets(NAMES), more });
  for (const name of NAMES) world.store.put(name, name);
  await world.sync();
  await using all = await world.start();
  const put = await all.app.resolve();
  await world.configure(targets(NAMES.slice(left)));
  const process = await world.start();
  const wanted = await process.app.resolve();
  return { world, put, process, wanted, [Symbol.asyncDispose]: () => process[Symbol.asyncDispose]() };
}

/** The same app under what is in force by now. */
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
  ...{ onProgress: () => undefined, onWaiting: () => undefined },
};

it('what left stays where its mapping is put back while it is looked for', async () => {
  await using opened = await openPutBack(1);
  const { world, put, process } = opened;
  let { wanted } = opened;
  const app = under(process.app, () => ({ targets: wanted }));
  const putBack = () => {
    wanted = put;
  };
  const context = await process.app.createContext();
  expect(await destroyProposed(app, context, { ...SEE, onWaiting: putBack })).toBeUndefined();
  expect(isThere(world, 't0')).toBe(true);
  wanted = put.slice(1);
  const decided = await destroyProposed(app, context, SEE);
  expect(decided).toMatchObject([{ kind: 'deleted', target: { secret: 't0' } }]);
});

it('nothing goes by a configuration that is in force no more by the time when all is decided', async () => {
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
  ['its mapping is put back', (app: App, put: App['targets']) => ({ ...app, targets: put })],
  ['the configuration is another', (app: App) => ({ ...app, config: { ...app.config } })],
])('what left and was not deleted yet stays where %s while others are', async (_, change) => {
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

it('what a prune has not deleted yet stays where its mapping is put back while others are', async () => {
  await using opened = await openPutBack(3, 'brake: { share: 1, window: 1h }');
  const { world, put, process } = opened;
  let { wanted } = opened;
  const app = under(process.app, () => ({ targets: wanted }));
  world.cluster.before('remove', () => {
    wanted = put;
  });
  expect(await pruneOrphans(app)).toMatchObject({ summary: { deleted: 1, held: 0 } });
  expect(NAMES.map((name) => isThere(world, name))).toEqual([false, true, true, true, true]);
});

describe('what is held', () => {
  /** Of five targets one may go. The sources of these are absent, and one of them may have left the configuration. */
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

  it('stays so when the service starts, although nothing but the audit tells', async () => {
    const world = await openHeld(['t0'], 't4');
    const { length } = world.records;
    await using serving = await serve(world);
    await seconds(world, 5);
    await soon(async () => expect(await heldIn(serving.service)).toEqual(['t0', 't4']));
    expect([isThere(world, 't0'), isThere(world, 't4')]).toEqual([true, true]);
    const { targets: shown } = await serving.service.status();
    expect(shown.map(({ secret, state }) => `${secret} ${state}`)).toEqual([
      't0 held',
      't1 synced',
      't2 synced',
      't3 synced',
    ]);
    // What is on record already is not told again.
    expect(world.story(length).filter((line) => line.startsWith('hold'))).toEqual([]);
  });

  it('counts after a start also where the first run of its target could not be ended for want of the audit', async () => {
    const world = await openHeld(['t0'], 't4');
    const away = world.clock.now() + 30_000;
    const watch = ({ call, phase, args }: Step): void => {
      const entries = call === 'audit.append' ? (args[0] as readonly { readonly key?: string }[]) : [];
      if (phase === 'before' && world.clock.now() < away && entries.some(({ key }) => key === 't0'))
        throw new AppError('AUDIT_UNAVAILABLE');
    };
    // What left is looked for after that run.
    const differing = () => (world.clock.now() > away - 20_000 ? [] : ['b']);
    await using serving = await serve(world, watch, { differing });
    for (const it of serving.controller.snapshot().forTarget({ namespace: 'apps', secret: 't0' }))
      await serving.controller.request(it, 'asked');
    await seconds(world, 120);
    expect(isThere(world, 't4')).toBe(true);
    await soon(async () => expect(await heldIn(serving.service)).toEqual(['t0', 't4']));
  });

  it('is shown when the service starts although nothing else is to go, and can be released', async () => {
    const world = await openHeld(['t0', 't1']);
    await using serving = await serve(world);
    await seconds(world, 5);
    await soon(async () => expect(await heldIn(serving.service)).toEqual(['t0', 't1']));
    const [t0] = serving.service.held();
    await serving.service.release(t0?.id ?? '', ANN, 'asked');
    expect([isThere(world, 't0'), isThere(world, 't1')]).toEqual([false, true]);
  });

  it('is released once, however many ask for it at the same time', async () => {
    const world = await openHeld(['t0', 't1']);
    await using serving = await serve(world);
    await seconds(world, 5);
    await soon(async () => expect(await heldIn(serving.service)).toEqual(['t0', 't1']));
    const [t0] = serving.service.held();
    const { length } = world.records;
    const asked = ['a', 'b', 'c'].map((id) => serving.service.release(t0?.id ?? '', ANN, id));
    const ends = await Promise.allSettled(asked);
    expect(ends.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected', 'rejected']);
    expect(ends.filter(({ status }) => status === 'rejected')).toMatchObject([
      { reason: { code: 'NOT_HELD' } },
      { reason: { code: 'NOT_HELD' } },
    ]);
    expect(world.story(length).filter((line) => /^(release|delete outcome)/.test(line))).toHaveLength(2);
    expect([isThere(world, 't0'), isThere(world, 't1')]).toEqual([false, true]);
  });

  it('is known after a start also where a prune has held it, which nothing proposes again', async () => {
    const kept = targets(NAMES).replaceAll('onMappingRemoved: delete', 'onMappingRemoved: keep');
    const world = await openWorld({ mappings: kept });
    for (const name of NAMES) world.store.put(name, name);
    await world.sync();
    await world.configure(kept.slice(0, kept.indexOf('  - name: t3')));
    await using process = await world.start();
    expect(await pruneOrphans(process.app)).toMatchObject({ summary: { held: 2 } });
    await using serving = await serve(world);
    await seconds(world, 5);
    await soon(async () => expect(await heldIn(serving.service)).toEqual(['t3', 't4']));
    // Also after the look of each hour for what left.
    await world.clock.advance(2 * 3_600_000);
    await soon(async () => expect(await heldIn(serving.service)).toEqual(['t3', 't4']));
    const [t3] = serving.service.held();
    await serving.service.release(t3?.id ?? '', ANN, 'asked');
    expect([isThere(world, 't3'), isThere(world, 't4')]).toEqual([false, true]);
  });

  it('by a prune counts as long as it is, also where what left is looked for anew', async () => {
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
    for (const _ of ['asked', 'and again after a look for what left']) {
      const answer = serving.service.sync('t0', ANN, 'asked');
      await seconds(world, 5);
      await answer;
      await soon(async () => expect(await heldIn(serving.service)).toEqual(['t0', 't3', 't4']));
      await serving.controller.applyConfigChange({ mappings: new Set(), all: false });
      await seconds(world, 5);
    }
    expect(isThere(world, 't0')).toBe(true);
  });

  it('is none of a target that was held while it was wanted, and then left with `keep`', async () => {
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

  it('is known after a start also where no key would be left', async () => {
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
    await soon(() => expect(serving.service.held()).toMatchObject([{ id: held?.id, secret: 'a' }]));
  });

  it('is so no longer when its source came back meanwhile, and what is left is few enough', async () => {
    const world = await openHeld(['t0'], 't4');
    world.store.put('t0', 't0');
    await using serving = await serve(world);
    await seconds(world, 5);
    await soon(() => expect(isThere(world, 't4')).toBe(false));
    expect([await heldIn(serving.service), isThere(world, 't0')]).toEqual([[], true]);
  });
});

/** One reading before the absence of `t0` is proved; its sweeps are hours away. */
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

it('what could not be deleted with its source is looked at again soon, and not only after its refresh', async () => {
  const world = await openAlmostAbsent();
  world.cluster.fail('remove', new AppError('CLUSTER_UNAVAILABLE'));
  await using serving = await serve(world);
  for (const it of serving.controller.snapshot().forTarget({ namespace: 'apps', secret: 't0' }))
    await serving.controller.request(it, 'asked');
  await seconds(world, 5);
  await soon(() => expect(world.cluster.calls.remove).toBe(1));
  expect(isThere(world, 't0')).toBe(true);
  await seconds(world, 600);
  await soon(() => expect(isThere(world, 't0')).toBe(false));
});

it('what was deleted with its source is not in step, but fails for that source at once', async () => {
  const world = await openAlmostAbsent();
  const seen = new Set<string>();
  await using serving = await serve(world);
  const shown = () => serving.service.mappings().find(({ mapping }) => mapping === 't0')?.targets[0];
  serving.controller.states.onChange(({ mapping, kind }) => {
    if (mapping === 't0') seen.add(`${kind}, shown as ${shown()?.state}`);
  });
  for (const it of serving.controller.snapshot().forTarget({ namespace: 'apps', secret: 't0' }))
    await serving.controller.request(it, 'asked');
  await seconds(world, 20);
  await soon(() => expect(shown()).toMatchObject({ state: 'failed', code: 'SOURCE_ABSENT' }));
  expect(isThere(world, 't0')).toBe(false);
  expect([...seen]).toEqual(['held, shown as held', 'deleted, shown as waiting', 'failed, shown as failed']);
  world.store.put('t0', 'back');
  for (const it of serving.controller.snapshot().forTarget({ namespace: 'apps', secret: 't0' }))
    await serving.controller.request(it, 'asked again');
  await seconds(world, 5);
  await soon(() => expect(shown()).toMatchObject({ state: 'synced' }));
});

describe('what left the configuration', () => {
  it('and could not be looked at is looked at again soon, and told once', async () => {
    const logger = recordingLogger();
    const world = await openLeaving({ logger });
    const outage = new AppError('CLUSTER_UNAVAILABLE');
    world.cluster.fail('read', outage, outage);
    await using _ = await serve(world);
    const logged = () => logger.lines.filter(({ fields }) => fields.name === 'apps/t0');
    await seconds(world, 5);
    await soon(() => expect(logged()).toHaveLength(1));
    expect(isThere(world, 't0')).toBe(true);
    // Missed once more, and then seen.
    await seconds(world, 60);
    await soon(() => expect(isThere(world, 't0')).toBe(false));
    expect(logged()).toHaveLength(1);
    expect(NAMES.slice(1).map((name) => isThere(world, name))).toEqual([true, true, true, true]);
  });

  it('and could not be deleted is looked for again soon', async () => {
    const world = await openLeaving();
    world.cluster.fail('remove', new AppError('CLUSTER_UNAVAILABLE'));
    await using _ = await serve(world);
    await seconds(world, 5);
    await soon(() => expect(world.cluster.calls.remove).toBe(1));
    expect(isThere(world, 't0')).toBe(true);
    await seconds(world, 120);
    await soon(() => expect(isThere(world, 't0')).toBe(false));
  });

  it('and cannot be deleted is looked for less and less often', async () => {
    const world = await openLeaving();
    world.cluster.fail('remove', ...Array.from({ length: 60 }, () => new AppError('CLUSTER_UNAVAILABLE')));
    await using _ = await serve(world);
    await seconds(world, 3_600);
    expect(world.cluster.calls.remove).toBeGreaterThan(3);
    expect(world.cluster.calls.remove).toBeLessThanOrEqual(7);
  });

  it('while the queue was away is looked for when that is back', async () => {
    const world = await openLeaving();
    const queue = createMemoryQueue({ concurrency: 8, timers: world.clock });
    let isAway = true;
    let tell: Parameters<Queue['onHealth']>[0] = () => undefined;
    const add: Queue['add'] = async (...job) => {
      if (isAway) throw new AppError('QUEUE_UNAVAILABLE');
      await queue.add(...job);
    };
    const onHealth: Queue['onHealth'] = (listener) => {
      tell = listener;
      return () => undefined;
    };
    await using _ = await serve(world, undefined, { queue: { ...queue, add, onHealth } });
    await seconds(world, 5);
    isAway = false;
    await seconds(world, 60);
    expect(isThere(world, 't0')).toBe(true);
    tell({ state: 'up' });
    await seconds(world, 5);
    await soon(() => expect(isThere(world, 't0')).toBe(false));
    await queue[Symbol.asyncDispose]();
  });

  it('is no stall for what waits until it was looked for', async () => {
    let now = 0;
    using _ = vi.spyOn(performance, 'now').mockImplementation(() => now);
    const world = await openLeaving();
    await world.configure([]);
    await using queue = createMemoryQueue({ concurrency: 8, timers: world.clock });
    await using serving = await serve(world, undefined, { queue });
    const ages: number[] = [];
    const { read } = world.cluster;
    world.cluster.read = async (...asked) => {
      await queue.add({ subject: formatSubject({ kind: 'destroy' }), reason: 'event', requestId: 'r' });
      await Promise.resolve();
      now += 2_000_000;
      const waiting = serving.controller.loops.states().find(({ name }) => name === 'job destroy');
      if (waiting !== undefined) ages.push(waiting.ageMs);
      return read(...asked);
    };
    await seconds(world, 5);
    await soon(() => expect(ages.length).toBeGreaterThanOrEqual(NAMES.length));
    expect(Math.max(...ages.slice(0, NAMES.length))).toBeLessThan(3_600_000);
  });

  it('is no stall to look for, however long the cluster takes for each of many', async () => {
    let now = 0;
    using _ = vi.spyOn(performance, 'now').mockImplementation(() => now);
    const world = await openLeaving();
    await world.configure([]);
    await using serving = await serve(world);
    const ages: number[] = [];
    const { read } = world.cluster;
    world.cluster.read = async (...asked) => {
      now += 2_000_000;
      const left = serving.controller.loops.states().find(({ name }) => name === 'job left');
      ages.push(left?.ageMs ?? 0);
      return read(...asked);
    };
    await seconds(world, 5);
    await soon(() => expect(ages.length).toBeGreaterThanOrEqual(NAMES.length));
    // They are looked at one after the other.
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

  it('loses its target within seconds when its mapping says so', async () => {
    const { world, serving } = await openSelected('delete');
    await using _ = serving;
    await soon(() => expect(isThere(world, 't', 'two')).toBe(false));
    expect([isThere(world, 't', 'one'), isThere(world, 't', 'three')]).toEqual([true, true]);
  });

  it('keeps its target otherwise, and nobody looks for it', async () => {
    const { world, serving } = await openSelected('keep');
    await using _ = serving;
    expect(serving.controller.snapshot().targets.map(({ id }) => id.namespace)).toEqual(['one', 'three']);
    expect(isThere(world, 't', 'two')).toBe(true);
    const { read } = world.cluster.calls;
    await seconds(world, 60);
    expect(world.cluster.calls.read).toBe(read);
  });
});

describe('namespaces that lost their label together', () => {
  it('are held until they get it back, each for itself', async () => {
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
    await soon(() => expect(held()).toEqual(['one', 'two']));

    world.cluster.namespace('one', yes);
    await seconds(world, 5);
    await soon(async () => expect(await states()).toEqual(['one synced', 'three synced']));
    expect(held()).toEqual(['two']);
    expect(world.records.at(-1)).toMatchObject({ namespace: 'one', outcome: 'ok', note: 'in step again' });
    world.cluster.namespace('two', yes);
    await seconds(world, 5);
    await soon(() => expect(held()).toEqual([]));
    expect(['one', 'two', 'three'].map((it) => isThere(world, 't', it))).toEqual([true, true, true]);
  });
});

describe('what is held of namespaces', () => {
  it('is so no longer once they are gone and took it along, and counts no more', async () => {
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
    await soon(() => expect(held()).toEqual(['one', 'three', 'two']));

    world.cluster.endNamespace('one');
    await seconds(world, 5);
    expect(held()).toEqual(['one', 'three', 'two']);
    world.cluster.forget({ namespace: 'one', secret: 't' });
    world.cluster.endNamespace('one');
    await seconds(world, 5);
    await soon(() => expect(held()).toEqual(['three', 'two']));
    // Of what is left, one may go.
    world.cluster.forget({ namespace: 'two', secret: 't' });
    world.cluster.endNamespace('two');
    await seconds(world, 5);
    await soon(() => expect(held()).toEqual([]));
    expect([isThere(world, 't', 'three'), isThere(world, 't', 'four')]).toEqual([false, true]);
  });
});

describe('what is held and deleted by hand', () => {
  const immutable = (value: string): string =>
    NAMES.map(
      (name) => `
  - name: ${name}
    target: { namespace: apps, immutable: true, recreate: true }
    refresh: 12h
    data: { T: { store: vault, key: ${value} } }`,
    ).join('');

  it('is made anew within seconds, as anything that somebody deletes', async () => {
    const world = await openWorld({ mappings: immutable('token') });
    await world.sync();
    world.store.put('other', 'new');
    await world.configure(immutable('other'));
    await using serving = await serve(world);
    await seconds(world, 5);
    await soon(async () => expect(await heldIn(serving.service)).toEqual(NAMES));
    world.cluster.forget({ namespace: 'apps', secret: 't1' });
    await seconds(world, 10);
    await soon(() => expect(isThere(world, 't1')).toBe(true));
    await soon(async () => expect(await heldIn(serving.service)).toEqual(['t0', 't2', 't3', 't4']));
  });

  it('fails for its source that is gone, and is held no more', async () => {
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
    await soon(async () => expect(await heldIn(serving.service)).toEqual(['t0', 't1']));
    world.cluster.forget({ namespace: 'apps', secret: 't1' });
    await seconds(world, 10);
    await soon(async () => expect(await heldIn(serving.service)).not.toContain('t1'));
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

  it('is released once, however many ask for it at the same time', async () => {
    const world = await openWorld({ mappings: recreated('example.com/old') });
    await world.sync();
    await world.configure(recreated('example.com/new'));
    await using serving = await serve(world);
    await seconds(world, 10);
    await soon(async () => expect(await heldIn(serving.service)).toEqual(['a', 'b']));
    const [a] = serving.service.held();
    const { length } = world.records;
    const asked = ['1', '2', '3'].map((id) => serving.service.release(a?.id ?? '', ANN, id));
    const ends = await Promise.allSettled(asked);
    expect(ends.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected', 'rejected']);
    expect(world.story(length).filter((line) => /^(release|delete|create)/.test(line))).toEqual([
      'release a ok',
      'delete intent a ok',
      'delete outcome a ok',
      'create intent a ok',
      'create outcome a ok',
    ]);
  });

  it('leaves what it restarts to the window', async () => {
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
    const held = await soon(async () => {
      const { held } = await serving.service.status();
      expect(held.map(({ secret }) => secret)).toEqual(['a', 'b']);
      return held;
    });
    const { ok } = await serving.service.release(held[0]?.id ?? '', ANN, 'asked');
    await seconds(world, 50);
    expect([ok, workloads.annotated.length]).toEqual([true, 0]);
    await seconds(world, 20);
    await soon(() => expect(workloads.annotated).toHaveLength(1));
  });
});
