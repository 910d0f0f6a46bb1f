import type { WorkloadId } from '../../src/cluster/workloads.ts';
import type { Workload } from '../../src/core/mapping.ts';
import { reconcile } from '../../src/reconcile/reconcile.ts';
import { recoverIntents } from '../../src/reconcile/recover.ts';
import { createRestarts, type Restarts } from '../../src/restart/restarts.ts';
import { parseWorkload } from '../../src/sync/restart.ts';
import { faulty, type Watch } from '../fakes/faulty.ts';
import { createMemoryWorkloads, type MemoryWorkloads } from '../fakes/memory-workloads.ts';
import { openWorld, type World } from '../reconcile/world.ts';

// A fixture with targets and workloads to restart. It runs everything from a source change to the patch of the pod
// template, with one process after another.

export const WINDOW_MS = 5_000;

export interface RestartFixture {
  readonly world: World;
  readonly workloads: MemoryWorkloads;
  /** Reconciles each target in a new process. */
  reconcile(watch?: Watch): Promise<void>;
  /** Resolves the intents that a crash left unresolved, as the next process does first. */
  recover(): Promise<void>;
  /** Starts a process that restarts workloads, with a memory of its own. */
  startRestarts(watch?: Watch): Promise<Restarts & AsyncDisposable>;
  /** Runs one restart cycle. */
  restart(options?: { watch?: Watch; atOnce?: number; windowMs?: number }): Promise<number | undefined>;
  /** Changes the source of every target. With a key, changes only the source of that target. */
  change(text: string, key?: string): void;
  /** Returns each call that annotated a workload, in order, with the number of annotations. */
  rollouts(): readonly string[];
  /** Returns every `restart` record after a sequence number, one line each. */
  restartLog(after?: number): readonly string[];
}

export function deployment(name: string, namespace = 'apps'): WorkloadId {
  return { kind: 'Deployment', namespace, name };
}

export interface RestartFixtureOptions {
  /** The workloads to restart, by target. The name of a target is also its key in the store. */
  readonly targets?: Readonly<Record<string, readonly string[]>>;
  /** The labels of each Deployment. */
  readonly deployments?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** More fields for the `target` of each mapping, in YAML. */
  readonly target?: string;
}

/** By default, the fixture has one target `db` and one Deployment `web`. */
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
