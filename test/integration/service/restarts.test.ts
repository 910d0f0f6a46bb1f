import { describe, expect, it } from 'vitest';
import { restartAnnotation } from '../../../src/sync/restart.ts';
import { upTo } from './many.ts';
import { type Served, within } from './served.ts';
import { makeWorkload, type Workload } from './workloads.ts';
import { base64, openWorld, type World, type WorldOptions } from './world.ts';

interface Shape {
  /** Of each mapping, in YAML. */
  readonly restart: string;
  /** How many mappings, of the properties `p0`, `p1`, … of the key `app`. */
  readonly mappings?: number;
  readonly window?: string;
  readonly atOnce?: number;
  readonly onConflict?: string;
}

function configOf({ restart, mappings = 1, window = '1s', atOnce = 5, onConflict = 'refuse' }: Shape) {
  const config: WorldOptions['config'] = ({ prefix, ns }) => `defaults: { refresh: 2s }
restarts: { window: ${window}, atOnce: ${atOnce} }
mappings:
${upTo(mappings)
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
  world.vault.put('app', Object.fromEntries(upTo(count).map((n) => [`p${n}`, `${value} ${n}`])));
const holds = async (world: World, value: string, count = 1): Promise<void> => {
  for (const n of upTo(count)) expect((await world.secret(`m${n}`))?.data?.A).toBe(base64(`${value} ${n}`));
};
const synced = async (served: Served): Promise<void> => {
  const states = (await served.status()).targets.map(({ state }) => state);
  expect([...new Set(states)]).toEqual(['synced']);
};
/** Several refreshes and windows pass. */
async function quiet(): Promise<void> {
  const began = performance.now();
  await within(15_000, () => expect(performance.now() - began).toBeGreaterThan(6_000));
}
const rolls = (workloads: readonly Workload[]): Promise<readonly number[]> =>
  Promise.all(workloads.map((it) => it.rolls()));
/** Restarts on record, by workload and how they ended. */
const restartRecords = async (world: World): Promise<readonly string[]> =>
  (await world.records())
    .filter(({ action, phase }) => action === 'restart' && phase === 'outcome')
    .map(({ note, outcome, code }) => [note, outcome, code].filter((it) => it !== undefined).join(' '));

describe('restarts of workloads', () => {
  it('are made once per change of content, of each kind and of a selector, and for nothing else', async () => {
    await using world = await open({
      restart: `[ { kind: Deployment, name: one }, { kind: StatefulSet, name: one }, { kind: DaemonSet, name: one },
        { kind: Deployment, selector: { matchLabels: { tier: back } } } ]`,
    });
    const workloads = [
      await makeWorkload(world, 'Deployment', 'one'),
      await makeWorkload(world, 'StatefulSet', 'one'),
      await makeWorkload(world, 'DaemonSet', 'one'),
      await makeWorkload(world, 'Deployment', 'back-1', { tier: 'back' }),
      await makeWorkload(world, 'Deployment', 'back-2', { tier: 'back' }),
    ];
    const finish = () => Promise.all(workloads.map((it) => it.finish()));
    await put(world, 'first');
    let took: number;
    {
      await using served = await world.serve();
      await within(15_000, () => synced(served));
      await quiet();
      expect(await rolls(workloads), 'first creation').toEqual([0, 0, 0, 0, 0]);

      await put(world, 'second');
      took = await within(15_000, async () => expect(await rolls(workloads)).toEqual([1, 1, 1, 1, 1]));
      const fingerprint = (await world.secret('m0'))?.metadata.annotations?.['secretbridge.dev/fingerprint'];
      for (const it of workloads)
        expect(await it.annotations()).toEqual({ [restartAnnotation('m0')]: fingerprint });
      await finish();

      // Another version of the same bytes.
      const before = await world.secret('m0');
      await put(world, 'second');
      await within(10_000, async () =>
        expect((await world.secret('m0'))?.metadata.resourceVersion).not.toBe(
          before?.metadata.resourceVersion,
        ),
      );
      await quiet();
      expect(await rolls(workloads), 'the same bytes').toEqual([1, 1, 1, 1, 1]);
      expect((await served.stop()).code).toBe(0);
    }
    {
      await using served = await world.serve();
      await within(15_000, () => synced(served));
      await quiet();
      expect(await rolls(workloads), 'a restart of the service').toEqual([1, 1, 1, 1, 1]);
      await put(world, 'third');
      await within(15_000, async () => expect(await rolls(workloads)).toEqual([2, 2, 2, 2, 2]));
      expect((await served.stop()).code).toBe(0);
    }
    console.log(
      `five workloads rolled ${took} ms after the store had another value (refresh 2 s, window 1 s)`,
    );
    expect((await restartRecords(world)).toSorted()).toEqual(
      ['DaemonSet/one ok', 'Deployment with tier=back ok', 'Deployment/one ok', 'StatefulSet/one ok'].flatMap(
        (it) => [it, it],
      ),
    );
    await within(5_000, async () => expect(await world.writes('deployments')).toHaveLength(6));
    expect(await world.chain()).toMatchObject({ kind: 'intact' });
  }, 180_000);

  it('of ten Secrets that change within the window are one', { tags: ['long'] }, async () => {
    await using world = await open({ restart: ONE, mappings: 10, window: '3s' });
    const one = await makeWorkload(world, 'Deployment', 'one');
    await put(world, 'first', 10);
    await using served = await world.serve();
    await within(15_000, () => synced(served));
    await put(world, 'second', 10);
    const took = await within(20_000, async () => expect(await one.rolls()).toBe(1));
    await holds(world, 'second', 10);
    await quiet();
    console.log(`one restart for ten Secrets, ${took} ms after the store had other values (window 3 s)`);
    expect(await one.rolls()).toBe(1);
    expect(Object.keys(await one.annotations())).toHaveLength(10);
    expect(await world.writes('deployments')).toEqual([`patch ${world.ns('apps')}/one`]);
    expect(await restartRecords(world)).toHaveLength(10);
  });

  it('do not follow an adoption that changes no byte', { tags: ['long'] }, async () => {
    await using world = await open({ restart: ONE, onConflict: 'adopt' });
    const one = await makeWorkload(world, 'Deployment', 'one');
    await put(world, 'first');
    await world.put('m0', { data: { A: base64('first 0') } });
    await using served = await world.serve();
    await within(15_000, () => synced(served));
    expect((await world.secret('m0'))?.metadata.labels).toMatchObject({ 'secretbridge.dev/mapping': 'm0' });
    await quiet();
    expect(await one.rolls()).toBe(0);
    await put(world, 'second');
    await within(15_000, async () => expect(await one.rolls()).toBe(1));
  });

  it('are as many at a time as allowed, until the status says that they have ended', {
    tags: ['long'],
  }, async () => {
    await using world = await open({
      restart:
        '[ { kind: Deployment, name: a }, { kind: Deployment, name: b }, { kind: Deployment, name: c } ]',
      atOnce: 1,
    });
    const workloads: Workload[] = [];
    for (const name of ['a', 'b', 'c']) workloads.push(await makeWorkload(world, 'Deployment', name));
    await put(world, 'first');
    await using served = await world.serve();
    await within(15_000, () => synced(served));
    await put(world, 'second');
    const rolled = async () => (await rolls(workloads)).reduce((sum, it) => sum + it, 0);
    const done = new Set<Workload>();
    const times: number[] = [];
    for (const expected of [1, 2, 3]) {
      times.push(await within(20_000, async () => expect(await rolled()).toBe(expected)));
      await quiet();
      expect(await rolled()).toBe(expected);
      for (const it of workloads)
        if (!done.has(it) && (await it.rolls()) === 1) {
          done.add(it);
          await it.finish();
        }
    }
    console.log(
      `one at a time: the next rolls ${times.slice(1).join(' and ')} ms after the one before has ended`,
    );
    await within(10_000, async () => expect(await restartRecords(world)).toHaveLength(3));
  });

  it('are not made again when somebody reverts the annotation', { tags: ['long'] }, async () => {
    await using world = await open({ restart: ONE });
    const one = await makeWorkload(world, 'Deployment', 'one');
    await put(world, 'first');
    await using served = await world.serve();
    await within(15_000, () => synced(served));
    await put(world, 'second');
    await within(15_000, async () => expect(await one.rolls()).toBe(1));
    await one.annotate({ [restartAnnotation('m0')]: null });
    await one.finish();
    const sync = await served.send('POST', '/api/v1/mappings/m0/sync');
    expect(sync.status).toBe(200);
    await quiet();
    expect(await one.annotations()).toEqual({});
    expect(await world.writes('deployments')).toHaveLength(1);
    await put(world, 'third');
    await within(15_000, async () => expect(await world.writes('deployments')).toHaveLength(2));
  });

  it('are not lost to kill -9 between the write and the restart', async () => {
    await using world = await open({ restart: ONE, window: '5s' });
    const one = await makeWorkload(world, 'Deployment', 'one');
    await put(world, 'first');
    {
      await using served = await world.serve();
      await within(15_000, () => synced(served));
      await put(world, 'second');
      await within(15_000, () => holds(world, 'second'));
      served.kill('SIGKILL');
      await served.ended;
    }
    expect(await one.rolls()).toBe(0);
    await using served = await world.serve();
    const took = await within(30_000, async () => expect(await one.rolls()).toBe(1));
    console.log(
      `killed between write and restart: the workload rolled ${took} ms after the next start was ready`,
    );
    await within(15_000, () => synced(served));
    await quiet();
    expect(await one.rolls()).toBe(1);
    expect(await restartRecords(world)).toEqual(['Deployment/one ok']);
  });

  it('of a workload that is not there are reported once', { tags: ['long'] }, async () => {
    await using world = await open({ restart: '[ { kind: Deployment, name: nothing } ]' });
    await put(world, 'first');
    await using served = await world.serve();
    await within(15_000, () => synced(served));
    await put(world, 'second');
    await within(15_000, async () =>
      expect(await restartRecords(world)).toEqual(['Deployment/nothing failed WORKLOAD_MISSING']),
    );
    await quiet();
    await synced(served);
    expect(await restartRecords(world)).toHaveLength(1);
  });
});
