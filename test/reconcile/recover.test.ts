import { describe, expect, it } from 'vitest';
import { objectIn } from '../../src/cluster/json.ts';
import { AppError } from '../../src/core/errors.ts';
import { recoverIntents } from '../../src/reconcile/recover.ts';
import { verifyWrite } from '../../src/reconcile/write-verification.ts';
import { failing, type Step } from '../fakes/faulty.ts';
import { APPS_DB, base64, DB_ONLY, openDb, openWorld, syncOnly, type World } from './world.ts';

const dead = new AppError('AUDIT_UNAVAILABLE');

/** The write itself succeeds, but its outcome record and all records after it are dropped. */
const afterTheWrite = ({ call, phase, args }: Step) => {
  const [entry] = call === 'audit.append' ? (args[0] as { phase?: string }[]) : [];
  if (phase === 'before' && entry?.phase === 'outcome') throw dead;
};

async function crash(world: World, watch: (step: Step) => void | Promise<void>): Promise<void> {
  await expect(world.sync(watch)).rejects.toBe(dead);
}

/** Resolves the intents without an outcome, which is the first step of every process. */
async function recover(world: World, watch?: (step: Step) => void | Promise<void>): Promise<number> {
  await using process = await world.start(watch);
  return await recoverIntents(process.app);
}

