import { describe, expect, it } from 'vitest';
import type { SecretMeta } from '../../src/cluster/cluster.ts';
import type { DesiredTarget } from '../../src/reconcile/targets.ts';
import { createConfigSnapshot } from '../../src/service/config-snapshot.ts';
import { LABEL } from '../../src/sync/ownership-metadata.ts';
import { source } from '../sync/sample.ts';
import { failed, meta, openResync, START, targetState, wanted } from './sample.ts';

const APP = wanted({ data: { A: source({ key: 'a' }) } });
const MERGED = wanted({ name: 'merged', data: { A: source({ key: 'a' }) }, target: { mode: 'merge' } });
const IN_STEP = meta(APP, { A: ['a', '1'] });

const open = (all: readonly DesiredTarget[] = [APP]) => openResync(all);

const edited = (resourceVersion: string, part: Partial<SecretMeta> = {}): SecretMeta => ({
  ...IN_STEP,
  foreign: true,
  resourceVersion,
  ...part,
});

describe('a Secret from the watch', () => {
  it('a Secret causes no run when it is in sync', () => {
    const { resync, taken, states } = open();
    resync.changed(IN_STEP);
    resync.listed([{ namespace: 'apps' }]);
    expect(taken()).toEqual([]);
    expect(states.meta(APP.id)).toEqual(IN_STEP);
  });

  it('a Secret causes a `first` run if no run has checked it', () => {
    const { resync, taken } = open();
    resync.changed(edited('2'));
    expect(taken()).toEqual(['first apps/app']);
  });

  it('a Secret causes a `drift` run when it changed after our run', () => {
    const { resync, taken, states } = open();
    states.note(targetState({ resourceVersion: '1' }));
    resync.changed(edited('2'));
    expect(taken()).toEqual(['drift apps/app']);
  });

  it('a Secret that was in sync at startup causes a `drift` run when it changes, even if no run has checked it', () => {
    const { resync, taken } = open();
    resync.changed(IN_STEP);
    resync.changed(edited('2'));
    expect(taken()).toEqual(['drift apps/app']);
  });

  it('a Secret causes a `first` run when it was in sync only under another configuration', () => {
    const { resync, taken, state } = open();
    resync.changed(IN_STEP);
    state.snapshot = createConfigSnapshot([], [wanted({ data: { B: source({ key: 'b' }) } })], () => false);
    resync.changed(edited('2'));
    expect(taken()).toEqual(['first apps/app']);
  });

  it('a Secret causes no run if a run has already read this version of the Secret', () => {
    const { resync, taken, states } = open();
    states.note(targetState({ ...failed('NOT_OWNED'), kind: 'refused', resourceVersion: '2' }));
    resync.changed(edited('2'));
    resync.checkAll();
    expect(taken()).toEqual([]);
  });

  it('our own write causes no loop of runs, no matter whether its event or the outcome of its run arrives first', () => {
    for (const eventFirst of [true, false]) {
      const { resync, taken, states } = open();
      states.note(targetState({ ...failed('STORE_UNAVAILABLE'), resourceVersion: '1' }));
      const written = { ...IN_STEP, resourceVersion: '2' };
      const outcome = targetState({ kind: 'updated', resourceVersion: '2', endedAt: START + 1 });
      if (eventFirst) resync.changed(written);
      states.note(outcome);
      if (!eventFirst) resync.changed(written);
      resync.changed(written);
      expect(taken()).toEqual([]);
    }
  });

  it('a refused target is queued when somebody fixes the cause of the refusal', () => {
    const { resync, taken, states } = open();
    states.note(targetState({ ...failed('DRIFTED'), kind: 'refused', drifted: true, resourceVersion: '2' }));
    resync.changed({ ...IN_STEP, resourceVersion: '3' });
    expect(taken()).toEqual(['drift apps/app']);
  });

  it('a target is not queued for every change of its Secret while its store fails', () => {
    const { resync, taken, states } = open();
    states.note(
      targetState({ ...failed('STORE_UNAVAILABLE'), resourceVersion: '1', retryAt: START + 60_000 }),
    );
    for (let version = 2; version < 50; version += 1)
      resync.changed({ ...IN_STEP, resourceVersion: `${version}` });
    expect(taken()).toEqual([]);
  });

  it('a changed Secret is not queued while it is contested', () => {
    const { resync, taken, states, clock } = open();
    states.note(targetState({ contestedUntil: START + 1_000, resourceVersion: '1' }));
    resync.changed(edited('2'));
    resync.deleted(APP.id);
    expect(taken()).toEqual([]);
    clock.time += 1_001;
    resync.changed(edited('3'));
    expect(taken()).toEqual(['drift apps/app']);
  });

  it('a Secret that is no target is ignored and not stored', () => {
    const { resync, taken, states } = open();
    resync.changed({ ...IN_STEP, id: { namespace: 'apps', secret: 'other' } });
    expect([taken(), states.meta({ namespace: 'apps', secret: 'other' })]).toEqual([[], undefined]);
  });

  it('a Secret is queued at a limited rate if another owner changes it constantly', () => {
    const { resync, taken, states, clock } = open();
    const theirs = { labels: { [LABEL.instance]: 'other' } };
    states.note(targetState({ ...failed('TARGET_CLAIMED'), kind: 'refused', resourceVersion: '1' }));
    for (let second = 0; second < 600; second += 1) {
      clock.time += 1_000;
      resync.changed(edited(`v${second}`, theirs));
    }
    const looks = taken().length;
    expect(looks).toBeGreaterThan(10);
    expect(looks).toBeLessThan(60);
    // The first event after a quiet period takes effect immediately.
    clock.time += 60_000;
    resync.changed(edited('last', theirs));
    expect(taken()).toEqual(['drift apps/app']);
  });

  it('a Secret with merged keys is queued at a limited rate', () => {
    const { resync, taken, states } = open([MERGED]);
    states.note(targetState({ mapping: 'merged', target: MERGED.id, resourceVersion: '1' }));
    resync.changed(meta(MERGED, {}, { resourceVersion: '1' }));
    expect(taken()).toEqual([]);
    resync.changed(meta(MERGED, {}, { resourceVersion: '2' }));
    expect(taken()).toEqual(['drift apps/merged']);
    for (let version = 3; version < 100; version += 1)
      resync.changed(meta(MERGED, {}, { resourceVersion: `${version}` }));
    expect(taken().length).toBeLessThan(6);
  });
});

