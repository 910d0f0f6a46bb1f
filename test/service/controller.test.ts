import { describe, expect, it, vi } from 'vitest';
import type { Entry } from '../../src/audit/entry.ts';
import { objectIn } from '../../src/cluster/json.ts';
import { AppError } from '../../src/core/errors.ts';
import type { TargetId } from '../../src/core/target.ts';
import { type Logger, silentLogger } from '../../src/log/logger.ts';
import { createMemoryQueue } from '../../src/queue/memory.ts';
import type { Queue } from '../../src/queue/queue.ts';
import { resolveTargets } from '../../src/reconcile/targets.ts';
import { startController } from '../../src/service/controller.ts';
import type { ServiceParts } from '../../src/service/service-parts.ts';
import { gate, type Watch } from '../fakes/faulty.ts';
import type { MemoryClusterOptions } from '../fakes/memory-cluster.ts';
import {
  APPS_DB,
  APPS_TOKEN,
  base64,
  DB_ONLY,
  openWorld,
  recordingLogger,
  TWO_MAPPINGS,
} from '../reconcile/world.ts';
import { soon } from '../soon.ts';
import { settled } from './sample.ts';
import { serve } from './serving.ts';

/** A controller on a world in memory, with a clock that the test moves. */
async function open(
  mappings = TWO_MAPPINGS,
  watch?: Watch,
  {
    concurrency = 16,
    logger = silentLogger,
    cluster: options = {},
    destroy = async () => [],
  }: {
    concurrency?: number;
    logger?: Logger;
    cluster?: MemoryClusterOptions;
    destroy?: ServiceParts['destroy'];
  } = {},
) {
  const world = await openWorld({ mappings, cluster: options });
  const { app } = await world.start(watch);
  const { clock, cluster } = world;
  const queue = createMemoryQueue({ concurrency: 64, timers: clock });
  const state = {
    mappings: app.config.mappings,
    isDown: false,
    woken: 0,
    runs: [] as string[],
    cycles: 0,
    answered: (_: string) => {},
  };
  const controller = await startController({
    clock,
    logger,
    random: () => 0.5,
    instance: 'prod',
    heldId: () => 'held',
    queue,
    cluster,
    audit: app.audit,
    scope: 'namespace',
    concurrency,
    restartWindowMs: () => 1_000,
    mappings: () => state.mappings,
    resolve: () => resolveTargets(state.mappings, cluster, undefined),
    stores: {
      definitions: () => app.stores.definitions,
      tellsVersions: () => false,
      isDown: () => state.isDown,
      onAnswer: (listener) => {
        state.answered = listener;
      },
      namesOf: (_, key) => [key],
    },
    openContext: async () => ({
      ...(await app.createContext()),
      versions: async (_, keys) => keys.map(() => ({ kind: 'unknown' })),
    }),
    destroy,
    restart: async () => undefined,
    recover: async () => 0,
    onOutcome: ({ mapping }) => void state.runs.push(mapping),
    onCycle: () => {
      state.cycles += 1;
    },
    replicasAgree: () => true,
  });
  const isKnown = (id: TargetId, kind: string) => () =>
    expect([...controller.states.all()].find(({ target }) => target.secret === id.secret)?.kind).toBe(kind);
  const writes = () => cluster.writes.length;
  return {
    ...world,
    controller,
    queue,
    state,
    writes,
    is: (id: TargetId, kind: string) => soon(isKnown(id, kind)),
    valueOf: (id: TargetId, key: string) => objectIn(cluster.raw(id) ?? {}, 'data')?.[key],
    [Symbol.asyncDispose]: () => controller.close(1_000),
  };
}

