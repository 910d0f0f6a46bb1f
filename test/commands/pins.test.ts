import { describe, expect, it } from 'vitest';
import { renewedPin } from '../../src/audit/last-pins.ts';
import { objectIn } from '../../src/cluster/json.ts';
import { explainMapping } from '../../src/commands/explain/explain.ts';
import { planTargets } from '../../src/commands/plan.ts';
import { releaseHeld } from '../../src/commands/release.ts';
import { rollBackLocally, unpinLocally } from '../../src/commands/rollback.ts';
import type { SyncReport } from '../../src/commands/sync.ts';
import { crashAt } from '../fakes/faulty.ts';
import { APPS_DB, base64, DB_ONLY, openWorld, type World, type WorldOptions } from '../reconcile/world.ts';

/** Syncs once after each new value of `db`. Returns the sequence numbers of the records about the changes. */
async function history(texts: readonly string[], options: WorldOptions = {}) {
  const world = await openWorld({ mappings: DB_ONLY, ...options });
  for (const [index, text] of texts.entries()) {
    world.store.put('db', text, String(index + 1));
    await world.sync();
  }
  return { world, changes: changesOf(world) };
}

const changesOf = (world: World): readonly number[] =>
  world.records
    .filter(({ phase, action }) => phase === 'outcome' && (action === 'create' || action === 'update'))
    .map(({ sequence }) => sequence);

const db = (password: string) => JSON.stringify({ user: 'ann', password });
const THREE = ['first', 'second', 'third'].map(db);

async function rollBack(world: World, to: number, namespace?: string): Promise<SyncReport> {
  await using process = await world.start();
  const report = await rollBackLocally(process.app, { mapping: 'db', to, namespace });
  if (typeof report === 'string') throw new Error(report);
  return report;
}

async function unpin(world: World): Promise<SyncReport> {
  await using process = await world.start();
  const report = await unpinLocally(process.app, { mapping: 'db' });
  if (typeof report === 'string') throw new Error(report);
  return report;
}

const metadata = (world: World) => objectIn(world.cluster.raw(APPS_DB) ?? {}, 'metadata') ?? {};
const annotations = (world: World) => objectIn(metadata(world), 'annotations') ?? {};
const data = (world: World) => objectIn(world.cluster.raw(APPS_DB) ?? {}, 'data') ?? {};

describe('a recreated key whose versions restart at 1', () => {
  it('a rollback fails with VERSION_GONE if the key of the recorded version was recreated after the record was written', async () => {
    const { world, changes } = await history(THREE);
    world.store.put('db', db('a Secret of another owner'), '1');
    await expect(rollBack(world, changes[0] ?? 0)).rejects.toMatchObject({ code: 'VERSION_GONE' });
    expect(data(world).PASSWORD).toBe(base64('third'));
    expect(await world.sync()).toMatchObject({ targets: [{ kind: 'updated' }] });
    expect(annotations(world)).not.toHaveProperty('secretbridge.dev/pin');
  });

  it('a pinned target keeps its data if the key is recreated and its versions restart at 1', async () => {
    const { world, changes } = await history(THREE);
    await rollBack(world, changes[0] ?? 0);
    world.store.put('db', db('a Secret of another owner'), '1');
    expect(await world.sync()).toMatchObject({
      targets: [{ kind: 'failed', error: { code: 'VERSION_GONE' }, pinned: changes[0] }],
    });
    expect(data(world).PASSWORD).toBe(base64('first'));
  });

  it('a rollback to a new version of a recreated key works once a sync has written that version', async () => {
    const { world } = await history(THREE);
    world.store.put('db', db('anew'), '1');
    await world.sync();
    const latest = changesOf(world).at(-1) ?? 0;
    world.store.put('db', db('and on'), '2');
    await world.sync();
    expect(await rollBack(world, latest)).toMatchObject({ ok: true });
    expect(data(world).PASSWORD).toBe(base64('anew'));
  });
});

