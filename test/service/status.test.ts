import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import type { DesiredTarget } from '../../src/reconcile/targets.ts';
import { createConfigSnapshot } from '../../src/service/config-snapshot.ts';
import { heldStatuses, sourcesAndSearches, targetStatuses } from '../../src/service/status.ts';
import type { TargetState } from '../../src/service/target-state.ts';
import { createTargetStates } from '../../src/service/target-states.ts';
import { source } from '../sync/sample.ts';
import { createClock, createFakeBroadcast, failed, meta, START, targetState, wanted } from './sample.ts';

const APP = wanted({ data: { A: source({ key: 'a' }) } });
const REFRESH_MS = 300_000;
const NEVER = { lastSuccess: null, staleSeconds: null };
const idOf = ({ keys }: TargetState) => `id of ${keys.length} keys`;

function open(all: readonly DesiredTarget[] = [APP]) {
  const clock = createClock();
  const states = createTargetStates(createFakeBroadcast(), clock);
  const snapshot = createConfigSnapshot([], all, () => false);
  const statuses = () => targetStatuses({ snapshot, states, clock });
  const swept = (at: number, part: object = {}) => {
    for (const shard of snapshot.shards.keys()) states.noteSweep(shard, { at, okAt: at, ...part });
  };
  return { clock, states, swept, statuses, state: () => statuses()[0]?.state };
}

