import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import type { DesiredTarget } from '../../src/reconcile/targets.ts';
import { createConfigSnapshot } from '../../src/service/config-snapshot.ts';
import { createNewTargets } from '../../src/service/new-targets.ts';
import { createTargetStates } from '../../src/service/target-states.ts';
import { createFakeBroadcast, failed, START, targetState, wanted } from './sample.ts';

const APP = wanted();
const { id: ID } = APP;

const wanting = (...all: readonly DesiredTarget[]) =>
  createConfigSnapshot(
    all.map((desiredTarget) => desiredTarget.mapping),
    all,
    () => false,
  );

function open(...first: readonly DesiredTarget[]) {
  const clock = { now: () => START };
  const states = createTargetStates(createFakeBroadcast(), clock);
  const newTargets = createNewTargets(states, clock);
  let now = wanting();
  const to = (...all: readonly DesiredTarget[]): void => {
    const before = now;
    now = wanting(...all);
    newTargets.note(before, now);
  };
  to(...first);
  return { states, newTargets, to, has: () => newTargets.has('app', ID) };
}

describe('a target', () => {
  it('is new when it is added, but not at startup', () => {
    expect(open(APP).has()).toBe(false);
    const { to, has } = open();
    to(APP);
    expect(has()).toBe(true);
    to(APP);
    expect(has()).toBe(true);
    to();
    expect(has()).toBe(false);
  });

  it('is new until the watch or a run in any replica finds it', () => {
    const one = open();
    one.to(APP);
    one.newTargets.seen({ id: ID, labels: {} });
    expect(one.has()).toBe(true);
    one.newTargets.seen({ id: ID, labels: { 'secretbridge.dev/mapping': 'app' } });
    expect(one.has()).toBe(false);
    const other = open();
    other.to(APP);
    other.states.note(targetState(failed('STORE_UNAVAILABLE')));
    expect(other.has()).toBe(true);
    other.states.note(targetState({ startedAt: START - 1 }));
    expect(other.has()).toBe(true);
    other.states.note(targetState());
    expect(other.has()).toBe(false);
  });

  it('is not new if a replica with the newer configuration has already created it', () => {
    const one = open();
    one.states.note(targetState());
    one.to(APP);
    expect(one.has()).toBe(false);
    const other = open();
    other.states.note(targetState({ ...failed('DRIFTED'), drifted: true }));
    other.to(APP);
    expect(other.has()).toBe(false);
    const third = open();
    third.states.note(targetState(failed('STORE_UNAVAILABLE')));
    third.to(APP);
    expect(third.has()).toBe(true);
  });

  it('is not new if its selector could not be resolved before', () => {
    const unseen = {
      ...APP,
      id: { ...ID, namespace: '*' },
      error: new AppError('CLUSTER_UNAVAILABLE'),
    };
    const { to, has } = open(unseen);
    to(APP);
    expect(has()).toBe(false);
  });
});
