import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import type { DesiredTarget } from '../../src/reconcile/targets.ts';
import { createTargetStates } from '../../src/service/target-states.ts';
import { createConfigSnapshot } from '../../src/service/config-snapshot.ts';
import type { TargetState } from '../../src/service/target-state.ts';
import { heldStatuses, sourcesAndSearches, targetStatuses } from '../../src/service/status.ts';
import { source } from '../sync/sample.ts';
import { createClock, createFakeNotices, failed, known, meta, START, wanted } from './sample.ts';

const APP = wanted({ data: { A: source({ key: 'a' }) } });
const REFRESH_MS = 300_000;
const NEVER = { lastSuccess: null, staleSeconds: null };
const idOf = ({ keys }: TargetState) => `id of ${keys.length} keys`;

function open(all: readonly DesiredTarget[] = [APP]) {
  const clock = createClock();
  const states = createTargetStates(createFakeNotices(), clock);
  const snapshot = createConfigSnapshot([], all, () => false);
  const statuses = () => targetStatuses({ snapshot, states, clock });
  const swept = (at: number, part: object = {}) => {
    for (const shard of snapshot.shards.keys()) states.noteSweep(shard, { at, okAt: at, ...part });
  };
  return { clock, states, swept, statuses, state: () => statuses()[0]?.state };
}

it('of a mapping has each key once, and where it searches', () => {
  const { mapping } = wanted({
    data: { A: source({ key: 'a', property: 'x' }), B: source({ key: 'a', property: 'y' }) },
    dataFrom: [
      { store: 'local', find: { path: 'f/', tags: {} } },
      { store: 'local', find: { path: '', name: '^x', tags: {} } },
    ],
  });
  const { store } = source();
  expect(sourcesAndSearches(mapping)).toEqual({
    sources: [{ store, key: 'a' }],
    searches: [
      { store: 'local', path: 'f/' },
      { store: 'local', path: '', name: '^x' },
    ],
  });
});

