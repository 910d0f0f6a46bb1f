import { describe, expect, it } from 'vitest';
import { commandEntry } from '../../src/audit/entry.ts';
import { objectIn } from '../../src/cluster/json.ts';
import { planTargets } from '../../src/commands/plan.ts';
import { listOrphans, pruneOrphans } from '../../src/commands/prune.ts';
import { releaseHeld } from '../../src/commands/release.ts';
import { AppError } from '../../src/core/errors.ts';
import { brakeReason } from '../../src/reconcile/brake.ts';
import { possibleLateRemovals } from '../../src/reconcile/late-writes.ts';
import { findOrphans } from '../../src/reconcile/orphans.ts';
import { reconcile } from '../../src/reconcile/reconcile.ts';
import { Crash, failing } from '../fakes/faulty.ts';
import { createMemoryAudit } from '../fakes/memory-audit.ts';
import { almostProve, exists, MINUTE, mappingsOf, NAMES, synced } from './destruction.ts';
import { openWorld, type World } from './world.ts';

describe('brake', () => {
  it('the brake ignores deletions by other instances that use the same audit log', async () => {
    const clock = { now: () => 1_800_000_000_000 };
    const audit = createMemoryAudit({ instance: 'other', clock });
    const outcome = {
      ...commandEntry({ name: '' }, { kind: 'cli' }, 'r'),
      action: 'delete',
      phase: 'outcome',
    } as const;
    await audit.append([outcome]);
    const deps = { audit, clock, brake: { share: 0.1, windowMs: MINUTE } };
    const population = { total: 10, alive: 10 };
    expect(await brakeReason([{}], population, { ...deps, instances: ['prod'] })).toBeUndefined();
    expect(await brakeReason([{}], population, { ...deps, instances: ['prod', 'other'] })).toBe(
      '1 target to delete after 1 deleted, but `brake` allows 1 within its `window`',
    );
  });

  it('the brake holds all proposed deletions if their number exceeds the limit', async () => {
    const world = await synced(NAMES, 'onSourceMissing: delete');
    for (const name of ['one', 'two']) world.store.absent(name);
    await almostProve(world);
    const report = await world.sync();
    expect(report.summary).toMatchObject({ held: 2, deleted: 0 });
    expect(report.held.map(({ secret }) => secret).sort()).toEqual(['one', 'two']);
    const reason = '2 targets to delete, but `brake` allows 1 within its `window`';
    expect(new Set(report.held.map((change) => change.reason))).toEqual(new Set([reason]));
    expect(NAMES.every((name) => exists(world, name))).toBe(true);
  });

  it('the brake counts all deletions within its time window', async () => {
    const world = await synced(NAMES, 'onSourceMissing: delete', 'brake: { window: 1h }');
    world.store.absent('one');
    await almostProve(world);
    await world.sync();
    world.store.absent('two');
    await almostProve(world);
    expect((await world.sync()).summary).toMatchObject({ held: 1, deleted: 0 });
    await world.clock.advance(60 * MINUTE);
    expect((await world.sync()).summary).toMatchObject({ held: 0, deleted: 1 });
  });

  it('the brake never allows the deletion of the last target', async () => {
    const world = await synced(['one'], 'onSourceMissing: delete', 'brake: { share: 1 }');
    world.store.absent('one');
    await almostProve(world);
    await using process = await world.start();
    const why = 'the last target is never deleted automatically';
    expect((await planTargets(process.app)).targets[0]?.error?.message).toContain(why);
    const { summary, targets } = await process.sync();
    expect(summary).toMatchObject({ held: 1, deleted: 0 });
    expect(targets[0]?.error?.message).toContain(why);
  });

  it('the brake ignores a target that another run has already deleted', async () => {
    const world = await synced(NAMES, 'onSourceMissing: delete');
    world.store.absent('one');
    await almostProve(world);
    const { length } = world.records;
    const report = await world.sync(async ({ call, phase }) => {
      if (phase === 'before' && call === 'audit.exclusively' && exists(world, 'one')) await world.sync();
    });
    expect(report.summary).toMatchObject({ deleted: 0, held: 0, unchanged: 3 });
    const lines = world.story(length).filter((line) => /^(delete|hold)/.test(line));
    expect(lines).toEqual(['delete intent one ok', 'delete outcome one ok']);
  });

  it('the brake ignores a proposed deletion if its target is already missing, and allows the deletion of another target', async () => {
    const world = await synced(NAMES, 'onSourceMissing: delete');
    for (const name of ['one', 'two']) world.store.absent(name);
    await almostProve(world);
    const report = await world.sync(({ call, phase }) => {
      if (phase === 'before' && call === 'audit.exclusively')
        world.cluster.forget({ namespace: 'apps', secret: 'one' });
    });
    expect(report.summary).toMatchObject({ deleted: 1, held: 0 });
    expect(exists(world, 'two')).toBe(false);
  });

  it('the brake counts a proposed deletion only once, even if this deletion always requires a release', async () => {
    const world = await synced(NAMES, 'onSourceMissing: delete', 'brake: { share: 0.7 }');
    await world.configure(
      mappingsOf(['one'], 'onSourceMissing: removeKeys') +
        mappingsOf(['two', 'three'], 'onSourceMissing: delete'),
    );
    await world.sync();
    for (const name of ['one', 'two']) world.store.absent(name);
    await almostProve(world);
    expect((await world.sync()).summary).toMatchObject({ held: 1, deleted: 1 });
    expect(NAMES.map((name) => exists(world, name))).toEqual([true, false, true]);
  });

  it('deletions fail if another process holds the lock for too long, but the other targets of the run are still reported', async () => {
    const world = await synced(NAMES, 'onSourceMissing: delete');
    world.store.absent('one');
    world.store.put('two', 'another value');
    await almostProve(world);
    world.store.put('two', 'a third one');
    const { length } = world.records;
    const busy = new AppError('BUSY_ELSEWHERE');
    const report = await world.sync(failing('audit.exclusively', busy));
    expect(report.summary).toMatchObject({ updated: 1, unchanged: 1, failed: 1, held: 0 });
    expect(report.targets.find(({ kind }) => kind === 'failed')).toMatchObject({
      target: { secret: 'one' },
      error: { code: 'BUSY_ELSEWHERE' },
    });
    expect(world.story(length).at(-1)).toContain('sweep');
    expect((await world.sync()).summary).toMatchObject({ deleted: 1 });
  });

  it('a plan shows as held exactly the deletions that the next run holds', async () => {
    const world = await synced(NAMES, 'onSourceMissing: delete');
    for (const name of ['one', 'two']) world.store.absent(name);
    await almostProve(world);
    await using process = await world.start();
    const { targets, held } = await planTargets(process.app);
    expect(targets.map(({ action }) => action).sort()).toEqual(['hold', 'hold', 'unchanged']);
    expect(held).toHaveLength(2);
    const since = expect.stringMatching(/Z$/);
    expect((await process.sync()).held).toEqual(held.map((change) => ({ ...change, since })));
  });

  it('the brake records a held deletion only once', async () => {
    const world = await synced(['one'], 'onSourceMissing: delete');
    world.store.absent('one');
    await almostProve(world);
    await world.sync();
    await world.sync();
    expect(world.records.filter(({ action }) => action === 'hold')).toHaveLength(1);
  });
});

