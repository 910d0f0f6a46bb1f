import { expect, it } from 'vitest';
import { createMemoryWorkloads } from '../fakes/memory-workloads.ts';
import { DB_ONLY, openWorld, type World } from '../reconcile/world.ts';
import { waitUntil } from '../wait-until.ts';
import { settled } from './sample.ts';
import { type Serving, serve } from './serving.ts';

const WEB = { kind: 'Deployment', namespace: 'apps', name: 'web' } as const;
const mappingsWith = (restart: string) =>
  DB_ONLY.replace(
    '    data:',
    `    restart: [ { kind: Deployment, name: ${restart} } ]\n    refresh: 12h\n    data:`,
  );

async function pass({ clock }: World, minutes: number): Promise<void> {
  for (let second = 0; second < minutes * 60; second += 1) {
    await clock.advance(1_000);
    await settled();
  }
}

async function change(world: World, { controller }: Serving, password: string): Promise<void> {
  world.store.put('db', `{"user":"ann","password":"${password}"}`, password);
  controller.takeHints([{ store: 'vault', keys: ['db'] }], { kind: 'webhook', name: 'ci' });
  await pass(world, 1);
}

async function targetOf({ service }: Serving): Promise<object | undefined> {
  return (await service.status()).targets[0];
}

it('a workload that is missing fails its target after five minutes, until the workload is restarted', async () => {
  const workloads = createMemoryWorkloads();
  const world = await openWorld({ mappings: mappingsWith('web'), cluster: { workloads } });
  await using serving = await serve(world);
  await waitUntil(async () => expect(await targetOf(serving)).toMatchObject({ state: 'synced' }));
  world.store.put('db', '{"user":"ann","password":"second"}', '2');
  serving.controller.takeHints([{ store: 'vault', keys: ['db'] }], { kind: 'webhook', name: 'ci' });
  await pass(world, 4);
  expect(await targetOf(serving)).toMatchObject({ state: 'synced' });
  await pass(world, 3);
  const failed = { state: 'failed', code: 'WORKLOAD_MISSING', remedy: expect.stringContaining('restart') };
  expect(await targetOf(serving)).toMatchObject(failed);
  expect(serving.service.mappings()[0]?.targets[0]).toMatchObject(failed);
  // Every process finds the failure in the audit.
  await using other = await serve(world);
  await waitUntil(async () => expect(await targetOf(other)).toMatchObject(failed));
  const failures = () =>
    world.records.filter(({ action, code }) => action === 'restart' && code !== undefined);
  await pass(world, 12);
  expect(failures()).toMatchObject([{ attempt: 1, code: 'WORKLOAD_MISSING', outcome: 'failed' }]);
  workloads.put(WEB);
  await pass(world, 6);
  expect(await targetOf(serving)).toMatchObject({ state: 'synced' });
  expect(workloads.annotated).toHaveLength(1);
});

async function openWithWorkload() {
  const workloads = createMemoryWorkloads();
  workloads.put(WEB);
  return { workloads, world: await openWorld({ mappings: mappingsWith('web'), cluster: { workloads } }) };
}

/** Waits for the first sync, and changes the source, which restarts the workload. */
async function restarted(world: World, serving: Serving): Promise<void> {
  await waitUntil(async () => expect(await targetOf(serving)).toMatchObject({ state: 'synced' }));
  await change(world, serving, 'second');
}

const STUCK = { state: 'failed', code: 'ROLLOUT_STUCK', remedy: expect.stringContaining('rollout resume') };

it('a rollout that waits for a person fails its target at once, until its pods are replaced', async () => {
  const { world, workloads } = await openWithWorkload();
  await using serving = await serve(world);
  await restarted(world, serving);
  expect(await targetOf(serving)).toMatchObject({ state: 'synced' });
  workloads.stall(WEB);
  await pass(world, 1);
  expect(await targetOf(serving)).toMatchObject(STUCK);
  // Every process finds the failure in the audit, and none records it again.
  await using other = await serve(world);
  await waitUntil(async () => expect(await targetOf(other)).toMatchObject(STUCK));
  await pass(world, 20);
  const recorded = () =>
    world.records
      .filter(({ action, phase }) => action === 'restart' && phase === undefined)
      .map(({ outcome, code, note }) => [outcome, code, note]);
  expect(recorded()).toEqual([['failed', 'ROLLOUT_STUCK', 'Deployment/web']]);
  workloads.settle(WEB);
  await pass(world, 1);
  expect(await targetOf(serving)).toMatchObject({ state: 'synced' });
  expect(recorded().at(-1)).toEqual(['ok', undefined, 'Deployment/web']);
  expect(workloads.annotated).toHaveLength(1);
});

