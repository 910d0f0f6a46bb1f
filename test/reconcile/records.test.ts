import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import { APPS_DB, openDb, openWorld, syncOnly } from './world.ts';

describe('reads', () => {
  it('are made once for each key of a pass, however many mappings share it', async () => {
    const world = await openWorld();
    await world.sync();
    expect(world.store.reads.toSorted()).toEqual(['db', 'token']);
    expect(world.story().filter((line) => line.startsWith('read'))).toEqual([
      'read vault:db ok',
      'read vault:token ok',
    ]);
  });

  it('are on record before anything that they decide', async () => {
    const world = await openDb();
    await world.sync();
    expect(world.story()).toEqual([
      'command sync ok',
      'read vault:db ok',
      'create intent db ok',
      'create outcome db ok',
      'sweep ok',
    ]);
  });

  it('are recorded anew for a new version, also one with the same bytes, and not for a known one', async () => {
    const world = await openDb();
    await world.sync();
    const reads = async () =>
      world.records.filter(({ action }) => action === 'read').map(({ sources }) => sources[0]?.version);
    await world.sync();
    expect(await reads()).toEqual(['1']);
    world.store.put('db', '{"user":"ann","password":"first"}', '2');
    await world.sync();
    expect(await reads()).toEqual(['1', '2']);
    world.store.put('db', '{"user":"ann","password":"other"}', '2');
    await world.sync();
    expect(await reads()).toEqual(['1', '2', '2']);
  });

  it('that fail are on record when the failure begins, when it changes and when it ends', async () => {
    const world = await openDb();
    await world.sync();
    const { length } = world.records;
    world.store.fail('db', new AppError('STORE_UNAVAILABLE'));
    await world.sync();
    await world.sync();
    world.store.fail('db', new AppError('ACCESS_DENIED'));
    await world.sync();
    await world.sync();
    world.store.put('db', '{"user":"ann","password":"first"}');
    await world.sync();
    await world.sync();
    expect(world.story(length)).toEqual([
      ...['command sync ok', 'read vault:db failed STORE_UNAVAILABLE', 'refuse db failed STORE_UNAVAILABLE'],
      ...['sweep failed', 'command sync ok', 'sweep failed'],
      ...['command sync ok', 'read vault:db failed ACCESS_DENIED', 'refuse db failed ACCESS_DENIED'],
      ...['sweep failed', 'command sync ok', 'sweep failed'],
      ...['command sync ok', 'read vault:db ok', 'sweep db ok', 'sweep ok', 'command sync ok', 'sweep ok'],
    ]);
  });

  it('of an absence are all recorded, since they count towards its proof', async () => {
    const world = await openDb();
    await world.sync();
    const { length } = world.records;
    world.store.absent('db');
    expect(await syncOnly(world)).toMatchObject({ kind: 'failed', error: { code: 'SOURCE_ABSENT' } });
    await world.sync();
    expect(world.story(length).filter((line) => line.startsWith('read'))).toEqual([
      'read vault:db failed SOURCE_ABSENT',
      'read vault:db failed SOURCE_ABSENT',
    ]);
    expect(world.cluster.writes).toHaveLength(1);
  });
});

describe('the record of a pass', () => {
  it('without a change is its command and its sweep, and no request that writes', async () => {
    const world = await openWorld();
    await world.sync();
    const { length } = world.records;
    await world.sync();
    expect(world.story(length)).toEqual(['command sync ok', 'sweep ok']);
    expect(world.records.at(-1)?.counts).toMatchObject({ targets: 2, unchanged: 2, updated: 0 });
    expect(world.cluster.calls).toMatchObject({ create: 2, replace: 0 });
  });

  it('names who, why, before, after and the version that the change left', async () => {
    const world = await openDb();
    await world.sync();
    world.store.put('db', '{"user":"bob","password":"first"}', '2');
    await world.sync();
    const changes = world.records.filter(({ action }) => action === 'update');
    const { resourceVersion } = (await world.cluster.read(APPS_DB)) ?? {};
    expect(changes).toMatchObject([
      { phase: 'intent', resourceVersion: '1' },
      { phase: 'outcome', resourceVersion },
    ]);
    for (const change of changes)
      expect(change).toMatchObject({
        actor: { kind: 'cli', name: 'ann' },
        instance: 'prod',
        mapping: 'db',
        namespace: 'apps',
        secret: 'db',
        keys: { added: [], changed: ['USER'], removed: [] },
        sources: [
          { store: 'vault', key: 'db', property: 'user', version: '2' },
          { store: 'vault', key: 'db', property: 'password', version: '2' },
        ],
      });
    const created = world.records.find(({ action }) => action === 'create');
    expect(changes[0]?.before).toBe(created?.after);
    expect(changes[0]?.after).not.toBe(changes[0]?.before);
  });

  it('tells a refusal once, and its end', async () => {
    const world = await openDb();
    world.cluster.put(APPS_DB, { data: {} });
    await world.sync();
    const { length } = world.records;
    await world.sync();
    expect(world.story(length)).toEqual(['command sync ok', 'sweep failed']);
    world.cluster.forget(APPS_DB);
    await world.sync();
    await world.sync();
    expect(world.story(length + 2)).toEqual([
      ...['command sync ok', 'create intent db ok', 'create outcome db ok', 'sweep ok'],
      ...['command sync ok', 'sweep ok'],
    ]);
  });
});
