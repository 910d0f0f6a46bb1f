import { describe, expect, it } from 'vitest';
import type { SecretMeta } from '../../src/cluster/cluster.ts';
import type { DesiredTarget } from '../../src/reconcile/targets.ts';
import { createConfigSnapshot } from '../../src/service/config-snapshot.ts';
import { createTargetStates } from '../../src/service/target-states.ts';
import { createObserver } from '../../src/service/watch/observer.ts';
import { LABEL } from '../../src/sync/ownership-metadata.ts';
import { source } from '../sync/sample.ts';
import {
  createClock,
  createFakeBroadcast,
  createTriggers,
  failed,
  meta,
  START,
  STORES,
  targetState,
  wanted,
} from './sample.ts';

const APP = wanted({ data: { A: source({ key: 'a' }) } });
const MERGED = wanted({ name: 'merged', data: { A: source({ key: 'a' }) }, target: { mode: 'merge' } });
const IN_STEP = meta(APP, { A: ['a', '1'] });

function open(all: readonly DesiredTarget[] = [APP]) {
  const clock = createClock();
  const states = createTargetStates(createFakeBroadcast(), clock);
  const triggers = createTriggers();
  const state = { snapshot: createConfigSnapshot([], all, () => false) };
  const observer = createObserver({
    snapshot: () => state.snapshot,
    states,
    outbox: triggers,
    clock,
    instance: 'prod',
    stores: () => STORES,
  });
  return { clock, states, observer, state, triggers, taken: triggers.taken };
}

const edited = (resourceVersion: string, part: Partial<SecretMeta> = {}): SecretMeta => ({
  ...IN_STEP,
  foreign: true,
  resourceVersion,
  ...part,
});

describe('a Secret from the watch', () => {
  it('causes no run when it is in sync', () => {
    const { observer, taken, states } = open();
    observer.meta(IN_STEP);
    observer.listed([{ namespace: 'apps' }]);
    expect(taken()).toEqual([]);
    expect(states.meta(APP.id)).toEqual(IN_STEP);
  });

  it('causes a `first` run if no run has checked it', () => {
    const { observer, taken } = open();
    observer.meta(edited('2'));
    expect(taken()).toEqual(['first apps/app']);
  });

  it('is drift when it changed after our run', () => {
    const { observer, taken, states } = open();
    states.note(targetState({ resourceVersion: '1' }));
    observer.meta(edited('2'));
    expect(taken()).toEqual(['drift apps/app']);
  });

  it('is drift when it was in sync at startup and no run has checked it since', () => {
    const { observer, taken } = open();
    observer.meta(IN_STEP);
    observer.meta(edited('2'));
    expect(taken()).toEqual(['drift apps/app']);
  });

  it('causes a `first` run when it was in sync under another configuration', () => {
    const { observer, taken, state } = open();
    observer.meta(IN_STEP);
    state.snapshot = createConfigSnapshot([], [wanted({ data: { B: source({ key: 'b' }) } })], () => false);
    observer.meta(edited('2'));
    expect(taken()).toEqual(['first apps/app']);
  });

  it('causes no run if a run has read this version', () => {
    const { observer, taken, states } = open();
    states.note(targetState({ ...failed('NOT_OWNED'), kind: 'refused', resourceVersion: '2' }));
    observer.meta(edited('2'));
    observer.all(() => true);
    expect(taken()).toEqual([]);
  });

  it('causes no loop after our own write, whether its event or the outcome of the run arrives first', () => {
    for (const eventFirst of [true, false]) {
      const { observer, taken, states } = open();
      states.note(targetState({ ...failed('STORE_UNAVAILABLE'), resourceVersion: '1' }));
      const written = { ...IN_STEP, resourceVersion: '2' };
      const outcome = targetState({ kind: 'updated', resourceVersion: '2', endedAt: START + 1 });
      if (eventFirst) observer.meta(written);
      states.note(outcome);
      if (!eventFirst) observer.meta(written);
      observer.meta(written);
      expect(taken()).toEqual([]);
    }
  });

  it('is queued when somebody fixes the cause of a refusal', () => {
    const { observer, taken, states } = open();
    states.note(targetState({ ...failed('DRIFTED'), kind: 'refused', drifted: true, resourceVersion: '2' }));
    observer.meta({ ...IN_STEP, resourceVersion: '3' });
    expect(taken()).toEqual(['drift apps/app']);
  });

  it('is not queued for every change while its store fails', () => {
    const { observer, taken, states } = open();
    states.note(
      targetState({ ...failed('STORE_UNAVAILABLE'), resourceVersion: '1', retryAt: START + 60_000 }),
    );
    for (let version = 2; version < 50; version += 1)
      observer.meta({ ...IN_STEP, resourceVersion: `${version}` });
    expect(taken()).toEqual([]);
  });

  it('is not queued while it is contested', () => {
    const { observer, taken, states, clock } = open();
    states.note(targetState({ contestedUntil: START + 1_000, resourceVersion: '1' }));
    observer.meta(edited('2'));
    observer.deleted(APP.id);
    expect(taken()).toEqual([]);
    clock.time += 1_001;
    observer.meta(edited('3'));
    expect(taken()).toEqual(['drift apps/app']);
  });

  it('is ignored and not stored if it is no target', () => {
    const { observer, taken, states } = open();
    observer.meta({ ...IN_STEP, id: { namespace: 'apps', secret: 'other' } });
    expect([taken(), [...states.metas()]]).toEqual([[], []]);
  });

  it('is rate-limited if another owner changes it constantly', () => {
    const { observer, taken, states, clock } = open();
    const theirs = { labels: { [LABEL.instance]: 'other' } };
    states.note(targetState({ ...failed('TARGET_CLAIMED'), kind: 'refused', resourceVersion: '1' }));
    for (let second = 0; second < 600; second += 1) {
      clock.time += 1_000;
      observer.meta(edited(`v${second}`, theirs));
    }
    const looks = taken().length;
    expect(looks).toBeGreaterThan(10);
    expect(looks).toBeLessThan(60);
    // The first event after a quiet period takes effect immediately.
    clock.time += 60_000;
    observer.meta(edited('last', theirs));
    expect(taken()).toEqual(['drift apps/app']);
  });

  it('is queued at a limited rate if it contains merged keys', () => {
    const { observer, taken, states } = open([MERGED]);
    states.note(targetState({ mapping: 'merged', target: MERGED.id, resourceVersion: '1' }));
    observer.meta(meta(MERGED, {}, { resourceVersion: '1' }));
    expect(taken()).toEqual([]);
    observer.meta(meta(MERGED, {}, { resourceVersion: '2' }));
    expect(taken()).toEqual(['drift apps/merged']);
    for (let version = 3; version < 100; version += 1)
      observer.meta(meta(MERGED, {}, { resourceVersion: `${version}` }));
    expect(taken().length).toBeLessThan(6);
  });
});

