import { describe, expect, it, vi } from 'vitest';
import type { Entry } from '../../src/audit/entry.ts';
import { objectIn } from '../../src/cluster/json.ts';
import { AppError } from '../../src/core/errors.ts';
import type { TargetId } from '../../src/core/target.ts';
import { createMemoryQueue } from '../../src/queue/memory.ts';
import type { Queue } from '../../src/queue/queue.ts';
import { resolveTargets } from '../../src/reconcile/targets.ts';
import { startController } from '../../src/service/controller.ts';
import type { ServiceParts } from '../../src/service/service-parts.ts';
import { type Logger, silentLogger } from '../../src/telemetry/logger.ts';
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
import { waitUntil } from '../wait-until.ts';
import { settled } from './sample.ts';
import { serve } from './serving.ts';

/** Starts a controller on in-memory services. The test advances its clock. */
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
    destroy?: ServiceParts['steps']['destroy'];
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
    runtime: { clock, logger, random: () => 0.5 },
    ports: {
      queue,
      cluster,
      audit: app.audit,
      stores: {
        definitions: () => app.stores.definitions,
        tellsVersions: () => false,
        isDown: () => state.isDown,
        onAnswer: (listener) => {
          state.answered = listener;
        },
        namesOf: (_, key) => [key],
      },
    },
    config: {
      instance: 'prod',
      scope: 'namespace',
      concurrency,
      restartWindowMs: () => 1_000,
      channels: () => [],
      mappings: () => state.mappings,
      resolve: () => resolveTargets(state.mappings, cluster, undefined),
    },
    steps: {
      heldId: () => 'held',
      resumeApproved: async () => undefined,
      notify: async () => undefined,
      openContext: async () => ({
        ...(await app.createContext()),
        versions: async (_, keys) => keys.map(() => ({ kind: 'unknown' })),
      }),
      destroy,
      restart: async () => undefined,
      recover: async () => 0,
      hasOpenFailure: async () => false,
    },
    replicas: { replicasAgree: () => true },
    metrics: {
      onOutcome: ({ mapping }) => void state.runs.push(mapping),
      onCycle: () => {
        state.cycles += 1;
      },
    },
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
    is: (id: TargetId, kind: string) => waitUntil(isKnown(id, kind)),
    valueOf: (id: TargetId, key: string) => objectIn(cluster.raw(id) ?? {}, 'data')?.[key],
    [Symbol.asyncDispose]: () => controller.close(1_000),
  };
}

