import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import { reconcile } from '../../src/reconcile/reconcile.ts';
import type { Step } from '../fakes/faulty.ts';
import { APPS_DB, openDb, openWorld, type World } from './world.ts';

/**
 * Reconciles the target once, and returns the calls to the cluster. `isMissing` tells whether an earlier list of
 * Secrets lacked the target.
 */
async function run(world: World, isMissing: () => boolean) {
  const calls: string[] = [];
  await using process = await world.start(({ call, phase }: Step) => {
    if (phase === 'before' && call.startsWith('cluster.')) calls.push(call.replace('cluster.', ''));
  });
  const pass = await process.app.createContext();
  const { mapping } = process.app.targets.find(({ id }) => id.secret === 'db') ?? expect.fail();
  const outcome = await reconcile(mapping, APPS_DB, { ...pass, isMissing });
  return { outcome, calls };
}

const yes = () => true;
const no = () => false;

describe('reconcile after a list of Secrets without the target', () => {
  it('a run creates a target without reading it first if the list of Secrets lacks the target', async () => {
    const { outcome, calls } = await run(await openDb(), yes);
    expect(outcome).toMatchObject({ kind: 'created', alive: true });
    expect(calls).toEqual(['create']);
  });

  it('a run reads a target before the write if the list of Secrets contains the target', async () => {
    const { outcome, calls } = await run(await openDb(), no);
    expect(outcome.kind).toBe('created');
    expect(calls).toEqual(['read', 'create']);
  });

  it('a run reads a target if another writer created it first, and leaves the Secret of the other writer unchanged', async () => {
    const world = await openDb();
    world.cluster.put(APPS_DB, { data: {} });
    const before = world.cluster.raw(APPS_DB);
    const { outcome, calls } = await run(world, yes);
    expect(outcome).toMatchObject({ kind: 'refused', error: { code: 'NOT_OWNED' } });
    expect(calls).toEqual(['create', 'read']);
    expect(world.cluster.raw(APPS_DB)).toEqual(before);
    expect(world.story(1)).toEqual([
      'create intent db ok',
      'create outcome db failed CONFLICT',
      'refuse db refused NOT_OWNED',
    ]);
  });

  it('a run reads a target that we wrote before, because a list of Secrets without the target may be stale', async () => {
    const world = await openDb();
    await world.sync();
    const { outcome, calls } = await run(world, yes);
    expect(outcome.kind).toBe('unchanged');
    expect(calls).toEqual(['read']);
  });

  it('if the plan is anything but a creation, a run reads the target even if the list of Secrets lacks the target', async () => {
    const world = await openDb();
    world.store.fail('db', new AppError('STORE_UNAVAILABLE'));
    const { outcome, calls } = await run(world, yes);
    expect(outcome).toMatchObject({ kind: 'failed', error: { code: 'STORE_UNAVAILABLE' } });
    expect(calls).toEqual(['read']);
  });

  it('if the mapping merges into a target, a run reads the target even if the list of Secrets lacks the target', async () => {
    const world = await openWorld({
      mappings: `
  - name: db
    target: { namespace: apps, mode: merge }
    data: { USER: { store: vault, key: db, property: user } }
`,
    });
    world.cluster.put(APPS_DB, { data: {} });
    const { outcome, calls } = await run(world, yes);
    expect(outcome.kind).toBe('updated');
    expect(calls).toEqual(['read', 'merge']);
  });
});