it('a rollout without progress for ten minutes fails its target, also if a selector chose the workload', async () => {
  const workloads = createMemoryWorkloads();
  workloads.put(WEB, { labels: { app: 'web' } });
  const mappings = mappingsWith('web').replace('name: web', 'selector: { matchLabels: { app: web } }');
  const world = await openWorld({ mappings, cluster: { workloads } });
  await using serving = await serve(world);
  await restarted(world, serving);
  await pass(world, 8);
  expect(await targetOf(serving)).toMatchObject({ state: 'synced' });
  await pass(world, 2);
  expect(await targetOf(serving)).toMatchObject(STUCK);
  // The next content restarts the workload once more.
  await change(world, serving, 'third');
  expect(workloads.annotated).toHaveLength(2);
  workloads.settle(WEB);
  await pass(world, 1);
  expect(await targetOf(serving)).toMatchObject({ state: 'synced' });
});

it('a tool that removes the annotation before the rollout ends fails the target, until the pod template changes', async () => {
  const { world, workloads } = await openWithWorkload();
  await using serving = await serve(world);
  await restarted(world, serving);
  workloads.replace(WEB, {});
  await pass(world, 1);
  expect(await targetOf(serving)).toMatchObject(STUCK);
  // Every process keeps the failure, although no pods are being replaced.
  await using other = await serve(world);
  await pass(world, 20);
  expect(await targetOf(serving)).toMatchObject(STUCK);
  expect(await targetOf(other)).toMatchObject(STUCK);
  workloads.replace(WEB, { 'kubectl.kubernetes.io/restartedAt': 'now' });
  await pass(world, 1);
  expect(await targetOf(serving)).toMatchObject({ state: 'synced' });
  expect(workloads.annotated).toHaveLength(1);
  // After the rollout, the pods have the new content, so the annotation may go.
  await change(world, serving, 'third');
  workloads.settle(WEB);
  await pass(world, 1);
  workloads.replace(WEB, {});
  await pass(world, 20);
  expect(await targetOf(serving)).toMatchObject({ state: 'synced' });
  expect(workloads.annotated).toHaveLength(2);
});

it('a stuck rollout ends for all Secrets of the workload, also if another Secret restarted the workload again', async () => {
  const workloads = createMemoryWorkloads();
  workloads.put(WEB);
  const mappings = ['db', 'token']
    .map(
      (name) => `
  - name: ${name}
    target: { namespace: apps }
    restart: [ { kind: Deployment, name: web } ]
    refresh: 12h
    data: { A: { store: vault, key: ${name} } }`,
    )
    .join('');
  const world = await openWorld({ mappings, cluster: { workloads } });
  await using serving = await serve(world);
  const states = async () =>
    (await serving.service.status()).targets.map(({ mapping, state }) => `${mapping} ${state}`);
  await waitUntil(async () => expect(await states()).toEqual(['db synced', 'token synced']));
  world.store.put('token', 'second', '2');
  serving.controller.takeHints([{ store: 'vault', keys: ['token'] }], { kind: 'webhook', name: 'ci' });
  await pass(world, 1);
  workloads.stall(WEB);
  await pass(world, 1);
  expect(await states()).toEqual(['db synced', 'token failed']);
  await change(world, serving, 'second');
  expect(workloads.annotated).toHaveLength(2);
  expect(await states()).toEqual(['db synced', 'token failed']);
  workloads.settle(WEB);
  await pass(world, 1);
  expect(await states()).toEqual(['db synced', 'token synced']);
});
