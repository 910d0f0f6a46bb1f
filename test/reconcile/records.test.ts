import { describe, expect, it } from 'vitest';
import { NO_KEYS } from '../../src/audit/entry.ts';
import type { AuditStore } from '../../src/audit/store.ts';
import { AppError } from '../../src/core/errors.ts';
import { createFingerprinter } from '../../src/core/fingerprint.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import { AuditRecorder } from '../../src/reconcile/audit-recorder.ts';
import { valuesOf } from '../../src/reconcile/change.ts';
import { createReadDeduplication } from '../../src/reconcile/read-deduplication.ts';
import { createMemoryAudit } from '../fakes/memory-audit.ts';
import { mapping, source } from '../sync/sample.ts';
import { APPS_DB, base64, DB_ONLY, openDb, openWorld, syncOnly, type World } from './world.ts';

const prints = createFingerprinter(SecretValue.fromBytes(new Uint8Array(32).fill(7)));

/** Starts a process that has not read anything yet. */
const recorderOf = (audit: AuditStore) =>
  new AuditRecorder({
    audit,
    actor: { kind: 'schedule' },
    requestId: 'r',
    fingerprints: prints,
    stores: new Map(),
    instances: ['test'],
    clock: { now: () => 0 },
    readDeduplication: createReadDeduplication(async () => undefined),
  });

