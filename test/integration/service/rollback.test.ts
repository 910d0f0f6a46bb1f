import { describe, expect, it } from 'vitest';
import { openSqliteAudit } from '../../../src/audit/sqlite/sqlite.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { recordKeysIn } from '../../fakes/record-keys.ts';
import { openbao } from '../services/inject.ts';
import { startRedis } from '../services/redis.ts';
import { type ServiceProcess, within } from './service-process.ts';
import { createWorkload } from './workloads.ts';
import { base64, openWorld, type World, type WorldOptions } from './world.ts';

const withoutRestart: WorldOptions['config'] = ({ prefix, ns }) => `defaults: { refresh: 2s }
restarts: { window: 1s }
mappings:
  - name: db
    target: { namespace: ${ns('apps')} }
    data: { PASSWORD: { store: vault, key: ${prefix}/db, property: password } }
`;
const config: WorldOptions['config'] = (at) =>
  `${withoutRestart(at)}    restart: [ { kind: Deployment, name: one } ]\n`;

const put = (world: World, password: string): Promise<void> => world.vault.put('db', { password });
const expectValue = async (world: World, password: string): Promise<void> =>
  expect((await world.secret('db'))?.data?.PASSWORD).toBe(base64(password));
const pinOf = async (world: World): Promise<string | undefined> =>
  (await world.secret('db'))?.metadata.annotations?.['secretbridge.dev/pin'];
const expectPinned = async (served: ServiceProcess, to: number): Promise<void> =>
  expect(await served.target('db')).toMatchObject({ state: 'pinned', pinned: to });

/** Waits for several refresh intervals. */
async function waitSeveralCycles(): Promise<void> {
  const began = performance.now();
  await within(15_000, () => expect(performance.now() - began).toBeGreaterThan(4_000));
}

/** Waits for the value `first`, and rotates to `second`. Returns the record sequence numbers of both changes. */
async function rotate(world: World): Promise<readonly number[]> {
  await within(15_000, () => expectValue(world, 'first'));
  await put(world, 'second');
  await within(15_000, () => expectValue(world, 'second'));
  const sequenceOfVersion = new Map<string, number>();
  await within(10_000, async () => {
    for (const { phase, action, sequence, sources } of await world.records())
      if (phase === 'outcome' && (action === 'create' || action === 'update'))
        sequenceOfVersion.set(sources[0]?.version ?? '', sequence);
    expect([...sequenceOfVersion.keys()]).toEqual(['1', '2']);
  });
  return [...sequenceOfVersion.values()];
}