describe('late deletion, carried out by the API server after the request timed out', () => {
  const lost = () => new AppError('CLUSTER_UNAVAILABLE');
  const FOUR = [...NAMES, 'four'];
  const ONE = { namespace: 'apps', secret: 'one' };
  const deletions = (world: World) => world.story().filter((line) => line.startsWith('delete outcome one'));

  async function openLate(policies: string): Promise<World> {
    const world = await synced(FOUR, policies);
    await world.configure(mappingsOf(FOUR.slice(1), policies));
    world.cluster.fail('remove', lost());
    expect((await world.sync()).summary).toMatchObject({ failed: 1, deleted: 0 });
    world.cluster.forget(ONE);
    return world;
  }

  it("a deletion that happens after its request timed out counts toward the brake's limit", async () => {
    const world = await openLate('onMappingRemoved: delete');
    await world.configure(mappingsOf(FOUR.slice(2), 'onMappingRemoved: delete'));
    {
      await using process = await world.start();
      const { targets } = await planTargets(process.app);
      expect(targets.map(({ action }) => action).sort()).toEqual(['hold', 'unchanged', 'unchanged']);
    }
    expect((await world.sync()).summary).toMatchObject({ held: 1, deleted: 0 });
    expect(exists(world, 'two')).toBe(true);
    expect(deletions(world)).toEqual([
      'delete outcome one failed CLUSTER_UNAVAILABLE',
      'delete outcome one ok',
    ]);
  });

  it("a deletion that happens after its request timed out counts toward the brake's limit even if a newer attempt was held", async () => {
    const policies = 'onMappingRemoved: delete';
    const world = await synced(FOUR, policies);
    await world.configure(mappingsOf(FOUR.slice(1), policies));
    world.cluster.fail('remove', lost());
    expect((await world.sync()).summary).toMatchObject({ failed: 1, deleted: 0 });
    await world.configure(mappingsOf(FOUR.slice(2), policies));
    expect((await world.sync()).summary).toMatchObject({ held: 2, deleted: 0 });
    world.cluster.forget(ONE);
    expect((await world.sync()).summary).toMatchObject({ held: 1, deleted: 0 });
    expect(exists(world, 'two')).toBe(true);
    expect(deletions(world)).toHaveLength(2);
  });

  it('a deletion that happens after its request timed out is recorded once, even if the run proposes no other deletion', async () => {
    const world = await openLate('onMappingRemoved: delete');
    for (const _ of [1, 2, 3]) expect((await world.sync()).ok).toBe(true);
    expect(deletions(world)).toHaveLength(2);
    const record = world.records.findLast(({ action }) => action === 'delete');
    expect(record).toMatchObject({ outcome: 'ok', note: 'read from the cluster', requestId: 'request-2' });
    expect(record).not.toHaveProperty('code');
    expect(await world.chain()).toMatchObject({ kind: 'intact' });
  });

  it('a deletion that happens after its request timed out is found even if there are records of many refused writes', async () => {
    const audit = createMemoryAudit();
    const about = { mapping: 'one', ...ONE, phase: 'outcome', outcome: 'failed' } as const;
    const failed = { ...commandEntry({ name: '' }, { kind: 'cli' }, 'r'), ...about };
    await audit.append(
      Array.from({ length: 60 }, () => ({ ...failed, action: 'update', code: 'CLUSTER_REFUSED' })),
    );
    await audit.append([{ ...failed, action: 'delete', code: 'INTERRUPTED' }]);
    let given = 0;
    const counting: Pick<typeof audit, 'list'> = {
      async list(filter, page) {
        const records = await audit.list(filter, page);
        given += records.length;
        return records;
      },
    };
    const since = new Date(0).toISOString();
    const found = await possibleLateRemovals(counting, since, ['test']);
    expect(found).toEqual([{ action: 'delete', mapping: 'one', target: ONE }]);
    expect(given).toBe(1);
  });

  it('a deletion that may still happen counts toward the limit, so it blocks other deletions while the cluster is unavailable', async () => {
    const policies = 'onMappingRemoved: delete';
    const names = Array.from({ length: 60 }, (_, number) => `t${number}`);
    const world = await synced(names, policies);
    await world.configure(mappingsOf(names.slice(1), policies));
    await using process = await world.start();
    const tried = { ...commandEntry({ name: '' }, { kind: 'cli' }, 'r'), action: 'delete' } as const;
    await process.app.audit.append(
      Array.from({ length: 40 }, (_, number) => {
        const about = { ...tried, mapping: 't', namespace: 'apps', secret: `gone${number}` };
        const failed = { outcome: 'failed', code: 'CLUSTER_UNAVAILABLE' } as const;
        return [
          { ...about, phase: 'intent' as const },
          { ...about, phase: 'outcome' as const, ...failed },
        ];
      }).flat(),
    );
    const look = world.cluster.read;
    let readCount = 0;
    const away = (id: { readonly secret: string }) => id.secret.startsWith('gone') && readCount++ < 40;
    Object.assign(world.cluster, {
      read: async (...args: Parameters<typeof look>) => {
        if (away(args[0])) throw lost();
        return look(...args);
      },
    });
    expect((await world.sync()).summary).toMatchObject({ failed: 1, deleted: 0 });
    expect(readCount).toBeGreaterThan(2);
    expect(readCount).toBeLessThan(40);
    readCount = 40;
    expect((await world.sync()).summary).toMatchObject({ held: 1, deleted: 0 });
  });

  it('a deletion whose request timed out is not assumed to have happened while the target still exists', async () => {
    const world = await synced(FOUR, 'onMappingRemoved: delete');
    await world.configure(mappingsOf(FOUR.slice(1), 'onMappingRemoved: delete'));
    world.cluster.fail('remove', lost());
    await world.sync();
    await world.configure(mappingsOf(FOUR, 'onMappingRemoved: delete'));
    for (const _ of [1, 2]) expect((await world.sync()).ok).toBe(true);
    expect(deletions(world)).toEqual(['delete outcome one failed CLUSTER_UNAVAILABLE']);
  });

  it('if a request to delete timed out and a newer attempt deleted the target, no late effect of the first request is recorded', async () => {
    const world = await synced(FOUR, 'onMappingRemoved: delete');
    await world.configure(mappingsOf(FOUR.slice(1), 'onMappingRemoved: delete'));
    world.cluster.fail('remove', lost());
    await world.sync();
    expect((await world.sync()).summary).toMatchObject({ deleted: 1 });
    await world.sync();
    expect(deletions(world)).toHaveLength(2);
  });

  it('a deletion that happens after its request timed out is recorded when the next run reads the target, even without a source', async () => {
    const world = await synced(FOUR, 'onSourceMissing: delete');
    world.store.absent('one');
    await almostProve(world);
    world.cluster.fail('remove', lost());
    expect((await world.sync()).summary).toMatchObject({ failed: 1 });
    world.cluster.forget(ONE);
    expect((await world.sync(undefined, { only: 'one' })).summary).toMatchObject({ failed: 1 });
    expect(deletions(world)).toHaveLength(2);
  });

  it('a deletion that happens after its request timed out is not drift, so the target is created even with `onDrift: report`', async () => {
    const mapping = `
  - name: one
    target: { namespace: apps, immutable: true, recreate: true }
    data: { VALUE: { store: vault, key: one } }`;
    const world = await openWorld({ mappings: mapping });
    world.store.put('one', 'first');
    await world.sync();
    world.store.put('one', 'second', '2');
    world.cluster.fail('remove', lost());
    expect((await world.sync()).summary).toMatchObject({ failed: 1 });
    const run = async (isMissing: boolean) => {
      await using process = await world.start();
      const pass = await process.app.createContext();
      const [desiredTarget] = process.app.targets;
      if (desiredTarget === undefined) throw new Error('nothing is wanted');
      const list = { isMissing: () => isMissing };
      return await reconcile(
        desiredTarget.mapping,
        desiredTarget.id,
        { ...pass, ...list },
        { drift: 'report' },
      );
    };
    // The target is not in the list, but it is read, because the list may be stale.
    expect(await run(true)).toMatchObject({ kind: 'held' });
    expect(deletions(world)).toHaveLength(1);
    world.cluster.forget(ONE);
    expect(await run(false)).toMatchObject({ kind: 'created' });
    expect(world.story().slice(-3)).toEqual([
      'delete outcome one ok',
      'create intent one ok',
      'create outcome one ok',
    ]);
  });
});