it('sourcesAndSearches lists each key and each search of a mapping once', () => {
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

describe('the status of a target', () => {
  const OUTCOMES: readonly (readonly [string, string, Partial<TargetState>])[] = [
    ['a written target', 'synced', { kind: 'updated' }],
    ['an unchanged target', 'synced', {}],
    ['a failing store', 'stale', failed('STORE_UNAVAILABLE')],
    [
      'a failing store and a target that never existed',
      'failed',
      { ...failed('STORE_UNAVAILABLE'), alive: false },
    ],
    ['a missing source', 'stale', { ...failed('SOURCE_ABSENT'), person: true }],
    ['an error that an operator must fix', 'failed', { ...failed('ACCESS_DENIED'), person: true }],
    ['a missing Secret to merge into', 'waiting', { ...failed('SECRET_MISSING'), alive: false }],
    ['a Secret of another owner', 'refused', { ...failed('NOT_OWNED'), kind: 'refused', person: true }],
    ['a manual edit', 'drifted', { ...failed('DRIFTED'), kind: 'refused', drifted: true }],
    ['a contested target', 'contested', { ...failed('CONTESTED'), kind: 'refused', contestedUntil: START }],
    ['a proposed deletion', 'held', { ...failed('HELD'), kind: 'held', proposed: true }],
    ['a held deletion', 'held', { ...failed('HELD'), kind: 'held' }],
  ];

  it.each(OUTCOMES)('the status of a target shows %s as %s', (_, state, part) => {
    const setup = open();
    setup.states.setMeta(meta(APP, { A: ['a', '1'] }));
    setup.states.note(targetState(part));
    expect(setup.state()).toBe(state);
  });

  it('the status shows the pin of the annotation until a run has an outcome', () => {
    const setup = open();
    setup.states.setMeta(meta(APP, { A: ['a', '1'] }, { annotations: { 'secretbridge.dev/pin': '7' } }));
    const pinned = () => setup.statuses()[0]?.pinned;
    expect(pinned()).toBe(7);
    setup.states.note(targetState({ ...failed('AUDIT_UNAVAILABLE'), undecided: true }));
    expect(pinned()).toBe(7);
    setup.states.note(targetState({ startedAt: START + 1, endedAt: START + 1 }));
    expect(pinned()).toBeUndefined();
  });

  it('the status is `waiting` until the Secret exists, and then follows the metadata of the Secret', () => {
    const setup = open();
    const app = { mapping: 'app', namespace: 'apps', secret: 'app' };
    expect(setup.statuses()).toEqual([{ ...app, state: 'waiting', ...NEVER }]);
    setup.states.setMeta(meta(APP, {}, { labels: {} }));
    expect(setup.state()).toBe('waiting');
    setup.states.setMeta(meta(APP, { A: ['a', '1'] }));
    expect(setup.state()).toBe('synced');
  });

  it('the status is `waiting` with the reason while the namespace selector cannot be resolved', () => {
    const error = new AppError('CLUSTER_UNAVAILABLE');
    const setup = open([{ ...APP, id: { namespace: '*', secret: 'app' }, error }]);
    expect(setup.statuses()).toEqual([
      { mapping: 'app', namespace: '*', secret: 'app', state: 'waiting', ...NEVER, ...error.toJSON() },
    ]);
  });

  it('the status stays `synced` while sweeps find the sources unchanged', () => {
    const setup = open();
    setup.states.note(targetState());
    setup.swept(START + 10 * REFRESH_MS);
    setup.clock.time = START + 10.5 * REFRESH_MS;
    expect(setup.statuses()[0]).toMatchObject({
      state: 'synced',
      lastSuccess: new Date(START + 10 * REFRESH_MS).toISOString(),
      staleSeconds: 150,
    });
  });

  it('the status becomes `stale` with the reason when the sweeps are late', () => {
    const setup = open();
    setup.states.note(targetState());
    setup.swept(START);
    setup.clock.time = START + 1.5 * REFRESH_MS + 29_000;
    expect(setup.state()).toBe('synced');
    setup.clock.time += 2_000;
    setup.swept(setup.clock.time, { okAt: START, code: 'STORE_UNAVAILABLE' });
    expect(setup.statuses()[0]).toMatchObject({
      state: 'stale',
      code: 'STORE_UNAVAILABLE',
      message: 'store vault: the store is unreachable or not working',
      remedy: expect.stringMatching(/./),
      staleSeconds: 481,
    });
    setup.swept(setup.clock.time, { okAt: START, code: 'OF_A_NEWER_REPLICA' });
    expect(setup.statuses()[0]).toMatchObject({ state: 'stale', code: 'OF_A_NEWER_REPLICA' });
    expect(setup.statuses()[0]).not.toHaveProperty('remedy');
  });

  it('the status becomes `stale` if no sweep has checked the sources since startup', () => {
    const setup = open();
    setup.states.setMeta(meta(APP, { A: ['a', '1'] }));
    setup.clock.time = START + 1.5 * REFRESH_MS + 29_000;
    setup.swept(setup.clock.time, { okAt: undefined, code: 'AUTH_FAILED' });
    expect(setup.state()).toBe('synced');
    setup.clock.time += 2_000;
    expect(setup.statuses()[0]).toMatchObject({ ...NEVER, state: 'stale', code: 'AUTH_FAILED' });
    setup.swept(setup.clock.time);
    expect(setup.statuses()[0]).toMatchObject({ state: 'synced', staleSeconds: 0 });
  });

  it('if the sources of a target were checked at different times, the last success of the target is the earliest of these times', () => {
    const two = wanted({ data: { A: source({ key: 'a' }), B: source({ key: 'b', store: 'other' }) } });
    const setup = open([two]);
    setup.states.setMeta(meta(two));
    setup.states.noteSweep(`sweep/vault/${REFRESH_MS}/0/1`, { at: START + 5, okAt: START + 5 });
    expect(setup.statuses()[0]).toMatchObject(NEVER);
    setup.states.noteSweep(`sweep/other/${REFRESH_MS}/0/1`, { at: START, okAt: START });
    expect(setup.statuses()[0]).toMatchObject({ lastSuccess: new Date(START).toISOString() });
  });

  it('the status measures the age of a failure from the last success, even if sweeps have succeeded since', () => {
    const setup = open();
    setup.states.note(targetState({ ...failed('TEMPLATE_FAILED'), okAt: START }));
    setup.swept(START + 10_000);
    setup.clock.time = START + 20_000;
    expect(setup.statuses()[0]).toMatchObject({ staleSeconds: 20, code: 'TEMPLATE_FAILED' });
  });

  it('the status does not become `stale` if the target has no sources', () => {
    const setup = open([wanted({ template: { data: { A: 'x' }, only: true } })]);
    setup.states.note(targetState());
    setup.clock.time += 100 * REFRESH_MS;
    expect(setup.state()).toBe('synced');
  });
});

describe('held proposals', () => {
  it('held proposals are listed with name and id after the deletion step has decided about them', () => {
    const { states } = open();
    const keys = [{ name: 'A', action: 'remove' as const }];
    const held = (mapping: string, part: Partial<TargetState> = {}) =>
      states.note(
        targetState({ mapping, target: { namespace: 'apps', secret: mapping }, kind: 'held', keys, ...part }),
      );
    held('b');
    held('a');
    held('c', { proposed: true });
    held('d', { heldId: 'more keys than fit into a message' });
    expect(heldStatuses({ states, idOf })).toEqual([
      { id: 'id of 1 keys', mapping: 'a', namespace: 'apps', secret: 'a', action: 'delete', keys },
      { id: 'id of 1 keys', mapping: 'b', namespace: 'apps', secret: 'b', action: 'delete', keys },
      expect.objectContaining({ id: 'more keys than fit into a message', mapping: 'd' }),
    ]);
  });
});
