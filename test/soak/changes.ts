import { setTimeout as sleep } from 'node:timers/promises';
import { assertStatus } from '../integration/services/kubernetes-api.ts';
import { encodedData, type Scene } from './scene.ts';
import type { Witness } from './witness.ts';
import { type Item, NAMESPACES, type World } from './world.ts';

/** A change to which a replica must react with a write. */
export interface Trigger {
  readonly kind: 'rotation' | 'edited' | 'deleted';
  readonly target: string;
  readonly item: Item;
  /** The time of the change, in milliseconds since 1970. */
  readonly at: number;
  /** The lowest source version that the target may have after the reaction. */
  readonly version: number;
}

export interface Changes {
  readonly triggers: readonly Trigger[];
  /** The `resourceVersion`s of writes by the test. */
  readonly written: ReadonlySet<string>;
  /** The number of deletions by the test for each target. */
  readonly deleted: ReadonlyMap<string, number>;
  readonly done: Promise<void>;
}

/** The minimum time between two edits of a target. A shorter time would make the target contested. */
const REST_MS = 150_000;
const MERGE = { 'content-type': 'application/merge-patch+json' };

/** Writes new values into the stores and edits Secrets until the end of the run. */
export function startChanges(
  scene: Scene,
  world: World,
  witness: Witness,
  { random, endsAt }: { random: () => number; endsAt: number },
): Changes {
  const triggers: Trigger[] = [];
  const written = new Set<string>();
  const deleted = new Map<string, number>();
  const lastChangeAt = new Map<string, number>();
  const stable = world.items.filter(
    ({ swapped, kind }) => !swapped && kind !== 'partial' && kind !== 'pinned',
  );
  const rotate = async (): Promise<void> => {
    const item = pickRandom(stable, random);
    const version = world.version(item.key) + 1;
    const at = Date.now();
    await scene.put(item.key, version);
    for (const namespace of NAMESPACES)
      triggers.push({ kind: 'rotation', target: `${namespace}/${item.name}`, item, at, version });
  };

  const drift = async (): Promise<void> => {
    const item = pickRandom(
      stable.filter(({ kind }) => kind !== 'merge'),
      random,
    );
    const namespace = pickRandom(NAMESPACES, random);
    const target = `${namespace}/${item.name}`;
    const before = witness.last(target);
    const now = Date.now();
    if (now - (lastChangeAt.get(target) ?? 0) < REST_MS || before?.version === undefined) return;
    lastChangeAt.set(target, now);
    const path = `/api/v1/namespaces/${namespace}/secrets/${item.name}`;
    const [first = ''] = Object.keys(encodedData(world, item, 1));
    const trigger = { target, item, at: now, version: before.version };
    if (random() < 0.3) {
      const { status } = await scene.cluster('DELETE', path);
      if (status !== 200) return;
      deleted.set(target, (deleted.get(target) ?? 0) + 1);
      triggers.push({ kind: 'deleted', ...trigger });
      return;
    }
    const edits = [{ [first]: 'b29wcw==' }, { [first]: null }, { EXTRA: 'b29wcw==' }];
    const answer = await scene.cluster<{ metadata?: { resourceVersion?: string } }>(
      'PATCH',
      path,
      { data: pickRandom(edits, random) },
      MERGE,
    );
    if (answer.status === 404) return;
    assertStatus(answer, 200, 'edit');
    written.add(answer.body.metadata?.resourceVersion ?? '');
    triggers.push({ kind: 'edited', ...trigger });
  };

  return {
    triggers,
    written,
    deleted,
    done: Promise.all([
      repeatedly(rotate, 2_000, { random, endsAt }),
      repeatedly(drift, 3_000, { random, endsAt }),
    ]).then(() => undefined),
  };
}

/** Repeats `work` until the end of the run. The intervals are random and have this average. */
export async function repeatedly(
  work: () => Promise<void>,
  everyMs: number,
  { random, endsAt }: { readonly random: () => number; readonly endsAt: number },
): Promise<void> {
  while (Date.now() < endsAt) {
    await sleep(Math.min(everyMs * (0.5 + random()), Math.max(1, endsAt - Date.now())));
    if (Date.now() < endsAt) await work();
  }
}

export function pickRandom<T>(from: readonly T[], random: () => number): T {
  const item = from[Math.floor(random() * from.length)];
  if (item === undefined) throw new Error('cannot choose from an empty list');
  return item;
}

/** Acts as the Deployment controller, because this cluster has none. Each poll completes all rollouts. */
export async function runDeploymentController({ cluster }: Scene, signal: AbortSignal): Promise<void> {
  const path = '/apis/apps/v1/deployments';
  while (!signal.aborted) {
    const { body } = await cluster<{ items?: readonly Deployment[] }>('GET', path);
    for (const { metadata, status } of body.items ?? []) {
      const { namespace, name, generation } = metadata;
      if (status?.observedGeneration === generation) continue;
      const finishedStatus = {
        observedGeneration: generation,
        ...{ replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1 },
      };
      await cluster(
        'PATCH',
        `/apis/apps/v1/namespaces/${namespace}/deployments/${name}/status`,
        { status: finishedStatus },
        MERGE,
      );
    }
    await sleep(2_000);
  }
}

interface Deployment {
  readonly metadata: { readonly namespace: string; readonly name: string; readonly generation: number };
  readonly status?: { readonly observedGeneration?: number };
}