describe('held deletion', () => {
  async function held(): Promise<{ world: World; id: string }> {
    const world = await synced(['one'], 'onSourceMissing: delete');
    world.store.absent('one');
    await almostProve(world);
    const [first] = (await world.sync()).held;
    if (first === undefined) throw new Error('nothing is held');
    return { world, id: first.id };
  }

  it('a held deletion is carried out when a person releases it, and its record names that person', async () => {
    const { world, id } = await held();
    await using process = await world.start();
    expect((await releaseHeld(process.app, id)).summary.deleted).toBe(1);
    expect(exists(world, 'one')).toBe(false);
    expect(world.records.find(({ action }) => action === 'release')).toMatchObject({
      actor: { name: 'ann' },
      note: id,
    });
  });

  it('one of several held deletions can be released alone, even in a run of a single mapping', async () => {
    const world = await synced(['one', 'two', 'three'], 'onSourceMissing: delete');
    for (const name of ['one', 'two']) world.store.absent(name);
    await almostProve(world);
    const { held: both } = await world.sync();
    expect(both.map(({ mapping }) => mapping)).toEqual(['one', 'two']);
    await using process = await world.start();
    for (const { id, mapping } of both)
      expect((await releaseHeld(process.app, id, { only: mapping })).summary.deleted).toBe(1);
    expect(['one', 'two', 'three'].map((name) => exists(world, name))).toEqual([false, false, true]);
  });

  it('a held deletion keeps its id while the proposed change stays the same, and gets a new id if the proposed change differs', async () => {
    const { world, id } = await held();
    expect((await world.sync()).held[0]?.id).toBe(id);
    world.store.put('one', 'back');
    await using process = await world.start();
    await expect(releaseHeld(process.app, id)).rejects.toMatchObject({ code: 'NOT_HELD' });
    expect(exists(world, 'one')).toBe(true);
  });

  it('a held deletion is not carried out if the Secret has changed since it was read', async () => {
    const { world, id } = await held();
    await using process = await world.start();
    world.cluster.before('remove', () =>
      world.cluster.edit({ namespace: 'apps', secret: 'one' }, (raw) => ({
        ...raw,
        data: { THEIRS: 'eA==' },
      })),
    );
    expect((await releaseHeld(process.app, id)).targets).toMatchObject([
      { kind: 'failed', error: { code: 'CONFLICT' } },
    ]);
    expect(exists(world, 'one')).toBe(true);
  });
});