describe('reads of sources', () => {
  it('each source is read and recorded once per run, even if several mappings use it', async () => {
    const world = await openWorld();
    await world.sync();
    expect(world.store.reads.toSorted()).toEqual(['db', 'token']);
    expect(world.story().filter((line) => line.startsWith('read'))).toEqual([
      'read vault:db ok',
      'read vault:token ok',
    ]);
  });

  it('every read of a source is recorded before the decisions that are based on that read', async () => {
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

  it('a read of a source is recorded for each new version, even with identical bytes, but not for a known version', async () => {
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

  it('a failed read marks the source as failing until a later successful read is recorded', async () => {
    const audit = createMemoryAudit();
    const recorder = recorderOf(audit);
    const ref = { store: 'vault', ref: { key: 'db' } };
    const value = { kind: 'found', value: SecretValue.fromText('x'), version: '1' } as const;
    const isRecorded = async () => (await recorder.read(ref, value))?.durable;
    await isRecorded();
    expect(await recorder.isFailing(ref)).toBe(false);
    await recorder.read(ref, { kind: 'failed', error: new AppError('THROTTLED') });
    expect(await recorder.isFailing(ref)).toBe(true);
    audit.failure = new AppError('AUDIT_UNAVAILABLE');
    await expect(isRecorded()).rejects.toThrow(AppError);
    expect(await recorder.isFailing(ref)).toBe(true);
    audit.failure = undefined;
    await isRecorded();
    expect(await recorder.isFailing(ref)).toBe(false);
    await recorder.read(ref, { kind: 'absent' });
    expect(await recorder.isFailing(ref)).toBe(false);
    expect(audit.records.map(({ outcome }) => outcome)).toEqual(['ok', 'failed', 'ok', 'failed']);
  });

  it('a held change is recorded a second time only if its keys or its reason change', async () => {
    const audit = createMemoryAudit();
    const held = (name: string, note?: string) =>
      recorderOf(audit).recordFailure('db', APPS_DB, {
        kind: 'held',
        error: new AppError('HELD'),
        keys: [{ name, action: 'remove' }],
        note,
      });
    for (const name of ['a', 'a', 'b', 'b']) await held(name);
    for (const note of ['by prune', 'by prune']) await held('b', note);
    expect(audit.records.map(({ keys, note }) => [...keys.removed, note])).toEqual([
      ['a', undefined],
      ['b', undefined],
      ['b', 'by prune'],
    ]);
  });

  it('a source that is marked as failing is still marked in the next process', async () => {
    const audit = createMemoryAudit();
    const [a, b] = ['a', 'b'].map((key) => ({ store: 'vault', ref: { key } }));
    if (a === undefined || b === undefined) throw new Error('none');
    const before = recorderOf(audit);
    const value = { kind: 'found', value: SecretValue.fromText('x'), version: '1' } as const;
    for (const ref of [a, b]) await (await before.read(ref, value))?.durable;
    await before.read(a, { kind: 'failed', error: new AppError('TIMEOUT') });
    const after = recorderOf(audit);
    expect([await after.isFailing(a), await after.isFailing(b)]).toEqual([true, false]);
    await (await after.read(a, value))?.durable;
    expect(await after.isFailing(a)).toBe(false);
    expect(audit.records.map(({ key, outcome }) => `${key} ${outcome}`)).toEqual([
      'a ok',
      'b ok',
      'a failed',
      'a ok',
    ]);
  });

  it('a failure to read a source is recorded when the failure begins, changes and ends', async () => {
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

  it('a read of a version that is named in a mapping is recorded separately from a read of the current version', async () => {
    const of = (secret: string, version?: string) =>
      mapping({
        name: secret,
        target: { secret },
        data: { A: source({ key: 'k', ...(version && { version }) }) },
      });
    const world = await openWorld({ mappings: [of('now'), of('then', '1')] });
    world.store.put('k', 'one', '1');
    world.store.put('k', 'two', '2');
    const reads = () => world.story().filter((line) => line.startsWith('read '));
    await world.sync();
    expect(reads()).toEqual(['read vault:k ok', 'read vault:k ok']);
    world.store.purge('k', '1');
    for (const _ of [1, 2, 3]) await world.sync();
    expect(reads().slice(2)).toEqual(['read vault:k failed VERSION_GONE']);
    expect(world.records.findLast(({ action }) => action === 'read')?.sources).toEqual([
      { store: 'vault', key: 'k', version: '1' },
    ]);
    world.store.fail('k', new AppError('ACCESS_DENIED'));
    for (const _ of [1, 2]) await world.sync();
    expect(reads().slice(3)).toEqual(['read vault:k failed ACCESS_DENIED']);
    world.store.put('k', 'one', '1');
    world.store.put('k', 'two', '2');
    for (const _ of [1, 2]) await world.sync();
    expect(reads().slice(4)).toEqual(['read vault:k ok', 'read vault:k ok']);
  });

  it('each read that finds a key absent is recorded, because each such read counts toward the proof of absence', async () => {
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

describe('records of a run', () => {
  it('the records of a run contain only the command and the sweep if nothing changes, and no write request is sent', async () => {
    const world = await openWorld();
    await world.sync();
    const { length } = world.records;
    await world.sync();
    expect(world.story(length)).toEqual(['command sync ok', 'sweep ok']);
    expect(world.records.at(-1)?.counts).toMatchObject({ targets: 2, unchanged: 2, updated: 0 });
    expect(world.cluster.calls).toMatchObject({ create: 2, replace: 0 });
  });

  it('the records of a run contain the actor, the reason, the content before and after the change, and the resource version', async () => {
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

  it('the records of a run contain the start and the end of a refusal only once each', async () => {
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

describe('fingerprints in the record of a change', () => {
  const print = (text: string): string => prints.value(SecretValue.fromText(text));
  const valuesBy = (world: World, action: string) =>
    world.records.filter((record) => record.action === action).map(({ values }) => values);

  it('fingerprints in the record of a change include every key of a new target, and are equal for equal values in different targets', async () => {
    const world = await openWorld();
    await world.sync();
    const made = Map.groupBy(
      world.records.filter(({ action }) => action === 'create'),
      ({ secret }) => secret,
    );
    const valuesOfSecret = (secret: string) => made.get(secret)?.map(({ values }) => values);
    const db = { PASSWORD: print('first'), USER: print('ann') };
    const token = { PASSWORD: print('first'), TOKEN: print('tok') };
    expect([valuesOfSecret('db'), valuesOfSecret('token')]).toEqual([
      [db, db],
      [token, token],
    ]);
    expect(JSON.stringify(world.records)).not.toContain('first');
  });

  it('fingerprints in the record of a change include added and changed keys, but no removed keys', async () => {
    const world = await openDb();
    await world.sync();
    world.store.put('db', '{"user":"bob","password":"first","port":5432}', '2');
    await world.configure(`
  - name: db
    target: { namespace: apps }
    data:
      USER: { store: vault, key: db, property: user }
      PORT: { store: vault, key: db, property: port }
`);
    await world.sync();
    const given = { PORT: print('5432'), USER: print('bob') };
    expect(valuesBy(world, 'update')).toEqual([given, given]);
  });

  it('fingerprints in the record of a change are absent if no key changes', async () => {
    const world = await openDb();
    await world.sync();
    world.store.put('db', '{"user":"ann","password":"first"}', '2');
    await world.sync();
    expect(valuesBy(world, 'update')).toEqual([undefined, undefined]);
  });

  it('fingerprints in the record of a change include the values that a repair restored', async () => {
    const world = await openDb();
    await world.sync();
    world.cluster.edit(APPS_DB, (raw) => ({
      ...raw,
      data: { USER: base64('eve'), PASSWORD: base64('first') },
    }));
    await world.sync();
    expect(valuesBy(world, 'repair')).toEqual([{ USER: print('ann') }, { USER: print('ann') }]);
  });

  it('fingerprints in the record of a change include unchanged values if a target is adopted', async () => {
    const world = await openWorld({ mappings: DB_ONLY.replace('apps }', 'apps }\n    onConflict: adopt') });
    world.cluster.put(APPS_DB, { data: { USER: base64('ann'), PASSWORD: base64('other') } });
    await world.sync();
    const all = { PASSWORD: print('first'), USER: print('ann') };
    expect(valuesBy(world, 'adopt')).toEqual([all, all]);
  });

  it('fingerprints in the record of a change include only our own keys if the Secret is foreign', async () => {
    const mode = DB_ONLY.replace('apps }', 'apps, mode: merge }');
    const world = await openWorld({ mappings: mode });
    world.cluster.put(APPS_DB, { data: { THEIRS: base64('x') } });
    await world.sync();
    const ours = { PASSWORD: print('first'), USER: print('ann') };
    expect(valuesBy(world, 'update')).toEqual([ours, ours]);
  });

  it('fingerprints in the record of a change are limited to the 500 keys whose names sort first, and the record counts the omitted keys', () => {
    const keys = Array.from({ length: 501 }, (_, n) => ({
      name: `k${n}`,
      action: 'add' as const,
      after: print(String(n)),
    }));
    const { values, counts } = valuesOf(keys, true);
    expect(Object.keys(values ?? {})).toEqual(keys.slice(0, 500).map(({ name }) => name));
    expect(counts).toEqual({ valuesLeftOut: 1 });
    expect(valuesOf(keys.slice(1), true)).not.toHaveProperty('counts');
    expect(valuesOf([{ name: 'k', action: 'remove', before: print('x') }], true)).toEqual({});
  });
});

describe('query for the last write of a target', () => {
  it('the query for the last write of a target finds the write even if it was pruned or many other records follow', async () => {
    const world = await openDb();
    await world.sync();
    {
      await using process = await world.start();
      const { audit } = process.app;
      await audit.append(
        Array.from({ length: 150 }, (_, n) => ({
          actor: { kind: 'cli' as const },
          requestId: `r${n}`,
          action: 'unpin' as const,
          mapping: 'db',
          ...APPS_DB,
          outcome: 'ok' as const,
          sources: [],
          keys: NO_KEYS,
          durationMs: 0,
          attempt: 1,
        })),
      );
      await audit.prune(await audit.head());
    }
    world.cluster.forget(APPS_DB);
    await world.sync();
    expect(world.story().filter((line) => line.startsWith('repair'))).toHaveLength(2);
  });

  it('the query for the last write of a target returns nothing after a deletion, and ignores failed writes and other instances', async () => {
    await using audit = createMemoryAudit({ instance: 'prod' });
    const change = {
      actor: { kind: 'cli' as const },
      requestId: 'r',
      mapping: 'db',
      ...APPS_DB,
      sources: [],
      keys: NO_KEYS,
      durationMs: 0,
      attempt: 1,
    };
    const deps = { actor: change.actor, requestId: 'r', fingerprints: prints, stores: new Map() };
    const last = async (log: typeof audit, instances: readonly string[]) =>
      (
        await new AuditRecorder({ ...deps, instances, audit: log, clock: { now: () => 0 } }).lastWrite(
          'db',
          APPS_DB,
        )
      )?.sequence;
    await audit.append([
      { ...change, action: 'create', phase: 'intent', outcome: 'ok' },
      { ...change, action: 'create', phase: 'outcome', outcome: 'ok' },
      { ...change, action: 'update', phase: 'intent', outcome: 'ok' },
      { ...change, action: 'update', phase: 'outcome', outcome: 'failed', code: 'CONFLICT' },
    ]);
    expect(await last(audit, ['prod'])).toBe(2);
    expect(await last(audit, ['other', 'prod'])).toBe(2);
    expect(await last(audit, ['other'])).toBeUndefined();
    await audit.append([{ ...change, action: 'delete', phase: 'outcome', outcome: 'ok' }]);
    expect(await last(audit, ['prod'])).toBeUndefined();
  });
});

describe('refusal', () => {
  it('the record of a refusal names the source that caused the refusal, unless the target itself was the cause', async () => {
    const world = await openDb();
    await world.sync();
    const last = () => world.records.findLast(({ action }) => action === 'refuse');
    world.store.put('db', '{"user":"ann"}', '2');
    await world.sync();
    expect(last()).toMatchObject({
      code: 'PROPERTY_MISSING',
      note: 'store vault, key db, property password',
    });
    world.store.absent('db');
    await world.sync();
    expect(last()).toMatchObject({
      code: 'SOURCE_ABSENT',
      note: expect.stringMatching(/^store vault, key db,/),
    });
    world.store.put('db', '{"user":"ann","password":"third"}', '3');
    await world.sync();
    world.cluster.put(APPS_DB, { data: {} });
    await world.sync();
    expect(last()).toMatchObject({ code: 'NOT_OWNED' });
    expect(last()).not.toHaveProperty('note');
  });
});
