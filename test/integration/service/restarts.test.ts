import { describe, expect, it } from 'vitest';
import { restartAnnotation } from '../../../src/sync/restart.ts';
import { range } from './many-mappings.ts';
import { type ServiceProcess, within } from './service-process.ts';
import { createWorkload, type Workload } from './workloads.ts';
import { base64, openWorld, type World, type WorldOptions } from './world.ts';

interface Shape {
  /** The field `restart` of each mapping, as YAML. */
  readonly restart: string;
  /** The number of mappings. The mappings read the properties `p0`, `p1`, … of the key `app`. */
  readonly mappings?: number;
  readonly window?: string;
  readonly atOnce?: number;
  readonly onConflict?: string;
}

function configOf({ restart, mappings = 1, window = '1s', atOnce = 5, onConflict = 'refuse' }: Shape) {
  const config: WorldOptions['config'] = ({ prefix, ns }) => `defaults: { refresh: 2s }
restarts: { window: ${window}, atOnce: ${atOnce} }
mappings:
${range(mappings)
  .map(
    (n) => `  - name: m${n}
    target: { namespace: ${ns('apps')} }
    onConflict: ${onConflict}
    data: { A: { store: vault, key: ${prefix}/app, property: p${n} } }
    restart: ${restart}
`,
  )
  .join('')}`;
  return config;
}

const ONE = '[ { kind: Deployment, name: one } ]';

const open = (shape: Shape): Promise<World> => openWorld({ config: configOf(shape), scope: 'names' });
const put = (world: World, value: string, count = 1): Promise<void> =>
  world.vault.put('app', Object.fromEntries(range(count).map((n) => [`p${n}`, `${value} ${n}`])));
const expectValues = async (world: World, value: string, count = 1): Promise<void> => {
  for (const n of range(count)) expect((await world.secret(`m${n}`))?.data?.A).toBe(base64(`${value} ${n}`));
};
const expectSynced = async (served: ServiceProcess): Promise<void> => {
  const states = (await served.status()).targets.map(({ state }) => state);
  expect([...new Set(states)]).toEqual(['synced']);
};
/** Waits for several refresh intervals and restart windows. */
async function waitSeveralCycles(): Promise<void> {
  const began = performance.now();
  await within(15_000, () => expect(performance.now() - began).toBeGreaterThan(6_000));
}
const rolls = (workloads: readonly Workload[]): Promise<readonly number[]> =>
  Promise.all(workloads.map((workload) => workload.rolls()));
/** Returns the recorded restarts, with workload and outcome. */
const restartRecords = async (world: World): Promise<readonly string[]> =>
  (await world.records())
    .filter(({ action, phase }) => action === 'restart' && phase === 'outcome')
    .map(({ note, outcome, code }) => [note, outcome, code].filter((part) => part !== undefined).join(' '));