describe('orphaned target', () => {
  it('an orphaned target is deleted or kept according to the policy of its removed mapping', async () => {
    for (const [word, there] of [
      ['delete', false],
      ['keep', true],
    ] as const) {
      const world = await synced(NAMES, `onMappingRemoved: ${word}`);
      await world.configure(mappingsOf(['two', 'three'], ''));
      await using process = await world.start();
      expect((await planTargets(process.app)).kept).toBe(there ? 1 : undefined);
      await process.sync();
      expect(exists(world, 'one')).toBe(there);
      expect(exists(world, 'two')).toBe(true);
    }
  });

  it('an orphaned target is not deleted if several deletions in the run have timed out', async () => {
    const names = Array.from({ length: 24 }, (_, number) => `t${number}`);
    const world = await synced(names, 'onMappingRemoved: delete', 'brake: { share: 1 }');
    await world.configure(mappingsOf(names.slice(12), 'onMappingRemoved: delete'));
    world.cluster.fail('remove', ...names.map(() => new AppError('CLUSTER_UNAVAILABLE')));
    const { length } = world.records;
    const { summary } = await world.sync();
    expect(summary).toMatchObject({ failed: 12, deleted: 0, unchanged: 12 });
    expect(world.cluster.calls.remove).toBeLessThanOrEqual(3);
    // Deletions that were not started are not recorded.
    expect(world.story(length).filter((line) => line.startsWith('delete intent'))).toHaveLength(3);
    expect(names.every((name) => exists(world, name))).toBe(true);
  });

  it('an orphaned target is deleted even if the cluster has just refused the deletion of several other targets', async () => {
    const names = Array.from({ length: 12 }, (_, number) => `t${number}`);
    const world = await synced(names, 'onMappingRemoved: delete', 'brake: { share: 1 }');
    await world.configure(mappingsOf(names.slice(6), 'onMappingRemoved: delete'));
    // Simulates a broken admission webhook of one namespace.
    const broken = () => new AppError('CLUSTER_UNAVAILABLE', { cause: { status: 500 } });
    world.cluster.fail('remove', broken(), broken(), broken());
    expect((await world.sync()).summary).toMatchObject({ failed: 3, deleted: 3, unchanged: 6 });
  });

  it.each([
    ['delete', 'remove', ''],
    ['update', 'merge', ', mode: merge'],
  ] as const)(
    'a refusal to delete an orphaned target is recorded when the refusal begins, changes and ends (%s by `%s`)',
    async (action, call, mode) => {
      const mappings = (names: readonly string[]) =>
        mappingsOf(names, 'onMappingRemoved: delete').replaceAll('apps }', `apps${mode} }`);
      const world = await openWorld({ mappings: mappings(NAMES) });
      for (const secret of NAMES) {
        world.store.put(secret, `value of ${secret}`);
        if (call === 'merge') world.cluster.put({ namespace: 'apps', secret }, { data: {} });
      }
      expect((await world.sync()).ok).toBe(true);
      await world.configure(mappings(['two', 'three']));
      const codes = [...Array(3).fill('CLUSTER_FORBIDDEN'), ...Array(2).fill('CLUSTER_REFUSED')];
      world.cluster.fail(call, ...codes.map((code) => new AppError(code)));
      const { length } = world.records;
      for (const code of codes) {
        const { targets } = await world.sync();
        expect(targets.find(({ target }) => target.secret === 'one')).toMatchObject({
          kind: 'failed',
          error: { code },
        });
      }
      await world.sync();
      const story = world.story(length).filter((line) => !/^(?:read|command|sweep|configure)/.test(line));
      expect(story).toEqual([
        `${action} intent one ok`,
        `${action} outcome one failed CLUSTER_FORBIDDEN`,
        'refuse one failed CLUSTER_REFUSED',
        `${action} intent one ok`,
        `${action} outcome one ok`,
      ]);
    },
  );

  it('orphaned targets are searched only in records of the current instance, because targets of other instances may be unreadable', async () => {
    const world = await synced(NAMES, 'onMappingRemoved: keep');
    const ours = world.records.find(({ action, phase }) => action === 'create' && phase === 'outcome');
    if (ours === undefined) throw new Error('nothing was made');
    await using audit = createMemoryAudit({ instance: 'other', clock: world.clock });
    await audit.append([{ ...ours, secret: 'theirs', mapping: 'theirs' }]);
    const cluster = {
      read: () => Promise.reject(new AppError('CLUSTER_FORBIDDEN')),
      list: async () => [],
    };
    const look = (instances: readonly string[]) =>
      findOrphans({ audit, cluster, instances, isDesired: () => false });
    expect((await look(['prod'])).unreadable).toEqual([]);
    expect((await look(['other'])).unreadable).toMatchObject([{ what: 'apps/theirs' }]);
  });

  it('an orphaned target is held and not deleted if a whole file with mappings is missing', async () => {
    const world = await synced(NAMES, 'onMappingRemoved: delete');
    await world.configure(mappingsOf(['three'], ''));
    expect((await world.sync()).summary).toMatchObject({ held: 2, deleted: 0 });
  });

  it('an orphaned target is listed by `prune`, and deleted by `prune --yes`', async () => {
    const world = await synced(NAMES, 'onMappingRemoved: keep');
    await world.configure(mappingsOf(['two', 'three'], ''));
    await using process = await world.start();
    expect((await listOrphans(process.app)).targets).toMatchObject([
      { target: { secret: 'one' }, action: 'delete' },
    ]);
    expect(exists(world, 'one')).toBe(true);
    expect((await pruneOrphans(process.app)).summary.deleted).toBe(1);
    expect(exists(world, 'one')).toBe(false);
  });

  it('an orphaned target is deleted by a release after `prune` held its deletion', async () => {
    const world = await synced(NAMES, 'onMappingRemoved: keep');
    await world.configure(mappingsOf(['three'], ''));
    await using process = await world.start();
    const { held } = await pruneOrphans(process.app);
    expect(held.map(({ secret }) => secret)).toEqual(['one', 'two']);
    expect((await releaseHeld(process.app, held[0]?.id ?? '')).summary.deleted).toBe(1);
    expect([exists(world, 'one'), exists(world, 'two')]).toEqual([false, true]);
  });

  const ONE = { namespace: 'apps', secret: 'one' };
  const withLabels = (labels: object) => (world: World) =>
    world.cluster.edit(ONE, (raw) => ({ ...raw, metadata: { ...objectIn(raw, 'metadata'), labels } }));

  it.each([
    ['with removed labels', withLabels({})],
    [
      'that another instance took over',
      withLabels({ 'secretbridge.dev/instance': 'other', 'secretbridge.dev/mapping': 'one' }),
    ],
    [
      'copied with its labels by somebody else',
      (world: World) => {
        const { labels, annotations } = objectIn(world.cluster.raw(ONE) ?? {}, 'metadata') ?? {};
        world.cluster.forget(ONE);
        world.cluster.put(ONE, { type: 'Opaque', data: {}, metadata: { labels, annotations } });
      },
    ],
  ])('%s is kept, because it does not belong to this instance', async (_, happens) => {
    const world = await synced(NAMES, 'onMappingRemoved: delete');
    happens(world);
    await world.configure(mappingsOf(['two', 'three'], ''));
    expect((await world.sync()).summary).toMatchObject({ deleted: 0, held: 0 });
    expect(exists(world, 'one')).toBe(true);
  });

  it('an orphaned target is kept until the renamed mapping has created the new target', async () => {
    const world = await synced(NAMES, 'onMappingRemoved: delete');
    const renamed = mappingsOf(NAMES, 'onMappingRemoved: delete').replace(
      'target: { namespace: apps }',
      'target: { namespace: apps, secret: uno }',
    );
    await world.configure(renamed);
    await world.sync();
    expect([exists(world, 'uno'), exists(world, 'one')]).toEqual([true, false]);
    expect(world.cluster.writes.map(({ kind, id }) => `${kind} ${id.secret}`).slice(-2)).toEqual([
      'create uno',
      'remove one',
    ]);
  });
});

