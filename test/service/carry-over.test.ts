import { expect, it } from 'vitest';
import { carryOver } from '../../src/service/carry-over.ts';
import { type ConfigSnapshot, createConfigSnapshot } from '../../src/service/config-snapshot.ts';
import { targetStatuses } from '../../src/service/status.ts';
import { createTargetStates } from '../../src/service/target-states.ts';
import { source } from '../sync/sample.ts';
import { createClock, createFakeBroadcast, meta, START, wanted } from './sample.ts';

const REFRESH_MS = 300_000;
const NOW = START + 100 * REFRESH_MS;
const ofKey = (n: number) => wanted({ name: `app-${n}`, data: { A: source({ key: `k${n}` }) } });

/** Carries the state over to a configuration with one more key, which changes the names of the shards. */
function open(part: object = {}) {
  const clock = createClock();
  const states = createTargetStates(createFakeBroadcast(), clock);
  const all = Array.from({ length: 26 }, (_, n) => ofKey(n));
  const before = createConfigSnapshot([], all.slice(0, 25), () => false);
  const now = createConfigSnapshot([], all, () => false);
  for (const desiredTarget of all) states.setMeta(meta(desiredTarget, { A: ['k', '1'] }));
  clock.time = NOW;
  for (const shard of before.shards.keys())
    states.noteSweep(shard, { at: NOW - 1_000, okAt: NOW - 1_000, ...part });
  const outbox = { retain: () => undefined, trigger: () => undefined };
  const statuses = (snapshot: ConfigSnapshot) => targetStatuses({ snapshot, states, clock });
  carryOver({ states, outbox }, before, now);
  return { clock, states, before, now, statuses: () => statuses(now) };
}

it('keeps the age of sources when a new key renames the shards', () => {
  const { clock, before, now, statuses } = open();
  expect([...now.shards.keys()]).not.toContain([...before.shards.keys()][0]);
  expect(new Set(statuses().map(({ state }) => state))).toEqual(new Set(['synced']));
  expect(statuses()[0]).toMatchObject({ staleSeconds: 1 });
  clock.time += 1.5 * REFRESH_MS + 30_000;
  expect(statuses()[0]?.state).toBe('stale');
});

it("keeps a store's outage when the shards are renamed", () => {
  const { statuses } = open({ okAt: undefined, code: 'STORE_UNAVAILABLE' });
  expect(statuses()[0]).toMatchObject({ state: 'stale', code: 'STORE_UNAVAILABLE' });
});

it('keeps the age of a shared key that moves to a different interval', () => {
  const clock = createClock();
  const states = createTargetStates(createFakeBroadcast(), clock);
  const app = ofKey(1);
  const other = {
    ...app,
    id: { namespace: 'apps', secret: 'other' },
    mapping: { ...app.mapping, name: 'other', refreshMs: 60_000 },
  };
  states.setMeta(meta(app, { A: ['k', '1'] }));
  const before = createConfigSnapshot([], [app], () => false);
  const now = createConfigSnapshot([], [app, other], () => false);
  clock.time = NOW;
  for (const shard of before.shards.keys()) states.noteSweep(shard, { at: NOW, okAt: NOW });
  carryOver({ states, outbox: { retain: () => undefined, trigger: () => undefined } }, before, now);
  const [status] = targetStatuses({ snapshot: now, states, clock }).filter(
    ({ secret }) => secret === app.id.secret,
  );
  expect(status?.state).toBe('synced');
});

it('keeps the state of a shard that has already had a round', () => {
  const { states, before, now } = open();
  const [shard = ''] = now.shards.keys();
  states.noteSweep(shard, { at: NOW, okAt: NOW });
  carryOver({ states, outbox: { retain: () => undefined, trigger: () => undefined } }, before, now);
  expect(states.sweepState(shard)).toEqual({ at: NOW, okAt: NOW });
});
