import { setTimeout as sleep } from 'node:timers/promises';
import type { Scene } from './scene.ts';
import type { World } from './world.ts';

/** A temporary fault during the run. */
export interface Fault {
  readonly name: string;
  readonly startedAt: number;
  /** Undefined while the fault lasts. */
  endedAt?: number;
}

export interface Faults {
  readonly past: readonly Fault[];
  /** Returns the names of current faults. */
  now(): readonly string[];
  /** Resolves when every fault has ended. */
  readonly done: Promise<void>;
}

interface Kind {
  readonly name: string;
  /** The relative frequency of the fault. */
  readonly weight: number;
  /** Starts the fault, waits, and then ends the fault. */
  run(): Promise<void>;
}

/**
 * Causes faults until the end of the run, in three parallel sequences: server failures, kills of replicas, and
 * configuration changes. The seed determines the order.
 */
export function startFaults(
  scene: Scene,
  world: World,
  { random, endsAt, startedAt }: { random: () => number; startedAt: number; endsAt: number },
): Faults {
  const past: Fault[] = [];
  const randomBetween = (least: number, most: number): number => least + random() * (most - least);
  const wait = (least: number, most: number) =>
    sleep(Math.min(randomBetween(least, most) * 1_000, Math.max(0, endsAt - Date.now())));
  const isEarly = () => Date.now() < startedAt + (endsAt - startedAt) / 2;

  const serverFaults: readonly Kind[] = [
    {
      name: 'Redis restarts empty',
      weight: 2,
      async run() {
        scene.redis = await scene.redis.restart();
      },
    },
    {
      name: 'FLUSHALL',
      weight: 2,
      async run() {
        await scene.redis.command('FLUSHALL');
      },
    },
    {
      name: 'Redis is frozen',
      weight: 2,
      async run() {
        process.kill(scene.redis.pid, 'SIGSTOP');
        await wait(10, 10);
        process.kill(scene.redis.pid, 'SIGCONT');
      },
    },
    {
      name: 'the API server rejects connections',
      weight: 2,
      async run() {
        scene.toCluster.disconnect();
        await wait(5, 60);
        scene.toCluster.restore();
      },
    },
    {
      name: 'the API server does not answer',
      weight: 2,
      async run() {
        scene.toCluster.freeze();
        await wait(5, 60);
        scene.toCluster.restore();
      },
    },
    ...(['silent', 'gone', 'failing'] as const).map((mode) => ({
      name: `the store is ${mode}`,
      weight: 1.5,
      async run() {
        scene.toStore.mode = mode;
        await wait(10, 60);
        scene.toStore.mode = 'there';
      },
    })),
    {
      name: 'PostgreSQL is unreachable',
      weight: 2,
      async run() {
        scene.toPostgres.disconnect();
        await wait(3, 12);
        scene.toPostgres.restore();
      },
    },
    {
      name: 'PostgreSQL crashes',
      weight: 1,
      async run() {
        await scene.postgres.crash();
        await wait(1, 4);
        await scene.postgres.restart();
      },
    },
  ];
  const kill = (n: number): Kind => {
    const replica = scene.replicas[n % scene.replicas.length];
    return {
      name: `kill -9 of replica ${replica?.name}`,
      weight: 1,
      async run() {
        await replica?.kill();
        await wait(1, 10);
        replica?.start();
        // Another fault may prevent the replica from starting. The replica then waits until that fault has ended.
        await replica?.ready(AbortSignal.timeout(180_000));
      },
    };
  };
  const swapped = world.items.filter((item) => item.swapped);
  const configFaults: readonly Kind[] = [
    {
      name: 'a mapping is added or removed',
      weight: 3,
      async run() {
        const { name = '' } = swapped[Math.floor(random() * swapped.length)] ?? {};
        if (!world.present.delete(name)) world.present.add(name);
        await scene.configure();
      },
    },
    {
      name: 'labels change',
      weight: 1,
      async run() {
        world.label = world.label === 'one' ? 'two' : 'one';
        await scene.configure();
      },
    },
    {
      name: 'the configuration is invalid',
      weight: 2,
      async run() {
        await scene.configure(true);
        await wait(5, 20);
        await scene.configure();
      },
    },
  ];

  const runSequence = async (kinds: () => readonly Kind[], least: number, most: number): Promise<void> => {
    for (;;) {
      await wait(least, most);
      if (Date.now() >= endsAt) return;
      const kind = pick(kinds(), random());
      const fault: Fault = { name: kind.name, startedAt: Date.now() };
      past.push(fault);
      await kind.run();
      fault.endedAt = Date.now();
    }
  };
  // In the second half of the run, kill only one replica. The memory of the other replica can then be measured over a
  // long time.
  const kills = () => (isEarly() ? [kill(0), kill(1)] : [kill(1)]);
  const sequences = [
    runSequence(() => serverFaults, 8, 40),
    runSequence(kills, 10, 35),
    runSequence(() => configFaults, 20, 50),
  ];
  return {
    past,
    now: () => past.filter(({ endedAt }) => endedAt === undefined).map(({ name }) => name),
    done: Promise.all(sequences).then(() => undefined),
  };
}

function pick(kinds: readonly Kind[], chance: number): Kind {
  let remaining = chance * kinds.reduce((sum, { weight }) => sum + weight, 0);
  const kind = kinds.find(({ weight }) => {
    remaining -= weight;
    return remaining < 0;
  });
  const [first] = kinds;
  if (first === undefined) throw new Error('no fault to choose from');
  return kind ?? first;
}
