import { describe, expect, it } from 'vitest';
import { planTargets } from '../../src/commands/plan.ts';
import { releaseHeld } from '../../src/commands/release.ts';
import { AppError } from '../../src/core/errors.ts';
import { base64, openWorld, type World } from './world.ts';

const ID = { namespace: 'apps', secret: 'shared' };
const THEIRS = { THEIRS: base64('t') };
const BOTH = { ...THEIRS, KEY: base64('tok') };

const merging = (policy: string, source = '') => `
  - name: m
    target: { namespace: apps, secret: shared, mode: merge }
    onSourceMissing: ${policy}
    data: { KEY: { store: vault, key: token${source} } }
`;
const dataOf = (world: World) => world.cluster.raw(ID)?.data;

/** Creates a merge whose only source is absent. One more read proves the absence. */
async function openGone(mappings: string): Promise<World> {
  const world = await openWorld({ mappings, more: 'absence: { readings: 3, over: 10m }' });
  world.cluster.put(ID, { data: THEIRS });
  await world.sync();
  world.store.absent('token');
  for (const _ of [1, 2]) {
    expect(await world.sync()).toMatchObject({ summary: { failed: 1 }, held: [] });
    await world.clock.advance(6 * 60_000);
  }
  return world;
}

async function release(world: World): Promise<Awaited<ReturnType<typeof releaseHeld>>> {
  const [held] = (await world.sync()).held;
  await using process = await world.start();
  return await releaseHeld(process.app, held?.id ?? 'nothing is held');
}

describe('merge that would lose all keys', () => {
  it.each([
    ['delete', ''],
    ['removeKeys', ''],
    ['keep', ', optional: true'],
  ])(
    'a merge that would lose all keys is held until a person releases it (onSourceMissing: %s%s)',
    async (policy, source) => {
      const world = await openGone(merging(policy, source));
      const { summary, held } = await world.sync();
      expect(summary).toMatchObject({ held: 1, refused: 0 });
      expect(held).toMatchObject([{ mapping: 'm', ...ID, action: 'delete', keys: [{ action: 'remove' }] }]);
      expect(world.story()).toContain('hold shared held HELD');
      expect(dataOf(world)).toEqual(BOTH);
      await using process = await world.start();
      expect((await planTargets(process.app)).held).toEqual(held);

      expect(await releaseHeld(process.app, held[0]?.id ?? '')).toMatchObject({
        ok: true,
        targets: [{ mapping: 'm', kind: 'updated', alive: true }],
      });
      expect(dataOf(world)).toEqual(THEIRS);
      expect(world.cluster.writes.map(({ kind }) => kind)).not.toContain('remove');
      expect(world.records.find(({ action }) => action === 'release')).toMatchObject({
        actor: { name: 'ann' },
        note: held[0]?.id,
      });
    },
  );

  it('a held change that removes all keys of a merge is applied only once, even if several people release it concurrently', async () => {
    const world = await openGone(merging('removeKeys'));
    const [held] = (await world.sync()).held;
    const { length } = world.records;
    await using process = await world.start();
    const ends = await Promise.allSettled([1, 2].map(() => releaseHeld(process.app, held?.id ?? '')));
    expect(ends.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
    expect(ends.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'NOT_HELD' } });
    expect(world.story(length).filter((line) => /^(release|update outcome)/.test(line))).toHaveLength(2);
    expect(dataOf(world)).toEqual(THEIRS);
  });

  it.each(['', ', optional: true'])(
    'a merge that would lose all keys is not held a second time after the release, and writes its keys again when the source returns%s',
    async (source) => {
      const world = await openGone(merging('removeKeys', source));
      await release(world);
      for (const _ of [1, 2]) expect((await world.sync()).held).toEqual([]);
      expect(dataOf(world)).toEqual(THEIRS);
      world.store.put('token', 'tok');
      expect((await world.sync()).summary).toMatchObject({ updated: 1 });
      expect(dataOf(world)).toEqual(BOTH);
      expect(await world.chain()).toMatchObject({ kind: 'intact' });
    },
  );

  it('a merge that would lose all keys is held under the new name of a renamed mapping, and the release uses the old field manager', async () => {
    const optional = merging('keep', ', optional: true');
    const world = await openWorld({ mappings: optional, more: 'absence: { readings: 3, over: 10m }' });
    world.cluster.put(ID, { data: THEIRS });
    await world.sync();
    await world.configure(optional.replace('name: m', 'name: renamed'));
    world.store.absent('token');
    for (const _ of [1, 2]) {
      await world.sync();
      await world.clock.advance(6 * 60_000);
    }
    expect(await world.sync()).toMatchObject({ summary: { held: 1 }, held: [{ mapping: 'renamed', ...ID }] });
    expect(dataOf(world)).toEqual(BOTH);
    expect(await release(world)).toMatchObject({ ok: true, summary: { updated: 1 } });
    expect(dataOf(world)).toEqual(THEIRS);
    expect((await world.sync()).held).toEqual([]);
  });

  it("the Secret of a released merge is read again if the API server's answer to the write was lost", async () => {
    const world = await openGone(merging('delete'));
    world.cluster.loseAnswer('merge', new AppError('CLUSTER_UNAVAILABLE'));
    expect((await release(world)).summary).toMatchObject({ updated: 1, failed: 0 });
    expect(dataOf(world)).toEqual(THEIRS);
  });

  it('a merge that would lose all keys is no longer held if the source returns before a release', async () => {
    const world = await openGone(merging('delete'));
    const [held] = (await world.sync()).held;
    world.store.put('token', 'tok');
    await using process = await world.start();
    await expect(releaseHeld(process.app, held?.id ?? '')).rejects.toMatchObject({ code: 'NOT_HELD' });
    expect(dataOf(world)).toEqual(BOTH);
  });
});
