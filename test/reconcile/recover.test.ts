import { describe, expect, it } from 'vitest';
import { objectIn } from '../../src/cluster/json.ts';
import { AppError } from '../../src/core/errors.ts';
import { recoverIntents } from '../../src/reconcile/recover.ts';
import { verifyWrite } from '../../src/reconcile/write-verification.ts';
import { failing, type Step } from '../fakes/faulty.ts';
import { APPS_DB, base64, DB_ONLY, openDb, openWorld, syncOnly, type World } from './world.ts';

const dead = new AppError('AUDIT_UNAVAILABLE');

/** Loses every record from the outcome on: the write is carried out. */
const afterTheWrite = ({ call, phase, args }: Step) => {
  const [entry] = call === 'audit.append' ? (args[0] as { phase?: string }[]) : [];
  if (phase === 'before' && entry?.phase === 'outcome') throw dead;
};

async function crash(world: World, watch: (step: Step) => void | Promise<void>): Promise<void> {
  await expect(world.sync(watch)).rejects.toBe(dead);
}

/** What the next start does before anything else. */
async function recover(world: World, watch?: (step: Step) => void | Promise<void>): Promise<number> {
  await using process = await world.start(watch);
  return await recoverIntents(process.app);
}

describe('an intent that a crash left open', () => {
  it('is closed as done when the cluster holds what it would have written', async () => {
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

  it('stays open where it is of another instance, whose cluster may be another', async () => {
    const world = await openDb();
    await crash(world, afterTheWrite);
    await using process = await world.start();
    expect(await recoverIntents({ ...process.app, instances: ['other'] })).toBe(0);
    expect(world.records.at(-1)).toMatchObject({ phase: 'intent' });
    expect(await recoverIntents({ ...process.app, instances: ['other', 'prod'] })).toBe(1);
  });

  it('is closed once by two that look for it at the same time', async () => {
    const world = await openDb();
    await crash(world, afterTheWrite);
    const closed = await Promise.all([recover(world), recover(world)]);
    expect(closed.toSorted()).toEqual([0, 1]);
    expect(world.records.filter(({ phase }) => phase === 'outcome')).toHaveLength(1);
  });

  it('is closed as INTERRUPTED when it does not', async () => {
    const world = await openDb();
    await crash(world, failing('cluster.create', dead));
    expect(await recover(world)).toBe(1);
    expect(world.records.at(-1)).toMatchObject({ phase: 'outcome', outcome: 'failed', code: 'INTERRUPTED' });
    expect(world.records.at(-1)).not.toHaveProperty('resourceVersion');
  });

  it('is closed as done when finalizers still hold what it has deleted', async () => {
    const world = await openDb();
    await world.sync();
    const live = await world.cluster.read(APPS_DB);
    if (live === undefined) throw new Error('it was not made');
    const { uid } = live;
    const change = { action: 'delete', mapping: 'db', target: APPS_DB, sources: [], uid } as const;
    const seen = (now: object) => verifyWrite(change, { read: async () => ({ ...live, ...now }) });
    expect(await seen({ deleting: true })).toEqual({ kind: 'applied' });
    expect(await seen({ deleting: false })).toEqual({ kind: 'absent' });
    // Somebody has made another one of that name.
    expect(await seen({ uid: 'another' })).toEqual({ kind: 'applied' });
  });

  it('is not asked about, after some others, while the cluster is away: each may take the longest time of a request', async () => {
    const world = await openDb();
    await crash(world, failing('cluster.create', dead));
    await using process = await world.start();
    const [intent] = await process.app.audit.unresolvedIntents();
    if (intent === undefined) throw new Error('nothing was left open');
    const intents = Array.from({ length: 128 }, (_, number) => ({ ...intent, sequence: number + 1 }));
    const audit = { ...process.app.audit, unresolved: async () => intents };
    let reads = 0;
    const read = async () => {
      reads += 1;
      throw new AppError('CLUSTER_UNAVAILABLE');
    };
    expect(await recoverIntents({ ...process.app, audit, cluster: { read } })).toBe(0);
    expect(reads).toBeLessThanOrEqual(3);
  });

  it('of a change of annotations only is told from one that was not made', async () => {
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

  it('is INTERRUPTED when somebody else wrote the Secret instead', async () => {
    const world = await openDb();
    await world.sync();
    world.store.put('db', '{"user":"ann","password":"second"}', '2');
    await crash(world, failing('cluster.replace', dead));
    world.cluster.edit(APPS_DB, (raw) => ({ ...raw, data: { USER: base64('by hand') } }));
    await recover(world);
    expect(world.records.at(-1)).toMatchObject({ outcome: 'failed', code: 'INTERRUPTED' });
  });

  it('is INTERRUPTED when the Secret is gone by now', async () => {
    const world = await openDb();
    await crash(world, afterTheWrite);
    world.cluster.forget(APPS_DB);
    await recover(world);
    expect(world.records.at(-1)).toMatchObject({ outcome: 'failed', code: 'INTERRUPTED' });
    expect(await syncOnly(world)).toMatchObject({ kind: 'created' });
  });

  it('is INTERRUPTED when a later change has made the same meanwhile, so that one write is on record once', async () => {
    const world = await openDb();
    await crash(world, failing('cluster.create', dead));
    // As another replica does, which runs while nobody has looked at what was left open.
    world.cluster.fail('read', new AppError('CLUSTER_UNAVAILABLE'));
    expect(await syncOnly(world)).toMatchObject({ kind: 'created' });
    expect(await recover(world)).toBe(1);
    const outcomes = world.records.filter(({ phase }) => phase === 'outcome');
    expect(outcomes).toMatchObject([
      { requestId: 'request-2', outcome: 'ok', resourceVersion: '1' },
      { requestId: 'request-1', outcome: 'failed', code: 'INTERRUPTED' },
    ]);
  });

  it('is INTERRUPTED so also where somebody has touched the Secret after that change', async () => {
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
    ['is closed as done', afterTheWrite, { outcome: 'ok', resourceVersion: '2' }],
    ['is INTERRUPTED', failing('cluster.replace', dead), { outcome: 'failed', code: 'INTERRUPTED' }],
  ])('%s by what the next change has found and replaced', async (_, stop, outcome) => {
    const world = await openDb();
    await world.sync();
    world.store.put('db', '{"user":"ann","password":"second"}', '2');
    await crash(world, stop);
    world.store.put('db', '{"user":"ann","password":"third"}', '3');
    // As another replica does, which runs while nobody has looked at what was left open.
    world.cluster.fail('read', new AppError('CLUSTER_UNAVAILABLE'));
    expect(await syncOnly(world)).toMatchObject({ kind: 'updated' });
    expect(await recover(world)).toBe(1);
    expect(world.records.at(-1)).toMatchObject({ requestId: 'request-2', phase: 'outcome', ...outcome });
  });

  it.each([
    ['is closed as done', afterTheWrite, { outcome: 'ok', note: 'found after a crash, replaced since' }],
    ['is INTERRUPTED', failing('cluster.replace', dead), { outcome: 'failed', code: 'INTERRUPTED' }],
  ])('%s by what the next change has found below a key that somebody put there', async (_, stop, outcome) => {
    const world = await openDb();
    await world.sync();
    world.store.put('db', '{"user":"ann","password":"second"}', '2');
    await crash(world, stop);
    world.cluster.edit(APPS_DB, (raw) => ({ ...raw, data: { ...objectIn(raw, 'data'), HAND: base64('x') } }));
    world.cluster.fail('read', new AppError('CLUSTER_UNAVAILABLE'));
    expect(await syncOnly(world)).toMatchObject({ kind: 'updated' });
    expect(await recover(world)).toBe(1);
    expect(world.records.at(-1)).toMatchObject({ requestId: 'request-2', phase: 'outcome', ...outcome });
    expect(world.records.at(-1)).not.toHaveProperty('resourceVersion');
  });

  it('is closed as done where the next change found what it had made, every value of it edited since', async () => {
    const world = await openDb();
    await crash(world, afterTheWrite);
    const data = { PASSWORD: base64('x'), USER: base64('x') };
    world.cluster.edit(APPS_DB, (raw) => ({ ...raw, data }));
    world.cluster.fail('read', new AppError('CLUSTER_UNAVAILABLE'));
    expect(await syncOnly(world)).toMatchObject({ kind: 'updated' });
    expect(await recover(world)).toBe(1);
    expect(world.records.at(-1)).toMatchObject({ requestId: 'request-1', action: 'create', outcome: 'ok' });
  });

  it('of a deletion is closed as done when its target was made anew since, which stays the last word', async () => {
    const world = await openWorld({
      mappings: DB_ONLY.replace('namespace: apps', 'namespace: apps, immutable: true, recreate: true'),
    });
    await world.sync();
    world.store.put('db', '{"user":"ann","password":"second"}', '2');
    await crash(world, afterTheWrite);
    // As another replica does, which runs while nobody has looked at what was left open.
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
    // What pods have read is what was made last.
    world.cluster.forget(APPS_DB);
    await world.sync();
    const repaired = world.records.findLast(({ phase, secret }) => phase === 'outcome' && secret === 'db');
    expect(repaired).toMatchObject({ action: 'repair', outcome: 'ok' });
    expect(repaired?.before).toBe(repaired?.after);
  });

  it('of a deletion is INTERRUPTED when the next change has found its target there', async () => {
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

  it('is not closed by what the next process does for the same request', async () => {
    const world = await openDb();
    await crash(world, failing('cluster.create', dead));
    world.cluster.fail('read', new AppError('CLUSTER_UNAVAILABLE'));
    // As a replica does that takes over the job of one that was killed.
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

  it('is that of the newest where several have left the same', async () => {
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

  it('is closed as done when another mapping has merged into the same Secret since', async () => {
    const ID = { namespace: 'apps', secret: 'shared' };
    const merge = (name: string, key: string) => `
  - name: ${name}
    target: { namespace: apps, secret: shared, mode: merge }
    data: { ${key}: { store: vault, key: token } }`;
    const world = await openWorld({ mappings: merge('one', 'ONE') });
    world.cluster.put(ID, { data: { THEIRS: base64('t') } });
    await crash(world, afterTheWrite);
    await world.configure(merge('one', 'ONE') + merge('two', 'TWO'));
    // As another replica does, which runs while nobody has looked at what was left open.
    world.cluster.fail('read', new AppError('CLUSTER_UNAVAILABLE'));
    expect((await world.sync()).targets).toMatchObject([{ kind: 'unchanged' }, { kind: 'updated' }]);
    expect(await recover(world)).toBe(1);
    expect(world.records.at(-1)).toMatchObject({ mapping: 'one', phase: 'outcome', outcome: 'ok' });
  });

  it('stays open while the cluster cannot be looked at, and hinders nothing', async () => {
    const world = await openDb();
    await crash(world, afterTheWrite);
    const { length } = world.records;
    world.cluster.fail('read', new AppError('CLUSTER_UNAVAILABLE'));
    expect(await recover(world)).toBe(0);
    expect(world.records).toHaveLength(length);
    expect(await recover(world)).toBe(1);
  });

  it('of a process that still runs is left to that process', async () => {
    const world = await openDb();
    await using running = await world.start(afterTheWrite);
    await expect(running.sync()).rejects.toBe(dead);
    expect(await recover(world)).toBe(0);
    await running[Symbol.asyncDispose]();
    expect(await recover(world)).toBe(1);
  });

  it('stays open when its outcome cannot be recorded', async () => {
    const world = await openDb();
    await crash(world, afterTheWrite);
    await expect(recover(world, failing('audit.append', dead))).rejects.toBe(dead);
    expect(await recover(world)).toBe(1);
  });
});
