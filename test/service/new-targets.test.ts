import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import type { DesiredTarget } from '../../src/reconcile/targets.ts';
import { createTargetStates } from '../../src/service/target-states.ts';
import { createConfigSnapshot } from '../../src/service/config-snapshot.ts';
import { createNewTargets } from '../../src/service/new-targets.ts';
import { createFakeNotices, failed, known, START, wanted } from './sample.ts';

const APP = wanted();
const { id: ID } = APP;

const wanting = (...all: readonly DesiredTarget[]) =>
  createConfigSnapshot(
    all.map((it) => it.mapping),
    all,
    () => false,
  );

function open(...first: readonly DesiredTarget[]) {
  const clock = { now: () => START };
  const states = createTargetStates(createFakeNotices(), clock);
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
  it('is new when it comes, and not when the process begins with it', () => {
    expect(open(APP).has()).toBe(false);
    const { to, has } = open();
    to(APP);
    expect(has()).toBe(true);
    to(APP);
    expect(has()).toBe(true);
    to();
    expect(has()).toBe(false);
  });

  it('is new until it is there: by the watch, or as a run of any replica found it', () => {
    const one = open();
    one.to(APP);
    one.newTargets.seen({ id: ID, labels: {} });
    expect(one.has()).toBe(true);
    one.newTargets.seen({ id: ID, labels: { 'secretbridge.dev/mapping': 'app' } });
    expect(one.has()).toBe(false);
    const other = open();
    other.to(APP);
    other.states.note(known(failed('STORE_UNAVAILABLE')));
    expect(other.has()).toBe(true);
    other.states.note(known({ startedAt: START - 1 }));
    expect(other.has()).toBe(true);
    other.states.note(known());
    expect(other.has()).toBe(false);
  });

  it('is not new where a replica that the configuration has reached before has made it', () => {
    const one = open();
    one.states.note(known());
    one.to(APP);
    expect(one.has()).toBe(false);
    const other = open();
    other.states.note(known({ ...failed('DRIFTED'), drifted: true }));
    other.to(APP);
    expect(other.has()).toBe(false);
    const third = open();
    third.states.note(known(failed('STORE_UNAVAILABLE')));
    third.to(APP);
    expect(third.has()).toBe(true);
  });

  it('is not new where its selector could not be looked up before', () => {
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