describe('a missing target', () => {
  it('a missing target causes a `first` run once the list of Secrets is complete', () => {
    const { resync, taken } = open();
    resync.listed([{ namespace: 'other' }]);
    resync.listed([{ namespace: 'apps', secret: 'other' }]);
    expect(taken()).toEqual([]);
    resync.listed([{ namespace: 'apps' }]);
    expect(taken()).toEqual(['first apps/app']);
    // The job of the target is still waiting, so the target is not queued again.
    resync.listed([{ namespace: 'apps', secret: 'app' }]);
    expect(taken()).toEqual([]);
  });

  it('a missing target causes a `drift` run if its Secret existed before', () => {
    const { resync, taken, states } = open();
    resync.changed(IN_STEP);
    states.note(targetState());
    resync.deleted(APP.id);
    expect(taken()).toEqual(['drift apps/app']);
    expect(states.meta(APP.id)).toBeUndefined();
  });

  it('a missing target causes a `drift` run if its Secret was in sync at startup', () => {
    const { resync, taken } = open();
    resync.changed(IN_STEP);
    resync.deleted(APP.id);
    expect(taken()).toEqual(['drift apps/app']);
  });

  it('a missing target causes a `first` run if its Secret existed but was not in sync', () => {
    const { resync, taken } = open();
    resync.changed(edited('2'));
    expect(taken()).toEqual(['first apps/app']);
    // The job of the target is still waiting, so the target is not queued again.
    resync.deleted(APP.id);
    expect(taken()).toEqual([]);
  });

  it('a missing target that could not be created waits for its retry', () => {
    const { resync, taken, states } = open();
    states.note(targetState({ ...failed('SOURCE_ABSENT'), alive: false }));
    resync.listed([{ namespace: 'apps' }]);
    resync.checkAll();
    expect(taken()).toEqual([]);
  });
});

