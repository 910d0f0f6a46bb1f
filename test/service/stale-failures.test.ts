import { expect, it, vi } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import type { TargetId } from '../../src/core/target.ts';
import type { DesiredTarget } from '../../src/reconcile/targets.ts';
import { createStaleFailures } from '../../src/service/stale-failures.ts';
import { APPS_DB, DB_ONLY, openWorld, type World } from '../reconcile/world.ts';
import { createTriggers, known, wanted } from './sample.ts';
import { type Serving, serve } from './serving.ts';

const FIRST = '{"user":"ann","password":"first"}';
const soon = (check: () => void) => vi.waitFor(check, { timeout: 5_000, interval: 20 });
const notesOf = ({ records }: World) => records.flatMap(({ note, secret }) => (secret ? [note] : []));
const kindOf = ({ controller }: Serving) => controller.states.get('db', APPS_DB)?.kind;

it('a failure that ended while no process was there ends on record with the next one', async () => {
  const world = await openWorld({ mappings: DB_ONLY });
  await world.sync();
  world.store.fail('db', new AppError('STORE_UNAVAILABLE'));
  await world.sync();
  world.store.put('db', FIRST);
  await using _ = await serve(world);
  await soon(() => expect(notesOf(world).at(-1)).toBe('in step again'));
});

it('nor is a deletion by hand taken for the end of a refusal that was over before', async () => {
  const world = await openWorld({
    mappings: DB_ONLY.replace('{ namespace: apps }', '{ namespace: apps, immutable: true }').replace(
      '    data:',
      '    onDrift: report\n    data:',
    ),
  });
  await world.sync();
  world.store.put('db', '{"user":"ann","password":"second"}', '2');
  await world.sync();
  expect(world.records.at(-2)).toMatchObject({ outcome: 'refused', code: 'IMMUTABLE' });
  world.store.put('db', FIRST);
  await using serving = await serve(world);
  await soon(() => expect(kindOf(serving)).toBe('unchanged'));
  world.clock.set(world.clock.now() + 20_000);
  world.cluster.forget(APPS_DB);
  await soon(() => expect(kindOf(serving)).toBe('refused'));
  expect(world.cluster.raw(APPS_DB)).toBeUndefined();
});

function open(count: number, isUnended: (target: TargetId) => Promise<boolean>) {
  const triggers = createTriggers();
  const seen = new Map<string, ReturnType<typeof known>>();
  const states = { get: (mapping: string) => seen.get(mapping) };
  const staleFailures = createStaleFailures({
    states,
    outbox: triggers,
    hasOpenFailure: (_, target) => isUnended(target),
  });
  const all = Array.from({ length: count }, (_, number): DesiredTarget => wanted({ name: `t${number}` }));
  for (const it of all) staleFailures.enqueue(it);
  return { staleFailures, all, seen, taken: triggers.taken, list: triggers.list };
}

it('asks about some at a time, and about each once', async () => {
  const asked: string[] = [];
  const { staleFailures, all } = open(120, async ({ secret }) => {
    asked.push(secret);
    return false;
  });
  await staleFailures.checkNext();
  expect(asked).toHaveLength(50);
  for (const it of all) staleFailures.enqueue(it);
  for (let round = 0; round < 5; round += 1) await staleFailures.checkNext();
  expect(asked).toHaveLength(120);
  expect(new Set(asked).size).toBe(120);
});

it('asks for the runs of all by one request, behind what has changed', async () => {
  const { staleFailures, list } = open(120, async () => true);
  for (let round = 0; round < 3; round += 1) await staleFailures.checkNext();
  expect(list).toHaveLength(120);
  expect(new Set(list.map(({ reason, requestId }) => `${reason} ${requestId}`)).size).toBe(1);
  expect(list[0]?.reason).toBe('sweep');
});

it('what many of them are made of is read once after an outage that ended unseen', async () => {
  const namespaces = Array.from({ length: 120 }, (_, n) => `n${n}`);
  const world = await openWorld({
    mappings: DB_ONLY.replace('namespace: apps', `namespaces: [${namespaces.join(', ')}]`),
  });
  await world.sync();
  world.store.fail('db', new AppError('STORE_UNAVAILABLE'));
  await world.sync();
  world.store.put('db', FIRST);
  const { length } = world.store.reads;
  await using _ = await serve(world);
  const ended = () => notesOf(world).filter((note) => note === 'in step again');
  await soon(() => expect(ended()).toHaveLength(120));
  expect(world.store.reads.slice(length)).toEqual(['db']);
});

it('asks again where the audit was away, not all the time, and not about what a run has looked at meanwhile', async () => {
  let isAway = true;
  let asked = 0;
  const { staleFailures, seen, taken } = open(3, async ({ secret }) => {
    asked += 1;
    if (isAway) throw new AppError('AUDIT_UNAVAILABLE');
    return secret !== 't1';
  });
  for (let round = 0; round < 200; round += 1) await staleFailures.checkNext();
  expect(asked).toBeLessThanOrEqual(5);
  isAway = false;
  seen.set('t2', known({ mapping: 't2' }));
  for (let round = 0; round < 50; round += 1) await staleFailures.checkNext();
  expect(taken()).toEqual(['sweep apps/t0']);
});