describe('the controller', () => {
  it('makes what is not there, once', async () => {
    await using it = await open();
    await it.is(APPS_DB, 'created');
    await it.is(APPS_TOKEN, 'created');
    await settled();
    expect(it.writes()).toBe(2);
    expect(it.valueOf(APPS_TOKEN, 'TOKEN')).toBe(base64('tok'));
  });

  it('asks its queue once for what is missing, and again for what that may have lost when it is seen', async () => {
    const world = await openWorld({ mappings: TWO_MAPPINGS });
    await using queue = createMemoryQueue({ concurrency: 8, timers: world.clock });
    const asked: string[] = [];
    let tell: Parameters<Queue['onHealth']>[0] = () => undefined;
    const add: Queue['add'] = async ({ subject }) =>
      void (subject.startsWith('target/') && asked.push(subject));
    const onHealth: Queue['onHealth'] = (listener) => {
      tell = listener;
      return () => undefined;
    };
    await using _ = await serve(world, undefined, { queue: { ...queue, add, onHealth } });
    await soon(() => expect(asked).toHaveLength(2));
    tell({ state: 'up', asOf: world.clock.now() - 1 });
    await settled();
    expect(asked).toHaveLength(2);
    tell({ state: 'up', asOf: world.clock.now() });
    await soon(() => expect(asked).toHaveLength(4));
  });

  it('works off nothing by one configuration while another one comes into force', async () => {
    await using it = await open();
    await it.is(APPS_DB, 'created');
    await it.is(APPS_TOKEN, 'created');
    const { state, controller } = it;
    const [db] = controller.snapshot().forTarget(APPS_DB);
    if (db === undefined) throw new Error('nothing is wanted');
    const coming = Promise.withResolvers<void>();
    const changed = controller.applyConfigChange({ mappings: new Set(['token']), all: false }, async () => {
      state.mappings = state.mappings.filter(({ name }) => name !== 'db');
      await coming.promise;
    });
    await soon(() => expect(state.mappings).toHaveLength(1));
    const before = state.runs.length;
    await controller.request(db, 'asked');
    await settled();
    expect(state.runs.slice(before)).toEqual([]);
    coming.resolve();
    await changed;
    await soon(() => expect(state.runs.slice(before)).toEqual(['token']));
  });

  it('repairs what somebody changes or deletes', async () => {
    await using it = await open();
    await it.is(APPS_TOKEN, 'created');
    it.cluster.edit(APPS_TOKEN, (raw) => ({ ...raw, data: { TOKEN: base64('evil') } }));
    await soon(() => expect(it.valueOf(APPS_TOKEN, 'TOKEN')).toBe(base64('tok')));
    it.cluster.forget(APPS_TOKEN);
    await soon(() => expect(it.valueOf(APPS_TOKEN, 'TOKEN')).toBe(base64('tok')));
    const writes = it.writes();
    await settled();
    expect(it.writes()).toBe(writes);
  });

  it('writes into no namespace of the selector that a mapping had before, when its new one cannot be looked up', async () => {
    const chosen = '{ namespaceSelector: { matchLabels: { env: prod } } }';
    await using it = await open(DB_ONLY.replace('{ namespace: apps }', chosen), undefined, {
      cluster: { namespaces: { prod: { env: 'prod' }, dev: { env: 'dev' } } },
    });
    const { state, store, cluster, clock } = it;
    const userOf = () => it.valueOf({ namespace: 'prod', secret: 'db' }, 'USER');
    await soon(() => expect(userOf()).toBe(base64('ann')));
    store.put('dev-db', '{"user":"dev","password":"dev"}');
    state.mappings = state.mappings.map((mapping) => ({
      ...mapping,
      target: { ...mapping.target, namespaceSelector: { matchLabels: { env: 'dev' } } },
      data: Object.fromEntries(
        Object.entries(mapping.data).map(([key, it]) => [key, { ...it, key: 'dev-db' }]),
      ),
    }));
    clock.set(clock.now() + 20_000);
    cluster.fail('namespaces', new AppError('CLUSTER_UNAVAILABLE'));
    await it.controller.applyConfigChange({ mappings: new Set(['db']), all: false });
    for (let n = 0; n < 20; n += 1) {
      await clock.advance(500);
      await settled();
    }
    expect(userOf()).toBe(base64('ann'));
    // Once it can, they are those of the new one.
    await it.controller.applyConfigChange({ mappings: new Set(['db']), all: false });
    await soon(() => expect(it.valueOf({ namespace: 'dev', secret: 'db' }, 'USER')).toBe(base64('dev')));
  });

  it('looks at once at a Secret that two mappings claimed when one of them wants it no more', async () => {
    const claiming = (name: string) => `
  - name: ${name}
    target: { namespaceSelector: { matchLabels: { ${name}: 'yes' } }, secret: db }
    data: { KEY: { store: vault, key: token } }`;
    await using it = await open(claiming('one') + claiming('two'), undefined, {
      cluster: { namespaces: { apps: { one: 'yes', two: 'yes' } } },
    });
    await soon(() => expect(it.controller.states.get('two', APPS_DB)?.error?.code).toBe('TARGET_CLAIMED'));
    await settled();
    const runs = () => it.state.runs.filter((name) => name === 'two').length;
    const before = runs();
    it.state.mappings = it.state.mappings.filter(({ name }) => name === 'two');
    await it.controller.applyConfigChange({ mappings: new Set(), all: false });
    await soon(() => expect(runs()).toBe(before + 1));
  });

  it('leaves the name of what it could not take over to whoever makes it anew', async () => {
    const adopting = DB_ONLY.replace('    data:', '    onConflict: adopt\n    data:');
    await using it = await open(adopting.replace('namespace: apps', 'namespace: apps, secret: first'));
    await it.is({ ...APPS_DB, secret: 'first' }, 'created');
    it.cluster.put(APPS_DB, { type: 'example.org/theirs', data: {} });
    it.state.mappings = it.state.mappings.map((mapping) => ({
      ...mapping,
      target: { ...mapping.target, secret: 'db' },
    }));
    await it.controller.applyConfigChange({ mappings: new Set(['db']), all: false });
    await it.is(APPS_DB, 'refused');
    expect(it.controller.states.get('db', APPS_DB)).toMatchObject({
      error: { code: 'IMMUTABLE' },
      alive: false,
    });
    const writes = it.writes();
    it.cluster.forget(APPS_DB);
    await settled();
    expect(it.writes()).toBe(writes);
  });

  it('reads nothing when it starts on targets that are as they should be', async () => {
    await using world = await open();
    await world.is(APPS_TOKEN, 'created');
    const { cluster, store } = world;
    store.reads.length = 0;
    const before = cluster.calls.read;
    await world.controller.applyConfigChange({ mappings: new Set(), all: false });
    await settled();
    expect([store.reads, cluster.calls.read]).toEqual([[], before]);
  });

  it('takes over a new configuration, and looks at what it changes alone', async () => {
    await using it = await open();
    await it.is(APPS_DB, 'created');
    await it.is(APPS_TOKEN, 'created');
    const before = it.controller.states.get('db', APPS_DB);
    it.clock.set(it.clock.now() + 20_000);
    it.state.mappings = it.state.mappings.map((mapping) =>
      mapping.name === 'token'
        ? { ...mapping, target: { ...mapping.target, labels: { team: 'x' } } }
        : mapping,
    );
    await it.controller.applyConfigChange({ mappings: new Set(['token']), all: false });
    await it.is(APPS_TOKEN, 'updated');
    expect(it.controller.states.get('db', APPS_DB)).toBe(before);
  });

  it('leaves to others what it does not know, as a newer release may ask for it', async () => {
    await using it = await open();
    await it.is(APPS_TOKEN, 'created');
    await it.clock.advance(2_000);
    const { delayed } = await it.queue.counts();
    await it.queue.add({ subject: 'future/1', reason: 'event', requestId: 'r' });
    await settled();
    expect((await it.queue.counts()).delayed).toBe(delayed + 1);
  });

  it('works off a sweep of a configuration that reaches it after another replica', async () => {
    await using it = await open();
    await it.is(APPS_TOKEN, 'created');
    const shard = 'sweep/vault/420000/0/1';
    await it.queue.add({ subject: shard, reason: 'sweep', requestId: 'r' });
    await it.clock.advance(1_000);
    expect(it.controller.states.sweepState(shard)).toBeUndefined();
    it.state.mappings = it.state.mappings.map((mapping) => ({ ...mapping, refreshMs: 420_000 }));
    await it.controller.applyConfigChange({ mappings: new Set(['db', 'token']), all: false });
    await it.clock.advance(5_000);
    await soon(() => expect(it.controller.states.sweepState(shard)).toBeDefined());
  });

  it('makes what a new mapping wants in one run, without a look at what the watch says is missing', async () => {
    await using it = await open();
    await it.is(APPS_DB, 'created');
    await it.is(APPS_TOKEN, 'created');
    const [token] = it.state.mappings.filter(({ name }) => name === 'token');
    if (token === undefined) throw new Error('there is no such mapping');
    const added = { ...token, name: 'late', target: { ...token.target, secret: 'late' } };
    it.state.mappings = [...it.state.mappings, added];
    const { read, create } = it.cluster.calls;
    await it.controller.applyConfigChange({ mappings: new Set(['late']), all: false });
    const late = { ...APPS_TOKEN, secret: 'late' };
    await it.is(late, 'created');
    await settled();
    expect(it.state.runs.filter((name) => name === 'late')).toEqual(['late']);
    expect([it.cluster.calls.read, it.cluster.calls.create]).toEqual([read, (create ?? 0) + 1]);
    expect(it.valueOf(late, 'TOKEN')).toBe(base64('tok'));
  });

  it('makes nothing of a mapping that has left while its sources were read', async () => {
    const reading = gate('store.read');
    let isHeld = false;
    await using it = await open(DB_ONLY, (step) => (isHeld ? reading.watch(step) : undefined));
    await it.is(APPS_DB, 'created');
    const [db] = it.state.mappings;
    if (db === undefined) throw new Error('there is no such mapping');
    const added = {
      ...db,
      name: 'wrong',
      target: { ...db.target, namespaces: ['elsewhere'], secret: 'wrong' },
    };
    it.clock.set(it.clock.now() + 20_000);
    isHeld = true;
    it.state.mappings = [db, added];
    await it.controller.applyConfigChange({ mappings: new Set(['wrong']), all: false });
    await reading.arrived;
    it.state.mappings = [db];
    await it.controller.applyConfigChange({ mappings: new Set(), all: false });
    reading.open();
    await soon(() => expect(it.state.runs).toContain('wrong'));
    expect(it.cluster.raw({ namespace: 'elsewhere', secret: 'wrong' })).toBeUndefined();
    expect(it.writes()).toBe(1);
  });

  it('looks for what left when a target was made whose mapping has left meanwhile', async () => {
    const looks: boolean[] = [];
    await using it = await open(DB_ONLY, undefined, {
      destroy: async (_, { includeOrphans: withLeft }) => {
        looks.push(withLeft);
        return [];
      },
    });
    await it.is(APPS_DB, 'created');
    await it.clock.advance(5_000);
    const [db] = it.state.mappings;
    if (db === undefined) throw new Error('there is no such mapping');
    const wrong = { ...db, name: 'wrong', target: { ...db.target, secret: 'wrong' } };
    const made = Promise.withResolvers<void>();
    const { create } = it.cluster;
    it.cluster.create = async (...asked) => {
      it.state.mappings = [db];
      await it.controller.applyConfigChange({ mappings: new Set(), all: false });
      await it.clock.advance(5_000);
      looks.splice(0);
      made.resolve();
      return create(...asked);
    };
    it.state.mappings = [db, wrong];
    await it.controller.applyConfigChange({ mappings: new Set(['wrong']), all: false });
    await made.promise;
    await soon(() => expect(it.cluster.raw({ ...APPS_DB, secret: 'wrong' })).toBeDefined());
    await settled();
    await it.clock.advance(5_000);
    expect(looks).toEqual([true]);
  });

  it('forgets what nobody wants any more', async () => {
    await using it = await open();
    await it.is(APPS_DB, 'created');
    await it.is(APPS_TOKEN, 'created');
    it.state.mappings = it.state.mappings.filter(({ name }) => name === 'db');
    await it.controller.applyConfigChange({ mappings: new Set(), all: false });
    expect([...it.controller.states.all()].map(({ mapping }) => mapping)).toEqual(['db']);
    expect([...it.controller.states.metas()].map(({ id }) => id.secret)).toEqual(['db']);
  });

  it('is woken by a store that has come back', async () => {
    await using it = await open();
    it.store.fail('token', new AppError('STORE_UNAVAILABLE'));
    await it.is(APPS_DB, 'created');
    await it.is(APPS_TOKEN, 'failed');
    it.store.put('token', 'new');
    it.clock.set(it.clock.now() + 20_000);
    it.controller.storeRecovered('vault');
    await it.is(APPS_TOKEN, 'created');
  });

  it('tries a failed target again by itself', async () => {
    await using it = await open();
    it.store.fail('token', new AppError('STORE_UNAVAILABLE'));
    await it.is(APPS_TOKEN, 'failed');
    it.store.put('token', 'new');
    await it.clock.advance(20_000);
    await it.is(APPS_TOKEN, 'created');
  });

  it('undoes no edit by hand for somebody whose sync had failed before it, where edits are to be reported', async () => {
    await using it = await open(DB_ONLY.replace('    data:', '    onDrift: report\n    data:'));
    await it.is(APPS_DB, 'created');
    const [db] = it.state.mappings;
    if (db === undefined) throw new Error('there is no mapping');
    it.store.fail('db', new AppError('STORE_UNAVAILABLE'));
    it.clock.set(it.clock.now() + 1_000);
    await it.controller.request({ mapping: db, id: APPS_DB }, 'asked');
    await it.is(APPS_DB, 'failed');
    it.cluster.edit(APPS_DB, (raw) => ({ ...raw, data: { PASSWORD: base64('by hand') } }));
    it.store.put('db', '{"user":"ann","password":"first"}');
    await it.clock.advance(20_000);
    await it.is(APPS_DB, 'refused');
    expect(it.valueOf(APPS_DB, 'PASSWORD')).toBe(base64('by hand'));
    // Whoever asks now means this edit.
    await it.controller.request({ mapping: db, id: APPS_DB }, 'asked again');
    await soon(() => expect(it.valueOf(APPS_DB, 'PASSWORD')).toBe(base64('first')));
  });

  it('makes what comes to its configuration, whatever was deleted by hand before, where edits are to be reported', async () => {
    const only = DB_ONLY.replace('    data:', '    onDrift: report\n    data:');
    await using it = await open(
      only.replace('{ namespace: apps }', '{ namespaceSelector: { matchLabels: { env: prod } } }'),
      undefined,
      {
        cluster: { namespaces: { apps: { env: 'prod' } } },
      },
    );
    await soon(() => expect(it.valueOf(APPS_DB, 'PASSWORD')).toBe(base64('first')));
    const { state, clock } = it;
    const { mappings } = state;
    const change = async (wanted: typeof mappings) => {
      await settled();
      clock.set(clock.now() + 20_000);
      state.mappings = wanted;
      await it.controller.applyConfigChange({ mappings: new Set(['db']), all: false });
    };
    const isNow = (kind: string) =>
      soon(() =>
        expect(it.controller.states.get('db', APPS_DB)).toMatchObject({ kind, startedAt: clock.now() }),
      );
    await change([]);
    // With its namespace, or by whoever tidied up.
    it.cluster.forget(APPS_DB);
    await change(mappings);
    await soon(() => expect(it.valueOf(APPS_DB, 'PASSWORD')).toBe(base64('first')));
    // From then on it is one like any other, also where it was there already when it came.
    await change([]);
    await change(mappings);
    await isNow('unchanged');
    clock.set(clock.now() + 20_000);
    it.cluster.forget(APPS_DB);
    await isNow('refused');
    expect(it.valueOf(APPS_DB, 'PASSWORD')).toBeUndefined();
  });

  it('has trouble with its audit from what cannot be recorded until that can, whatever succeeds meanwhile', async () => {
    const away = new AppError('AUDIT_UNAVAILABLE');
    let isAway = false;
    await using it = await open(TWO_MAPPINGS, ({ call, phase }) => {
      if (isAway && call === 'audit.append' && phase === 'before') throw away;
    });
    await it.is(APPS_DB, 'created');
    await it.is(APPS_TOKEN, 'created');
    expect(it.controller.auditHealth.error()).toBeUndefined();
    isAway = true;
    it.cluster.forget(APPS_TOKEN);
    await soon(() => expect(it.controller.auditHealth.error()).toBe(away));
    const db = it.state.mappings.find(({ name }) => name === 'db');
    if (db === undefined) throw new Error('there is no such mapping');
    it.clock.set(it.clock.now() + 1_000);
    await it.controller.request({ mapping: db, id: APPS_DB }, 'r');
    await it.is(APPS_DB, 'unchanged');
    expect(it.controller.auditHealth.error()).toBe(away);
    isAway = false;
    await it.clock.advance(10_000);
    await soon(() => expect(it.controller.auditHealth.error()).toBeUndefined());
    expect(it.valueOf(APPS_TOKEN, 'TOKEN')).toBe(base64('tok'));
  });

  it('has trouble with its audit until its sweeps are recorded, and loses none of them', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    using _ = { [Symbol.dispose]: () => void vi.useRealTimers() };
    let isAway = false;
    let swept = 0;
    await using it = await open(TWO_MAPPINGS, ({ call, phase, args }) => {
      const [entry] = call === 'audit.append' ? (args[0] as readonly Entry[]) : [];
      if (entry?.action !== 'sweep' || phase !== 'before') return;
      if (isAway) throw new AppError('AUDIT_UNAVAILABLE');
      swept += entry.counts?.sweeps ?? 0;
    });
    await it.is(APPS_DB, 'created');
    await it.is(APPS_TOKEN, 'created');
    for (let round = 0; round < 3; round += 1) {
      vi.advanceTimersByTime(250);
      it.clock.set(it.clock.now() + 300_000);
    }
    await soon(() => expect(it.state.cycles).toBeGreaterThan(0));
    isAway = true;
    vi.advanceTimersByTime(3_600_000);
    await soon(() => expect(it.controller.auditHealth.error()?.code).toBe('AUDIT_UNAVAILABLE'));
    it.clock.set(it.clock.now() + 120_000);
    expect(it.controller.auditHealth.error()?.code).toBe('AUDIT_UNAVAILABLE');
    isAway = false;
    vi.advanceTimersByTime(20_000);
    await soon(() => expect(it.controller.auditHealth.error()).toBeUndefined());
    await soon(() => {
      // One that has ended only after that is on record an hour later.
      vi.advanceTimersByTime(3_600_000);
      expect(swept).toBe(it.state.cycles);
    });
  });

  it('warns within seconds of a source that was not rotated for longer than its mapping wants', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    using _ = { [Symbol.dispose]: () => void vi.useRealTimers() };
    const logger = recordingLogger();
    await using it = await open(`${DB_ONLY}    maxAge: 1s\n`, undefined, { logger });
    await it.is(APPS_DB, 'created');
    const { store = '', key = '' } = Object.values(it.state.mappings[0]?.data ?? {})[0] ?? {};
    it.controller.ages.note(store, key, { version: '1', createdAt: it.clock.now() - 2_000 });
    for (let turn = 0; turn < 3; turn += 1) vi.advanceTimersByTime(20_000);
    const warned = logger.lines.filter(({ level, fields }) => level === 'warn' && fields.key === key);
    expect(warned.map(({ fields }) => [fields.mapping, fields.durationMs])).toEqual([['db', 2_000]]);
  });

  it('takes what a store answers for progress of the jobs that wait for it, in line or for their values', async () => {
    const store = gate('store.read');
    let now = 0;
    using _ = vi.spyOn(performance, 'now').mockImplementation(() => now);
    await using it = await open(TWO_MAPPINGS, store.watch, { concurrency: 1 });
    await store.arrived;
    const stalled = () =>
      it.controller.loops.states().filter(({ name, stalled: is }) => is && name.startsWith('job '));
    expect(it.controller.loops.states().filter(({ name }) => name.startsWith('job '))).toHaveLength(2);
    for (let minute = 0; minute < 60; minute += 1) {
      now += 60_000;
      it.state.answered('vault');
      expect(stalled()).toEqual([]);
    }
    now += 301_000;
    it.state.answered('another');
    expect(stalled()).toHaveLength(2);
    store.open();
    await it.is(APPS_TOKEN, 'created');
    await it.is(APPS_DB, 'created');
    expect(stalled()).toEqual([]);
  });

  it('says nothing of what it leaves behind when it ends', async () => {
    const store = gate('store.read');
    const logger = recordingLogger();
    let isClosed = false;
    const watch: Watch = async (step) => {
      await store.watch(step);
      if (isClosed && step.call === 'audit.append') throw new AppError('AUDIT_UNAVAILABLE');
    };
    const it = await open(TWO_MAPPINGS, watch, { logger });
    await store.arrived;
    const closing = it.controller.close(0);
    await it.clock.advance(0);
    await closing;
    isClosed = true;
    store.open();
    await soon(() =>
      expect(it.controller.loops.states().filter(({ name }) => name.startsWith('job'))).toEqual([]),
    );
    expect(logger.lines.filter(({ level }) => level === 'error')).toEqual([]);
  });

  it('leaves nothing open when it ends', async () => {
    const it = await open();
    await it.is(APPS_TOKEN, 'created');
    await it.controller.close(1_000);
    expect(it.cluster.watched).toEqual([]);
    expect(it.clock.waiting).toEqual([]);
  });
});
