import { expect, it, vi } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import type { TargetId } from '../../src/core/target.ts';
import type { DesiredTarget } from '../../src/reconcile/targets.ts';
import { createStaleFailures } from '../../src/service/stale-failures.ts';
import { APPS_DB, DB_ONLY, openWorld, type World } from '../reconcile/world.ts';
import { createTriggers, targetState, wanted } from './sample.ts';
import { type Serving, serve } from './serving.ts';

const FIRST = '{"user":"ann","password":"first"}';
const soon = (check: () => void) => vi.waitFor(check, { timeout: 5_000, interval: 20 });
const notesOf = ({ records }: World) => records.flatMap(({ note, secret }) => (secret ? [note] : []));
const kindOf = ({ controller }: Serving) => controller.states.get('db', APPS_DB)?.kind;

it('records the end of a failure that somebody resolved while no process was running', async () => {
  const world = await openWorld({ mappings: DB_ONLY });
  await world.sync();
  world.store.fail('db', new AppError('STORE_UNAVAILABLE'));
  await world.sync();
  world.store.put('db', FIRST);
  await using _ = await serve(world);
  await soon(() => expect(notesOf(world).at(-1)).toBe('in sync again'));
});

it('does not report a manual deletion as the end of an earlier refusal', async () => {
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
  const knownStates = new Map<string, ReturnType<typeof targetState>>();
  const states = { get: (mapping: string) => knownStates.get(mapping) };
  const staleFailures = createStaleFailures({
    states,
    outbox: triggers,
    hasOpenFailure: (_, target) => isUnended(target),
  });
  const all = Array.from({ length: count }, (_, number): DesiredTarget => wanted({ name: `t${number}` }));
  for (const desiredTarget of all) staleFailures.enqueue(desiredTarget);
  return { staleFailures, all, seen: knownStates, taken: triggers.taken, list: triggers.list };
}

it('checks each target once, in batches', async () => {
  const queries: string[] = [];
  const { staleFailures, all } = open(120, async ({ secret }) => {
    queries.push(secret);
    return false;
  });
  await staleFailures.checkNext();
  expect(queries).toHaveLength(50);
  for (const desiredTarget of all) staleFailures.enqueue(desiredTarget);
  for (let round = 0; round < 5; round += 1) await staleFailures.checkNext();
  expect(queries).toHaveLength(120);
  expect(new Set(queries).size).toBe(120);
});

it('queues all runs under one request id, with the low priority of a sweep', async () => {
  const { staleFailures, list } = open(120, async () => true);
  for (let round = 0; round < 3; round += 1) await staleFailures.checkNext();
  expect(list).toHaveLength(120);
  expect(new Set(list.map(({ reason, requestId }) => `${reason} ${requestId}`)).size).toBe(1);
  expect(list[0]?.reason).toBe('sweep');
});

it('reads a shared source once after an outage that ended while no process was running', async () => {
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
  const ended = () => notesOf(world).filter((note) => note === 'in sync again');
  await soon(() => expect(ended()).toHaveLength(120));
  expect(world.store.reads.slice(length)).toEqual(['db']);
});

it('retries at a limited rate after an audit error, and skips targets that have had a run', async () => {
  let isAway = true;
  let queries = 0;
  const {
    staleFailures,
    seen: knownStates,
    taken,
  } = open(3, async ({ secret }) => {
    queries += 1;
    if (isAway) throw new AppError('AUDIT_UNAVAILABLE');
    return secret !== 't1';
  });
  for (let round = 0; round < 200; round += 1) await staleFailures.checkNext();
  expect(queries).toBeLessThanOrEqual(5);
  isAway = false;
  knownStates.set('t2', targetState({ mapping: 't2' }));
  for (let round = 0; round < 50; round += 1) await staleFailures.checkNext();
  expect(taken()).toEqual(['sweep apps/t0']);
});
