import { setTimeout as sleep } from 'node:timers/promises';
import { createRandom } from '../integration/e2e/random.ts';
import { textMarker } from '../leak-search.ts';
import type { Check, Result, SoakOptions } from './options.ts';
import { openScene, type Scene } from './scene.ts';
import { accessOf, countTargets, untilConverged } from './soak.ts';
import { distribution, seconds, showDistribution } from './stats.ts';
import { startWitness } from './witness.ts';
import { createWorld, type Item, NAMESPACES, type World } from './world.ts';

const STORE_MS = 10;
const INTERVAL_MS = 250;
const CALLS_A_MINUTE = 30;
const MAX_SLOWDOWN = 1.5;

/**
 * Measures an outage of one of two stores. Reports the requests that reach the failed store, the effect of the outage on
 * the other store, and the recovery of the failed store.
 */
export async function deadStore(options: SoakOptions): Promise<Result> {
  const { minutes, targets, seed, report } = options;
  const random = createRandom(seed);
  const world = createWorld(targets, textMarker('a value').bytes.toString(), true);
  report('Starting the servers …');
  await using scene = await openScene({ world, replicas: 2, report });
  await using witness = await startWitness(accessOf(scene), world);
  scene.toStore.delayMs = STORE_MS;
  scene.toSecond.delayMs = STORE_MS;
  for (const replica of scene.replicas) replica.start();
  if ((await untilConverged(scene, world, witness, 600_000, report)) === undefined)
    throw new Error('the first sync did not finish');
  const healthy = world.items.filter(
    ({ store, kind, swapped }) => store === 'vault' && kind !== 'merge' && !swapped,
  );
  const dead = world.items.filter(({ store, swapped }) => store === 'second' && !swapped);
  const baselineMs = Math.max(60_000, (minutes * 60_000) / 3);

  report('Both stores answer …');
  // Runs for a while before the measurement, to warm up the processes.
  await syncs(scene, healthy, 20_000, random);
  const alone = await syncs(scene, healthy, baselineMs, random);
  report(`Alone: ${showDistribution(distribution(alone.times))}`);

  scene.toSecond.mode = 'silent';
  const diedAt = Date.now();
  report('One store accepts connections and never answers …');
  const changing = changeDeadTargets(scene, world, dead, diedAt + minutes * 60_000);
  const beside = await syncs(scene, healthy, minutes * 60_000, random);
  await changing;
  const calls = callsByMinute(scene.toSecond.calls, diedAt, Date.now());
  report(`Calls to the dead store in each minute: ${calls.join(' ')}`);
  const statuses = await Promise.all(scene.replicas.map((replica) => replica.get('/api/v1/status')));
  const states = statuses.map((answer) => stateOf(answer?.body));

  scene.toSecond.mode = 'there';
  const backAt = Date.now();
  const convergedMs = await untilConverged(scene, world, witness, 600_000, report);
  const greenMs = await untilAllSynced(scene, backAt);
  const [p99Alone, p99Beside] = [distribution(alone.times), distribution(beside.times)];
  const share = p99Beside.p99 / p99Alone.p99;
  const laterCalls = calls.slice(1);
  const checks: Check[] = [
    {
      name: 'calls to the dead store',
      ok: laterCalls.every((count) => count <= CALLS_A_MINUTE),
      says: `in each minute, from both replicas: ${calls.join(' ')}`,
    },
    {
      name: 'state of the dead store',
      ok: states.every((state) => state === 'down'),
      says: states.join(', '),
    },
    {
      name: 'values current after its return',
      ok: convergedMs !== undefined,
      says: convergedMs === undefined ? 'never' : seconds(convergedMs),
    },
    {
      name: 'all synced after its return',
      ok: greenMs !== undefined,
      says: greenMs === undefined ? 'never' : seconds(greenMs),
    },
    { name: 'syncs of the other store, alone', ok: undefined, says: showDistribution(p99Alone) },
    {
      name: 'syncs next to the dead store',
      ok: share <= MAX_SLOWDOWN && beside.failed === 0 && alone.failed === 0,
      says: `${showDistribution(p99Beside)}; p99 × ${share.toFixed(2)}; ${alone.failed + beside.failed} failed`,
    },
  ];
  return {
    title: `A dead store for ${minutes} minutes, ${countTargets(world)} targets, half of them in it`,
    checks,
    figures: {
      minutes,
      targets: countTargets(world),
      calls,
      convergedMs,
      greenMs,
      alone: p99Alone,
      beside: p99Beside,
    },
  };
}

/** Requests syncs of random mappings, at alternating replicas. */
async function syncs(
  { replicas }: Scene,
  items: readonly Item[],
  forMs: number,
  random: () => number,
): Promise<{ times: readonly number[]; failed: number }> {
  const endsAt = Date.now() + forMs;
  const times: number[] = [];
  const running = new Set<Promise<void>>();
  let failed = 0;
  for (let n = 0; Date.now() < endsAt; n += 1) {
    const item = items[Math.floor(random() * items.length)];
    const replica = replicas[n % replicas.length];
    const request = (async () => {
      const startedAt = performance.now();
      const answer = await replica?.post(`/api/v1/mappings/${item?.name}/sync`);
      times.push(performance.now() - startedAt);
      if (answer?.status !== 200 || (answer.body as { ok?: boolean }).ok !== true) failed += 1;
    })().finally(() => running.delete(request));
    running.add(request);
    await sleep(INTERVAL_MS);
  }
  await Promise.all(running);
  return { times, failed };
}

/** During the outage, writes new values into the unreachable store and deletes Secrets that depend on it. */
async function changeDeadTargets(
  scene: Scene,
  world: World,
  items: readonly Item[],
  endsAt: number,
): Promise<void> {
  for (const [n, item] of items.entries()) {
    if (Date.now() > endsAt - 5_000) return;
    if (n % 2 === 0) await scene.put(item.key, world.version(item.key) + 1);
    else if (item.kind !== 'merge')
      await scene.cluster('DELETE', `/api/v1/namespaces/${NAMESPACES[n % 4]}/secrets/${item.name}`);
    await sleep(500);
  }
}

function callsByMinute(calls: readonly number[], from: number, until: number): readonly number[] {
  const minutes = Math.max(1, Math.ceil((until - from) / 60_000));
  return Array.from({ length: minutes }, (_, n) => {
    const start = from + n * 60_000;
    return calls.filter((at) => at >= start && at < Math.min(until, start + 60_000)).length;
  });
}

function stateOf(body: unknown): string {
  const { stores = [] } = body as { stores?: readonly { name: string; state: string }[] };
  return stores.find(({ name }) => name === 'second')?.state ?? 'unknown';
}

/** Waits until every replica reports that all targets are synced. Returns the duration. */
async function untilAllSynced({ replicas }: Scene, since: number): Promise<number | undefined> {
  while (Date.now() - since < 600_000) {
    const answers = await Promise.all(replicas.map((replica) => replica.get('/api/v1/status')));
    const isSynced = answers.every((answer) => {
      const { targets = [] } = (answer?.body ?? {}) as { targets?: readonly { state: string }[] };
      return targets.length > 0 && targets.every(({ state }) => state === 'synced');
    });
    if (isSynced) return Date.now() - since;
    await sleep(500);
  }
  return undefined;
}