describe('pinned data', () => {
  it.each(['removeKeys', 'delete'])(
    'pinned data stays if its source is removed with onSourceMissing: %s',
    async (what) => {
      const { world, changes } = await history(THREE, {
        mappings: DB_ONLY.replace('target:', `onSourceMissing: ${what}\n    target:`),
        more: 'absence: { readings: 1, over: 1ms }',
      });
      await rollBack(world, changes[0] ?? 0);
      world.store.absent('db');
      for (const version of ['1', '2', '3']) world.store.purge('db', version);
      const { length } = world.changes;
      expect(await world.sync()).toMatchObject({
        targets: [{ kind: 'failed', error: { code: 'VERSION_GONE' } }],
      });
      expect(await world.sync()).toMatchObject({ held: [] });
      expect(world.changes).toHaveLength(length);
      expect(data(world).PASSWORD).toBe(base64('first'));
    },
  );

  it('a rollback is refused as HELD if it would leave the target without keys', async () => {
    const { world, changes } = await history(THREE);
    await world.configure(DB_ONLY.replaceAll('key: db', 'key: token, optional: true'));
    world.store.put('token', '{}');
    await expect(rollBack(world, changes[0] ?? 0)).rejects.toMatchObject({ code: 'HELD' });
    const refused = { outcome: 'refused', code: 'HELD' };
    expect(world.records.slice(-2)).toMatchObject([
      { action: 'rollback', ...refused },
      { action: 'command', ...refused },
    ]);
  });
});

describe('record that a rollback restores', () => {
  it('a rollback accepts only records of its own installation, because another installation has other stores', async () => {
    const { world } = await history(THREE);
    await using process = await world.start();
    const record = {
      ...(world.records.findLast(({ phase }) => phase === 'outcome') ?? {}),
      instance: 'other',
    };
    const get = async () => record as (typeof world.records)[number];
    const app = { ...process.app, audit: { ...process.app.audit, get }, resolve: process.app.resolve };
    Object.defineProperty(app, 'targets', { get: () => process.app.targets });
    await expect(rollBackLocally(app, { mapping: 'db', to: record.sequence ?? 0 })).rejects.toMatchObject({
      code: 'NOT_A_CHANGE',
    });
  });

  it('a rollback can restore the intent of a change, or the record of an earlier rollback', async () => {
    const { world } = await history(THREE);
    const intent = world.records.find(({ phase }) => phase === 'intent')?.sequence ?? 0;
    await rollBack(world, intent);
    expect(data(world).PASSWORD).toBe(base64('first'));
    const pin = world.records.find(({ action }) => action === 'rollback')?.sequence ?? 0;
    await unpin(world);
    await rollBack(world, pin);
    expect(data(world).PASSWORD).toBe(base64('first'));
    expect(annotations(world)).toMatchObject({ 'secretbridge.dev/pin': String(pin) });
  });

  it('a record that a rollback restored can be removed from the audit log, because the pin record contains the versions', async () => {
    const { world, changes } = await history(THREE);
    await rollBack(world, changes[0] ?? 0);
    await using process = await world.start();
    // Retention records the pin again before it removes the record of the pin.
    const head = await process.app.audit.head();
    const [pin] = await process.app.pins.inForce();
    await process.app.audit.append(pin === undefined ? [] : [renewedPin(pin.record)]);
    await process.app.audit.prune(head);
    await world.sync();
    world.store.put('db', db('fourth'), '4');
    expect(await world.sync()).toMatchObject({ targets: [{ kind: 'unchanged', pinned: changes[0] }] });
    await expect(rollBack(world, changes[1] ?? 0)).rejects.toMatchObject({ code: 'RECORD_MISSING' });
    await unpin(world);
    expect(data(world).PASSWORD).toBe(base64('fourth'));
  });
});