describe('a target whose Secret belonged to another owner', () => {
  const opened = (code: 'NOT_OWNED' | 'TARGET_CLAIMED' | 'IMMUTABLE' | 'SOURCE_ABSENT' | 'DRIFTED') => {
    const parts = open();
    const kind = code === 'SOURCE_ABSENT' ? 'failed' : 'refused';
    parts.states.note(targetState({ ...failed(code), kind, alive: false, resourceVersion: '2' }));
    parts.resync.changed(edited('2'));
    return parts;
  };

  it.each(['NOT_OWNED', 'TARGET_CLAIMED', 'IMMUTABLE'] as const)(
    'a target is queued 30 seconds after the Secret of the other owner was deleted (previous code %s)',
    (code) => {
      const { resync, clock, taken } = opened(code);
      resync.deleted(APP.id);
      clock.time += 29_000;
      resync.checkAll();
      expect(taken()).toEqual([]);
      clock.time += 1_001;
      resync.checkAll();
      resync.checkAll();
      expect(taken()).toEqual(['drift apps/app']);
    },
  );

  it('a target is not queued if another owner takes its name again within 30 seconds', () => {
    const { resync, clock, taken } = opened('NOT_OWNED');
    resync.deleted(APP.id);
    resync.changed(edited('3'));
    expect(taken()).toEqual(['drift apps/app']);
    clock.time += 60_000;
    resync.checkAll();
    expect(taken()).toEqual([]);
  });

  it('a target is queued when a list of Secrets shows that its name is free', () => {
    const { resync, clock, taken, states } = open();
    states.note(targetState({ ...failed('NOT_OWNED'), kind: 'refused', alive: false }));
    resync.listed([{ namespace: 'apps' }]);
    clock.time += 30_001;
    resync.checkAll();
    expect(taken()).toEqual(['drift apps/app']);
  });

  it('a target is queued after its name was free for 30 seconds, even if lists follow one another quickly', () => {
    const { resync, clock, taken } = opened('NOT_OWNED');
    resync.deleted(APP.id);
    for (const _ of [1, 2, 3]) {
      clock.time += 10_001;
      resync.listed([{ namespace: 'apps' }]);
      resync.checkAll();
    }
    expect(taken()).toEqual(['drift apps/app']);
  });

  it('a target with a free name is not queued if its source is absent or its drift is only reported', () => {
    for (const code of ['SOURCE_ABSENT', 'DRIFTED'] as const) {
      const { resync, clock, taken } = opened(code);
      resync.deleted(APP.id);
      clock.time += 60_000;
      resync.checkAll();
      expect(taken()).toEqual([]);
    }
  });

  it('a target with a free name is not queued after its mapping is removed', () => {
    const { resync, clock, taken, state } = opened('NOT_OWNED');
    resync.deleted(APP.id);
    state.snapshot = createConfigSnapshot([], [], () => false);
    clock.time += 60_000;
    resync.checkAll();
    expect(taken()).toEqual([]);
  });
});

describe('after a configuration change', () => {
  it('only changed targets are queued after a configuration change', () => {
    const { resync, taken, state } = open();
    resync.changed(IN_STEP);
    state.snapshot = createConfigSnapshot(
      [],
      [wanted({ data: APP.mapping.data, refreshMs: 1_000 })],
      () => false,
    );
    resync.checkAll();
    expect(taken()).toEqual([]);
    state.snapshot = createConfigSnapshot([], [wanted({ data: { B: source({ key: 'b' }) } })], () => false);
    resync.checkAll();
    expect(taken()).toEqual(['first apps/app']);
  });

  it('after a configuration change, no target counts as missing before the first list of its namespace is complete', () => {
    const { resync, taken, state } = open();
    state.isListed = false;
    resync.checkAll();
    expect(taken()).toEqual([]);
  });
});

it('the targets of a mapping are queued consecutively, for any order of the namespace lists', () => {
  const all = ['z', 'a'].flatMap((namespace) => ['y', 'b'].map((name) => wanted({ name, namespace })));
  const { resync, taken } = open(all);
  resync.listed([{ namespace: 'z' }, { namespace: 'a' }]);
  expect(taken()).toEqual(['first a/b', 'first z/b', 'first a/y', 'first z/y']);
});

it('events that are close together share a request id, and events after a pause get another request id', () => {
  const { resync, clock, queue } = open([APP, wanted({ name: 'b' }), wanted({ name: 'c' })]);
  for (const secret of ['app', 'b']) resync.listed([{ namespace: 'apps', secret }]);
  clock.time += 501;
  resync.listed([{ namespace: 'apps', secret: 'c' }]);
  const ids = queue.jobs.map(({ job }) => job.requestId);
  expect(ids).toHaveLength(3);
  expect(new Set(ids.slice(0, 2)).size).toBe(1);
  expect(new Set(ids).size).toBe(2);
});
