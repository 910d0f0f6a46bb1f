import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRandom } from '../integration/e2e/random.ts';
import { textMarker } from '../leak-search.ts';
import { runDeploymentController, startChanges } from './changes.ts';
import { finalChecks } from './checks.ts';
import { type Faults, startFaults } from './faults.ts';
import { createLeakScan, recordRedis } from './leaks.ts';
import type { Result, SoakOptions } from './options.ts';
import { startPinning } from './pinning.ts';
import { startPolling } from './poll.ts';
import { openScene, type Scene } from './scene.ts';
import { startSecondSources } from './second-sources.ts';
import { startWitness, type Witness } from './witness.ts';
import { createWorld, isExpected, isPresent, LONGEST_REFRESH_MS, NAMESPACES, type World } from './world.ts';

/** Runs two replicas on real servers, causes random faults, and checks the final state. */
export async function soak(options: SoakOptions): Promise<Result> {
  const { minutes, targets, seed, report } = options;
  const random = createRandom(seed);
  const marker = textMarker('a value');
  const world = createWorld(targets, marker.bytes.toString());
  report('Starting the servers …');
  await using scene = await openScene({ world, replicas: 2, report });
  await using witness = await startWitness(accessOf(scene), world);
  const ending = new AbortController();
  const markers = [
    marker,
    ...Object.entries(scene.credentials).map(([name, value]) => asMarker(name, value)),
  ];
  const scan = createLeakScan(markers);
  const monitor = join(scene.folder, 'monitor.log');
  await using _recording = recordRedis(scene, monitor);

  const start = Date.now();
  for (const replica of scene.replicas) replica.start();
  for (const replica of scene.replicas) await replica.ready(AbortSignal.timeout(60_000));
  const polled = startPolling(scene.replicas, scan, ending.signal);
  const controller = runDeploymentController(scene, ending.signal);
  const first = await untilConverged(scene, world, witness, 10 * 60_000, report);
  if (first === undefined)
    throw new Error(`not converged after ${wrongTargets(world, witness).length} are wrong`);
  report(`All ${countTargets(world)} targets were created in ${Math.round((Date.now() - start) / 1_000)} s.`);
  const firstSyncMs = Date.now() - start;

  const startedAt = Date.now();
  const endsAt = startedAt + minutes * 60_000;
  const faults = startFaults(scene, world, { random: createRandom(random() * 2 ** 32), startedAt, endsAt });
  const changes = startChanges(scene, world, witness, { random: createRandom(random() * 2 ** 32), endsAt });
  const seconds = startSecondSources(scene, world, { random: createRandom(random() * 2 ** 32), endsAt });
  const pinning = startPinning(scene, world, { random: createRandom(random() * 2 ** 32), endsAt });
  const progress = showProgress({ scene, world, witness, faults, endsAt, report, signal: ending.signal });
  await Promise.all([faults.done, changes.done, seconds.done, pinning.done]);
  const quietFrom = Date.now();
  report('No more changes and faults …');
  const limitMs = LONGEST_REFRESH_MS * 1.06 + 90_000;
  const convergedMs = await untilConverged(scene, world, witness, limitMs, report);
  // Waits for one full refresh interval without changes. The replicas must not write in this time.
  const calmFrom = Date.now();
  await sleep(LONGEST_REFRESH_MS * 1.06);
  ending.abort();
  await Promise.all([controller, progress]);
  return await finalChecks({
    ...{ scene, world, witness, faults, changes, seconds, pinning, polled, scan, monitor },
    ...{ options, firstSyncMs, startedAt, quietFrom, calmFrom, convergedMs },
    wrong: wrongTargets(world, witness),
  });
}

export function accessOf({ kubernetes: { address, caFile, adminToken } }: Scene) {
  return { address, caFile, token: adminToken };
}

function asMarker(name: string, value: string) {
  return { name, bytes: Buffer.from(value), core: Buffer.from(value) };
}

export function countTargets(world: World): number {
  return world.items.filter((item) => isPresent(world, item)).length * NAMESPACES.length;
}

/** Returns the targets that differ from the stores and the configuration. */
export function wrongTargets(world: World, witness: Witness): readonly string[] {
  return world.items.flatMap((item) =>
    NAMESPACES.flatMap((namespace) => {
      const target = `${namespace}/${item.name}`;
      const last = witness.last(target);
      if (!isPresent(world, item)) return last === undefined || last.type === 'DELETED' ? [] : [target];
      const { version, more } = last ?? {};
      return last?.type !== 'DELETED' && isExpected(world, item, target, { version, more }) ? [] : [target];
    }),
  );
}

/** Waits until all targets are correct. Returns the duration, or undefined when the limit is reached. */
export async function untilConverged(
  scene: Scene,
  world: World,
  witness: Witness,
  limitMs: number,
  report: (line: string) => void,
): Promise<number | undefined> {
  const start = Date.now();
  for (let reportedAt = start; ; ) {
    const wrong = wrongTargets(world, witness);
    if (wrong.length === 0) return Date.now() - start;
    if (Date.now() - start > limitMs) {
      report(`Still wrong: ${wrong.slice(0, 10).join(' ')}; logs are in ${scene.folder}`);
      return undefined;
    }
    if (Date.now() - reportedAt > 10_000) {
      reportedAt = Date.now();
      report(`  ${wrong.length} targets remain`);
    }
    await sleep(250);
  }
}

interface Progress {
  readonly scene: Scene;
  readonly world: World;
  readonly witness: Witness;
  readonly faults: Faults;
  readonly endsAt: number;
  readonly report: (line: string) => void;
  readonly signal: AbortSignal;
}

async function showProgress({
  scene,
  world,
  witness,
  faults,
  endsAt,
  report,
  signal,
}: Progress): Promise<void> {
  while (!signal.aborted) {
    const secondsLeft = Math.round((endsAt - Date.now()) / 1_000);
    const memory = scene.replicas
      .map(({ runs }) => Math.round(runs.at(-1)?.memory.at(-1)?.[1] ?? 0))
      .join('+');
    const now = faults.now().join(', ') || 'nothing';
    const state = `${wrongTargets(world, witness).length} out of sync, ${witness.changes.length} changes, ${memory} MB`;
    report(`${secondsLeft > 0 ? `${secondsLeft} s left` : 'quiet'} · ${state} · broken: ${now}`);
    await sleep(10_000);
  }
}

export function newSeed(): number {
  return randomBytes(4).readUInt32BE(0);
}