describe('restarts of workloads', () => {
  it('each change of a Secret restarts its workloads once, for every kind of workload and for workloads that a selector chooses', async () => {
    await using world = await open({
      restart: `[ { kind: Deployment, name: one }, { kind: StatefulSet, name: one }, { kind: DaemonSet, name: one },
        { kind: Deployment, selector: { matchLabels: { tier: back } } } ]`,
    });
    const workloads = [
      await createWorkload(world, 'Deployment', 'one'),
      await createWorkload(world, 'StatefulSet', 'one'),
      await createWorkload(world, 'DaemonSet', 'one'),
      await createWorkload(world, 'Deployment', 'back-1', { tier: 'back' }),
      await createWorkload(world, 'Deployment', 'back-2', { tier: 'back' }),
    ];
    const finish = () => Promise.all(workloads.map((workload) => workload.finish()));
    await put(world, 'first');
    let elapsedMs: number;
    {
      await using served = await world.serve();
      await within(15_000, () => expectSynced(served));
      await waitSeveralCycles();
      expect(await rolls(workloads), 'first creation').toEqual([0, 0, 0, 0, 0]);

      await put(world, 'second');
      elapsedMs = await within(15_000, async () => expect(await rolls(workloads)).toEqual([1, 1, 1, 1, 1]));
      const fingerprint = (await world.secret('m0'))?.metadata.annotations?.['secretbridge.dev/fingerprint'];
      for (const workload of workloads)
        expect(await workload.annotations()).toEqual({ [restartAnnotation('m0')]: fingerprint });
      await finish();

      // This write creates a new version with the same bytes.
      const before = await world.secret('m0');
      await put(world, 'second');
      await within(10_000, async () =>
        expect((await world.secret('m0'))?.metadata.resourceVersion).not.toBe(
          before?.metadata.resourceVersion,
        ),
      );
      await waitSeveralCycles();
      expect(await rolls(workloads), 'the same bytes').toEqual([1, 1, 1, 1, 1]);
      expect((await served.stop()).code).toBe(0);
    }
    {
      await using served = await world.serve();
      await within(15_000, () => expectSynced(served));
      await waitSeveralCycles();
      expect(await rolls(workloads), 'a restart of the service').toEqual([1, 1, 1, 1, 1]);
      await put(world, 'third');
      await within(15_000, async () => expect(await rolls(workloads)).toEqual([2, 2, 2, 2, 2]));
      expect((await served.stop()).code).toBe(0);
    }
    console.log(
      `five workloads rolled ${elapsedMs} ms after the store had another value (refresh 2 s, window 1 s)`,
    );
    expect((await restartRecords(world)).toSorted()).toEqual(
      ['DaemonSet/one ok', 'Deployment with tier=back ok', 'Deployment/one ok', 'StatefulSet/one ok'].flatMap(
        (line) => [line, line],
      ),
    );
    await within(5_000, async () => expect(await world.writes('deployments')).toHaveLength(6));
    expect(await world.chain()).toMatchObject({ kind: 'intact' });
  }, 180_000);

  it('ten Secrets that change within one restart window cause only one restart', {
    tags: ['long'],
  }, async () => {
    await using world = await open({ restart: ONE, mappings: 10, window: '3s' });
    const one = await createWorkload(world, 'Deployment', 'one');
    await put(world, 'first', 10);
    await using served = await world.serve();
    await within(15_000, () => expectSynced(served));
    await put(world, 'second', 10);
    const elapsedMs = await within(20_000, async () => expect(await one.rolls()).toBe(1));
    await expectValues(world, 'second', 10);
    await waitSeveralCycles();
    console.log(`one restart for ten Secrets, ${elapsedMs} ms after the store had other values (window 3 s)`);
    expect(await one.rolls()).toBe(1);
    expect(Object.keys(await one.annotations())).toHaveLength(10);
    expect(await world.writes('deployments')).toEqual([`patch ${world.ns('apps')}/one`]);
    expect(await restartRecords(world)).toHaveLength(10);
  });

  it('an adoption without a change of content causes no restart', { tags: ['long'] }, async () => {
    await using world = await open({ restart: ONE, onConflict: 'adopt' });
    const one = await createWorkload(world, 'Deployment', 'one');
    await put(world, 'first');
    await world.put('m0', { data: { A: base64('first 0') } });
    await using served = await world.serve();
    await within(15_000, () => expectSynced(served));
    expect((await world.secret('m0'))?.metadata.labels).toMatchObject({ 'secretbridge.dev/mapping': 'm0' });
    await waitSeveralCycles();
    expect(await one.rolls()).toBe(0);
    await put(world, 'second');
    await within(15_000, async () => expect(await one.rolls()).toBe(1));
  });

  it('a restart waits for the end of a running rollout if the limit `atOnce` is reached', {
    tags: ['long'],
  }, async () => {
    await using world = await open({
      restart:
        '[ { kind: Deployment, name: a }, { kind: Deployment, name: b }, { kind: Deployment, name: c } ]',
      atOnce: 1,
    });
    const workloads: Workload[] = [];
    for (const name of ['a', 'b', 'c']) workloads.push(await createWorkload(world, 'Deployment', name));
    await put(world, 'first');
    await using served = await world.serve();
    await within(15_000, () => expectSynced(served));
    await put(world, 'second');
    const rolled = async () => (await rolls(workloads)).reduce((sum, count) => sum + count, 0);
    const done = new Set<Workload>();
    const times: number[] = [];
    for (const expected of [1, 2, 3]) {
      times.push(await within(20_000, async () => expect(await rolled()).toBe(expected)));
      await waitSeveralCycles();
      expect(await rolled()).toBe(expected);
      for (const workload of workloads)
        if (!done.has(workload) && (await workload.rolls()) === 1) {
          done.add(workload);
          await workload.finish();
        }
    }
    console.log(
      `one at a time: the next rolls ${times.slice(1).join(' and ')} ms after the previous one has ended`,
    );
    await within(10_000, async () => expect(await restartRecords(world)).toHaveLength(3));
  });

  it('a restart is not repeated when someone reverts the annotation', { tags: ['long'] }, async () => {
    await using world = await open({ restart: ONE });
    const one = await createWorkload(world, 'Deployment', 'one');
    await put(world, 'first');
    await using served = await world.serve();
    await within(15_000, () => expectSynced(served));
    await put(world, 'second');
    await within(15_000, async () => expect(await one.rolls()).toBe(1));
    await one.annotate({ [restartAnnotation('m0')]: null });
    await one.finish();
    const sync = await served.send('POST', '/api/v1/mappings/m0/sync');
    expect(sync.status).toBe(200);
    await waitSeveralCycles();
    expect(await one.annotations()).toEqual({});
    expect(await world.writes('deployments')).toHaveLength(1);
    await put(world, 'third');
    await within(15_000, async () => expect(await world.writes('deployments')).toHaveLength(2));
  });

  it('a restart happens even if the service is killed between the write and the restart', {
    tags: ['long'],
  }, async () => {
    await using world = await open({ restart: ONE, window: '5s' });
    const one = await createWorkload(world, 'Deployment', 'one');
    await put(world, 'first');
    {
      await using served = await world.serve();
      await within(15_000, () => expectSynced(served));
      await put(world, 'second');
      await within(15_000, () => expectValues(world, 'second'));
      served.kill('SIGKILL');
      await served.ended;
    }
    expect(await one.rolls()).toBe(0);
    await using served = await world.serve();
    const elapsedMs = await within(30_000, async () => expect(await one.rolls()).toBe(1));
    console.log(
      `killed between write and restart: the workload rolled ${elapsedMs} ms after the next start was ready`,
    );
    await within(15_000, () => expectSynced(served));
    await waitSeveralCycles();
    expect(await one.rolls()).toBe(1);
    expect(await restartRecords(world)).toEqual(['Deployment/one ok']);
  });
});