describe('a missing target', () => {
  it('causes a `first` run once the list is complete', () => {
    const { observer, taken } = open();
    observer.listed([{ namespace: 'other' }]);
    observer.listed([{ namespace: 'apps', secret: 'other' }]);
    expect(taken()).toEqual([]);
    observer.listed([{ namespace: 'apps' }]);
    expect(taken()).toEqual(['first apps/app']);
    observer.listed([{ namespace: 'apps', secret: 'app' }]);
    expect(taken()).toEqual(['first apps/app']);
  });

  it('is drift if the Secret existed before', () => {
    const { observer, taken, states } = open();
    observer.meta(IN_STEP);
    states.note(targetState());
    observer.deleted(APP.id);
    expect(taken()).toEqual(['drift apps/app']);
    expect(states.meta(APP.id)).toBeUndefined();
  });

  it('is drift when it was in sync at startup', () => {
    const { observer, taken } = open();
    observer.meta(IN_STEP);
    observer.deleted(APP.id);
    expect(taken()).toEqual(['drift apps/app']);
  });

  it('causes a `first` run when it existed but was not in sync', () => {
    const { observer, taken } = open();
    observer.meta(edited('2'));
    expect(taken()).toEqual(['first apps/app']);
    observer.deleted(APP.id);
    expect(taken()).toEqual(['first apps/app']);
  });

  it('waits for its retry when it could not be created', () => {
    const { observer, taken, states } = open();
    states.note(targetState({ ...failed('SOURCE_ABSENT'), alive: false }));
    observer.listed([{ namespace: 'apps' }]);
    observer.all(() => true);
    expect(taken()).toEqual([]);
  });
});

