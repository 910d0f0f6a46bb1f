import { describe, expect, it, vi } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import type { Mapping } from '../../src/core/mapping.ts';
import type { Job } from '../../src/queue/queue.ts';
import type { SyncContext } from '../../src/reconcile/context.ts';
import { Configuration } from '../../src/service/configuration.ts';
import { createSyncContexts } from '../../src/service/runs/sync-contexts.ts';
import { TargetRunner } from '../../src/service/runs/target-runner.ts';
import { createTargetStates } from '../../src/service/target-states.ts';
import { Triggers } from '../../src/service/triggers.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import type { Watch } from '../fakes/faulty.ts';
import { APPS_DB, base64, DB_ONLY, openWorld } from '../reconcile/world.ts';
import { createFakeBroadcast, createFakeQueue, meta, targetState } from './sample.ts';

interface Options {
  readonly watch?: Watch;
  readonly mappings?: string;
  /** More sections of the configuration. */
  readonly more?: string;
  readonly isBehind?: () => boolean;
}

async function open({ watch, mappings = DB_ONLY, more = '', isBehind }: Options = {}) {
  const world = await openWorld({ mappings, more });
  const { app } = await world.start(watch);
  const { clock } = world;
  let { mappings: loaded } = app.config;
  const configuration = new Configuration({
    mappings: () => loaded,
    resolve: async () =>
      loaded.filter(({ name }) => name !== 'other').map((mapping) => ({ mapping, id: APPS_DB })),
    tellsVersions: () => false,
    steadyClock: clock,
  });
  const load = (changed: readonly Mapping[]) => {
    loaded = changed;
  };
  const update = (changed: readonly Mapping[]) => {
    load(changed);
    return configuration.update(() => undefined);
  };
  await update(loaded);
  const snapshot = configuration.snapshot();
  const broadcast = createFakeBroadcast();
  const boardOf = (by: string) => createTargetStates(broadcast, clock, undefined, () => by);
  const states = boardOf('ours');
  const triggers = new Triggers({ queue: createFakeQueue(), states, clock, logger: silentLogger });
  const contexts = createSyncContexts<SyncContext>(clock, async ({ requestId }) => ({
    ...(await app.createContext({ requestId })),
    versions: async (_, keys) => keys.map(() => ({ kind: 'unknown' })),
  }));
  const decided: unknown[] = [];
  const runner = new TargetRunner({
    configuration,
    states,
    triggers,
    contexts,
    audit: app.audit,
    clock,
    logger: silentLogger,
    random: () => 0.5,
    ages: {
      noteRun: ({ name }, sources) => void decided.push([name, ...sources.map(({ key }) => key)]),
    },
    steps: { addDeletion: () => undefined, addRestart: () => undefined },
    onOrphan: () => undefined,
    onOutcome: () => undefined,
    isBehind,
  });
  const { signal } = new AbortController();
  const run = (
    requestId: string,
    reason: Job['reason'] = 'event',
    wrap = (context: SyncContext) => context,
  ) => runner.run(APPS_DB, { subject: 'target/apps/db', reason, requestId }, { signal, wrap });
  const reads = () => world.store.reads.splice(0);
  const currentState = () => states.get('db', APPS_DB);
  return {
    world,
    clock,
    states,
    boardOf,
    snapshot,
    load,
    update,
    triggers,
    contexts,
    run,
    reads,
    seen: currentState,
    decided,
  };
}

