import { describe, expect, it } from 'vitest';
import { type Served, within } from './served.ts';
import { base64, openWorld, type World, type WorldOptions } from './world.ts';

const REFRESH_MS = 5_000;
const CONFIG: WorldOptions['config'] = ({ prefix, ns }) => `defaults: { refresh: 5s }
mappings:
  - name: app
    target: { namespace: ${ns('apps')}, labels: { team: x } }
    data: { PASSWORD: { store: vault, key: ${prefix}/app, property: password } }
  - name: other
    target: { namespace: ${ns('apps')} }
    data: { PASSWORD: { store: vault, key: ${prefix}/app, property: password } }
`;

interface Scene extends AsyncDisposable {
  readonly world: World;
  readonly served: Served;
}

async function open(options: Partial<WorldOptions> = {}): Promise<Scene> {
  await using stack = new AsyncDisposableStack();
  const world = stack.use(await openWorld({ config: CONFIG, ...options }));
  await world.vault.put('app', { password: 'first' });
  const served = stack.use(await world.serve());
  const owned = stack.move();
  return { world, served, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

const holds = async (world: World, name: string, value: string): Promise<void> => {
  expect((await world.secret(name))?.data).toEqual({ PASSWORD: base64(value) });
};

describe.each(['namespace', 'names'] as const)(
  'a service with scope %s and the rights that rbac prints',
  (scope) => {
    it('syncs first, takes up a rotation within the refresh, and repairs what is changed by hand', async () => {
      await using scene = await open({ scope });
      const { world, served } = scene;
      const first = await within(10_000, () => holds(world, 'app', 'first'));
      await within(5_000, () => holds(world, 'other', 'first'));

      await world.vault.put('app', { password: 'second' });
      const rotated = await within(8_000, () => holds(world, 'app', 'second'));
      await within(2_000, () => holds(world, 'other', 'second'));

      await within(5_000, async () => expect((await served.target('app'))?.state).toBe('synced'));
      const before = await world.secret('app');
      const runs = async () => (await world.records()).filter(({ phase }) => phase === 'outcome').length;
      // Two targets were made, and then rotated. A record comes after its write.
      const recorded = 4;
      await within(5_000, async () => expect(await runs()).toBe(recorded));
      const repair = async (how: () => Promise<void>, check: () => Promise<void>): Promise<number> => {
        await how();
        return await within(5_000, check);
      };
      const isRight = async () => {
        const live = await world.secret('app');
        expect(live?.data).toEqual({ PASSWORD: base64('second') });
        expect(live?.type).toBe('Opaque');
        expect(live?.metadata.labels).toMatchObject(before?.metadata.labels ?? {});
      };
      const took = {
        edit: await repair(() => world.patch('app', { data: { PASSWORD: base64('by hand') } }), isRight),
        'added key': await repair(() => world.patch('app', { data: { MORE: base64('x') } }), isRight),
        label: await repair(() => world.patch('app', { metadata: { labels: { team: 'y' } } }), isRight),
        delete: await repair(() => world.remove('app'), isRight),
      };
      console.log(`scope ${scope}: first sync ${first} ms, rotation ${rotated} ms, repairs`, took);
      await within(5_000, async () => expect(await runs()).toBe(recorded + 4));
      const since = (await world.records()).filter(({ phase }) => phase === 'outcome').slice(recorded);
      expect(since).toHaveLength(4);
      for (const { action, actor, outcome } of since)
        expect({ action, kind: actor.kind, outcome }).toEqual({
          action: 'repair',
          kind: 'drift',
          outcome: 'ok',
        });

      // Our own writes are seen by the watch as well, and lead to nothing: as many runs as there were reasons.
      const total = await served.metric(
        `secretbridge_sync_total{mapping="app",namespace="${world.ns('apps')}",outcome="unchanged"}`,
      );
      console.log(`scope ${scope}: runs that found nothing to do: ${total ?? 0}`);
      expect(total ?? 0).toBeLessThanOrEqual(1);
      expect(await world.chain()).toMatchObject({ kind: 'intact' });
      expect((await served.stop()).code).toBe(0);
    });
  },
);

describe('a service', () => {
  it('takes a stripped label for a release, and leaves the Secret as it is', { tags: ['long'] }, async () => {
    await using scene = await open();
    const { world, served } = scene;
    await within(10_000, () => holds(world, 'app', 'first'));
    await world.patch('app', {
      metadata: { labels: { 'secretbridge.dev/instance': null } },
      data: { PASSWORD: base64('by hand') },
    });
    const before = await world.secret('app');
    await within(5_000, async () =>
      expect(await served.target('app')).toMatchObject({ state: 'refused', code: 'NOT_OWNED' }),
    );
    await world.vault.put('app', { password: 'second' });
    await within(8_000, () => holds(world, 'other', 'second'));
    expect(await world.secret('app')).toEqual(before);
    expect(
      await served.metric(
        `secretbridge_target_errors{mapping="app",namespace="${world.ns('apps')}",code="NOT_OWNED"}`,
      ),
    ).toBe(1);
    const status = await world.cli('status');
    expect(status.code).toBe(4);
    expect(status.stdout).toContain('NOT_OWNED');
  });

  it('refuses what came back with another type, and takes up the right one again', {
    tags: ['long'],
  }, async () => {
    await using scene = await open();
    const { world, served } = scene;
    await within(10_000, () => holds(world, 'app', 'first'));
    const { metadata, data } = (await world.secret('app')) ?? {};
    // Held, so that it sees both changes as one.
    served.kill('SIGSTOP');
    await world.remove('app');
    const { labels, annotations } = metadata ?? {};
    const type = 'example.org/other';
    await world.put('app', { metadata: { name: 'app', labels, annotations }, type, data });
    const before = await world.secret('app');
    served.kill('SIGCONT');
    await within(5_000, async () =>
      expect(await served.target('app')).toMatchObject({ state: 'refused', code: 'IMMUTABLE' }),
    );
    expect(await world.secret('app')).toEqual(before);
    await world.remove('app');
    const took = await within(5_000, () => holds(world, 'app', 'first'));
    console.log(`of the right type again after ${took} ms`);
    await within(5_000, async () => expect((await served.target('app'))?.state).toBe('synced'));
  });

  it('reports drift where it must only report, and repairs it when a person says so', async () => {
    await using scene = await open({
      config: (names) => CONFIG(names).replace('refresh: 5s', 'refresh: 5s, onDrift: report'),
    });
    const { world, served } = scene;
    await within(10_000, () => holds(world, 'app', 'first'));
    await world.patch('app', { data: { PASSWORD: base64('by hand') } });
    await within(5_000, async () => expect((await served.target('app'))?.state).toBe('drifted'));
    await holds(world, 'app', 'by hand');
    expect((await world.cli('status')).code).toBe(4);
    const sync = await world.cli('sync', '--server', served.address, '--mapping', 'app', '--output', 'json');
    expect({ code: sync.code, ...(JSON.parse(sync.stdout) as object) }).toMatchObject({
      code: 0,
      summary: { updated: 1 },
    });
    await holds(world, 'app', 'first');
    await within(5_000, async () => expect((await served.target('app'))?.state).toBe('synced'));
    const repair = (await world.records()).filter(
      ({ action, phase }) => action === 'repair' && phase === 'outcome',
    );
    expect(repair).toMatchObject([
      { actor: { kind: 'operator', name: 'ann' }, requestId: expect.any(String) },
    ]);
  });

  it('calls a target contested over which somebody fights, and stays calm', async () => {
    await using scene = await open();
    const { world, served } = scene;
    await within(10_000, () => holds(world, 'app', 'first'));
    let rounds = 0;
    // Another controller that undoes each repair at once.
    await within(30_000, async () => {
      const live = await world.secret('app');
      if (live?.data?.PASSWORD === base64('first')) {
        rounds += 1;
        await world.patch('app', { data: { PASSWORD: base64(`theirs ${rounds}`) } });
      }
      expect((await served.target('app'))?.state).toBe('contested');
    });
    // One that the other controller was quicker than has repaired nothing, and is tried again at once.
    const repairs = async () =>
      (await world.records()).filter(
        ({ action, phase, outcome }) => action === 'repair' && phase === 'outcome' && outcome === 'ok',
      ).length;
    const before = await repairs();
    expect(before).toBeLessThanOrEqual(6);
    expect((await served.target('other'))?.state).toBe('synced');
    expect(await served.target('app')).toMatchObject({ code: 'CONTESTED' });

    // From now on once per refresh, however often it is undone.
    const took = await within(30_000, async () => {
      await world.patch('app', { data: { PASSWORD: base64(`theirs ${++rounds}`) } });
      // The first may have been under way when they were counted.
      expect(await repairs()).toBeGreaterThanOrEqual(before + 3);
    });
    console.log(`contested after ${before} repairs in ${rounds} rounds; three more took ${took} ms`);
    expect(took).toBeGreaterThan(REFRESH_MS * 1.5);

    // Once the other one is gone, it is left in peace and in step.
    await within(15_000, async () => expect((await served.target('app'))?.state).toBe('synced'));
    await holds(world, 'app', 'first');
  });
});
