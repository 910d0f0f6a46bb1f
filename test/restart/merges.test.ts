import { expect, it } from 'vitest';
import { createMemoryWorkloads } from '../fakes/memory-workloads.ts';
import { base64, openWorld, type World } from '../reconcile/world.ts';

const ID = { namespace: 'apps', secret: 'shared' };

function merging(name: string, keys: Readonly<Record<string, string>>): string {
  const data = Object.entries(keys).map(([key, source]) => `      ${key}: { store: vault, key: ${source} }`);
  return `
  - name: ${name}
    target: { namespace: apps, secret: shared, mode: merge }
    restart: [ { kind: Deployment, name: web } ]
    data:
${data.join('\n')}`;
}

async function open(mappings: string, theirs: Readonly<Record<string, string>>): Promise<World> {
  const world = await openWorld({ mappings, cluster: { workloads: createMemoryWorkloads() } });
  world.store.put('other', 'o');
  const data = Object.entries(theirs).map(([key, value]) => [key, base64(value)]);
  world.cluster.put(ID, { data: Object.fromEntries(data) });
  return world;
}

/** The intents of restarts that a sync leaves on record. */
async function restartsOf(world: World): Promise<number> {
  const { length } = world.records;
  expect((await world.sync()).ok).toBe(true);
  return world.records.slice(length).filter(({ action, phase }) => action === 'restart' && phase === 'intent')
    .length;
}

it('a merge that takes up keys as they stand restarts nothing, and the next new value does', async () => {
  const world = await open(merging('m', { KEY: 'token' }), { KEY: 'tok', THEIRS: 't' });
  expect(await restartsOf(world)).toBe(0);
  expect(world.records.filter(({ action }) => action === 'update')).toHaveLength(2);
  await world.configure(merging('m', { KEY: 'token', OTHER: 'other' }));
  expect(await restartsOf(world)).toBe(1);
  world.store.put('other', 'p', '2');
  expect(await restartsOf(world)).toBe(1);
});

it('a key that moves from one merge to another restarts nothing', async () => {
  const world = await open(merging('a', { KEY: 'token', OTHER: 'other' }), { THEIRS: 't' });
  expect(await restartsOf(world)).toBe(1);
  const taking = merging('b', { KEY: 'token' });
  await world.configure(merging('a', { KEY: 'token', OTHER: 'other' }) + taking);
  expect(await restartsOf(world)).toBe(0);
  await world.configure(merging('a', { OTHER: 'other' }) + taking);
  expect(await restartsOf(world)).toBe(0);
  expect(world.cluster.raw(ID)?.data).toMatchObject({ KEY: base64('tok') });
  await world.configure(merging('a', { OTHER: 'other' }) + merging('b', { NEW: 'token' }));
  expect(await restartsOf(world)).toBe(1);
});
