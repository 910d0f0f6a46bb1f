import { expect, it, vi } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import type { TargetId } from '../../src/core/target.ts';
import type { DesiredTarget } from '../../src/reconcile/targets.ts';
import { createTargetStates } from '../../src/service/target-states.ts';
import { UnresolvedFailures } from '../../src/service/unresolved-failures.ts';
import { APPS_DB, DB_ONLY, openWorld, type World } from '../reconcile/world.ts';
import { createClock, createFakeResync, targetState, wanted } from './sample.ts';
import { type Serving, serve } from './serving.ts';

const FIRST = '{"user":"ann","password":"first"}';
const soon = (check: () => void) => vi.waitFor(check, { timeout: 5_000, interval: 20 });
const notesOf = ({ records }: World) => records.flatMap(({ note, secret }) => (secret ? [note] : []));
const kindOf = ({ controller }: Serving) => controller.states.get('db', APPS_DB)?.kind;

it('the service records the end of a failure that somebody resolved while no process was running', async () => {
  const world = await openWorld({ mappings: DB_ONLY });
  await world.sync();
  world.store.fail('db', new AppError('STORE_UNAVAILABLE'));
  await world.sync();
  world.store.put('db', FIRST);
  await using _ = await serve(world);
  await soon(() => expect(notesOf(world).at(-1)).toBe('in sync again'));
});

it('the service does not report a manual deletion as the end of an earlier refusal', async () => {
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

function open(count: number, isUnresolved: (target: TargetId) => Promise<boolean>) {
  const resync = createFakeResync();
  const states = createTargetStates(undefined, createClock());
  const failures = new UnresolvedFailures({ states, isUnresolved: (_, target) => isUnresolved(target) });
  const all = Array.from({ length: count }, (_, number): DesiredTarget => wanted({ name: `t${number}` }));
  for (const desiredTarget of all) failures.add(desiredTarget);
  return { failures, resync, states, all, checkNext: () => failures.checkNext(resync) };
}

it('each target is checked once for an unresolved failure, in batches', async () => {
  const queries: string[] = [];
  const { failures, checkNext, all } = open(120, async ({ secret }) => {
    queries.push(secret);
    return false;
  });
  await checkNext();
  expect(queries).toHaveLength(50);
  for (const desiredTarget of all) failures.add(desiredTarget);
  for (let round = 0; round < 5; round += 1) await checkNext();
  expect(queries).toHaveLength(120);
  expect(new Set(queries).size).toBe(120);
});

it('all targets with an unresolved failure are checked under one request id', async () => {
  const { checkNext, resync, states, all } = open(120, async () => true);
  for (let round = 0; round < 3; round += 1) await checkNext();
  expect(resync.list).toHaveLength(120);
  expect(new Set(resync.list.map(({ requestId }) => requestId)).size).toBe(1);
  expect(all.every(({ id }) => states.inputs(id).unresolvedAt !== undefined)).toBe(true);
});

it('the service reads a shared source once after an outage that ended while no process was running', async () => {
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

it('after an audit error, the audit is queried at a limited rate, and targets that have had a run are skipped', async () => {
  let isAway = true;
  let queries = 0;
  const { checkNext, states, resync } = open(3, async ({ secret }) => {
    queries += 1;
    if (isAway) throw new AppError('AUDIT_UNAVAILABLE');
    return secret !== 't1';
  });
  for (let round = 0; round < 200; round += 1) await checkNext();
  expect(queries).toBeLessThanOrEqual(5);
  isAway = false;
  states.note(targetState({ mapping: 't2', target: { namespace: 'apps', secret: 't2' } }));
  for (let round = 0; round < 50; round += 1) await checkNext();
  expect(resync.taken()).toEqual(['apps/t0']);
});
