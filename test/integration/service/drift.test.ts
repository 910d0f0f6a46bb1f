import { describe, expect, it } from 'vitest';
import { type ServiceProcess, within } from './service-process.ts';
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
  readonly served: ServiceProcess;
}

async function open(options: Partial<WorldOptions> = {}): Promise<Scene> {
  await using stack = new AsyncDisposableStack();
  const world = stack.use(await openWorld({ config: CONFIG, ...options }));
  await world.vault.put('app', { password: 'first' });
  const served = stack.use(await world.serve());
  const owned = stack.move();
  return { world, served, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

const expectValue = async (world: World, name: string, value: string): Promise<void> => {
  expect((await world.secret(name))?.data).toEqual({ PASSWORD: base64(value) });
};

describe.each([
  ['namespace', []],
  ['names', ['long']],
] as const)('a service with scope %s (and only the rights that rbac prints)', (scope, tags) => {
  it('syncs, applies a rotation within the refresh interval, and repairs manual changes', {
    tags: [...tags],
  }, async () => {
    await using scene = await open({ scope });
    const { world, served } = scene;
    const first = await within(10_000, () => expectValue(world, 'app', 'first'));
    await within(5_000, () => expectValue(world, 'other', 'first'));

    await world.vault.put('app', { password: 'second' });
    const rotated = await within(8_000, () => expectValue(world, 'app', 'second'));
    await within(2_000, () => expectValue(world, 'other', 'second'));

    await within(5_000, async () => expect((await served.target('app'))?.state).toBe('synced'));
    const before = await world.secret('app');
    const outcomeCount = async () =>
      (await world.records()).filter(({ phase }) => phase === 'outcome').length;
    // Waits for the records of two creations and two rotations, because a record is written after its change.
    const recorded = 4;
    await within(5_000, async () => expect(await outcomeCount()).toBe(recorded));
    const repair = async (change: () => Promise<void>, check: () => Promise<void>): Promise<number> => {
      await change();
      return await within(5_000, check);
    };
    const expectRepaired = async () => {
      const live = await world.secret('app');
      expect(live?.data).toEqual({ PASSWORD: base64('second') });
      expect(live?.type).toBe('Opaque');
      expect(live?.metadata.labels).toMatchObject(before?.metadata.labels ?? {});
    };
    const elapsedMs = {
      edit: await repair(() => world.patch('app', { data: { PASSWORD: base64('by hand') } }), expectRepaired),
      'added key': await repair(() => world.patch('app', { data: { MORE: base64('x') } }), expectRepaired),
      label: await repair(() => world.patch('app', { metadata: { labels: { team: 'y' } } }), expectRepaired),
      delete: await repair(() => world.remove('app'), expectRepaired),
    };
    console.log(`scope ${scope}: first sync ${first} ms, rotation ${rotated} ms, repairs`, elapsedMs);
    await within(5_000, async () => expect(await outcomeCount()).toBe(recorded + 4));
    const since = (await world.records()).filter(({ phase }) => phase === 'outcome').slice(recorded);
    expect(since).toHaveLength(4);
    for (const { action, actor, outcome } of since)
      expect({ action, kind: actor.kind, outcome }).toEqual({
        action: 'repair',
        kind: 'drift',
        outcome: 'ok',
      });

    // The watch also reports our own writes. Our own writes must cause no further runs.
    const total = await served.metric(
      `secretbridge_sync_total{mapping="app",namespace="${world.ns('apps')}",outcome="unchanged"}`,
    );
    console.log(`scope ${scope}: runs that found nothing to do: ${total ?? 0}`);
    expect(total ?? 0).toBeLessThanOrEqual(1);
    expect(await world.chain()).toMatchObject({ kind: 'intact' });
    expect((await served.stop()).code).toBe(0);
  });
});

describe('a service', () => {
  it('refuses a Secret that lost its instance label, and leaves the Secret unchanged', {
    tags: ['long'],
  }, async () => {
    await using scene = await open();
    const { world, served } = scene;
    await within(10_000, () => expectValue(world, 'app', 'first'));
    await world.patch('app', {
      metadata: { labels: { 'secretbridge.dev/instance': null } },
      data: { PASSWORD: base64('by hand') },
    });
    const before = await world.secret('app');
    await within(5_000, async () =>
      expect(await served.target('app')).toMatchObject({ state: 'refused', code: 'NOT_OWNED' }),
    );
    await world.vault.put('app', { password: 'second' });
    await within(8_000, () => expectValue(world, 'other', 'second'));
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

  it('refuses a Secret that was recreated with another type, and creates a new Secret after that Secret is removed', {
    tags: ['long'],
  }, async () => {
    await using scene = await open();
    const { world, served } = scene;
    await within(10_000, () => expectValue(world, 'app', 'first'));
    const { metadata, data } = (await world.secret('app')) ?? {};
    // While the service is suspended, it receives no events. When it continues, it receives the deletion and the
    // creation as one change.
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
    const elapsedMs = await within(5_000, () => expectValue(world, 'app', 'first'));
    console.log(`of the right type again after ${elapsedMs} ms`);
    await within(5_000, async () => expect((await served.target('app'))?.state).toBe('synced'));
  });

  it('reports drift with `onDrift: report`, and repairs drift on a manual sync', async () => {
    await using scene = await open({
      config: (names) => CONFIG(names).replace('refresh: 5s', 'refresh: 5s, onDrift: report'),
    });
    const { world, served } = scene;
    await within(10_000, () => expectValue(world, 'app', 'first'));
    await world.patch('app', { data: { PASSWORD: base64('by hand') } });
    await within(5_000, async () => expect((await served.target('app'))?.state).toBe('drifted'));
    await expectValue(world, 'app', 'by hand');
    expect((await world.cli('status')).code).toBe(4);
    const sync = await world.cli('sync', '--server', served.address, '--mapping', 'app', '--output', 'json');
    expect({ code: sync.code, ...(JSON.parse(sync.stdout) as object) }).toMatchObject({
      code: 0,
      summary: { updated: 1 },
    });
    await expectValue(world, 'app', 'first');
    await within(5_000, async () => expect((await served.target('app'))?.state).toBe('synced'));
    const repair = (await world.records()).filter(
      ({ action, phase }) => action === 'repair' && phase === 'outcome',
    );
    expect(repair).toMatchObject([
      { actor: { kind: 'operator', name: 'ann' }, requestId: expect.any(String) },
    ]);
  });

  it('marks a target as contested and slows its repairs if another controller keeps changing the target', async () => {
    await using scene = await open();
    const { world, served } = scene;
    await within(10_000, () => expectValue(world, 'app', 'first'));
    let rounds = 0;
    // Simulates a controller that immediately undoes each repair.
    await within(30_000, async () => {
      const live = await world.secret('app');
      if (live?.data?.PASSWORD === base64('first')) {
        rounds += 1;
        await world.patch('app', { data: { PASSWORD: base64(`theirs ${rounds}`) } });
      }
      expect((await served.target('app'))?.state).toBe('contested');
    });
    // A repair does not count here if the other controller writes first. The service retries such a repair immediately.
    const repairs = async () =>
      (await world.records()).filter(
        ({ action, phase, outcome }) => action === 'repair' && phase === 'outcome' && outcome === 'ok',
      ).length;
    const before = await repairs();
    expect(before).toBeLessThanOrEqual(6);
    expect((await served.target('other'))?.state).toBe('synced');
    expect(await served.target('app')).toMatchObject({ code: 'CONTESTED' });

    // From now on, the service makes only one repair in each refresh interval.
    const elapsedMs = await within(30_000, async () => {
      await world.patch('app', { data: { PASSWORD: base64(`theirs ${++rounds}`) } });
      // One of these repairs may have started before the count began.
      expect(await repairs()).toBeGreaterThanOrEqual(before + 3);
    });
    console.log(`contested after ${before} repairs in ${rounds} rounds; three more took ${elapsedMs} ms`);
    expect(elapsedMs).toBeGreaterThan(REFRESH_MS * 1.5);

    // After the other controller stops, the target becomes synced again.
    await within(15_000, async () => expect((await served.target('app'))?.state).toBe('synced'));
    await expectValue(world, 'app', 'first');
  });
});