describe('intent without an outcome after a crash', () => {
  it('an intent without an outcome is recorded as applied if the cluster has the intended content', async () => {
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

  it('an intent without an outcome stays unresolved if another instance wrote it, because that instance may use another cluster', async () => {
    const world = await openDb();
    await crash(world, afterTheWrite);
    await using process = await world.start();
    expect(await recoverIntents({ ...process.app, instances: ['other'] })).toBe(0);
    expect(world.records.at(-1)).toMatchObject({ phase: 'intent' });
    expect(await recoverIntents({ ...process.app, instances: ['other', 'prod'] })).toBe(1);
  });

  it('an intent without an outcome is resolved only once, even if two processes recover it concurrently', async () => {
    const world = await openDb();
    await crash(world, afterTheWrite);
    const closed = await Promise.all([recover(world), recover(world)]);
    expect(closed.toSorted()).toEqual([0, 1]);
    expect(world.records.filter(({ phase }) => phase === 'outcome')).toHaveLength(1);
  });

  it('an intent without an outcome is recorded as INTERRUPTED if the cluster does not have the intended content', async () => {
    const world = await openDb();
    await crash(world, failing('cluster.create', dead));
    expect(await recover(world)).toBe(1);
    expect(world.records.at(-1)).toMatchObject({ phase: 'outcome', outcome: 'failed', code: 'INTERRUPTED' });
    expect(world.records.at(-1)).not.toHaveProperty('resourceVersion');
  });

  it('a deletion without an outcome is recorded as applied if only finalizers still keep the Secret', async () => {
    const world = await openDb();
    await world.sync();
    const live = await world.cluster.read(APPS_DB);
    if (live === undefined) throw new Error('it was not made');
    const { uid } = live;
    const change = { action: 'delete', mapping: 'db', target: APPS_DB, sources: [], uid } as const;
    const calls = (now: object) => verifyWrite(change, { read: async () => ({ ...live, ...now }) });
    expect(await calls({ deleting: true })).toEqual({ kind: 'applied' });
    expect(await calls({ deleting: false })).toEqual({ kind: 'absent' });
    // Somebody has created a new Secret with the name of the deleted one.
    expect(await calls({ uid: 'another' })).toEqual({ kind: 'applied' });
  });

  it('an intent without an outcome is skipped in the current run if several reads of the cluster have timed out', async () => {
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

  it('an intent to change only annotations is recorded as applied only if the annotations were written', async () => {
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

  it('an intent without an outcome is recorded as INTERRUPTED if somebody else wrote the Secret', async () => {
    const world = await openDb();
    await world.sync();
    world.store.put('db', '{"user":"ann","password":"second"}', '2');
    await crash(world, failing('cluster.replace', dead));
    world.cluster.edit(APPS_DB, (raw) => ({ ...raw, data: { USER: base64('by hand') } }));
    await recover(world);
    expect(world.records.at(-1)).toMatchObject({ outcome: 'failed', code: 'INTERRUPTED' });
  });

  it('an intent without an outcome is recorded as INTERRUPTED if the Secret does not exist', async () => {
    const world = await openDb();
    await crash(world, afterTheWrite);
    world.cluster.forget(APPS_DB);
    await recover(world);
    expect(world.records.at(-1)).toMatchObject({ outcome: 'failed', code: 'INTERRUPTED' });
    expect(await syncOnly(world)).toMatchObject({ kind: 'created' });
  });

  it('an intent without an outcome is recorded as INTERRUPTED if a later change wrote identical content', async () => {
    const world = await openDb();
    await crash(world, failing('cluster.create', dead));
    // Simulates another replica that runs before the unresolved intents are recovered.
    world.cluster.fail('read', new AppError('CLUSTER_UNAVAILABLE'));
    expect(await syncOnly(world)).toMatchObject({ kind: 'created' });
    expect(await recover(world)).toBe(1);
    const outcomes = world.records.filter(({ phase }) => phase === 'outcome');
    expect(outcomes).toMatchObject([
      { requestId: 'request-2', outcome: 'ok', resourceVersion: '1' },
      { requestId: 'request-1', outcome: 'failed', code: 'INTERRUPTED' },
    ]);
  });

  it('an intent without an outcome is recorded as INTERRUPTED if a later change wrote identical content and the Secret was then edited', async () => {
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
    ['was applied', afterTheWrite, { outcome: 'ok', resourceVersion: '2' }],
    ['was not applied', failing('cluster.replace', dead), { outcome: 'failed', code: 'INTERRUPTED' }],
  ])(
    'the next change of the same target shows that an intent without an outcome %s',
    async (_, stop, outcome) => {
      const world = await openDb();
      await world.sync();
      world.store.put('db', '{"user":"ann","password":"second"}', '2');
      await crash(world, stop);
      world.store.put('db', '{"user":"ann","password":"third"}', '3');
      // Simulates another replica that runs before the unresolved intents are recovered.
      world.cluster.fail('read', new AppError('CLUSTER_UNAVAILABLE'));
      expect(await syncOnly(world)).toMatchObject({ kind: 'updated' });
      expect(await recover(world)).toBe(1);
      expect(world.records.at(-1)).toMatchObject({ requestId: 'request-2', phase: 'outcome', ...outcome });
    },
  );

  it.each([
    ['was applied', afterTheWrite, { outcome: 'ok', note: 'found after a crash, replaced since' }],
    ['was not applied', failing('cluster.replace', dead), { outcome: 'failed', code: 'INTERRUPTED' }],
  ])(
    'the next change of the same target shows that an intent without an outcome %s, even after a manual edit',
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

  it('an intent without an outcome is recorded as applied even if somebody edited all values before the next change', async () => {
    const world = await openDb();
    await crash(world, afterTheWrite);
    const data = { PASSWORD: base64('x'), USER: base64('x') };
    world.cluster.edit(APPS_DB, (raw) => ({ ...raw, data }));
    world.cluster.fail('read', new AppError('CLUSTER_UNAVAILABLE'));
    expect(await syncOnly(world)).toMatchObject({ kind: 'updated' });
    expect(await recover(world)).toBe(1);
    expect(world.records.at(-1)).toMatchObject({ requestId: 'request-1', action: 'create', outcome: 'ok' });
  });

  it('a deletion without an outcome is recorded as applied if the target was created again, and the creation stays the latest change', async () => {
    const world = await openWorld({
      mappings: DB_ONLY.replace('namespace: apps', 'namespace: apps, immutable: true, recreate: true'),
    });
    await world.sync();
    world.store.put('db', '{"user":"ann","password":"second"}', '2');
    await crash(world, afterTheWrite);
    // Simulates another replica that runs before the unresolved intents are recovered.
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
    // The repair restores content that pods have already read, so its record has the same fingerprint before and after
    // the change.
    world.cluster.forget(APPS_DB);
    await world.sync();
    const repaired = world.records.findLast(({ phase, secret }) => phase === 'outcome' && secret === 'db');
    expect(repaired).toMatchObject({ action: 'repair', outcome: 'ok' });
    expect(repaired?.before).toBe(repaired?.after);
  });

  it('a deletion without an outcome is recorded as INTERRUPTED if the next change still found the target', async () => {
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

  it('an intent without an outcome is not resolved by the outcome of the next change, even if that change has the same request id', async () => {
    const world = await openDb();
    await crash(world, failing('cluster.create', dead));
    world.cluster.fail('read', new AppError('CLUSTER_UNAVAILABLE'));
    // Simulates a replica that takes over the job of a replica that was killed.
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

  it('an intent without an outcome is recorded as applied only if no newer intent has the same content', async () => {
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

  it('an intent without an outcome is recorded as applied even if another mapping has merged keys into the Secret afterwards', async () => {
    const ID = { namespace: 'apps', secret: 'shared' };
    const merge = (name: string, key: string) => `
  - name: ${name}
    target: { namespace: apps, secret: shared, mode: merge }
    data: { ${key}: { store: vault, key: token } }`;
    const world = await openWorld({ mappings: merge('one', 'ONE') });
    world.cluster.put(ID, { data: { THEIRS: base64('t') } });
    await crash(world, afterTheWrite);
    await world.configure(merge('one', 'ONE') + merge('two', 'TWO'));
    // Simulates another replica that runs before the unresolved intents are recovered.
    world.cluster.fail('read', new AppError('CLUSTER_UNAVAILABLE'));
    expect((await world.sync()).targets).toMatchObject([{ kind: 'unchanged' }, { kind: 'updated' }]);
    expect(await recover(world)).toBe(1);
    expect(world.records.at(-1)).toMatchObject({ mapping: 'one', phase: 'outcome', outcome: 'ok' });
  });

  it('an intent without an outcome stays unresolved while the cluster is unavailable, and the run still continues', async () => {
    const world = await openDb();
    await crash(world, afterTheWrite);
    const { length } = world.records;
    world.cluster.fail('read', new AppError('CLUSTER_UNAVAILABLE'));
    expect(await recover(world)).toBe(0);
    expect(world.records).toHaveLength(length);
    expect(await recover(world)).toBe(1);
  });

  it('an intent without an outcome stays unresolved while the process that wrote the intent is running', async () => {
    const world = await openDb();
    await using running = await world.start(afterTheWrite);
    await expect(running.sync()).rejects.toBe(dead);
    expect(await recover(world)).toBe(0);
    await running[Symbol.asyncDispose]();
    expect(await recover(world)).toBe(1);
  });

  it('an intent without an outcome stays unresolved if its outcome cannot be recorded', async () => {
    const world = await openDb();
    await crash(world, afterTheWrite);
    await expect(recover(world, failing('audit.append', dead))).rejects.toBe(dead);
    expect(await recover(world)).toBe(1);
  });
});
