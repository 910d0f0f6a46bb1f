import { describe, expect, it } from 'vitest';
import { objectIn } from '../../src/cluster/json.ts';
import { explainMapping } from '../../src/commands/explain/explain.ts';
import { planTargets } from '../../src/commands/plan.ts';
import { pruneOrphans } from '../../src/commands/prune.ts';
import { releaseHeld } from '../../src/commands/release.ts';
import { rollBackLocally, unpinLocally } from '../../src/commands/rollback.ts';
import { AppError } from '../../src/core/errors.ts';
import { failing } from '../fakes/faulty.ts';
import { almostProve, exists, MINUTE, mappingsOf, NAMES, synced } from '../reconcile/destruction.ts';
import { APPS_DB, base64, DB_ONLY, openWorld, type World } from '../reconcile/world.ts';

const HOUR = 60 * MINUTE;
// The worlds begin at 8:00 UTC.
const windows = (more = '', allow = '0 22 * * *') =>
  `windows: [ { namespaces: [apps], allow: '${allow}', for: 1h, timeZone: UTC${more} } ]`;
const OPEN = windows('', '* * * * *');

const password = (world: World) => objectIn(world.cluster.raw(APPS_DB) ?? {}, 'data')?.PASSWORD;
const put = (world: World, text: string, version: string) =>
  world.store.put('db', JSON.stringify({ user: 'ann', password: text }), version);
const lastCommand = (world: World) => world.records.findLast(({ action }) => action === 'command');
const only = async (world: World) => (await world.sync()).targets[0];