describe('a pinned target', () => {
  it('a pinned target is repaired to the pinned versions after a manual deletion', async () => {
    const { world, changes } = await history(THREE);
    await rollBack(world, changes[0] ?? 0);
    world.cluster.forget(APPS_DB);
    const { length } = world.records;
    await world.sync();
    expect(data(world).PASSWORD).toBe(base64('first'));
    expect(annotations(world)).toMatchObject({ 'secretbridge.dev/pin': String(changes[0]) });
    expect(world.story(length)).toContain('repair outcome db ok');
  });

  it('a pinned target has the same configuration hash as an unpinned target', async () => {
    const { world, changes } = await history(THREE);
    const before = annotations(world)['secretbridge.dev/config'];
    await rollBack(world, changes[0] ?? 0);
    expect(annotations(world)['secretbridge.dev/config']).toBe(before);
  });

  it('a pinned target follows changes of its mapping, except for source versions', async () => {
    const { world, changes } = await history(THREE);
    await rollBack(world, changes[0] ?? 0);
    await world.configure(`${DB_ONLY}
    template: { only: true, data: { url: '{{ USER }}:{{ PASSWORD }}' } }
`);
    expect(await world.sync()).toMatchObject({ targets: [{ kind: 'updated', pinned: changes[0] }] });
    expect(data(world)).toEqual({ url: base64('ann:first') });
    world.store.put('db', db('fourth'), '4');
    expect(await world.sync()).toMatchObject({ summary: { unchanged: 1 } });
  });

  it('a pinned target follows a source that was added to the mapping after the rollback', async () => {
    const { world, changes } = await history(THREE);
    await rollBack(world, changes[0] ?? 0);
    await world.configure(`${DB_ONLY}      TOKEN: { store: vault, key: token }\n`);
    world.store.put('token', 'one', '1');
    await world.sync();
    expect(data(world)).toMatchObject({ PASSWORD: base64('first'), TOKEN: base64('one') });
    world.store.put('token', 'two', '2');
    await world.sync();
    expect(data(world)).toMatchObject({ PASSWORD: base64('first'), TOKEN: base64('two') });
  });

  it('a pinned target stays pinned if its mapping is removed and added again', async () => {
    const { world, changes } = await history(THREE);
    await rollBack(world, changes[0] ?? 0);
    await world.configure(DB_ONLY.replace('name: db', 'name: other').replace('apps }', 'web }'));
    await world.sync();
    await world.configure(DB_ONLY);
    world.store.put('db', db('fourth'), '4');
    expect(await world.sync()).toMatchObject({ targets: [{ pinned: changes[0] }] });
    expect(data(world).PASSWORD).toBe(base64('first'));
  });

  it('a pin applies to a single target, and to no other existing or new target of the mapping', async () => {
    const two = DB_ONLY.replace('namespace: apps', 'namespaces: [apps, web]');
    const { world, changes } = await history(THREE, { mappings: two });
    await rollBack(world, changes[0] ?? 0, 'apps');
    await world.configure(two.replace('web]', 'web, late]'));
    world.store.put('db', db('fourth'), '4');
    expect(await world.sync()).toMatchObject({ summary: { created: 1, updated: 1, unchanged: 1 } });
    const passwords = ['apps', 'late', 'web'].map(
      (namespace) => objectIn(world.cluster.raw({ namespace, secret: 'db' }) ?? {}, 'data')?.PASSWORD,
    );
    expect(passwords).toEqual([base64('first'), base64('fourth'), base64('fourth')]);
  });

  it('a pinned target is shown as pinned in `plan` and `explain`, with its pinned sources', async () => {
    const { world, changes } = await history(THREE);
    await rollBack(world, changes[0] ?? 0);
    await using process = await world.start();
    expect(await planTargets(process.app)).toMatchObject({
      targets: [{ action: 'unchanged', pinned: changes[0] }],
    });
    expect(await explainMapping(process.app, 'db')).toMatchObject([
      { state: 'pinned', pinned: changes[0], sources: [{ version: '1' }, { version: '1' }] },
    ]);
  });
});

describe('an immutable target', () => {
  const immutable = (recreate: boolean) =>
    DB_ONLY.replace('namespace: apps', `namespace: apps, immutable: true, recreate: ${recreate}`);

  it('an immutable target refuses a rollback to other content, and stays unpinned', async () => {
    const { world, changes } = await history(THREE);
    await world.configure(immutable(false));
    await world.sync();
    await expect(rollBack(world, changes[0] ?? 0)).rejects.toMatchObject({ code: 'IMMUTABLE' });
    expect(await world.sync()).toMatchObject({ summary: { unchanged: 1 } });
    expect(annotations(world)).not.toHaveProperty('secretbridge.dev/pin');
  });

  it('an immutable target can be pinned to its current content, and refuses new content after it is unpinned', async () => {
    const { world, changes } = await history(THREE.slice(0, 1), { mappings: immutable(false) });
    expect(await rollBack(world, changes[0] ?? 0)).toMatchObject({ ok: true });
    world.store.put('db', db('second'), '2');
    expect(await world.sync()).toMatchObject({ summary: { unchanged: 1 } });
    expect(await unpin(world)).toMatchObject({
      targets: [{ kind: 'refused', error: { code: 'IMMUTABLE' } }],
    });
  });

  it('an immutable target is recreated if the mapping allows it', async () => {
    // The last target of a mapping is never deleted automatically, so this mapping has two targets.
    const more = immutable(true).replace('namespace: apps', 'namespaces: [apps, web]');
    const { world } = await history(THREE.slice(0, 1), { mappings: more, more: 'brake: { share: 1 }' });
    const first = changesOf(world)[0] ?? 0;
    world.store.put('db', db('second'), '2');
    await world.sync();
    expect(data(world).PASSWORD).toBe(base64('second'));
    await world.clock.advance(25 * 3_600_000);
    expect(await rollBack(world, first, 'apps')).toMatchObject({
      ok: true,
      targets: [{ kind: 'updated', pinned: first }],
    });
    expect(data(world).PASSWORD).toBe(base64('first'));
    expect(await world.sync()).toMatchObject({ summary: { unchanged: 2 } });
  });

  it('an immutable target is held by the brake, and is rolled back after a release', async () => {
    const more = immutable(true).replace('namespace: apps', 'namespaces: [apps, web]');
    const { world } = await history(THREE.slice(0, 1), { mappings: more, more: 'brake: { share: 1 }' });
    const first = changesOf(world)[0] ?? 0;
    world.store.put('db', db('second'), '2');
    await world.sync();
    // The brake counts deletions within a time window. In this window, two of two targets were deleted.
    const report = await rollBack(world, first, 'apps');
    expect(report).toMatchObject({ summary: { held: 1 }, held: [{ action: 'delete' }] });
    await using process = await world.start();
    await process.app.resolve();
    expect(await releaseHeld(process.app, report.held[0]?.id ?? '')).toMatchObject({ ok: true });
    expect(data(world).PASSWORD).toBe(base64('first'));
  });
});

