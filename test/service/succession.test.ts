import { expect, it } from 'vitest';
import { createBoard } from '../../src/service/board.ts';
import { createGeneration, type Generation } from '../../src/service/generation.ts';
import { targetStatuses } from '../../src/service/status.ts';
import { succeed } from '../../src/service/succession.ts';
import { source } from '../sync/sample.ts';
import { createClock, createFakeNotices, meta, START, wanted } from './sample.ts';

const REFRESH_MS = 300_000;
const NOW = START + 100 * REFRESH_MS;
const ofKey = (n: number) => wanted({ name: `app-${n}`, data: { A: source({ key: `k${n}` }) } });

/** A service that has run for long, and gets so many keys that the slots of their store have other names. */
function open(part: object = {}) {
  const clock = createClock();
  const board = createBoard(createFakeNotices(), clock);
  const all = Array.from({ length: 26 }, (_, n) => ofKey(n));
  const before = createGeneration([], all.slice(0, 25), () => false);
  const now = createGeneration([], all, () => false);
  for (const it of all) board.setMeta(meta(it, { A: ['k', '1'] }));
  clock.time = NOW;
  for (const slot of before.slots.keys())
    board.noteSweep(slot, { at: NOW - 1_000, okAt: NOW - 1_000, ...part });
  const ledger = { keep: () => undefined, trigger: () => undefined };
  const statuses = (generation: Generation) => targetStatuses({ generation, board, clock });
  succeed({ board, ledger }, before, now);
  return { clock, board, before, now, statuses: () => statuses(now) };
}

it('knows how old the sources are also where a key more gives the slots other names', () => {
  const { clock, before, now, statuses } = open();
  expect([...now.slots.keys()]).not.toContain([...before.slots.keys()][0]);
  expect(new Set(statuses().map(({ state }) => state))).toEqual(new Set(['synced']));
  expect(statuses()[0]).toMatchObject({ staleSeconds: 1 });
  clock.time += 1.5 * REFRESH_MS + 30_000;
  expect(statuses()[0]?.state).toBe('stale');
});

it('does not take a store that does not answer for one that does, since the slots have other names', () => {
  const { statuses } = open({ okAt: undefined, code: 'STORE_UNAVAILABLE' });
  expect(statuses()[0]).toMatchObject({ state: 'stale', code: 'STORE_UNAVAILABLE' });
});

it('does the same where a mapping that shares a key has another interval', () => {
  const clock = createClock();
  const board = createBoard(createFakeNotices(), clock);
  const app = ofKey(1);
  const other = {
    ...app,
    id: { namespace: 'apps', secret: 'other' },
    mapping: { ...app.mapping, name: 'other', refreshMs: 60_000 },
  };
  board.setMeta(meta(app, { A: ['k', '1'] }));
  const before = createGeneration([], [app], () => false);
  const now = createGeneration([], [app, other], () => false);
  clock.time = NOW;
  for (const slot of before.slots.keys()) board.noteSweep(slot, { at: NOW, okAt: NOW });
  succeed({ board, ledger: { keep: () => undefined, trigger: () => undefined } }, before, now);
  const [status] = targetStatuses({ generation: now, board, clock }).filter(
    ({ secret }) => secret === app.id.secret,
  );
  expect(status?.state).toBe('synced');
});

it('gives a slot that has had its round nothing of before', () => {
  const { board, before, now } = open();
  const [slot = ''] = now.slots.keys();
  board.noteSweep(slot, { at: NOW, okAt: NOW });
  succeed({ board, ledger: { keep: () => undefined, trigger: () => undefined } }, before, now);
  expect(board.swept(slot)).toEqual({ at: NOW, okAt: NOW });
});