describe('change windows', () => {
  it('a first sync does not wait, and a new value waits until the window opens, with one record', async () => {
    const world = await openWorld({ mappings: DB_ONLY, more: windows() });
    expect(await only(world)).toMatchObject({ kind: 'created' });
    put(world, 'second', '2');
    const report = await world.sync();
    expect(report).toMatchObject({ ok: true, summary: { waiting: 1, failed: 0 } });
    expect(report.targets[0]).toMatchObject({
      kind: 'waiting',
      error: { code: 'OUTSIDE_WINDOW', retryAfterMs: 14 * HOUR, detail: 'it opens at 2027-01-15T22:00:00Z' },
    });
    await world.sync();
    expect(world.records.filter(({ code }) => code === 'OUTSIDE_WINDOW')).toHaveLength(1);
    expect(password(world)).toBe(base64('first'));
    {
      await using process = await world.start();
      const { targets } = await planTargets(process.app);
      expect(targets).toMatchObject([{ action: 'update', error: { code: 'OUTSIDE_WINDOW' } }]);
      expect(await explainMapping(process.app, 'db')).toMatchObject([
        { state: 'waiting', error: { code: 'OUTSIDE_WINDOW' } },
      ]);
    }
    await world.clock.advance(14 * HOUR - 1);
    expect(await only(world)).toMatchObject({ kind: 'waiting' });
    await world.clock.advance(1);
    expect(await only(world)).toMatchObject({ kind: 'updated' });
    expect(password(world)).toBe(base64('second'));
  });

  it('a repair and a rollback do not wait, an unpin does, and `all` makes all of them wait', async () => {
    for (const [more, kind] of [
      ['', 'updated'],
      [', all: true', 'waiting'],
    ] as const) {
      const world = await openWorld({ mappings: DB_ONLY, more: OPEN });
      await world.sync();
      put(world, 'second', '2');
      await world.sync();
      const to =
        world.records.find(({ action, phase }) => action === 'create' && phase === 'outcome')?.sequence ?? 0;
      await world.configure(DB_ONLY, windows(more));
      world.cluster.edit(APPS_DB, (raw) => ({ ...raw, data: { PASSWORD: base64('by hand') } }));
      expect(await only(world), more).toMatchObject({ kind });
      await using process = await world.start();
      const report = await rollBackLocally(process.app, { mapping: 'db', to });
      expect(report).toMatchObject({ targets: [{ kind }] });
      expect(await unpinLocally(process.app, { mapping: 'db' })).toMatchObject({
        targets: [{ kind: 'waiting' }],
      });
      expect(password(world)).toBe(base64(more === '' ? 'first' : 'by hand'));
    }
  });

  it('after the rollback itself, changes of a pinned target wait, and repairs do not', async () => {
    const world = await openWorld({ mappings: DB_ONLY, more: windows() });
    await world.sync();
    put(world, 'second', '2');
    await world.sync(undefined, { override: { reason: 'test' } });
    const to =
      world.records.find(({ action, phase }) => action === 'create' && phase === 'outcome')?.sequence ?? 0;
    {
      await using process = await world.start();
      expect(await rollBackLocally(process.app, { mapping: 'db', to })).toMatchObject({
        targets: [{ kind: 'updated' }],
      });
    }
    const labels = DB_ONLY.replace('target: {', 'target: { labels: { team: a },');
    await world.configure(labels, windows());
    expect(await only(world)).toMatchObject({ kind: 'waiting', error: { code: 'OUTSIDE_WINDOW' } });
    {
      await using process = await world.start();
      const { targets } = await planTargets(process.app);
      expect(targets).toMatchObject([{ action: 'update', error: { code: 'OUTSIDE_WINDOW' } }]);
    }
    await world.configure(DB_ONLY, windows());
    expect(await only(world)).toMatchObject({ kind: 'unchanged' });
    world.cluster.edit(APPS_DB, (raw) => ({ ...raw, data: { PASSWORD: base64('by hand') } }));
    expect(await only(world)).toMatchObject({ kind: 'updated' });
    expect(password(world)).toBe(base64('first'));
  });

  it('after a second rollback to the same record, which changes nothing, changes of the target wait', async () => {
    const world = await openWorld({ mappings: DB_ONLY, more: windows() });
    await world.sync();
    const written = world.records.findLast(({ phase, outcome }) => phase === 'outcome' && outcome === 'ok');
    for (const kind of ['updated', 'unchanged']) {
      await using process = await world.start();
      const report = await rollBackLocally(process.app, { mapping: 'db', to: written?.sequence ?? 0 });
      expect(report).toMatchObject({ targets: [{ kind }] });
    }
    await world.configure(DB_ONLY.replace('target: {', 'target: { labels: { team: a },'), windows());
    expect(await only(world)).toMatchObject({ kind: 'waiting', error: { code: 'OUTSIDE_WINDOW' } });
  });

  it('a rollback that fails at first does not wait when it is tried again', async () => {
    const world = await openWorld({ mappings: DB_ONLY, more: windows() });
    await world.sync();
    put(world, 'second', '2');
    await world.sync(undefined, { override: { reason: 'test' } });
    const to =
      world.records.find(({ action, phase }) => action === 'create' && phase === 'outcome')?.sequence ?? 0;
    {
      const down = failing('cluster.replace', new AppError('CLUSTER_UNAVAILABLE'));
      await using process = await world.start(down);
      await rollBackLocally(process.app, { mapping: 'db', to });
    }
    expect(password(world)).toBe(base64('second'));
    expect(await only(world)).toMatchObject({ kind: 'updated' });
    expect(password(world)).toBe(base64('first'));
  });

  it('a rollback to a record of another target waits, because this target may never have had these versions', async () => {
    const world = await openWorld({
      mappings: DB_ONLY.replace('namespace: apps', 'namespaces: [apps, prod]'),
      more: windows(),
    });
    await world.sync();
    put(world, 'second', '2');
    await world.sync();
    const to = world.records.findLast(({ action, namespace }) => action === 'update' && namespace === 'prod');
    await using process = await world.start();
    const rollback = rollBackLocally(process.app, {
      mapping: 'db',
      namespace: 'apps',
      to: to?.sequence ?? 0,
    });
    await expect(rollback).rejects.toMatchObject({ code: 'OUTSIDE_WINDOW' });
    expect(lastCommand(world)).toMatchObject({ outcome: 'refused', code: 'OUTSIDE_WINDOW' });
    expect(password(world)).toBe(base64('first'));
  });

  it('deletions, releases and prunes wait', async () => {
    const world = await synced(NAMES, 'onSourceMissing: delete', windows());
    world.store.absent('one');
    await almostProve(world);
    expect(await world.sync()).toMatchObject({ ok: true, summary: { waiting: 1, deleted: 0, held: 0 } });
    expect(exists(world, 'one')).toBe(true);
    {
      await using process = await world.start();
      expect((await planTargets(process.app)).targets[0]).toMatchObject({
        action: 'delete',
        error: { code: 'OUTSIDE_WINDOW' },
      });
    }
    await world.configure(mappingsOf(['two', 'three'], 'onSourceMissing: keep'), windows());
    await using process = await world.start();
    expect(await pruneOrphans(process.app)).toMatchObject({ summary: { waiting: 1, deleted: 0 } });
    expect(lastCommand(world)).toMatchObject({ note: 'prune', outcome: 'refused', code: 'OUTSIDE_WINDOW' });
    expect(exists(world, 'one')).toBe(true);
    await world.clock.advance(14 * HOUR);
    expect(await pruneOrphans(process.app)).toMatchObject({ summary: { deleted: 1 } });
  });

  it('the release of a held deletion waits', async () => {
    const world = await synced(NAMES, 'onSourceMissing: delete', OPEN);
    for (const name of ['one', 'two']) world.store.absent(name);
    await almostProve(world);
    const [held] = (await world.sync()).held;
    await world.configure(mappingsOf(NAMES, 'onSourceMissing: delete'), windows());
    await using process = await world.start();
    await expect(releaseHeld(process.app, held?.id ?? '')).rejects.toMatchObject({ code: 'OUTSIDE_WINDOW' });
    expect(exists(world, held?.secret ?? '')).toBe(true);
    expect(lastCommand(world)).toMatchObject({ outcome: 'refused', code: 'OUTSIDE_WINDOW' });
  });

  it('an override makes the change, and the command is recorded with its reason and flagged', async () => {
    const world = await openWorld({ mappings: DB_ONLY, more: windows() });
    await world.sync();
    put(world, 'second', '2');
    expect(await world.sync(undefined, { override: { reason: 'leaked' } })).toMatchObject({
      summary: { updated: 1 },
    });
    expect(password(world)).toBe(base64('second'));
    const command = world.records.find(({ note }) => note?.includes('--override'));
    expect(command).toMatchObject({ action: 'command', note: 'sync --override --reason "leaked"' });
    expect(world.records).toContainEqual(
      expect.objectContaining({
        ...{ action: 'review', note: 'leaked' },
        review: { sequence: command?.sequence, state: 'flagged' },
      }),
    );
    put(world, 'third', '3');
    expect(await only(world)).toMatchObject({ kind: 'waiting' });
  });
});
