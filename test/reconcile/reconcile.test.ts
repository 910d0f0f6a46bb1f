import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import { APPS_DB, APPS_TOKEN, base64, DB_ONLY, openDb, openWorld, syncOnly } from './world.ts';

describe('target', () => {
  it('a target is created in the first run, and unchanged in the second', async () => {
    const world = await openDb();
    expect(await syncOnly(world)).toMatchObject({ kind: 'created', mapping: 'db', target: APPS_DB });
    expect(world.cluster.raw(APPS_DB)?.data).toEqual({ USER: base64('ann'), PASSWORD: base64('first') });
    expect(await syncOnly(world)).toMatchObject({ kind: 'unchanged' });
    expect(world.cluster.writes).toHaveLength(1);
  });

  it('a target is updated only in those keys whose sources have changed', async () => {
    const world = await openDb();
    await world.sync();
    world.store.put('db', '{"user":"ann","password":"second"}', '2');
    const outcome = await syncOnly(world);
    expect(outcome).toMatchObject({ kind: 'updated' });
    expect(outcome?.keys.map(({ name, action }) => `${action} ${name}`)).toEqual([
      'change PASSWORD',
      'keep USER',
    ]);
    expect(world.cluster.raw(APPS_DB)?.data).toEqual({ USER: base64('ann'), PASSWORD: base64('second') });
  });

  it('a target gets new annotations but no new data if a new version of the source has identical bytes', async () => {
    const world = await openDb();
    await world.sync();
    world.store.put('db', '{"user":"ann","password":"first"}', '2');
    const outcome = await syncOnly(world);
    expect(outcome).toMatchObject({ kind: 'updated' });
    expect(outcome?.keys.map(({ action }) => action)).toEqual(['keep', 'keep']);
    const [record] = world.records.filter(({ phase }) => phase === 'outcome').slice(-1);
    expect(record).toMatchObject({
      action: 'update',
      outcome: 'ok',
      keys: { added: [], changed: [], removed: [] },
    });
    expect(record?.sources.map(({ version }) => version)).toEqual(['2', '2']);
  });

  it('a target is refused and left unchanged if it does not belong to us', async () => {
    const world = await openDb();
    world.cluster.put(APPS_DB, { data: { theirs: base64('1') } });
    const before = world.cluster.raw(APPS_DB);
    expect(await syncOnly(world)).toMatchObject({ kind: 'refused', error: { code: 'NOT_OWNED' } });
    expect(world.cluster.raw(APPS_DB)).toEqual(before);
    expect(world.cluster.writes).toEqual([]);
  });

  it('a target is taken over with `onConflict: adopt`, and recorded as adopted', async () => {
    const world = await openWorld({ mappings: `${DB_ONLY}    onConflict: adopt\n` });
    world.cluster.put(APPS_DB, { data: { theirs: base64('1') } });
    expect(await syncOnly(world)).toMatchObject({ kind: 'updated' });
    expect(world.story(2)).toEqual(['adopt intent db ok', 'adopt outcome db ok', 'sweep ok']);
    const adopted = world.records.find(({ phase }) => phase === 'outcome');
    expect(adopted?.keys).toEqual({ added: ['PASSWORD', 'USER'], changed: [], removed: ['theirs'] });
  });

  it('a target is held if no key would be left', async () => {
    const world = await openWorld({
      mappings: `
  - name: db
    target: { namespace: apps }
    dataFrom: [ { store: vault, key: db } ]
`,
    });
    await world.sync();
    world.store.put('db', '{}', '2');
    const report = await world.sync();
    expect(report.targets[0]).toMatchObject({ kind: 'held', error: { code: 'HELD' } });
    expect(report.held).toMatchObject([{ mapping: 'db', ...APPS_DB, action: 'delete' }]);
    expect(world.cluster.raw(APPS_DB)?.data).toEqual({ user: base64('ann'), password: base64('first') });
    expect(world.story().slice(-2)).toEqual(['hold db held HELD', 'sweep failed']);
  });

  it('a target keeps its content and is reported as failed if its source fails', async () => {
    const world = await openDb();
    await world.sync();
    world.store.fail('db', new AppError('STORE_UNAVAILABLE'));
    expect(await syncOnly(world)).toMatchObject({ kind: 'failed', error: { code: 'STORE_UNAVAILABLE' } });
    expect(world.cluster.writes).toHaveLength(1);
  });

  it('a target is left unchanged if one of its two sources fails', async () => {
    const world = await openWorld();
    await world.sync();
    const before = world.cluster.raw(APPS_TOKEN);
    world.store.put('db', '{"user":"ann","password":"second"}', '2');
    world.store.fail('token', new AppError('ACCESS_DENIED'));
    const { targets } = await world.sync();
    expect(targets).toMatchObject([
      { kind: 'updated', target: APPS_DB },
      { kind: 'failed', target: APPS_TOKEN, error: { code: 'ACCESS_DENIED' } },
    ]);
    expect(world.cluster.raw(APPS_TOKEN)).toEqual(before);
  });

  it('a target fails if the Secret cannot be read', async () => {
    const world = await openDb();
    world.cluster.fail('read', new AppError('CLUSTER_UNAVAILABLE'));
    expect(await syncOnly(world)).toMatchObject({ kind: 'failed', error: { code: 'CLUSTER_UNAVAILABLE' } });
    expect(world.cluster.writes).toEqual([]);
  });
});
