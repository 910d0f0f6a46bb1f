import { describe, expect, it } from 'vitest';
import { objectIn } from '../../src/cluster/json.ts';
import { rollBackLocally } from '../../src/commands/rollback.ts';
import { AppError } from '../../src/core/errors.ts';
import type { Origin } from '../../src/events/hint.ts';
import type { Outcome } from '../../src/reconcile/outcome.ts';
import { APPS_DB, base64, DB_ONLY, openWorld, type World } from '../reconcile/world.ts';
import { serve } from '../service/serving.ts';
import { waitUntil } from '../wait-until.ts';

const CI: Origin = { kind: 'webhook', name: 'ci' };
const HINT = { store: 'vault', keys: ['db'] };
const db = (password: string) => JSON.stringify({ user: 'ann', password });

/** Starts the service in an in-memory world. Its clock is stopped, so that only an event can start a run. */
async function open(world: World) {
  const outcomes: Outcome[] = [];
  const serving = await serve(world, undefined, {
    random: () => 1,
    onOutcome: (outcome) => void outcomes.push(outcome),
  });
  const password = () => objectIn(world.cluster.raw(APPS_DB) ?? {}, 'data')?.PASSWORD;
  const state = async () => (await serving.service.status()).targets[0];
  return { ...serving, outcomes, password, state };
}

describe('event hints', () => {
  it.each([
    ['a transient failure', 'STORE_UNAVAILABLE'],
    ['a failure that a person must fix', 'ACCESS_DENIED'],
  ] as const)(
    'an event hint immediately runs a target that waits for its retry after %s',
    async (_, code) => {
      const world = await openWorld({ mappings: DB_ONLY });
      world.store.fail('db', new AppError(code));
      await using setup = await open(world);
      await waitUntil(() => expect(setup.outcomes.map(({ kind }) => kind)).toEqual(['failed']));
      world.store.put('db', db('second'), '2');
      setup.controller.takeHints([HINT], CI);
      await waitUntil(() => expect(setup.outcomes.at(-1)?.kind).toBe('created'));
      expect(setup.password()).toBe(base64('second'));
    },
  );

  it('an event hint does not change a pinned target', async () => {
    const world = await openWorld({ mappings: DB_ONLY });
    await world.sync();
    const [created] = world.records.filter(({ action, phase }) => action === 'create' && phase === 'outcome');
    world.store.put('db', db('second'), '2');
    await world.sync();
    await using process = await world.start();
    await rollBackLocally(process.app, { mapping: 'db', to: created?.sequence ?? 0, namespace: undefined });
    await process[Symbol.asyncDispose]();
    await using setup = await open(world);
    const before = world.cluster.writes.length;
    world.store.put('db', db('third'), '3');
    expect(setup.controller.takeHints([HINT], CI).targets).toBe(1);
    await waitUntil(() => expect(setup.outcomes.length).toBeGreaterThan(0));
    expect([setup.password(), world.cluster.writes.length]).toEqual([base64('first'), before]);
    expect(await setup.state()).toMatchObject({ state: 'pinned', pinned: expect.any(Number) });
  });
});