describe('rollback with the running service', () => {
  it('a rollback keeps the target at its version during sweeps, rotations, edits and restarts, and restarts workloads', {
    tags: ['long'],
    timeout: 120_000,
  }, async () => {
    await using world = await openWorld({ config });
    const one = await createWorkload(world, 'Deployment', 'one');
    await put(world, 'first');
    let [first, second] = [0, 0];
    {
      await using served = await world.serve();
      [first = 0, second = 0] = await rotate(world);
      await within(10_000, async () => expect(await one.rolls()).toBe(1));
      await one.finish();
      const server = ['--server', served.address];

      const back = await world.cli('rollback', 'db', '--to', `${first}`, ...server, '--output', 'json');
      expect(back.code, back.stderr).toBe(0);
      expect(JSON.parse(back.stdout)).toMatchObject({
        ok: true,
        summary: { updated: 1 },
        targets: [{ outcome: 'updated', pinned: first }],
      });
      await expectValue(world, 'first');
      expect(await pinOf(world)).toBe(`${first}`);
      await expectPinned(served, first);
      await within(10_000, async () => expect(await one.rolls()).toBe(2));
      await one.finish();

      const writes = (await world.writes()).length;
      await put(world, 'third');
      await waitSeveralCycles();
      await expectValue(world, 'first');
      expect((await world.writes()).length).toBe(writes);
      expect(await one.rolls()).toBe(2);

      // The annotation only displays the pin and does not set one.
      await world.patch('db', { metadata: { annotations: { 'secretbridge.dev/pin': null } } });
      await within(10_000, async () => expect(await pinOf(world)).toBe(`${first}`));
      await world.patch('db', { data: { PASSWORD: base64('by hand') } });
      await within(10_000, () => expectValue(world, 'first'));
      await world.remove('db');
      await within(10_000, async () => expect(await pinOf(world)).toBe(`${first}`));
      await expectValue(world, 'first');
      expect((await served.stop()).code).toBe(0);
    }
    {
      await using served = await world.serve();
      await within(5_000, () => expectPinned(served, first));
      await waitSeveralCycles();
      await expectPinned(served, first);
      await expectValue(world, 'first');
      const rolls = await one.rolls();

      const unpin = await world.cli('unpin', 'db', '--server', served.address);
      expect(unpin.code, unpin.stderr).toBe(0);
      await expectValue(world, 'third');
      expect(await pinOf(world)).toBeUndefined();
      await within(10_000, async () => expect(await one.rolls()).toBe(rolls + 1));
      await one.finish();
      expect((await served.target('db'))?.state).toBe('synced');

      // Somebody forges a pin annotation. The annotation has no effect, and the service removes it.
      await world.patch('db', { metadata: { annotations: { 'secretbridge.dev/pin': `${second}` } } });
      await within(10_000, async () => expect(await pinOf(world)).toBeUndefined());
      expect((await served.target('db'))?.state).toBe('synced');

      // A rollback to the current version sets the pin and restarts no workload.
      const third = (await world.records()).findLast(
        ({ phase, action, outcome }) => phase === 'outcome' && action === 'update' && outcome === 'ok',
      );
      const same = await world.cli(
        'rollback',
        'db',
        '--to',
        `${third?.sequence}`,
        '--server',
        served.address,
      );
      expect(same.code, same.stderr).toBe(0);
      await within(10_000, async () => expect(await pinOf(world)).toBe(`${third?.sequence}`));
      await waitSeveralCycles();
      expect(await one.rolls()).toBe(rolls + 1);

      const destroyed = await openbao().request('PUT', `/v1/secret/destroy/${world.prefix}/db`, {
        versions: [1],
      });
      expect(destroyed.status).toBe(204);
      const rejected = await world.cli('rollback', 'db', '--to', `${first}`, '--server', served.address);
      expect([rejected.code, rejected.stderr]).toEqual([4, expect.stringContaining('VERSION_GONE')]);
      await expectValue(world, 'third');
      expect(await pinOf(world)).toBe(`${third?.sequence}`);
      expect((await served.stop()).code).toBe(0);
    }
    expect(await world.chain()).toMatchObject({ kind: 'intact' });
  });

  it('a rollback takes effect in a running service if a command recorded the pin in the same audit', async () => {
    await using world = await openWorld({ config: withoutRestart });
    await put(world, 'first');
    await using served = await world.serve();
    const [first = 0] = await rotate(world);
    const back = await world.cli('rollback', 'db', '--to', `${first}`);
    expect(back.code, back.stderr).toBe(0);
    await within(10_000, () => expectPinned(served, first));
    await put(world, 'third');
    await waitSeveralCycles();
    await expectValue(world, 'first');
    expect((await world.cli('unpin', 'db')).code).toBe(0);
    await within(10_000, async () => expect((await served.target('db'))?.state).toBe('synced'));
    await expectValue(world, 'third');
  });

  it('the service completes a rollback whose command was killed after recording the rollback', {
    tags: ['long'],
  }, async () => {
    await using world = await openWorld({ config });
    await put(world, 'first');
    await using served = await world.serve();
    const [first = 0] = await rotate(world);
    const record = (await world.records()).find(({ sequence }) => sequence === first);
    {
      const keys = await recordKeysIn(`${world.folder}/state`);
      const options = { instance: record?.instance ?? '', replica: 'killed', clock: systemClock, keys };
      await using audit = await openSqliteAudit({ path: `${world.folder}/state/audit.db`, ...options });
      const { mapping, namespace, secret, sources = [] } = record ?? {};
      await audit.append([
        {
          ...{ actor: { kind: 'cli' }, requestId: 'killed', action: 'rollback', outcome: 'ok' },
          ...{ keys: { added: [], changed: [], removed: [] }, durationMs: 0, attempt: 1 },
          ...(mapping === undefined ? {} : { mapping }),
          ...(namespace === undefined ? {} : { namespace }),
          ...(secret === undefined ? {} : { secret }),
          ...{ sources, note: `to record ${first}` },
        },
      ]);
    }
    const elapsedMs = await within(60_000, () => expectValue(world, 'first'));
    console.log(`a recorded pin was applied ${elapsedMs} ms later (refresh 2 s)`);
    await expectPinned(served, first);
  });
});

describe('rollback with two replicas', () => {
  it('a rollback pins the target on both replicas, no matter which replica receives the request', {
    tags: ['long'],
  }, async () => {
    await using redis = await startRedis();
    await using world = await openWorld({ config, redisUrl: redis.address, postgres: true });
    await put(world, 'first');
    await using a = await world.replica('a');
    await using b = await world.replica('b');
    const [first = 0, second = 0] = await rotate(world);
    const back = await world.cli('rollback', 'db', '--to', `${first}`, '--server', a.address);
    expect(back.code, back.stderr).toBe(0);
    await expectValue(world, 'first');
    await within(10_000, () => Promise.all([expectPinned(a, first), expectPinned(b, first)]).then(() => {}));
    const writes = (await world.writes()).length;
    await put(world, 'third');
    await waitSeveralCycles();
    await expectValue(world, 'first');
    expect((await world.writes()).length).toBe(writes);

    // After simultaneous rollbacks, both replicas apply the last one in the audit.
    const both = await Promise.all([
      world.cli('rollback', 'db', '--to', `${first}`, '--server', a.address),
      world.cli('rollback', 'db', '--to', `${second}`, '--server', b.address),
    ]);
    expect(both.map(({ code }) => code)).toEqual([0, 0]);
    const last = (await world.records()).findLast(({ action }) => action === 'rollback');
    const to = Number(/^to record (\d+)/.exec(last?.note ?? '')?.[1]);
    await within(10_000, () => Promise.all([expectPinned(a, to), expectPinned(b, to)]).then(() => {}));
    await within(10_000, () => expectValue(world, to === first ? 'first' : 'second'));

    await a.stop();
    expect((await world.cli('unpin', 'db', '--server', b.address)).code).toBe(0);
    await within(10_000, () => expectValue(world, 'third'));
    expect(await world.chain()).toMatchObject({ kind: 'intact' });
  });
});