describe('a name that another owner had', () => {
  const opened = (code: 'NOT_OWNED' | 'TARGET_CLAIMED' | 'IMMUTABLE' | 'SOURCE_ABSENT' | 'DRIFTED') => {
    const parts = open();
    const kind = code === 'SOURCE_ABSENT' ? 'failed' : 'refused';
    parts.states.note(targetState({ ...failed(code), kind, alive: false, resourceVersion: '2' }));
    parts.observer.meta(edited('2'));
    return parts;
  };

  it.each(['NOT_OWNED', 'TARGET_CLAIMED', 'IMMUTABLE'] as const)(
    'is queued when it stays free for 30 seconds (previous code %s)',
    (code) => {
      const { observer, clock, taken } = opened(code);
      observer.deleted(APP.id);
      clock.time += 29_000;
      observer.queueFreedNames();
      expect(taken()).toEqual([]);
      clock.time += 1_000;
      observer.queueFreedNames();
      observer.queueFreedNames();
      expect(taken()).toEqual(['drift apps/app']);
    },
  );

  it('is not queued if another owner takes it again within 30 seconds', () => {
    const { observer, clock, taken } = opened('NOT_OWNED');
    observer.deleted(APP.id);
    observer.meta(edited('3'));
    expect(taken()).toEqual(['drift apps/app']);
    clock.time += 60_000;
    observer.queueFreedNames();
    expect(taken()).toEqual([]);
  });

  it('is also detected as free from a list of Secrets', () => {
    const { observer, clock, taken, states } = open();
    states.note(targetState({ ...failed('NOT_OWNED'), kind: 'refused', alive: false }));
    observer.listed([{ namespace: 'apps' }]);
    clock.time += 30_000;
    observer.queueFreedNames();
    expect(taken()).toEqual(['drift apps/app']);
  });

  it('is queued even if lists follow one another quickly', () => {
    const { observer, clock, taken } = opened('NOT_OWNED');
    observer.deleted(APP.id);
    for (const _ of [1, 2, 3]) {
      clock.time += 10_000;
      observer.listed([{ namespace: 'apps' }]);
      observer.queueFreedNames();
    }
    expect(taken()).toEqual(['drift apps/app']);
  });

  it('does not count as freed if the source is absent or drift is only reported', () => {
    for (const code of ['SOURCE_ABSENT', 'DRIFTED'] as const) {
      const { observer, clock, taken } = opened(code);
      observer.deleted(APP.id);
      clock.time += 60_000;
      observer.queueFreedNames();
      expect(taken()).toEqual([]);
    }
  });

  it('is forgotten when its mapping is removed', () => {
    const { observer, clock, taken, state } = opened('NOT_OWNED');
    observer.deleted(APP.id);
    state.snapshot = createConfigSnapshot([], [], () => false);
    clock.time += 60_000;
    observer.queueFreedNames();
    expect(taken()).toEqual([]);
  });
});

describe('after a configuration change', () => {
  it('only changed targets are queued', () => {
    const { observer, taken, state } = open();
    observer.meta(IN_STEP);
    state.snapshot = createConfigSnapshot(
      [],
      [wanted({ data: APP.mapping.data, refreshMs: 1_000 })],
      () => false,
    );
    observer.all(() => true);
    expect(taken()).toEqual([]);
    state.snapshot = createConfigSnapshot([], [wanted({ data: { B: source({ key: 'b' }) } })], () => false);
    observer.all(() => true);
    expect(taken()).toEqual(['first apps/app']);
  });

  it('no target counts as missing before the first list of its namespace is complete', () => {
    const { observer, taken } = open();
    observer.all(() => false);
    expect(taken()).toEqual([]);
  });
});

it('the targets of a mapping are queued consecutively, for any order of the namespace lists', () => {
  const all = ['z', 'a'].flatMap((namespace) => ['y', 'b'].map((name) => wanted({ name, namespace })));
  const { observer, taken } = open(all);
  observer.listed([{ namespace: 'z' }, { namespace: 'a' }]);
  expect(taken()).toEqual(['first a/b', 'first z/b', 'first a/y', 'first z/y']);
});

it('events that are close together share a request id, and later events have another one', () => {
  const { observer, clock, triggers } = open([APP, wanted({ name: 'b' }), wanted({ name: 'c' })]);
  observer.listed([{ namespace: 'apps' }]);
  clock.time += 501;
  observer.listed([{ namespace: 'apps' }]);
  const ids = triggers.list.map(({ requestId }) => requestId);
  expect(new Set(ids.slice(0, 3)).size).toBe(1);
  expect(new Set(ids).size).toBe(2);
});

it.each(['namespace', 'names'])('10,000 targets are processed quickly with the scope %s', (scope) => {
  const all = Array.from({ length: 10_000 }, (_, index) =>
    wanted({ name: `m${index}`, namespace: `n${index % 100}` }),
  );
  const { observer, triggers } = open(all);
  const began = performance.now();
  if (scope === 'names') for (const { id } of all) observer.listed([id]);
  else for (let index = 0; index < 100; index += 1) observer.listed([{ namespace: `n${index}` }]);
  expect(triggers.list).toHaveLength(10_000);
  expect(performance.now() - began).toBeLessThan(1_000);
});
