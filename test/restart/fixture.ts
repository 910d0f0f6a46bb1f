import type { WorkloadId } from '../../src/cluster/workloads.ts';
import type { Workload } from '../../src/core/mapping.ts';
import { reconcile } from '../../src/reconcile/reconcile.ts';
import { recoverIntents } from '../../src/reconcile/recover.ts';
import { createRestarts, type Restarts } from '../../src/restart/restarts.ts';
import { parseWorkload } from '../../src/sync/restart.ts';
import { faulty, type Watch } from '../fakes/faulty.ts';
import { createMemoryWorkloads, type MemoryWorkloads } from '../fakes/memory-workloads.ts';
import { openWorld, type World } from '../reconcile/world.ts';

// Targets with workloads that are to be restarted: everything between a change of a source and a patch of a pod
// template, with one process after another.

export const WINDOW_MS = 5_000;

export interface RestartFixture {
  readonly world: World;
  readonly workloads: MemoryWorkloads;
  /** Works off the job of each target, in a process of its own. */
  reconcile(watch?: Watch): Promise<void>;
  /** What the next process does first: closes what a crash left open. */
  recover(): Promise<void>;
  /** A process that works off the `restart` subject; what it remembers is its own. */
  startRestarts(watch?: Watch): Promise<Restarts & AsyncDisposable>;
  /** One run of it. */
  restart(options?: { watch?: Watch; atOnce?: number; windowMs?: number }): Promise<number | undefined>;
  /** Changes the source of every target, or of one. */
  change(text: string, key?: string): void;
  /** The workloads that were annotated, in order, each with how many annotations. */
  rollouts(): readonly string[];
  /** `restart` records in one line each, for those after a sequence. */
  restartLog(after?: number): readonly string[];
}

export function deployment(name: string, namespace = 'apps'): WorkloadId {
  return { kind: 'Deployment', namespace, name };
}

export interface RestartFixtureOptions {
  /** The name of each target, which is also its key in the store, and what is restarted for it. */
  readonly targets?: Readonly<Record<string, readonly string[]>>;
  /** Names of Deployments, each with its labels. */
  readonly deployments?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** More of each mapping's `target`, in YAML. */
  readonly target?: string;
}

/** @param options By default one target `db` for one Deployment `web`. */
export async function openRestartFixture({
  targets = { db: ['Deployment/web'] },
  deployments = { web: {} },
  target = '',
}: RestartFixtureOptions = {}): Promise<RestartFixture> {
  const workloads = createMemoryWorkloads();
  for (const [name, labels] of Object.entries(deployments)) workloads.put(deployment(name), { labels });
  const mappings = Object.entries(targets).map(
    ([name, restart]) => `
  - name: ${name}
    target: { namespace: apps${target} }
    restart: ${JSON.stringify(restart.map((text): Workload | undefined => parseWorkload(text)))}
    data: { VALUE: { store: vault, key: ${name} } }`,
  );
  const world = await openWorld({ mappings: mappings.join(''), cluster: { workloads } });
  let version = 0;

  const town: RestartFixture = {
    world,
    workloads,
    async reconcile(watch) {
      await using process = await world.start(watch);
      const pass = await process.app.createContext();
      for (const mapping of process.app.config.mappings)
        await reconcile(mapping, { namespace: 'apps', secret: mapping.name }, pass);
    },
    async recover() {
      await using process = await world.start();
      const { config } = process.app;
      await recoverIntents({
        ...process.app,
        restartOf: (name) => config.mappings.find((mapping) => mapping.name === name)?.restart ?? [],
      });
    },
    async startRestarts(watch = () => undefined) {
      const process = await world.start(watch);
      const { audit, instances, clock } = process.app;
      const restarts = createRestarts({
        audit,
        workloads: faulty('workloads', workloads, watch),
        instances,
        clock,
      });
      return { ...restarts, [Symbol.asyncDispose]: () => process[Symbol.asyncDispose]() };
    },
    async restart({ watch, atOnce = 5, windowMs = WINDOW_MS } = {}) {
      await using restarts = await town.startRestarts(watch);
      const { nextMs } = await restarts.run({ windowMs, atOnce: atOnce });
      return nextMs;
    },
    change(text, key) {
      version += 1;
      for (const name of key === undefined ? Object.keys(targets) : [key])
        world.store.put(name, text, `${version}`);
    },
    rollouts: () =>
      workloads.annotated.map(({ id, annotations }) => `${id.name} ${Object.keys(annotations).length}`),
    restartLog: (after = 0) =>
      world.records
        .slice(after)
        .filter(({ action }) => action === 'restart')
        .map(({ phase, secret, note, outcome, code, counts }) =>
          [phase ?? '-', secret, note, outcome, code, counts && JSON.stringify(counts)]
            .filter((part) => part !== undefined)
            .join(' '),
        ),
  };
  town.change('first');
  await town.reconcile();
  return town;
}