describe('the state of a target', () => {
  const OUTCOMES: readonly (readonly [string, string, Partial<TargetState>])[] = [
    ['written', 'synced', { kind: 'updated' }],
    ['in step', 'synced', {}],
    ['of a store that fails', 'stale', failed('STORE_UNAVAILABLE')],
    ['of a store that fails and never was', 'failed', { ...failed('STORE_UNAVAILABLE'), alive: false }],
    ['whose source is missing', 'stale', { ...failed('SOURCE_ABSENT'), person: true }],
    ['that a person must mend', 'failed', { ...failed('ACCESS_DENIED'), person: true }],
    ['to merge into that is not there', 'waiting', { ...failed('SECRET_MISSING'), alive: false }],
    ['of somebody else', 'refused', { ...failed('NOT_OWNED'), kind: 'refused', person: true }],
    ['that was changed by hand', 'drifted', { ...failed('DRIFTED'), kind: 'refused', drifted: true }],
    [
      'that somebody fights over',
      'contested',
      { ...failed('CONTESTED'), kind: 'refused', contestedUntil: START },
    ],
    ['whose end is proposed', 'held', { ...failed('HELD'), kind: 'held', proposed: true }],
    ['whose end is held', 'held', { ...failed('HELD'), kind: 'held' }],
  ];

  it.each(OUTCOMES)('parses %s as %s', (_, state, part) => {
    const it = open();
    it.states.setMeta(meta(APP, { A: ['a', '1'] }));
    it.states.note(known(part));
    expect(it.state()).toBe(state);
  });

  it('says of its pin what its annotation does, until a run has come to an outcome', () => {
    const it = open();
    it.states.setMeta(meta(APP, { A: ['a', '1'] }, { annotations: { 'secretbridge.dev/pin': '7' } }));
    const pinned = () => it.statuses()[0]?.pinned;
    expect(pinned()).toBe(7);
    it.states.note(known({ ...failed('AUDIT_UNAVAILABLE'), undecided: true }));
    expect(pinned()).toBe(7);
    it.states.note(known({ startedAt: START + 1, endedAt: START + 1 }));
    expect(pinned()).toBeUndefined();
  });

  it('is waiting until it is there, and then what it says of itself', () => {
    const it = open();
    const app = { mapping: 'app', namespace: 'apps', secret: 'app' };
    expect(it.statuses()).toEqual([{ ...app, state: 'waiting', ...NEVER }]);
    it.states.setMeta(meta(APP, {}, { labels: {} }));
    expect(it.state()).toBe('waiting');
    it.states.setMeta(meta(APP, { A: ['a', '1'] }));
    expect(it.state()).toBe('synced');
  });

  it('is waiting, with the reason, while its selector cannot be resolved', () => {
    const error = new AppError('CLUSTER_UNAVAILABLE');
    const it = open([{ ...APP, id: { namespace: '*', secret: 'app' }, error }]);
    expect(it.statuses()).toEqual([
      { mapping: 'app', namespace: '*', secret: 'app', state: 'waiting', ...NEVER, ...error.toJSON() },
    ]);
  });

  it('stays synced as long as sweeps find its sources as they were', () => {
    const it = open();
    it.states.note(known());
    it.swept(START + 10 * REFRESH_MS);
    it.clock.time = START + 10.5 * REFRESH_MS;
    expect(it.statuses()[0]).toMatchObject({
      state: 'synced',
      lastSuccess: new Date(START + 10 * REFRESH_MS).toISOString(),
      staleSeconds: 150,
    });
  });

  it('becomes stale when the sweeps are late, and says why', () => {
    const it = open();
    it.states.note(known());
    it.swept(START);
    it.clock.time = START + 1.5 * REFRESH_MS + 29_000;
    expect(it.state()).toBe('synced');
    it.clock.time += 2_000;
    it.swept(it.clock.time, { okAt: START, code: 'STORE_UNAVAILABLE' });
    expect(it.statuses()[0]).toMatchObject({
      state: 'stale',
      code: 'STORE_UNAVAILABLE',
      message: 'store vault: the store is unreachable or not working',
      remedy: expect.stringMatching(/./),
      staleSeconds: 481,
    });
    it.swept(it.clock.time, { okAt: START, code: 'OF_A_NEWER_REPLICA' });
    expect(it.statuses()[0]).toMatchObject({ state: 'stale', code: 'OF_A_NEWER_REPLICA' });
    expect(it.statuses()[0]).not.toHaveProperty('remedy');
  });

  it('becomes stale where no round has found its sources since the process began', () => {
    const it = open();
    it.states.setMeta(meta(APP, { A: ['a', '1'] }));
    it.clock.time = START + 1.5 * REFRESH_MS + 29_000;
    it.swept(it.clock.time, { okAt: undefined, code: 'AUTH_FAILED' });
    expect(it.state()).toBe('synced');
    it.clock.time += 2_000;
    expect(it.statuses()[0]).toMatchObject({ ...NEVER, state: 'stale', code: 'AUTH_FAILED' });
    it.swept(it.clock.time);
    expect(it.statuses()[0]).toMatchObject({ state: 'synced', staleSeconds: 0 });
  });

  it('is as old as the oldest of its sources', () => {
    const two = wanted({ data: { A: source({ key: 'a' }), B: source({ key: 'b', store: 'other' }) } });
    const it = open([two]);
    it.states.setMeta(meta(two));
    it.states.noteSweep(`sweep/vault/${REFRESH_MS}/0/1`, { at: START + 5, okAt: START + 5 });
    expect(it.statuses()[0]).toMatchObject(NEVER);
    it.states.noteSweep(`sweep/other/${REFRESH_MS}/0/1`, { at: START, okAt: START });
    expect(it.statuses()[0]).toMatchObject({ lastSuccess: new Date(START).toISOString() });
  });

  it('of a failure counts from its last success, whatever the sweeps say', () => {
    const it = open();
    it.states.note(known({ ...failed('TEMPLATE_FAILED'), okAt: START }));
    it.swept(START + 10_000);
    it.clock.time = START + 20_000;
    expect(it.statuses()[0]).toMatchObject({ staleSeconds: 20, code: 'TEMPLATE_FAILED' });
  });

  it('of what has no sources does not grow stale', () => {
    const it = open([wanted({ template: { data: { A: 'x' }, only: true } })]);
    it.states.note(known());
    it.clock.time += 100 * REFRESH_MS;
    expect(it.state()).toBe('synced');
  });
});

describe('what is held', () => {
  it('is told once it was decided on, by name, under its id', () => {
    const { states } = open();
    const keys = [{ name: 'A', action: 'remove' as const }];
    const held = (mapping: string, part: Partial<TargetState> = {}) =>
      states.note(
        known({ mapping, target: { namespace: 'apps', secret: mapping }, kind: 'held', keys, ...part }),
      );
    held('b');
    held('a');
    held('c', { proposed: true });
    held('d', { heldId: 'of more keys than could be told' });
    expect(heldStatuses({ states, idOf })).toEqual([
      { id: 'id of 1 keys', mapping: 'a', namespace: 'apps', secret: 'a', action: 'delete', keys },
      { id: 'id of 1 keys', mapping: 'b', namespace: 'apps', secret: 'b', action: 'delete', keys },
      expect.objectContaining({ id: 'of more keys than could be told', mapping: 'd' }),
    ]);
  });
});