describe('held deletions', () => {
  const MANY = ['one', 'two', 'three', 'four', 'five'];

  it('a sync of a single mapping carries out no held deletion, not even a held deletion of that mapping', async () => {
    const world = await synced(MANY, 'onSourceMissing: delete');
    for (const name of ['one', 'two']) world.store.absent(name);
    await almostProve(world);
    expect((await world.sync()).summary).toMatchObject({ held: 2, deleted: 0 });
    for (const only of ['one', 'two', 'three']) {
      await using process = await world.start();
      expect((await planTargets(process.app, only)).targets.some(({ action }) => action === 'delete')).toBe(
        false,
      );
      expect((await process.sync({ only })).summary).toMatchObject({ deleted: 0 });
    }
    expect(exists(world, 'one') && exists(world, 'two')).toBe(true);
  });

  it("held deletions and orphaned targets count together toward the brake's limit, even in a sync of a single mapping", async () => {
    const world = await synced(MANY, 'onSourceMissing: delete, onMappingRemoved: delete');
    await world.configure(mappingsOf(['three', 'four', 'five'], 'onSourceMissing: delete'));
    world.store.absent('three');
    await almostProve(world);
    expect((await world.sync()).summary).toMatchObject({ held: 3, deleted: 0 });
    await using process = await world.start();
    for (const only of ['one', 'three'])
      expect((await process.sync({ only })).summary).toMatchObject({ deleted: 0 });
    expect((await pruneOrphans(process.app)).summary).toMatchObject({ deleted: 0, held: 2 });
    expect(MANY.every((name) => exists(world, name))).toBe(true);
  });
});