describe('a merge into a Secret of another owner', () => {
  const MERGE = DB_ONLY.replace('namespace: apps', 'namespace: apps, mode: merge');

  it('a rollback of a merge pins only the merged keys, and later runs repair manual edits of these keys', async () => {
    const world = await openWorld({ mappings: MERGE });
    world.cluster.put(APPS_DB, { type: 'Opaque', data: { THEIRS: base64('theirs') } });
    for (const [index, text] of THREE.entries()) {
      world.store.put('db', text, String(index + 1));
      await world.sync();
    }
    const [first = 0] = changesOf(world);
    await rollBack(world, first);
    expect(data(world)).toMatchObject({ THEIRS: base64('theirs'), PASSWORD: base64('first') });
    expect(annotations(world)).not.toHaveProperty('secretbridge.dev/pin');
    expect(JSON.stringify(annotations(world))).toContain(`\\"pin\\":\\"${first}\\"`);
    const { length } = world.changes;
    expect(await world.sync()).toMatchObject({ targets: [{ kind: 'unchanged', pinned: first }] });
    expect(world.changes).toHaveLength(length);
    await unpin(world);
    expect(data(world)).toMatchObject({ THEIRS: base64('theirs'), PASSWORD: base64('third') });
  });
});

describe('rollback', () => {
  it('if a rollback crashes at any step, the next run follows the last pin record', async () => {
    let steps = 1;
    let pinned = 0;
    for (let at = 1; at <= steps; at += 1) {
      const { world, changes } = await history(THREE);
      const { watch, steps: seen } = crashAt(at);
      await using process = await world.start(watch);
      const end = await Promise.allSettled([
        rollBackLocally(process.app, { mapping: 'db', to: changes[0] ?? 0 }),
      ]);
      steps = Math.max(steps, seen.length + (end[0].status === 'rejected' ? 1 : 0));
      const isPinned = world.records.some(({ action, outcome }) => action === 'rollback' && outcome === 'ok');
      if (isPinned) pinned += 1;
      await world.sync();
      expect(data(world).PASSWORD).toBe(base64(isPinned ? 'first' : 'third'));
      expect(annotations(world)['secretbridge.dev/pin']).toBe(isPinned ? String(changes[0]) : undefined);
      expect(await world.sync()).toMatchObject({ summary: { unchanged: 1 } });
      expect(await world.chain()).toMatchObject({ kind: 'intact' });
    }
    expect([steps > 10, pinned > 4, pinned < steps - 4]).toEqual([true, true, true]);
  });

  it('a rollback during a run makes the write of the run fail with a conflict, and the run plans again', async () => {
    const { world, changes } = await history(THREE);
    world.store.put('db', db('fourth'), '4');
    let done = false;
    await world.sync(async ({ call, phase }) => {
      if (done || !call.includes('replace') || phase !== 'before') return;
      done = true;
      await rollBack(world, changes[0] ?? 0);
    });
    expect(done).toBe(true);
    expect(data(world).PASSWORD).toBe(base64('first'));
  });
});