describe('the run of a target', () => {
  it('the target runner keeps the time of the last sweep if the first run in a process has no outcome', async () => {
    const outage = new AppError('AUDIT_UNAVAILABLE');
    const {
      states,
      snapshot,
      clock,
      run,
      seen: currentState,
    } = await open({
      watch({ call, phase }) {
        if (call === 'audit.append' && phase === 'before') throw outage;
      },
    });
    const [desiredTarget] = snapshot.targets;
    if (desiredTarget === undefined) throw new Error('nothing is wanted');
    const at = clock.now() - 1_000;
    for (const shard of snapshot.shards.keys()) states.noteSweep(shard, { at, okAt: at });
    await expect(run('r0')).rejects.toBe(outage);
    // If the target is missing, unchanged sources do not prove that it is in sync.
    expect(currentState()?.okAt).toBeUndefined();
    states.forget('db', APPS_DB);
    states.setMeta(meta(desiredTarget));
    await expect(run('r1')).rejects.toBe(outage);
    expect(currentState()).toMatchObject({ alive: true, okAt: at, error: { code: 'AUDIT_UNAVAILABLE' } });
  });

  it('the target runner keeps the last known existence of the target if the cluster cannot be read', async () => {
    const { world, run, seen: currentState } = await open();
    const outage = new AppError('CLUSTER_UNAVAILABLE');
    world.cluster.fail('read', outage);
    await run('r0');
    expect(currentState()).toMatchObject({ kind: 'failed', alive: false });
    await run('r1');
    expect(currentState()).toMatchObject({ kind: 'created', alive: true });
    world.cluster.fail('read', outage, outage);
    for (const id of ['r2', 'r3']) {
      await run(id);
      expect(currentState()).toMatchObject({
        kind: 'failed',
        error: { code: 'CLUSTER_UNAVAILABLE' },
        alive: true,
      });
    }
    world.store.fail('db', new AppError('STORE_UNAVAILABLE'));
    world.cluster.forget(APPS_DB);
    await run('r4');
    expect(currentState()).toMatchObject({ kind: 'failed', alive: false });
  });

  it('the target runner does not immediately undo the write of a replica with another configuration', async () => {
    const isBehind = vi.fn(() => false);
    const { world, clock, states, boardOf, snapshot, run } = await open({ isBehind });
    await run('r0');
    const [desiredTarget] = snapshot.targets;
    if (desiredTarget === undefined) throw new Error('nothing is wanted');
    world.cluster.edit(APPS_DB, (raw) => ({ ...raw, data: { NEW: base64('new') } }));
    const resourceVersion = (await world.cluster.read(APPS_DB))?.resourceVersion ?? '';
    const written = world.cluster.writes.length;
    states.setMeta(meta(desiredTarget, {}, { resourceVersion }));
    clock.set(clock.now() + 1_000);
    const other = boardOf('theirs');
    const kind = 'updated' as const;
    const endedAt = clock.now();
    other.note(
      targetState({ mapping: 'db', target: APPS_DB, kind, resourceVersion, startedAt: endedAt, endedAt }),
    );
    const minutes = 60_000;
    expect(await run('r1', 'drift')).toBe(5 * minutes);
    expect(world.cluster.writes).toHaveLength(written);
    clock.set(clock.now() + 5 * minutes);
    isBehind.mockReturnValue(true);
    expect(await run('r2', 'drift')).toBe(5 * minutes);
    isBehind.mockReturnValue(false);
    await run('r3', 'drift');
    expect(world.cluster.writes).toHaveLength(written + 1);
  });

  it('the target runner writes nothing if its mapping changes during the run, and ignores changes of other mappings', async () => {
    const onRead: { change?: () => unknown } = {};
    const { world, snapshot, load, update, run, seen } = await open({
      async watch({ call, phase }) {
        if (call === 'cluster.read' && phase === 'after') await onRead.change?.();
      },
    });
    const [mapping] = snapshot.mappings;
    if (mapping === undefined) throw new Error('there is no mapping');
    const interrupted = { code: 'INTERRUPTED', detail: 'the configuration has changed' };
    onRead.change = () => update([{ ...mapping, refreshMs: 1 }]);
    await expect(run('changed')).rejects.toMatchObject(interrupted);
    await update([mapping]);
    onRead.change = () => load([mapping]);
    await expect(run('not resolved yet')).rejects.toMatchObject(interrupted);
    expect([world.cluster.raw(APPS_DB), seen()]).toEqual([undefined, undefined]);
    onRead.change = () => update([mapping, { ...mapping, name: 'other' }]);
    await run('unchanged');
    expect(seen()?.kind).toBe('created');
  });

  it('the target runner writes nothing if its target becomes forbidden during the run', async () => {
    const denied = new AppError('LIMIT_REACHED');
    let isForbidden = false;
    const { world, run, seen } = await open({
      watch: ({ call }) => {
        if (call.startsWith('store.')) isForbidden = true;
      },
    });
    const forbiddenTarget = () => (isForbidden ? denied : undefined);
    await expect(run('r0', 'event', (context) => ({ ...context, forbiddenTarget }))).rejects.toMatchObject({
      code: 'INTERRUPTED',
      detail: 'the configuration has changed',
    });
    expect([world.cluster.raw(APPS_DB), seen()]).toEqual([undefined, undefined]);
  });

  it('the target runner begins with the mappings that are current when its context is open', async () => {
    const { snapshot, update, run, seen } = await open();
    const [mapping] = snapshot.mappings;
    if (mapping === undefined) throw new Error('there is no mapping');
    let updated: Promise<void> | undefined;
    const delayMs = await run('r0', 'event', (context) => {
      updated = update([{ ...mapping, refreshMs: 1 }]);
      return context;
    });
    await updated;
    expect([seen()?.kind, delayMs]).toEqual(['created', undefined]);
  });

  it('the target runner shares reads with the other runs of the same request', async () => {
    const { contexts, run, reads, seen: currentState } = await open();
    const context = await contexts.get({ requestId: 'r1', reason: 'event' }, 0);
    await context.read([{ store: 'vault', ref: { key: 'db' } }]);
    await run('r1');
    expect(reads()).toEqual(['db']);
    expect(currentState()?.kind).toBe('created');
  });

  it('the target runner never writes values that were read before the last write of the target', async () => {
    const { world, clock, triggers, contexts, run, seen: currentState } = await open();
    await run('r0');
    clock.set(clock.now() + 60_000);
    // A sweep reads the source and continues with other keys. An event reports a new value, which is written
    // immediately.
    const context = await contexts.get({ requestId: 'r1', reason: 'sweep' }, 0);
    await context.read([{ store: 'vault', ref: { key: 'db' } }]);
    clock.set(clock.now() + 1_000);
    world.store.put('db', '{"user":"ann","password":"second"}', '2');
    triggers.trigger(APPS_DB, 'event', 'r2');
    await run('r2');
    expect(currentState()?.kind).toBe('updated');
    clock.set(clock.now() + 1_000);
    // Then the sweep finds that the target differs from the value that it read.
    triggers.trigger(APPS_DB, 'sweep', 'r1');
    await run('r1', 'sweep');
    expect(currentState()?.kind).toBe('unchanged');
    expect(world.cluster.raw(APPS_DB)?.data).toMatchObject({ PASSWORD: base64('second') });
  });

  it('the target runner reads the sources again if another request arrives after the first read', async () => {
    const { world, clock, triggers, contexts, run, seen: currentState } = await open();
    await run('r0');
    clock.set(clock.now() + 1_000);
    // A sweep reads the source and queues the target. Then an event reports a change, and the queue merges both jobs.
    const context = await contexts.get({ requestId: 'r1', reason: 'event' }, 0);
    await context.read([{ store: 'vault', ref: { key: 'db' } }]);
    triggers.trigger(APPS_DB, 'event', 'r1');
    clock.set(clock.now() + 1_000);
    world.store.put('db', '{"user":"ann","password":"second"}', '2');
    triggers.trigger(APPS_DB, 'event', 'r2');
    clock.set(clock.now() + 1_000);
    await run('r1');
    expect(currentState()?.kind).toBe('updated');
  });

  it('the target runner shares reads between a request and its repetition, but not those from before it', async () => {
    const { world, clock, triggers, contexts, run, reads } = await open();
    const readEarly = async (requestId: string) => {
      clock.set(clock.now() + 1_000);
      const context = await contexts.get({ requestId, reason: 'first' }, 0);
      await context.read([{ store: 'vault', ref: { key: 'db' } }]);
      clock.set(clock.now() + 1_000);
    };
    triggers.trigger(APPS_DB, 'first', 'r1');
    await readEarly('r1');
    // A new cause may have led to the repetition.
    world.store.put('db', '{"user":"ann","password":"second"}', '2');
    await run('r1~again', 'first');
    expect(world.cluster.raw(APPS_DB)?.data).toMatchObject({ PASSWORD: base64('second') });
    expect(reads()).toEqual(['db', 'db']);
    await readEarly('r1');
    await run('r1~again', 'first');
    expect(reads()).toEqual(['db']);
    expect(world.records.map(({ action, requestId }) => [action, requestId])).toEqual([
      ['read', 'r1'],
      ['read', 'r1'],
      ['create', 'r1~again'],
      ['create', 'r1~again'],
    ]);
  });

  it('the target runner reads the sources again for a run that follows another run of the same request', async () => {
    const { clock, run, reads } = await open();
    await run('r1');
    clock.set(clock.now() + 1);
    await run('r1');
    expect(reads()).toEqual(['db', 'db']);
  });

  it('the target runner shares reads even after the clock was set back', async () => {
    const { clock, contexts, run, reads } = await open();
    await run('r0');
    clock.set(clock.now() - 3_600_000);
    reads();
    const context = await contexts.get({ requestId: 'r1', reason: 'event' }, 0);
    await context.read([{ store: 'vault', ref: { key: 'db' } }]);
    await run('r1');
    expect(reads()).toEqual(['db']);
  });

  it('the target runner reports the source versions of the target, even if the run changed nothing', async () => {
    const { run, decided } = await open();
    await run('r1');
    await run('r2');
    expect(decided).toEqual([
      ['db', 'db'],
      ['db', 'db'],
    ]);
  });

  it('the target runner keeps a change waiting until its window opens, by delays of at most an hour', async () => {
    // The world begins at 8:00 UTC.
    const more = "windows: [ { namespaces: [apps], allow: '30 9 * * *', for: 1h, timeZone: UTC } ]";
    const { world, clock, run, seen } = await open({ more });
    await run('first');
    world.store.put('db', '{"user":"ann","password":"second"}', '2');
    const delays: (number | undefined)[] = [];
    for (let count = 0; count < 3 && seen()?.kind !== 'updated'; count += 1) {
      const delayMs = await run(`run-${count}`);
      delays.push(delayMs);
      expect(seen()?.retryAt).toBe(delayMs === undefined ? undefined : clock.now() + delayMs);
      await clock.advance(delayMs ?? 0);
    }
    expect(delays).toEqual([3_600_000, 1_800_000, undefined]);
    expect(clock.now()).toBe(Date.parse('2027-01-15T09:30:00Z'));
  });

  it('the target runner reports every key to the requester, and stores no keys', async () => {
    const { world, clock, states, run, seen: currentState } = await open();
    const reported: unknown[] = [];
    states.onChange(({ kind, keys }) =>
      reported.push([kind, ...keys.map(({ name, action }) => `${action} ${name}`)]),
    );
    await run('r0');
    for (const [version, reason] of [
      ['2', 'manual'],
      ['3', 'event'],
    ] as const) {
      clock.set(clock.now() + 1_000);
      world.store.put('db', '{"user":"ann","password":"first"}', version);
      await run(version, reason);
    }
    expect(reported).toEqual([
      ['created', 'add PASSWORD', 'add USER'],
      ['updated', 'keep PASSWORD', 'keep USER'],
      ['updated'],
    ]);
    expect(currentState()?.keys).toEqual([]);
  });
});
