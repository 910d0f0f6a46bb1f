import { describe, expect, it } from 'vitest';
import { objectIn } from '../../src/cluster/json.ts';
import { type Rollback, rollBackLocally, unpinLocally } from '../../src/commands/rollback.ts';
import type { SyncReport } from '../../src/commands/sync.ts';
import { AppError } from '../../src/core/errors.ts';
import { APPS_DB, base64, DB_ONLY, openWorld, type World } from '../reconcile/world.ts';

const PASSWORDS = ['first', 'second', 'third'];

/**
 * Opens a world with a target whose source had three versions, one after the other. Also returns the records of the
 * three changes.
 */
async function openRotated(mappings = DB_ONLY): Promise<{ world: World; changes: readonly number[] }> {
  const world = await openWorld({ mappings });
  for (const [index, password] of PASSWORDS.entries()) {
    world.store.put('db', JSON.stringify({ user: 'ann', password }), String(index + 1));
    await world.sync();
  }
  const changes = world.records
    .filter(({ phase, action }) => phase === 'outcome' && (action === 'create' || action === 'update'))
    .map(({ sequence }) => sequence);
  return { world, changes };
}

async function rollback(world: World, to: number, more: Partial<Rollback> = {}): Promise<SyncReport> {
  await using process = await world.start();
  const report = await rollBackLocally(process.app, { mapping: 'db', to, ...more });
  if (typeof report === 'string') throw new Error(report);
  return report;
}

async function unpin(world: World, namespace?: string): Promise<SyncReport> {
  await using process = await world.start();
  const which = { mapping: 'db', ...(namespace === undefined ? {} : { namespace }) };
  const report = await unpinLocally(process.app, which);
  if (typeof report === 'string') throw new Error(report);
  return report;
}

const password = (world: World, id = APPS_DB) => objectIn(world.cluster.raw(id) ?? {}, 'data')?.PASSWORD;
const annotations = (world: World) =>
  objectIn(objectIn(world.cluster.raw(APPS_DB) ?? {}, 'metadata') ?? {}, 'annotations');

describe('rollback', () => {
  it('a rollback restores the recorded versions, and keeps them while the source changes', async () => {
    const { world, changes } = await openRotated();
    const [first = 0] = changes;
    expect(await rollback(world, first)).toMatchObject({ ok: true, summary: { updated: 1 } });
    expect(password(world)).toBe(base64('first'));
    expect(annotations(world)).toMatchObject({ 'secretbridge.dev/pin': String(first) });
    expect(world.store.reads.at(-1)).toBe('db@1');

    world.store.put('db', '{"user":"ann","password":"fourth"}', '4');
    const before = world.changes.length;
    expect(await world.sync()).toMatchObject({ summary: { unchanged: 1 }, targets: [{ pinned: first }] });
    expect(world.changes).toHaveLength(before);
    expect(password(world)).toBe(base64('first'));
  });

  it('a rollback records the versions, the actor and the change under one request id', async () => {
    const { world, changes } = await openRotated();
    const { length } = world.records;
    const { requestId } = await rollback(world, changes[1] ?? 0);
    expect(world.story(length)).toEqual([
      `command rollback db --to ${changes[1]} ok`,
      'rollback db ok',
      'update intent db ok',
      'update outcome db ok',
      'sweep ok',
    ]);
    expect(world.records[length + 1]).toMatchObject({
      requestId,
      actor: { kind: 'cli', name: 'ann' },
      mapping: 'db',
      ...APPS_DB,
      note: `to record ${changes[1]} vault@definiti`,
    });
    expect(world.records[length + 1]?.sources.map(({ version }) => version)).toEqual(['2', '2']);
    expect(world.records.slice(length).every((auditRecord) => auditRecord.requestId === requestId)).toBe(
      true,
    );
    expect(await world.chain()).toMatchObject({ kind: 'intact' });
  });

  it('a rollback changes and pins nothing if the store no longer has a version', async () => {
    const { world, changes } = await openRotated();
    world.store.purge('db', '1');
    const { length } = world.records;
    await expect(rollback(world, changes[0] ?? 0)).rejects.toMatchObject({ code: 'VERSION_GONE' });
    expect(password(world)).toBe(base64('third'));
    expect(world.story(length)).toContain('rollback db refused VERSION_GONE');
    expect(await world.sync()).toMatchObject({ summary: { unchanged: 1 } });
    expect(annotations(world)).not.toHaveProperty('secretbridge.dev/pin');
  });

  it('a sync keeps a pinned target and reports an error if the pinned version was removed', async () => {
    const { world, changes } = await openRotated();
    await rollback(world, changes[0] ?? 0);
    world.store.purge('db', '1');
    expect(await world.sync()).toMatchObject({
      summary: { failed: 1 },
      targets: [{ error: { code: 'VERSION_GONE' }, pinned: changes[0] }],
    });
    expect(password(world)).toBe(base64('first'));
  });

  it('a rollback changes no key if the target already has the recorded versions', async () => {
    const { world, changes } = await openRotated();
    const report = await rollback(world, changes[2] ?? 0);
    expect(report.targets[0]?.keys.map(({ action }) => action)).toEqual(['keep', 'keep']);
    expect(annotations(world)).toMatchObject({ 'secretbridge.dev/pin': String(changes[2]) });
    expect(world.records.findLast(({ phase }) => phase === 'outcome')?.action).toBe('update');
  });

  it('the last of several rollbacks determines the pin', async () => {
    const { world, changes } = await openRotated();
    await rollback(world, changes[0] ?? 0);
    await rollback(world, changes[1] ?? 0);
    expect(password(world)).toBe(base64('second'));
    expect(annotations(world)).toMatchObject({ 'secretbridge.dev/pin': String(changes[1]) });
  });

  it('a sync restores the pinned versions after a manual edit', async () => {
    const { world, changes } = await openRotated();
    await rollback(world, changes[0] ?? 0);
    world.cluster.edit(APPS_DB, (raw) => ({
      ...raw,
      data: { ...objectIn(raw, 'data'), PASSWORD: base64('by hand') },
    }));
    const { length } = world.records;
    await world.sync();
    expect(password(world)).toBe(base64('first'));
    expect(world.story(length)).toContain('repair outcome db ok');
  });

  it.each([
    ['that does not exist', () => 9_999, 'RECORD_MISSING'],
    ['of a command', () => 1, 'NOT_A_CHANGE'],
  ])('a rollback refuses a record %s', async (_, sequence, code) => {
    const { world } = await openRotated();
    await expect(rollback(world, sequence())).rejects.toMatchObject({ code });
    expect(world.records.some(({ action }) => action === 'rollback')).toBe(false);
  });

  it('a rollback requires a namespace if the mapping has several namespaces, and changes only that namespace', async () => {
    const { world, changes } = await openRotated(
      DB_ONLY.replace('namespace: apps', 'namespaces: [apps, web]'),
    );
    await using process = await world.start();
    expect(await rollBackLocally(process.app, { mapping: 'db', to: changes[0] ?? 0 })).toBe(
      'mapping db has several targets; choose one with the namespace: apps, web',
    );
    expect(await rollBackLocally(process.app, { mapping: 'db', to: 1, namespace: 'other' })).toMatch(
      /no target in that namespace: apps, web$/,
    );
    await rollback(world, changes[0] ?? 0, { namespace: 'web' });
    expect(password(world, { namespace: 'web', secret: 'db' })).toBe(base64('first'));
    expect(password(world)).toBe(base64('third'));
    expect(await unpin(world)).toMatchObject({ summary: { updated: 1 } });
    expect(password(world, { namespace: 'web', secret: 'db' })).toBe(base64('third'));
  });

  it('a rollback restores the keys that a search had found', async () => {
    const world = await openWorld({
      mappings: `
  - name: db
    target: { namespace: apps }
    dataFrom: [ { store: vault, find: { path: flags } } ]
`,
    });
    world.store.put('flags/a', 'a1', '1');
    world.store.put('flags/b', 'b1', '1');
    await world.sync();
    const change = world.records.findLast(({ phase }) => phase === 'outcome')?.sequence ?? 0;
    world.store.put('flags/a', 'a2', '2');
    world.store.put('flags/c', 'c1', '1');
    await world.sync();
    await rollback(world, change);
    expect(world.cluster.raw(APPS_DB)?.data).toEqual({ a: base64('a1'), b: base64('b1') });
    expect(await world.sync()).toMatchObject({ summary: { unchanged: 1 } });
    await unpin(world);
    expect(world.cluster.raw(APPS_DB)?.data).toEqual({ a: base64('a2'), b: base64('b1'), c: base64('c1') });
  });
});