describe('controller', () => {
  it('the controller creates a missing target once', async () => {
    await using opened = await open();
    await opened.is(APPS_DB, 'created');
    await opened.is(APPS_TOKEN, 'created');
    await settled();
    expect(opened.writes()).toBe(2);
    expect(opened.valueOf(APPS_TOKEN, 'TOKEN')).toBe(base64('tok'));
  });

  it('the controller queues a missing target once, and again only if the queue may have lost the job', async () => {
    const world = await openWorld({ mappings: TWO_MAPPINGS });
    await using queue = createMemoryQueue({ concurrency: 8, timers: world.clock });
    const queued: string[] = [];
    let tell: Parameters<Queue['onHealth']>[0] = () => undefined;
    const add: Queue['add'] = async (jobs) =>
      void queued.push(...jobs.map(({ subject }) => subject).filter((name) => name.startsWith('target/')));
    const onHealth: Queue['onHealth'] = (listener) => {
      tell = listener;
      return () => undefined;
    };
    await using _ = await serve(world, undefined, { queue: Object.assign(queue, { add, onHealth }) });
    await waitUntil(() => expect(queued).toHaveLength(2));
    tell({ state: 'up', asOf: world.clock.now() - 1 });
    await settled();
    expect(queued).toHaveLength(2);
    tell({ state: 'up', asOf: world.clock.now() });
    await waitUntil(() => expect(queued).toHaveLength(4));
  });

  it('the controller runs no job under the old configuration while a new configuration is applied', async () => {
    await using opened = await open();
    await opened.is(APPS_DB, 'created');
    await opened.is(APPS_TOKEN, 'created');
    const { state, controller } = opened;
    const [db] = controller.snapshot().forTarget(APPS_DB);
    if (db === undefined) throw new Error('nothing is wanted');
    const coming = Promise.withResolvers<void>();
    const changed = controller.applyConfigChange({ mappings: new Set(['token']), all: false }, async () => {
      state.mappings = state.mappings.filter(({ name }) => name !== 'db');
      await coming.promise;
    });
    await waitUntil(() => expect(state.mappings).toHaveLength(1));
    const before = state.runs.length;
    await controller.request(db, 'asked');
    await settled();
    expect(state.runs.slice(before)).toEqual([]);
    coming.resolve();
    await changed;
    await waitUntil(() => expect(state.runs.slice(before)).toEqual(['token']));
  });

  it('the controller repairs changed and deleted targets', async () => {
    await using opened = await open();
    await opened.is(APPS_TOKEN, 'created');
    opened.cluster.edit(APPS_TOKEN, (raw) => ({ ...raw, data: { TOKEN: base64('evil') } }));
    await waitUntil(() => expect(opened.valueOf(APPS_TOKEN, 'TOKEN')).toBe(base64('tok')));
    opened.cluster.forget(APPS_TOKEN);
    await waitUntil(() => expect(opened.valueOf(APPS_TOKEN, 'TOKEN')).toBe(base64('tok')));
    const writes = opened.writes();
    await settled();
    expect(opened.writes()).toBe(writes);
  });

  it('the controller writes to no namespace of the previous selector while the new selector cannot be resolved', async () => {
    const chosen = '{ namespaceSelector: { matchLabels: { env: prod } } }';
    await using opened = await open(DB_ONLY.replace('{ namespace: apps }', chosen), undefined, {
      cluster: { namespaces: { prod: { env: 'prod' }, dev: { env: 'dev' } } },
    });
    const { state, store, cluster, clock } = opened;
    const userOf = () => opened.valueOf({ namespace: 'prod', secret: 'db' }, 'USER');
    await waitUntil(() => expect(userOf()).toBe(base64('ann')));
    store.put('dev-db', '{"user":"dev","password":"dev"}');
    state.mappings = state.mappings.map((mapping) => ({
      ...mapping,
      target: { ...mapping.target, namespaceSelector: { matchLabels: { env: 'dev' } } },
      data: Object.fromEntries(
        Object.entries(mapping.data).map(([key, source]) => [key, { ...source, key: 'dev-db' }]),
      ),
    }));
    clock.set(clock.now() + 20_000);
    cluster.fail('namespaces', new AppError('CLUSTER_UNAVAILABLE'));
    await opened.controller.applyConfigChange({ mappings: new Set(['db']), all: false });
    for (let n = 0; n < 20; n += 1) {
      await clock.advance(500);
      await settled();
    }
    expect(userOf()).toBe(base64('ann'));
    // After the selector is resolved, its namespaces are the targets.
    await opened.controller.applyConfigChange({ mappings: new Set(['db']), all: false });
    await waitUntil(() =>
      expect(opened.valueOf({ namespace: 'dev', secret: 'db' }, 'USER')).toBe(base64('dev')),
    );
  });

  it('the controller queues the target of a mapping as soon as another mapping stops claiming the same Secret', async () => {
    const claiming = (name: string) => `
  - name: ${name}
    target: { namespaceSelector: { matchLabels: { ${name}: 'yes' } }, secret: db }
    data: { KEY: { store: vault, key: token } }`;
    await using opened = await open(claiming('one') + claiming('two'), undefined, {
      cluster: { namespaces: { apps: { one: 'yes', two: 'yes' } } },
    });
    await waitUntil(() =>
      expect(opened.controller.states.get('two', APPS_DB)?.error?.code).toBe('TARGET_CLAIMED'),
    );
    await settled();
    const runs = () => opened.state.runs.filter((name) => name === 'two').length;
    const before = runs();
    opened.state.mappings = opened.state.mappings.filter(({ name }) => name === 'two');
    await opened.controller.applyConfigChange({ mappings: new Set(), all: false });
    await waitUntil(() => expect(runs()).toBe(before + 1));
  });

  it('the controller waits before it takes a freed name, so that the previous owner can create its Secret again', async () => {
    const adopting = DB_ONLY.replace('    data:', '    onConflict: adopt\n    data:');
    await using opened = await open(adopting.replace('namespace: apps', 'namespace: apps, secret: first'));
    await opened.is({ ...APPS_DB, secret: 'first' }, 'created');
    opened.cluster.put(APPS_DB, { type: 'example.org/theirs', data: {} });
    opened.state.mappings = opened.state.mappings.map((mapping) => ({
      ...mapping,
      target: { ...mapping.target, secret: 'db' },
    }));
    await opened.controller.applyConfigChange({ mappings: new Set(['db']), all: false });
    await opened.is(APPS_DB, 'refused');
    expect(opened.controller.states.get('db', APPS_DB)).toMatchObject({
      error: { code: 'IMMUTABLE' },
      alive: false,
    });
    const writes = opened.writes();
    opened.cluster.forget(APPS_DB);
    await settled();
    expect(opened.writes()).toBe(writes);
  });

  it('the controller reads no source at startup when all targets are in sync', async () => {
    await using world = await open();
    await world.is(APPS_TOKEN, 'created');
    const { cluster, store } = world;
    store.reads.length = 0;
    const before = cluster.calls.read;
    await world.controller.applyConfigChange({ mappings: new Set(), all: false });
    await settled();
    expect([store.reads, cluster.calls.read]).toEqual([[], before]);
  });

  it('the controller runs only changed targets under a new configuration', async () => {
    await using opened = await open();
    await opened.is(APPS_DB, 'created');
    await opened.is(APPS_TOKEN, 'created');
    const before = opened.controller.states.get('db', APPS_DB);
    opened.clock.set(opened.clock.now() + 20_000);
    opened.state.mappings = opened.state.mappings.map((mapping) =>
      mapping.name === 'token'
        ? { ...mapping, target: { ...mapping.target, labels: { team: 'x' } } }
        : mapping,
    );
    await opened.controller.applyConfigChange({ mappings: new Set(['token']), all: false });
    await opened.is(APPS_TOKEN, 'updated');
    expect(opened.controller.states.get('db', APPS_DB)).toBe(before);
  });

  it('the controller returns a job for an unknown subject to the queue, because a newer release may know the subject', async () => {
    await using opened = await open();
    await opened.is(APPS_TOKEN, 'created');
    await opened.clock.advance(2_000);
    const { delayed } = await opened.queue.counts();
    await opened.queue.add([{ subject: 'future/1', reason: 'event', requestId: 'r' }]);
    await settled();
    expect((await opened.queue.counts()).delayed).toBe(delayed + 1);
  });

  it('the controller runs a sweep of a newer configuration only after this replica has loaded this configuration', async () => {
    await using opened = await open();
    await opened.is(APPS_TOKEN, 'created');
    const shard = 'sweep/vault/420000/0/1';
    await opened.queue.add([{ subject: shard, reason: 'sweep', requestId: 'r' }]);
    await opened.clock.advance(1_000);
    expect(opened.controller.states.sweepState(shard)).toBeUndefined();
    opened.state.mappings = opened.state.mappings.map((mapping) => ({ ...mapping, refreshMs: 420_000 }));
    await opened.controller.applyConfigChange({ mappings: new Set(['db', 'token']), all: false });
    await opened.clock.advance(5_000);
    await waitUntil(() => expect(opened.controller.states.sweepState(shard)).toBeDefined());
  });

  it('the controller creates the targets of a new mapping in one run, without reading Secrets that the watch reports missing', async () => {
    await using opened = await open();
    await opened.is(APPS_DB, 'created');
    await opened.is(APPS_TOKEN, 'created');
    const [token] = opened.state.mappings.filter(({ name }) => name === 'token');
    if (token === undefined) throw new Error('there is no such mapping');
    const added = { ...token, name: 'late', target: { ...token.target, secret: 'late' } };
    opened.state.mappings = [...opened.state.mappings, added];
    const { read, create } = opened.cluster.calls;
    await opened.controller.applyConfigChange({ mappings: new Set(['late']), all: false });
    const late = { ...APPS_TOKEN, secret: 'late' };
    await opened.is(late, 'created');
    await settled();
    expect(opened.state.runs.filter((name) => name === 'late')).toEqual(['late']);
    expect([opened.cluster.calls.read, opened.cluster.calls.create]).toEqual([read, (create ?? 0) + 1]);
    expect(opened.valueOf(late, 'TOKEN')).toBe(base64('tok'));
  });

  it('the controller does not create a target if its mapping is removed while its sources are read', async () => {
    const reading = gate('store.read');
    let isHeld = false;
    await using opened = await open(DB_ONLY, (step) => (isHeld ? reading.watch(step) : undefined));
    await opened.is(APPS_DB, 'created');
    const [db] = opened.state.mappings;
    if (db === undefined) throw new Error('there is no such mapping');
    const added = {
      ...db,
      name: 'wrong',
      target: { ...db.target, namespaces: ['elsewhere'], secret: 'wrong' },
    };
    opened.clock.set(opened.clock.now() + 20_000);
    isHeld = true;
    opened.state.mappings = [db, added];
    await opened.controller.applyConfigChange({ mappings: new Set(['wrong']), all: false });
    await reading.arrived;
    opened.state.mappings = [db];
    await opened.controller.applyConfigChange({ mappings: new Set(), all: false });
    reading.open();
    await waitUntil(() => expect(opened.state.runs).toContain('wrong'));
    expect(opened.cluster.raw({ namespace: 'elsewhere', secret: 'wrong' })).toBeUndefined();
    expect(opened.writes()).toBe(1);
  });

  it('the controller checks for orphans after it creates a target whose mapping was removed during the creation', async () => {
    const looks: boolean[] = [];
    await using opened = await open(DB_ONLY, undefined, {
      destroy: async (_, { includeOrphans: withLeft }) => {
        looks.push(withLeft);
        return [];
      },
    });
    await opened.is(APPS_DB, 'created');
    await opened.clock.advance(5_000);
    const [db] = opened.state.mappings;
    if (db === undefined) throw new Error('there is no such mapping');
    const wrong = { ...db, name: 'wrong', target: { ...db.target, secret: 'wrong' } };
    const created = Promise.withResolvers<void>();
    const { create } = opened.cluster;
    opened.cluster.create = async (...queued) => {
      opened.state.mappings = [db];
      await opened.controller.applyConfigChange({ mappings: new Set(), all: false });
      await opened.clock.advance(5_000);
      looks.splice(0);
      created.resolve();
      return create(...queued);
    };
    opened.state.mappings = [db, wrong];
    await opened.controller.applyConfigChange({ mappings: new Set(['wrong']), all: false });
    await created.promise;
    await waitUntil(() => expect(opened.cluster.raw({ ...APPS_DB, secret: 'wrong' })).toBeDefined());
    await settled();
    await opened.clock.advance(5_000);
    expect(looks).toEqual([true]);
  });

  it('the controller forgets targets that are no longer desired', async () => {
    await using opened = await open();
    await opened.is(APPS_DB, 'created');
    await opened.is(APPS_TOKEN, 'created');
    opened.state.mappings = opened.state.mappings.filter(({ name }) => name === 'db');
    await opened.controller.applyConfigChange({ mappings: new Set(), all: false });
    expect([...opened.controller.states.all()].map(({ mapping }) => mapping)).toEqual(['db']);
    expect([...opened.controller.states.allInputs()].map(({ target }) => target.secret)).toEqual(['db']);
  });

  it('the controller queues failed targets when their store recovers', async () => {
    await using opened = await open();
    opened.store.fail('token', new AppError('STORE_UNAVAILABLE'));
    await opened.is(APPS_DB, 'created');
    await opened.is(APPS_TOKEN, 'failed');
    opened.store.put('token', 'new');
    opened.clock.set(opened.clock.now() + 20_000);
    opened.controller.storeRecovered('vault');
    await opened.is(APPS_TOKEN, 'created');
  });

  it('the controller retries a failed target without a new trigger', async () => {
    await using opened = await open();
    opened.store.fail('token', new AppError('STORE_UNAVAILABLE'));
    await opened.is(APPS_TOKEN, 'failed');
    opened.store.put('token', 'new');
    await opened.clock.advance(20_000);
    await opened.is(APPS_TOKEN, 'created');
  });

  it('the controller does not overwrite reported drift when it retries a manual sync that began before the drift', async () => {
    await using opened = await open(DB_ONLY.replace('    data:', '    onDrift: report\n    data:'));
    await opened.is(APPS_DB, 'created');
    const [db] = opened.state.mappings;
    if (db === undefined) throw new Error('there is no mapping');
    opened.store.fail('db', new AppError('STORE_UNAVAILABLE'));
    opened.clock.set(opened.clock.now() + 1_000);
    await opened.controller.request({ mapping: db, id: APPS_DB }, 'asked');
    await opened.is(APPS_DB, 'failed');
    opened.cluster.edit(APPS_DB, (raw) => ({ ...raw, data: { PASSWORD: base64('by hand') } }));
    opened.store.put('db', '{"user":"ann","password":"first"}');
    await opened.clock.advance(20_000);
    await opened.is(APPS_DB, 'refused');
    expect(opened.valueOf(APPS_DB, 'PASSWORD')).toBe(base64('by hand'));
    // A new manual request may overwrite the edit.
    await opened.controller.request({ mapping: db, id: APPS_DB }, 'asked again');
    await waitUntil(() => expect(opened.valueOf(APPS_DB, 'PASSWORD')).toBe(base64('first')));
  });

  it('the controller creates new targets under `onDrift: report`, even if a target of the same name was deleted before', async () => {
    const only = DB_ONLY.replace('    data:', '    onDrift: report\n    data:');
    await using opened = await open(
      only.replace('{ namespace: apps }', '{ namespaceSelector: { matchLabels: { env: prod } } }'),
      undefined,
      {
        cluster: { namespaces: { apps: { env: 'prod' } } },
      },
    );
    await waitUntil(() => expect(opened.valueOf(APPS_DB, 'PASSWORD')).toBe(base64('first')));
    const { state, clock } = opened;
    const { mappings } = state;
    const change = async (wanted: typeof mappings) => {
      await settled();
      clock.set(clock.now() + 20_000);
      state.mappings = wanted;
      await opened.controller.applyConfigChange({ mappings: new Set(['db']), all: false });
    };
    const isNow = (kind: string) =>
      waitUntil(() =>
        expect(opened.controller.states.get('db', APPS_DB)).toMatchObject({ kind, startedAt: clock.now() }),
      );
    await change([]);
    // The target was deleted with its namespace or by an operator.
    opened.cluster.forget(APPS_DB);
    await change(mappings);
    await waitUntil(() => expect(opened.valueOf(APPS_DB, 'PASSWORD')).toBe(base64('first')));
    // The target is removed and added again while its Secret exists, so the target does not count as new.
    await change([]);
    await change(mappings);
    await isNow('unchanged');
    clock.set(clock.now() + 20_000);
    opened.cluster.forget(APPS_DB);
    await isNow('refused');
    expect(opened.valueOf(APPS_DB, 'PASSWORD')).toBeUndefined();
  });

  it('the controller reports an audit error until the record that failed is written, even if other records are written', async () => {
    const outage = new AppError('AUDIT_UNAVAILABLE');
    let isAway = false;
    await using opened = await open(TWO_MAPPINGS, ({ call, phase }) => {
      if (isAway && call === 'audit.append' && phase === 'before') throw outage;
    });
    await opened.is(APPS_DB, 'created');
    await opened.is(APPS_TOKEN, 'created');
    expect(opened.controller.auditHealth.error()).toBeUndefined();
    isAway = true;
    opened.cluster.forget(APPS_TOKEN);
    await waitUntil(() => expect(opened.controller.auditHealth.error()).toBe(outage));
    const db = opened.state.mappings.find(({ name }) => name === 'db');
    if (db === undefined) throw new Error('there is no such mapping');
    opened.clock.set(opened.clock.now() + 1_000);
    await opened.controller.request({ mapping: db, id: APPS_DB }, 'r');
    await opened.is(APPS_DB, 'unchanged');
    expect(opened.controller.auditHealth.error()).toBe(outage);
    isAway = false;
    await opened.clock.advance(10_000);
    await waitUntil(() => expect(opened.controller.auditHealth.error()).toBeUndefined());
    expect(opened.valueOf(APPS_TOKEN, 'TOKEN')).toBe(base64('tok'));
  });

  it('the controller reports an audit error until all sweeps are recorded', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    using _ = { [Symbol.dispose]: () => void vi.useRealTimers() };
    let isAway = false;
    let swept = 0;
    await using opened = await open(TWO_MAPPINGS, ({ call, phase, args }) => {
      const [entry] = call === 'audit.append' ? (args[0] as readonly Entry[]) : [];
      if (entry?.action !== 'sweep' || phase !== 'before') return;
      if (isAway) throw new AppError('AUDIT_UNAVAILABLE');
      swept += entry.counts?.sweeps ?? 0;
    });
    await opened.is(APPS_DB, 'created');
    await opened.is(APPS_TOKEN, 'created');
    for (let round = 0; round < 3; round += 1) {
      vi.advanceTimersByTime(250);
      opened.clock.set(opened.clock.now() + 300_000);
    }
    await waitUntil(() => expect(opened.state.cycles).toBeGreaterThan(0));
    isAway = true;
    vi.advanceTimersByTime(3_600_000);
    await waitUntil(() => expect(opened.controller.auditHealth.error()?.code).toBe('AUDIT_UNAVAILABLE'));
    opened.clock.set(opened.clock.now() + 120_000);
    expect(opened.controller.auditHealth.error()?.code).toBe('AUDIT_UNAVAILABLE');
    isAway = false;
    vi.advanceTimersByTime(20_000);
    await waitUntil(() => expect(opened.controller.auditHealth.error()).toBeUndefined());
    await waitUntil(() => {
      // A sweep that ends after the outage is recorded within the next hour.
      vi.advanceTimersByTime(3_600_000);
      expect(swept).toBe(opened.state.cycles);
    });
  });

  it("the controller warns within seconds about a source older than the mapping's `maxAge`", async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    using _ = { [Symbol.dispose]: () => void vi.useRealTimers() };
    const logger = recordingLogger();
    await using opened = await open(`${DB_ONLY}    maxAge: 1s\n`, undefined, { logger });
    await opened.is(APPS_DB, 'created');
    const { store = '', key = '' } = Object.values(opened.state.mappings[0]?.data ?? {})[0] ?? {};
    opened.controller.ages.note(store, key, { version: '1', createdAt: opened.clock.now() - 2_000 });
    for (let turn = 0; turn < 3; turn += 1) vi.advanceTimersByTime(20_000);
    const warned = logger.lines.filter(({ level, fields }) => level === 'warn' && fields.key === key);
    expect(warned.map(({ fields }) => [fields.mapping, fields.durationMs])).toEqual([['db', 2_000]]);
  });

  it('the controller counts store answers as progress of jobs that wait for their start or for values', async () => {
    const store = gate('store.read');
    let now = 0;
    using _ = vi.spyOn(performance, 'now').mockImplementation(() => now);
    await using opened = await open(TWO_MAPPINGS, store.watch, { concurrency: 1 });
    await store.arrived;
    const stalled = () =>
      opened.controller.loops.states().filter(({ name, stalled: is }) => is && name.startsWith('job '));
    expect(opened.controller.loops.states().filter(({ name }) => name.startsWith('job '))).toHaveLength(2);
    for (let minute = 0; minute < 60; minute += 1) {
      now += 60_000;
      opened.state.answered('vault');
      expect(stalled()).toEqual([]);
    }
    now += 301_000;
    opened.state.answered('another');
    expect(stalled()).toHaveLength(2);
    store.open();
    await opened.is(APPS_TOKEN, 'created');
    await opened.is(APPS_DB, 'created');
    expect(stalled()).toEqual([]);
  });

  it('the controller logs no error about runs that are aborted because the controller closes', async () => {
    const store = gate('store.read');
    const logger = recordingLogger();
    let isClosed = false;
    const watch: Watch = async (step) => {
      await store.watch(step);
      if (isClosed && step.call === 'audit.append') throw new AppError('AUDIT_UNAVAILABLE');
    };
    const opened = await open(TWO_MAPPINGS, watch, { logger });
    await store.arrived;
    const closing = opened.controller.close(0);
    await opened.clock.advance(0);
    await closing;
    isClosed = true;
    store.open();
    await waitUntil(() =>
      expect(opened.controller.loops.states().filter(({ name }) => name.startsWith('job'))).toEqual([]),
    );
    expect(logger.lines.filter(({ level }) => level === 'error')).toEqual([]);
  });

  it.each([
    ['a write that has begun, and begins no other job', 'cluster.create', 1],
    ['no write if the job was still reading', 'store.read', 0],
  ])('the controller completes %s after it was told to end', async (_, call, writes) => {
    const point = gate(call);
    const opened = await open(TWO_MAPPINGS, point.watch, { concurrency: 1 });
    await point.arrived;
    const jobs = () => opened.controller.loops.states().filter(({ name }) => name.startsWith('job'));
    // The job of the other target waits for its turn.
    await waitUntil(() => expect(jobs()).toHaveLength(2));
    const closing = opened.controller.close(60_000);
    point.open();
    await closing;
    expect(jobs()).toEqual([]);
    expect(opened.writes()).toBe(writes);
  });

  it('the controller releases all resources on close', async () => {
    const opened = await open();
    await opened.is(APPS_TOKEN, 'created');
    await opened.controller.close(1_000);
    expect(opened.cluster.watched).toEqual([]);
    expect(opened.clock.waiting).toEqual([]);
  });
});
