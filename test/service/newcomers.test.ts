import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import type { Wanted } from '../../src/reconcile/targets.ts';
import { createBoard } from '../../src/service/board.ts';
import { createGeneration } from '../../src/service/generation.ts';
import { createNewcomers } from '../../src/service/newcomers.ts';
import { createFakeNotices, failed, known, START, wanted } from './sample.ts';

const APP = wanted();
const { id: ID } = APP;

const wanting = (...all: readonly Wanted[]) =>
  createGeneration(
    all.map((it) => it.mapping),
    all,
    () => false,
  );

function open(...first: readonly Wanted[]) {
  const clock = { now: () => START };
  const board = createBoard(createFakeNotices(), clock);
  const newcomers = createNewcomers(board, clock);
  let now = wanting();
  const to = (...all: readonly Wanted[]): void => {
    const before = now;
    now = wanting(...all);
    newcomers.note(before, now);
  };
  to(...first);
  return { board, newcomers, to, has: () => newcomers.has('app', ID) };
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
    one.newcomers.seen({ id: ID, labels: {} });
    expect(one.has()).toBe(true);
    one.newcomers.seen({ id: ID, labels: { 'secretbridge.dev/mapping': 'app' } });
    expect(one.has()).toBe(false);
    const other = open();
    other.to(APP);
    other.board.note(known(failed('STORE_UNAVAILABLE')));
    expect(other.has()).toBe(true);
    other.board.note(known({ startedAt: START - 1 }));
    expect(other.has()).toBe(true);
    other.board.note(known());
    expect(other.has()).toBe(false);
  });

  it('is not new where a replica that the configuration has reached before has made it', () => {
    const one = open();
    one.board.note(known());
    one.to(APP);
    expect(one.has()).toBe(false);
    const other = open();
    other.board.note(known({ ...failed('DRIFTED'), drifted: true }));
    other.to(APP);
    expect(other.has()).toBe(false);
    const third = open();
    third.board.note(known(failed('STORE_UNAVAILABLE')));
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