describe('last target', () => {
  /** Only the first of these targets was ever created. */
  async function alone(policies: string, more = ''): Promise<World> {
    const world = await openWorld({ mappings: mappingsOf(NAMES, policies), more });
    world.store.put('one', 'value of one');
    await world.sync();
    expect(NAMES.map((name) => exists(world, name))).toEqual([true, false, false]);
    return world;
  }

  it('the last existing target is not deleted by a sync of its mapping, even if other targets are configured but were never created', async () => {
    const world = await alone('onSourceMissing: delete');
    world.store.absent('one');
    await almostProve(world);
    await using process = await world.start();
    expect((await planTargets(process.app, 'one')).held).toHaveLength(1);
    expect((await process.sync({ only: 'one' })).summary).toMatchObject({ held: 1, deleted: 0 });
    world.store.put('three', 'value of three');
    await process.sync({ only: 'three' });
    expect((await process.sync({ only: 'one' })).summary).toMatchObject({ held: 0, deleted: 1 });
  });

  it('the last existing target is not deleted by `prune`', async () => {
    const world = await alone('onMappingRemoved: keep');
    await world.configure(mappingsOf(['two', 'three'], ''));
    await using process = await world.start();
    const { summary, targets } = await pruneOrphans(process.app);
    expect(summary).toMatchObject({ held: 1, deleted: 0 });
    expect(targets[0]?.error?.message).toContain('the last target is never deleted automatically');
    expect(exists(world, 'one')).toBe(true);
  });

  it('a target is not protected as the last target while another target exists, and a single read finds the other target', async () => {
    const world = await synced(NAMES, 'onSourceMissing: delete');
    world.store.absent('one');
    await almostProve(world);
    const reads: string[] = [];
    await world.sync(({ call, phase }) => void (phase === 'before' && reads.push(call)), { only: 'one' });
    expect(exists(world, 'one')).toBe(false);
    expect(reads.filter((call) => call === 'cluster.read')).toHaveLength(3);
  });
});

