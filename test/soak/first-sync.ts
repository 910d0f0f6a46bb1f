import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import type { Queue } from '../../src/queue/queue.ts';
import { formatSubject } from '../../src/queue/subject.ts';
import { createRandom } from '../integration/e2e/random.ts';
import { openQueue } from '../integration/queue/harness.ts';
import { textMarker } from '../leak-search.ts';
import type { Result, SoakOptions } from './options.ts';
import { PREFIX } from './prepare.ts';
import { openScene, type Scene } from './scene.ts';
import { accessOf, countTargets, untilConverged } from './soak.ts';
import { distribution, seconds, showDistribution } from './stats.ts';
import { startWitness, type Witness } from './witness.ts';
import { createWorld, isPresent, NAMESPACES, type World } from './world.ts';

const BOUND_MS = 5_000;
const STORE_MS = 15;
const [NAMESPACE] = NAMESPACES;

/** Measures how long a new mapping waits for its first Secret while the queue contains a job for every target. */
export async function firstSync(options: SoakOptions & { readonly tries: number }): Promise<Result> {
  const { targets, tries, report } = options;
  const world = createWorld(targets, textMarker('a value').bytes.toString());
  report('Starting the servers …');
  await using scene = await openScene({ world, replicas: 2, report });
  await using witness = await startWitness(accessOf(scene), world);
  await using queue = await openQueue(scene.redis.address, { instance: 'soak', concurrency: 1 });
  for (const replica of scene.replicas) replica.start();
  if ((await untilConverged(scene, world, witness, 600_000, report)) === undefined)
    throw new Error('the first sync did not finish');
  scene.toStore.delayMs = STORE_MS;

  const alone = await measure(scene, witness, Math.min(20, tries), async () => 0, 'alone');
  report(`Alone: ${showDistribution(distribution(alone.map(({ ms }) => ms)))}`);
  const random = createRandom(options.seed);
  const fill = () => fillQueue(queue, world, random);
  const busy = await measure(scene, witness, tries, fill, 'busy');
  const times = distribution(busy.map(({ ms }) => ms));
  const waiting = busy.map((result) => result.waiting);
  return {
    title: `First sync of a new mapping while ${countTargets(world)} refreshes wait (store latency ${STORE_MS} ms)`,
    checks: [
      { name: 'alone', ok: undefined, says: showDistribution(distribution(alone.map(({ ms }) => ms))) },
      { name: 'p99 under 5 s', ok: times.p99 < BOUND_MS, says: showDistribution(times) },
      {
        name: 'refreshes that waited',
        ok: Math.min(...waiting) > 0.8 * countTargets(world),
        says: `${Math.min(...waiting)} to ${Math.max(...waiting)}`,
      },
    ],
    figures: {
      targets: countTargets(world),
      tries,
      alone: distribution(alone.map(({ ms }) => ms)),
      busy: times,
    },
  };

  async function measure(
    { cluster, put, shared }: Scene,
    { onChange }: Witness,
    count: number,
    before: () => Promise<number>,
    name: string,
  ): Promise<readonly { ms: number; waiting: number }[]> {
    const results: { ms: number; waiting: number }[] = [];
    for (let n = 0; n < count; n += 1) {
      const mapping = `new-${name}-${n}`;
      await put(mapping, 1);
      const created = Promise.withResolvers<void>();
      const stop = onChange(({ target, type }) => {
        if (target === `${NAMESPACE}/${mapping}` && type === 'ADDED') created.resolve();
      });
      const waiting = await before();
      const startedAt = performance.now();
      await writeFile(join(shared, 'new.yaml'), newMapping(mapping));
      await Promise.race([
        created.promise,
        sleep(120_000, undefined, { ref: false }).then(() =>
          created.reject(new Error(`${mapping} was not created`)),
        ),
      ]);
      await created.promise;
      const ms = performance.now() - startedAt;
      stop();
      results.push({ ms, waiting });
      if (n % 10 === 9) report(`${name}: ${n + 1} of ${count}, the last one after ${seconds(ms)}`);
      await cluster('DELETE', `/api/v1/namespaces/${NAMESPACE}/secrets/${mapping}`);
    }
    return results;
  }
}

function newMapping(name: string): string {
  const data = { USER: { store: 'vault', key: `${PREFIX}/${name}`, property: 'user' } };
  const mapping = { name, target: { namespace: NAMESPACE }, data, refresh: '1h', onMappingRemoved: 'keep' };
  return stringify({ apiVersion: 'secretbridge.dev/v1', mappings: [mapping] });
}

const FILL_SHARE = 0.95;
const BATCH_SIZE = 200;

/**
 * Adds the jobs that the sweeps would add if every source had changed. Each job causes a separate read. Adds only
 * missing jobs, to limit the load on the replicas. Returns the number of queued jobs.
 */
async function fillQueue(queue: Queue, world: World, random: () => number): Promise<number> {
  const targets = world.items
    .filter((item) => isPresent(world, item))
    .flatMap(({ name }) => NAMESPACES.map((namespace) => ({ namespace, secret: name })));
  for (;;) {
    const { waiting, delayed, active } = await queue.counts();
    const queued = waiting + delayed + active;
    if (queued >= FILL_SHARE * targets.length) return queued;
    const from = Math.floor(random() * targets.length);
    const batch = [...targets, ...targets].slice(from, from + BATCH_SIZE);
    await Promise.all(
      batch.map((target) =>
        queue.add([
          {
            subject: formatSubject({ kind: 'target', ...target }),
            reason: 'sweep',
            requestId: randomUUID(),
          },
        ]),
      ),
    );
  }
}