describe('unpin', () => {
  it('an unpin lets the target follow its sources again', async () => {
    const { world, changes } = await openRotated();
    await rollback(world, changes[0] ?? 0);
    const { length } = world.records;
    expect(await unpin(world)).toMatchObject({ ok: true, summary: { updated: 1 } });
    expect(password(world)).toBe(base64('third'));
    expect(annotations(world)).not.toHaveProperty('secretbridge.dev/pin');
    expect(world.story(length)).toContain('unpin db ok');
    expect(await world.sync()).toMatchObject({ summary: { unchanged: 1 } });
  });

  it('an unpin reports why the namespaces could not be resolved', async () => {
    const world = await openWorld({
      mappings: `
  - name: db
    target: { namespaceSelector: { matchLabels: { team: a } } }
    data: { TOKEN: { store: vault, key: token } }`,
      cluster: { namespaces: { apps: { team: 'a' } } },
    });
    await world.sync();
    const away = () =>
      world.cluster.fail('namespaces', ...Array(3).fill(new AppError('CLUSTER_UNAVAILABLE')));
    await using process = await world.start();
    away();
    await expect(unpinLocally(process.app, { mapping: 'db' })).rejects.toMatchObject({
      code: 'CLUSTER_UNAVAILABLE',
    });
    away();
    await expect(rollBackLocally(process.app, { mapping: 'db', to: 1 })).rejects.toMatchObject({
      code: 'CLUSTER_UNAVAILABLE',
    });
  });

  it('an unpin reports that no target is pinned', async () => {
    const { world } = await openRotated();
    await expect(unpin(world)).rejects.toMatchObject({ code: 'NOT_PINNED' });
  });
});

describe('pin annotation', () => {
  it('a forged pin annotation pins nothing and is removed', async () => {
    const { world } = await openRotated();
    world.cluster.edit(APPS_DB, (raw) => {
      const metadata = objectIn(raw, 'metadata') ?? {};
      const all = { ...objectIn(metadata, 'annotations'), 'secretbridge.dev/pin': '4' };
      return { ...raw, metadata: { ...metadata, annotations: all } };
    });
    world.store.put('db', '{"user":"ann","password":"fourth"}', '4');
    expect(await world.sync()).toMatchObject({ summary: { updated: 1 } });
    expect(password(world)).toBe(base64('fourth'));
    expect(annotations(world)).not.toHaveProperty('secretbridge.dev/pin');
  });
});