describe('crash around a deletion', () => {
  it('only the newer of two deletions of a target is recorded as applied if both processes crashed after recording an intent', async () => {
    const world = await synced(NAMES, 'onMappingRemoved: delete');
    await world.configure(mappingsOf(['two', 'three'], ''));
    const crash = async (when: 'before' | 'after') => {
      let dead = false;
      const sync = world.sync(({ call, phase }) => {
        dead ||= call === 'cluster.remove' && phase === when;
        if (dead) throw new Crash();
      });
      await expect(sync).rejects.toThrow();
    };
    await crash('before');
    // At this point it is unknown whether the first deletion succeeded.
    world.cluster.fail('read', new AppError('CLUSTER_UNAVAILABLE'));
    await crash('after');
    await world.sync();
    expect(world.story().filter((line) => line.startsWith('delete'))).toEqual([
      'delete intent one ok',
      'delete intent one ok',
      'delete outcome one ok',
      'delete outcome one failed INTERRUPTED',
    ]);
  });

  it.each([
    ['before', true],
    ['after', false],
  ] as const)(
    'a deletion gets its outcome record at the next start if the process crashed %s the write',
    async (when, there) => {
      const world = await synced(NAMES, 'onMappingRemoved: delete');
      await world.configure(mappingsOf(['two', 'three'], ''));
      let dead = false;
      await expect(
        world.sync(({ call, phase }) => {
          dead ||= call === 'cluster.remove' && phase === when;
          if (dead) throw new Crash();
        }),
      ).rejects.toThrow();
      expect(exists(world, 'one')).toBe(there);
      await world.sync();
      expect(exists(world, 'one')).toBe(false);
      const story = world.story().filter((line) => line.startsWith('delete'));
      expect(story).toEqual(
        there
          ? [
              'delete intent one ok',
              'delete outcome one failed INTERRUPTED',
              'delete intent one ok',
              'delete outcome one ok',
            ]
          : ['delete intent one ok', 'delete outcome one ok'],
      );
      expect(await world.chain()).toMatchObject({ kind: 'intact' });
    },
  );
});
