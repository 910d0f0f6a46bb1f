import { describe, expect, it } from 'vitest';
import { objectIn } from '../../src/cluster/json.ts';
import { AppError } from '../../src/core/errors.ts';
import { recoverIntents } from '../../src/reconcile/recover.ts';
import { verifyWrite } from '../../src/reconcile/write-verification.ts';
import { failing, type Step } from '../fakes/faulty.ts';
import { APPS_DB, base64, DB_ONLY, openDb, openWorld, syncOnly, type World } from './world.ts';

const dead = new AppError('AUDIT_UNAVAILABLE');

/** Drops every record from the outcome on, although the write succeeds. */
const afterTheWrite = ({ call, phase, args }: Step) => {
  const [entry] = call === 'audit.append' ? (args[0] as { phase?: string }[]) : [];
  if (phase === 'before' && entry?.phase === 'outcome') throw dead;
};

async function crash(world: World, watch: (step: Step) => void | Promise<void>): Promise<void> {
  await expect(world.sync(watch)).rejects.toBe(dead);
}

/** Recovers the open intents, as every process does first. */
async function recover(world: World, watch?: (step: Step) => void | Promise<void>): Promise<number> {
  await using process = await world.start(watch);
  return await recoverIntents(process.app);
}

describe('open intent after a crash', () => {
  it('is closed as applied if the cluster contains its content', async () => {
    const world = await openDb();
    await crash(world, afterTheWrite);
    expect(await recover(world)).toBe(1);
    expect(world.records.at(-1)).toMatchObject({
      actor: { kind: 'startup' },
      requestId: 'request-1',
      phase: 'outcome',
      action: 'create',
      outcome: 'ok',
      resourceVersion: '1',
      note: 'found after a crash',
      keys: { added: ['PASSWORD', 'USER'] },
    });
    expect(await recover(world)).toBe(0);
  });

  it('stays open if another instance wrote it, because that instance may use another cluster', async () => {
    const world = await openDb();
    await crash(world, afterTheWrite);
    await using process = await world.start();
    expect(await recoverIntents({ ...process.app, instances: ['other'] })).toBe(0);
    expect(world.records.at(-1)).toMatchObject({ phase: 'intent' });
    expect(await recoverIntents({ ...process.app, instances: ['other', 'prod'] })).toBe(1);
  });

  it('is closed once even if two processes recover it concurrently', async () => {
    const world = await openDb();
    await crash(world, afterTheWrite);
    const closed = await Promise.all([recover(world), recover(world)]);
    expect(closed.toSorted()).toEqual([0, 1]);
    expect(world.records.filter(({ phase }) => phase === 'outcome')).toHaveLength(1);
  });

  it('is closed as INTERRUPTED if the cluster does not contain its content', async () => {
    const world = await openDb();
    await crash(world, failing('cluster.create', dead));
    expect(await recover(world)).toBe(1);
    expect(world.records.at(-1)).toMatchObject({ phase: 'outcome', outcome: 'failed', code: 'INTERRUPTED' });
    expect(world.records.at(-1)).not.toHaveProperty('resourceVersion');
  });

  it('is closed as applied if only finalizers keep the deleted Secret', async () => {
    const world = await openDb();
    await world.sync();
    const live = await world.cluster.read(APPS_DB);
    if (live === undefined) throw new Error('it was not made');
    const { uid } = live;
    const change = { action: 'delete', mapping: 'db', target: APPS_DB, sources: [], uid } as const;
    const calls = (now: object) => verifyWrite(change, { read: async () => ({ ...live, ...now }) });
    expect(await calls({ deleting: true })).toEqual({ kind: 'applied' });
    expect(await calls({ deleting: false })).toEqual({ kind: 'absent' });
    // Somebody has created another Secret with this name.
    expect(await calls({ uid: 'another' })).toEqual({ kind: 'applied' });
  });

  it('is skipped after several reads without an answer, because each read takes a timeout', async () => {
    const world = await openDb();
    await crash(world, failing('cluster.create', dead));
    await using process = await world.start();
    const [intent] = await process.app.audit.unresolvedIntents();
    if (intent === undefined) throw new Error('no intent is open');
    const intents = Array.from({ length: 128 }, (_, number) => ({ ...intent, sequence: number + 1 }));
    const audit = { ...process.app.audit, unresolvedIntents: async () => intents };
    let reads = 0;
    const read = async () => {
      reads += 1;
      throw new AppError('CLUSTER_UNAVAILABLE');
    };
    expect(await recoverIntents({ ...process.app, audit, cluster: { read } })).toBe(0);
    expect(reads).toBeLessThanOrEqual(3);
  });

  it('of an annotation-only change is closed as applied only if the change was written', async () => {
    for (const [watch, outcome] of [
      [afterTheWrite, 'ok'],
      [failing('cluster.replace', dead), 'failed'],
    ] as const) {
      const world = await openDb();
      await world.sync();
      world.store.put('db', '{"user":"ann","password":"first"}', '2');
      await crash(world, watch);
      expect(await recover(world)).toBe(1);
      expect(world.records.at(-1)).toMatchObject({ action: 'update', phase: 'outcome', outcome });
    }
  });

  it('is INTERRUPTED if somebody else wrote the Secret', async () => {
    const world = await openDb();
    await world.sync();
    world.store.put('db', '{"user":"ann","password":"second"}', '2');
    await crash(world, failing('cluster.replace', dead));
    world.cluster.edit(APPS_DB, (raw) => ({ ...raw, data: { USER: base64('by hand') } }));
    await recover(world);
    expect(world.records.at(-1)).toMatchObject({ outcome: 'failed', code: 'INTERRUPTED' });
  });

  it('is INTERRUPTED if the Secret is missing', async () => {
    const world = await openDb();
    await crash(world, afterTheWrite);
    world.cluster.forget(APPS_DB);
    await recover(world);
    expect(world.records.at(-1)).toMatchObject({ outcome: 'failed', code: 'INTERRUPTED' });
    expect(await syncOnly(world)).toMatchObject({ kind: 'created' });
  });

  it('is INTERRUPTED if a later change wrote the same content, so that the write is recorded once', async () => {
    const world = await openDb();
    await crash(world, failing('cluster.create', dead));
    // Simulates another replica that runs before the recovery of the open intents.
    world.cluster.fail('read', new AppError('CLUSTER_UNAVAILABLE'));
    expect(await syncOnly(world)).toMatchObject({ kind: 'created' });
    expect(await recover(world)).toBe(1);
    const outcomes = world.records.filter(({ phase }) => phase === 'outcome');
    expect(outcomes).toMatchObject([
      { requestId: 'request-2', outcome: 'ok', resourceVersion: '1' },
      { requestId: 'request-1', outcome: 'failed', code: 'INTERRUPTED' },
    ]);
  });

  it('is INTERRUPTED if a later change wrote the same content, even if somebody touched the Secret afterwards', async () => {
    const world = await openDb();
    await crash(world, failing('cluster.create', dead));
    world.cluster.fail('read', new AppError('CLUSTER_UNAVAILABLE'));
    await world.sync();
    world.cluster.edit(APPS_DB, (raw) => ({ ...raw }));
    expect((await world.cluster.read(APPS_DB))?.resourceVersion).not.toBe('1');
    await recover(world);
    expect(world.records.at(-1)).toMatchObject({ requestId: 'request-1', code: 'INTERRUPTED' });
  });

  it.each([
    ['is closed as applied', afterTheWrite, { outcome: 'ok', resourceVersion: '2' }],
    ['is INTERRUPTED', failing('cluster.replace', dead), { outcome: 'failed', code: 'INTERRUPTED' }],
  ])('%s according to the content that the next change found and replaced', async (_, stop, outcome) => {
    const world = await openDb();
    await world.sync();
    world.store.put('db', '{"user":"ann","password":"second"}', '2');
    await crash(world, stop);
    world.store.put('db', '{"user":"ann","password":"third"}', '3');
    // Simulates another replica that runs before the recovery of the open intents.
    world.cluster.fail('read', new AppError('CLUSTER_UNAVAILABLE'));
    expect(await syncOnly(world)).toMatchObject({ kind: 'updated' });
    expect(await recover(world)).toBe(1);
    expect(world.records.at(-1)).toMatchObject({ requestId: 'request-2', phase: 'outcome', ...outcome });
  });

  it.each([
    ['is closed as applied', afterTheWrite, { outcome: 'ok', note: 'found after a crash, replaced since' }],
    ['is INTERRUPTED', failing('cluster.replace', dead), { outcome: 'failed', code: 'INTERRUPTED' }],
  ])(
    '%s according to the content that the next change found, even after a manual edit',
    async (_, stop, outcome) => {
      const world = await openDb();
      await world.sync();
      world.store.put('db', '{"user":"ann","password":"second"}', '2');
      await crash(world, stop);
      world.cluster.edit(APPS_DB, (raw) => ({
        ...raw,
        data: { ...objectIn(raw, 'data'), HAND: base64('x') },
      }));
      world.cluster.fail('read', new AppError('CLUSTER_UNAVAILABLE'));
      expect(await syncOnly(world)).toMatchObject({ kind: 'updated' });
      expect(await recover(world)).toBe(1);
      expect(world.records.at(-1)).toMatchObject({ requestId: 'request-2', phase: 'outcome', ...outcome });
      expect(world.records.at(-1)).not.toHaveProperty('resourceVersion');
    },
  );

  it('is closed as applied even if somebody edited all its values before the next change', async () => {
    const world = await openDb();
    await crash(world, afterTheWrite);
    const data = { PASSWORD: base64('x'), USER: base64('x') };
    world.cluster.edit(APPS_DB, (raw) => ({ ...raw, data }));
    world.cluster.fail('read', new AppError('CLUSTER_UNAVAILABLE'));
    expect(await syncOnly(world)).toMatchObject({ kind: 'updated' });
    expect(await recover(world)).toBe(1);
    expect(world.records.at(-1)).toMatchObject({ requestId: 'request-1', action: 'create', outcome: 'ok' });
  });

  it('of a deletion is closed as applied if the target was recreated, and the recreation stays the latest record', async () => {
    const world = await openWorld({
      mappings: DB_ONLY.replace('namespace: apps', 'namespace: apps, immutable: true, recreate: true'),
    });
    await world.sync();
    world.store.put('db', '{"user":"ann","password":"second"}', '2');
    await crash(world, afterTheWrite);
    // Simulates another replica that runs before the recovery of the open intents.
    world.cluster.fail('read', new AppError('CLUSTER_UNAVAILABLE'));
    expect(await syncOnly(world)).toMatchObject({ kind: 'created' });
    expect(await recover(world)).toBe(1);
    expect(world.records.at(-1)).toMatchObject({
      requestId: 'request-2',
      phase: 'outcome',
      action: 'delete',
      outcome: 'ok',
      note: 'found after a crash, replaced since',
    });
    // The repair restores content that pods have already read, so both fingerprints are equal.
    world.cluster.forget(APPS_DB);
    await world.sync();
    const repaired = world.records.findLast(({ phase, secret }) => phase === 'outcome' && secret === 'db');
    expect(repaired).toMatchObject({ action: 'repair', outcome: 'ok' });
    expect(repaired?.before).toBe(repaired?.after);
  });

  it('of a deletion is INTERRUPTED if the next change found the target', async () => {
    const world = await openWorld({
      mappings: DB_ONLY.replace('namespace: apps', 'namespace: apps, immutable: true, recreate: true'),
    });
    await world.sync();
    world.store.put('db', '{"user":"ann","password":"second"}', '2');
    await crash(world, failing('cluster.remove', dead));
    world.cluster.fail('read', new AppError('CLUSTER_UNAVAILABLE'));
    expect(await syncOnly(world)).toMatchObject({ kind: 'updated' });
    expect(await recover(world)).toBe(1);
    expect(world.records.at(-1)).toMatchObject({ requestId: 'request-2', code: 'INTERRUPTED' });
  });

  it('is not closed by the next change, even with the same request id', async () => {
    const world = await openDb();
    await crash(world, failing('cluster.create', dead));
    world.cluster.fail('read', new AppError('CLUSTER_UNAVAILABLE'));
    // Simulates a replica that takes over the job of a killed replica.
    await using next = await world.start(undefined, 'request-1');
    expect(await next.sync()).toMatchObject({ targets: [{ kind: 'created' }] });
    expect(await recoverIntents(next.app)).toBe(1);
    const changes = world.records.filter(({ phase }) => phase !== undefined);
    expect(changes).toMatchObject([
      { phase: 'intent', attempt: 1 },
      { phase: 'intent', attempt: 2 },
      { phase: 'outcome', attempt: 2, outcome: 'ok', resourceVersion: '1' },
      { phase: 'outcome', attempt: 1, outcome: 'failed', code: 'INTERRUPTED' },
    ]);
    expect(new Set(changes.map(({ requestId }) => requestId))).toEqual(new Set(['request-1']));
  });

  it('is closed as applied only if it is the newest of several equal intents', async () => {
    const world = await openDb();
    await crash(world, failing('cluster.create', dead));
    world.cluster.fail('read', new AppError('CLUSTER_UNAVAILABLE'));
    await crash(world, afterTheWrite);
    expect(await recover(world)).toBe(2);
    const outcomes = world.records.filter(({ phase }) => phase === 'outcome');
    expect(outcomes).toMatchObject([
      { requestId: 'request-2', outcome: 'ok', resourceVersion: '1' },
      { requestId: 'request-1', outcome: 'failed', code: 'INTERRUPTED' },
    ]);
  });

  it('is closed as applied if another mapping has merged into the same Secret since', async () => {
    const ID = { namespace: 'apps', secret: 'shared' };
    const merge = (name: string, key: string) => `
  - name: ${name}
    target: { namespace: apps, secret: shared, mode: merge }
    data: { ${key}: { store: vault, key: token } }`;
    const world = await openWorld({ mappings: merge('one', 'ONE') });
    world.cluster.put(ID, { data: { THEIRS: base64('t') } });
    await crash(world, afterTheWrite);
    await world.configure(merge('one', 'ONE') + merge('two', 'TWO'));
    // Simulates another replica that runs before the recovery of the open intents.
    world.cluster.fail('read', new AppError('CLUSTER_UNAVAILABLE'));
    expect((await world.sync()).targets).toMatchObject([{ kind: 'unchanged' }, { kind: 'updated' }]);
    expect(await recover(world)).toBe(1);
    expect(world.records.at(-1)).toMatchObject({ mapping: 'one', phase: 'outcome', outcome: 'ok' });
  });

  it('stays open while the cluster is unavailable, without blocking the run', async () => {
    const world = await openDb();
    await crash(world, afterTheWrite);
    const { length } = world.records;
    world.cluster.fail('read', new AppError('CLUSTER_UNAVAILABLE'));
    expect(await recover(world)).toBe(0);
    expect(world.records).toHaveLength(length);
    expect(await recover(world)).toBe(1);
  });

  it('stays open while its process is still running', async () => {
    const world = await openDb();
    await using running = await world.start(afterTheWrite);
    await expect(running.sync()).rejects.toBe(dead);
    expect(await recover(world)).toBe(0);
    await running[Symbol.asyncDispose]();
    expect(await recover(world)).toBe(1);
  });

  it('stays open if its outcome cannot be recorded', async () => {
    const world = await openDb();
    await crash(world, afterTheWrite);
    await expect(recover(world, failing('audit.append', dead))).rejects.toBe(dead);
    expect(await recover(world)).toBe(1);
  });
});
