import { setTimeout as sleep } from 'node:timers/promises';
import type { Scene } from './scene.ts';
import type { World } from './world.ts';

/** Something that was wrong for a while. */
export interface Fault {
  readonly name: string;
  readonly startedAt: number;
  /** Missing while it lasts. */
  endedAt?: number;
}

export interface Faults {
  readonly past: readonly Fault[];
  /** Those that last. */
  now(): readonly string[];
  /** Resolves when everything is mended. */
  readonly done: Promise<void>;
}

interface Kind {
  readonly name: string;
  /** How often, against the others. */
  readonly weight: number;
  /** Breaks, waits and mends. */
  run(): Promise<void>;
}

/**
 * Until the end, each in a line of its own so that they overlap: what is outside fails, replicas are killed, and the
 * configuration changes. The same seed gives the same order.
 */
export function startFaults(
  scene: Scene,
  world: World,
  { random, endsAt, startedAt }: { random: () => number; startedAt: number; endsAt: number },
): Faults {
  const past: Fault[] = [];
  const between = (least: number, most: number): number => least + random() * (most - least);
  const hold = (least: number, most: number) =>
    sleep(Math.min(between(least, most) * 1_000, Math.max(0, endsAt - Date.now())));
  const isEarly = () => Date.now() < startedAt + (endsAt - startedAt) / 2;

  const outside: readonly Kind[] = [
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
      name: 'Redis stands still',
      weight: 2,
      async run() {
        process.kill(scene.redis.pid, 'SIGSTOP');
        await hold(10, 10);
        process.kill(scene.redis.pid, 'SIGCONT');
      },
    },
    {
      name: 'the API server refuses',
      weight: 2,
      async run() {
        scene.toCluster.disconnect();
        await hold(5, 60);
        scene.toCluster.restore();
      },
    },
    {
      name: 'the API server is silent',
      weight: 2,
      async run() {
        scene.toCluster.freeze();
        await hold(5, 60);
        scene.toCluster.restore();
      },
    },
    ...(['silent', 'gone', 'failing'] as const).map((mode) => ({
      name: `the store is ${mode}`,
      weight: 1.5,
      async run() {
        scene.toStore.mode = mode;
        await hold(10, 60);
        scene.toStore.mode = 'there';
      },
    })),
    {
      name: 'PostgreSQL is cut off',
      weight: 2,
      async run() {
        scene.toPostgres.disconnect();
        await hold(3, 12);
        scene.toPostgres.restore();
      },
    },
    {
      name: 'PostgreSQL crashes',
      weight: 1,
      async run() {
        await scene.postgres.crash();
        await hold(1, 4);
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
        await hold(1, 10);
        replica?.start();
        // Also while something else is broken: it waits until it can start.
        await replica?.ready(AbortSignal.timeout(180_000));
      },
    };
  };
  const swapped = world.items.filter((item) => item.swapped);
  const configuration: readonly Kind[] = [
    {
      name: 'a mapping comes or goes',
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
        await hold(5, 20);
        await scene.configure();
      },
    },
  ];

  const line = async (kinds: () => readonly Kind[], least: number, most: number): Promise<void> => {
    for (;;) {
      await hold(least, most);
      if (Date.now() >= endsAt) return;
      const kind = pick(kinds(), random());
      const fault: Fault = { name: kind.name, startedAt: Date.now() };
      past.push(fault);
      await kind.run();
      fault.endedAt = Date.now();
    }
  };
  // In the second half one replica is left alive, so that its memory can be watched for a long time.
  const kills = () => (isEarly() ? [kill(0), kill(1)] : [kill(1)]);
  const lines = [line(() => outside, 8, 40), line(kills, 30, 90), line(() => configuration, 20, 50)];
  return {
    past,
    now: () => past.filter(({ endedAt }) => endedAt === undefined).map(({ name }) => name),
    done: Promise.all(lines).then(() => undefined),
  };
}

function pick(kinds: readonly Kind[], chance: number): Kind {
  let left = chance * kinds.reduce((sum, { weight }) => sum + weight, 0);
  const found = kinds.find(({ weight }) => {
    left -= weight;
    return left < 0;
  });
  const [first] = kinds;
  if (first === undefined) throw new Error('there is no kind of fault');
  return found ?? first;
}
