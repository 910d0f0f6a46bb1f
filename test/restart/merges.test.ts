import { expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import { recoverIntents } from '../../src/reconcile/recover.ts';
import type { Step } from '../fakes/faulty.ts';
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
  const workloads = createMemoryWorkloads();
  workloads.put({ kind: 'Deployment', namespace: 'apps', name: 'web' });
  const world = await openWorld({ mappings, cluster: { workloads } });
  world.store.put('other', 'o');
  const data = Object.entries(theirs).map(([key, value]) => [key, base64(value)]);
  world.cluster.put(ID, { data: Object.fromEntries(data) });
  return world;
}

/** Returns the number of restart intents that a sync records. */
async function restartsOf(world: World): Promise<number> {
  const { length } = world.records;
  expect((await world.sync()).ok).toBe(true);
  return world.records.slice(length).filter(({ action, phase }) => action === 'restart' && phase === 'intent')
    .length;
}

it('a merge that takes over unchanged keys restarts nothing until a key gets a new value', async () => {
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

const dead = new AppError('AUDIT_UNAVAILABLE');

/** Stops the process between the write and its outcome. */
const afterTheWrite = ({ call, phase, args }: Step) => {
  const [entry] = call === 'audit.append' ? (args[0] as { phase?: string }[]) : [];
  if (phase === 'before' && entry?.phase === 'outcome') throw dead;
};

/** Interrupts a sync after its write. Returns the records that the recovery adds. */
async function recovered(world: World): Promise<readonly string[]> {
  await expect(world.sync(afterTheWrite)).rejects.toBe(dead);
  const { length } = world.records;
  await using next = await world.start();
  const web = { kind: 'Deployment', name: 'web' };
  expect(await recoverIntents({ ...next.app, restartOf: () => [web] })).toBe(1);
  return world.records.slice(length).map(({ action, phase, outcome }) => `${action} ${phase} ${outcome}`);
}

it('an interrupted merge without byte changes restarts nothing', async () => {
  const world = await open(merging('m', { KEY: 'token' }), { KEY: 'tok', THEIRS: 't' });
  expect(await recovered(world)).toEqual(['update outcome ok']);
  await world.configure(merging('m', { KEY: 'token', OTHER: 'other' }));
  expect(await recovered(world)).toEqual(['update outcome ok', 'restart intent ok']);
});

it('only a merge that takes over unchanged keys is recorded with the note `no byte changes`', async () => {
  const world = await open(merging('m', { KEY: 'token' }), { KEY: 'tok', THEIRS: 't' });
  await world.sync();
  await world.configure(merging('m', { KEY: 'token', OTHER: 'other' }));
  await world.sync();
  const notes = world.records.filter(({ action }) => action === 'update').map(({ note }) => note);
  expect(notes).toEqual(['no byte changes', 'no byte changes', undefined, undefined]);
});
