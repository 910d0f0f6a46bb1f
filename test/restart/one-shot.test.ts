import { describe, expect, it, vi } from 'vitest';
import { rollBackLocally } from '../../src/commands/rollback.ts';
import { AppError } from '../../src/core/errors.ts';
import type { Watch } from '../fakes/faulty.ts';
import { createMemoryWorkloads, type MemoryWorkloads } from '../fakes/memory-workloads.ts';
import { openWorld, type World } from '../reconcile/world.ts';
import { serve } from '../service/serving.ts';

const MAPPING = `
  - name: app
    target: { namespace: apps }
    data: { T: { store: vault, key: token } }
    restart: [ { kind: Deployment, name: web } ]`;

/** Opens a world in which a run has changed the target but could not restart the workload. */
async function openLeft(): Promise<{ world: World; workloads: MemoryWorkloads }> {
  const workloads = createMemoryWorkloads();
  workloads.put({ kind: 'Deployment', namespace: 'apps', name: 'web' });
  const world = await openWorld({ mappings: MAPPING, cluster: { workloads } });
  await world.sync();
  world.store.put('token', 'second', '2');
  workloads.fail('annotatePods', new AppError('CLUSTER_UNAVAILABLE'));
  expect(await world.sync()).toMatchObject({ ok: false, summary: { updated: 1, failed: 0 } });
  expect(workloads.annotated).toEqual([]);
  return { world, workloads };
}

const restarts = (world: World, after = 0) => world.story(after).filter((line) => line.startsWith('restart'));

describe('restart that an earlier run left pending', () => {
  it('a pending restart is completed once by the next run, even if nothing else changes', async () => {
    const { world, workloads } = await openLeft();
    const { length } = world.records;
    expect(await world.sync()).toMatchObject({ ok: true, summary: { unchanged: 1 } });
    expect(workloads.annotated).toHaveLength(1);
    await world.sync();
    expect(restarts(world, length)).toEqual(['restart outcome app ok']);
  });

  it('a pending restart that a run cannot complete fails each run, and is recorded only once', async () => {
    const { world, workloads } = await openLeft();
    const { length } = world.records;
    workloads.fail('annotatePods', new AppError('CLUSTER_UNAVAILABLE'));
    expect(await world.sync()).toMatchObject({ ok: false, summary: { unchanged: 1 } });
    expect(restarts(world, length)).toEqual([]);
    expect(restarts(world)).toEqual(['restart intent app ok', 'restart app failed CLUSTER_UNAVAILABLE']);
  });

  it('a pending restart is listed in the report of a run that cannot complete it', async () => {
    const { world, workloads } = await openLeft();
    workloads.fail('annotatePods', new AppError('CLUSTER_UNAVAILABLE'));
    const left = { namespace: 'apps', secret: 'app', mapping: 'app', workload: 'Deployment/web' };
    const report = await world.sync();
    expect(report.unrestarted).toMatchObject([{ ...left, error: { code: 'CLUSTER_UNAVAILABLE' } }]);
    expect((await world.sync()).unrestarted).toEqual([]);
  });

  it('a pending restart is reported once if the workload does not exist', async () => {
    const world = await openWorld({ mappings: MAPPING, cluster: { workloads: createMemoryWorkloads() } });
    await world.sync();
    world.store.put('token', 'second', '2');
    expect((await world.sync()).unrestarted).toMatchObject([
      { workload: 'Deployment/web', error: { code: 'WORKLOAD_MISSING' } },
    ]);
    expect((await world.sync()).unrestarted).toEqual([]);
  });

  it('a pending restart stays pending if the run is interrupted during rollouts of other workloads, and is listed in the report', async () => {
    const workloads = createMemoryWorkloads();
    for (const name of ['web', 'api']) workloads.put({ kind: 'Deployment', namespace: 'apps', name });
    const mappings = MAPPING.replace('name: web }', 'name: web }, { kind: Deployment, name: api }');
    const world = await openWorld({
      mappings,
      cluster: { workloads },
      more: 'restarts: { window: 1s, atOnce: 1 }',
    });
    await world.sync();
    world.store.put('token', 'second', '2');
    const stop = new AbortController();
    const watch: Watch = ({ call, phase }) => {
      if (phase === 'after' && call === 'audit.append' && workloads.annotated.length > 0) stop.abort();
    };
    const report = await world.sync(watch, { signal: stop.signal });
    expect(report).toMatchObject({ ok: true, interrupted: false, summary: { updated: 1 } });
    expect(world.story().at(-1)).toBe('sweep ok');
    expect(workloads.annotated).toHaveLength(1);
  });

  it('a pending restart is recorded as dropped once its workload is removed from the mapping', async () => {
    const { world, workloads } = await openLeft();
    const { length } = world.records;
    world.clock.set(world.clock.now() + 180_000);
    await world.configure(MAPPING.replace(/ +restart: .*/, ''));
    expect(await world.sync()).toMatchObject({ ok: true, unrestarted: [] });
    expect(workloads.annotated).toEqual([]);
    expect(restarts(world, length)).toEqual(['restart outcome app ok']);
    expect(world.records.findLast(({ action }) => action === 'restart')).toMatchObject({
      counts: { dropped: 1 },
    });
  });

  it('a pending restart is dropped by a service whose mappings have no restarts', async () => {
    const { world, workloads } = await openLeft();
    world.clock.set(world.clock.now() + 180_000);
    await world.configure(MAPPING.replace(/ +restart: .*/, ''));
    await using _ = await serve(world);
    await vi.waitFor(() => expect(restarts(world).at(-1)).toBe('restart outcome app ok'), { timeout: 5_000 });
    expect(workloads.annotated).toEqual([]);
  });

  it('a pending restart is completed by a rollback to the content that the pods already have', async () => {
    const { world, workloads } = await openLeft();
    const now = world.records.findLast(({ action, phase }) => action === 'update' && phase === 'outcome');
    await using process = await world.start();
    const report = await rollBackLocally(process.app, { mapping: 'app', to: now?.sequence ?? 0 });
    expect(report).toMatchObject({ ok: true });
    expect(workloads.annotated).toHaveLength(1);
  });
});
