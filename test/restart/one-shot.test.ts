import { describe, expect, it } from 'vitest';
import { rollBackHere } from '../../src/app/rollback.ts';
import { AppError } from '../../src/core/errors.ts';
import { createMemoryWorkloads, type MemoryWorkloads } from '../fakes/memory-workloads.ts';
import { openWorld, type World } from '../reconcile/world.ts';

const MAPPING = `
  - name: app
    target: { namespace: apps }
    data: { T: { store: vault, key: token } }
    restart: [ { kind: Deployment, name: web } ]`;

/** A run has changed the target, and could not roll its workload. */
async function openLeft(): Promise<{ world: World; workloads: MemoryWorkloads }> {
  const workloads = createMemoryWorkloads();
  workloads.put({ kind: 'Deployment', namespace: 'apps', name: 'web' });
  const world = await openWorld({ mappings: MAPPING, cluster: { workloads } });
  await world.sync();
  world.store.put('token', 'second', '2');
  workloads.fail('annotatePods', new AppError('CLUSTER_UNAVAILABLE'));
  expect(await world.sync()).toMatchObject({ ok: true, summary: { updated: 1 } });
  expect(workloads.annotated).toEqual([]);
  return { world, workloads };
}

const restarts = (world: World, after = 0) => world.story(after).filter((line) => line.startsWith('restart'));

describe('a restart that one run has left', () => {
  it('is made by the next one, although that changes nothing, and not again', async () => {
    const { world, workloads } = await openLeft();
    const { length } = world.records;
    expect(await world.sync()).toMatchObject({ ok: true, summary: { unchanged: 1 } });
    expect(workloads.annotated).toHaveLength(1);
    await world.sync();
    expect(restarts(world, length)).toEqual(['restart outcome app ok']);
  });

  it('does no harm to a run that cannot make it either, and is not told again', async () => {
    const { world, workloads } = await openLeft();
    const { length } = world.records;
    workloads.fail('annotatePods', new AppError('CLUSTER_UNAVAILABLE'));
    expect(await world.sync()).toMatchObject({ ok: true, summary: { unchanged: 1 } });
    expect(restarts(world, length)).toEqual([]);
    expect(restarts(world)).toEqual(['restart intent app ok', 'restart app failed CLUSTER_UNAVAILABLE']);
  });

  it('is made by a rollback to what is there', async () => {
    const { world, workloads } = await openLeft();
    const now = world.records.findLast(({ action, phase }) => action === 'update' && phase === 'outcome');
    await using process = await world.start();
    const report = await rollBackHere(process.app, { mapping: 'app', to: now?.sequence ?? 0 });
    expect(report).toMatchObject({ ok: true });
    expect(workloads.annotated).toHaveLength(1);
  });
});
