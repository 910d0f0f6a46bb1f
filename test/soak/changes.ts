import { setTimeout as sleep } from 'node:timers/promises';
import { assertStatus } from '../integration/services/kubernetes-api.ts';
import { encoded, type Scene } from './scene.ts';
import type { Witness } from './witness.ts';
import { type Item, NAMESPACES, type World } from './world.ts';

/** Something that the replicas must answer by a write. */
export interface Trigger {
  readonly kind: 'rotation' | 'edited' | 'deleted';
  readonly target: string;
  readonly item: Item;
  /** Milliseconds since 1970, when it was done. */
  readonly at: number;
  /** What the target must be made from, at least. */
  readonly version: number;
}

export interface Changes {
  readonly triggers: readonly Trigger[];
  /** `resourceVersion`s of Secrets that are ours and not the replicas'. */
  readonly written: ReadonlySet<string>;
  /** How often we have deleted a target. */
  readonly deleted: ReadonlyMap<string, number>;
  readonly done: Promise<void>;
}

/** Rests this long between two hands on one target, so that nobody takes them for a controller that fights. */
const REST_MS = 150_000;
const MERGE = { 'content-type': 'application/merge-patch+json' };

/** Until the end: new values in the stores, and Secrets that somebody changes by hand. */
export function startChanges(
  scene: Scene,
  world: World,
  witness: Witness,
  { random, endsAt }: { random: () => number; endsAt: number },
): Changes {
  const triggers: Trigger[] = [];
  const written = new Set<string>();
  const deleted = new Map<string, number>();
  const touched = new Map<string, number>();
  const stable = world.items.filter(
    ({ swapped, kind }) => !swapped && kind !== 'partial' && kind !== 'pinned',
  );
  const rotate = async (): Promise<void> => {
    const item = any(stable, random);
    const version = world.version(item.key) + 1;
    const at = Date.now();
    await scene.put(item.key, version);
    for (const namespace of NAMESPACES)
      triggers.push({ kind: 'rotation', target: `${namespace}/${item.name}`, item, at, version });
  };

  const drift = async (): Promise<void> => {
    const item = any(
      stable.filter(({ kind }) => kind !== 'merge'),
      random,
    );
    const namespace = any(NAMESPACES, random);
    const target = `${namespace}/${item.name}`;
    const before = witness.last(target);
    const now = Date.now();
    if (now - (touched.get(target) ?? 0) < REST_MS || before?.version === undefined) return;
    touched.set(target, now);
    const path = `/api/v1/namespaces/${namespace}/secrets/${item.name}`;
    const [first = ''] = Object.keys(encoded(world, item, 1));
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
      { data: any(edits, random) },
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

/** Works on and on until the end, at uneven times that are so far apart on average. */
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

export function any<T>(from: readonly T[], random: () => number): T {
  const one = from[Math.floor(random() * from.length)];
  if (one === undefined) throw new Error('there is nothing to choose from');
  return one;
}

/** Plays the controller of Deployments, which this cluster lacks: a workload has rolled when it is looked at. */
export async function playController({ cluster }: Scene, signal: AbortSignal): Promise<void> {
  const path = '/apis/apps/v1/deployments';
  while (!signal.aborted) {
    const { body } = await cluster<{ items?: readonly Deployment[] }>('GET', path);
    for (const { metadata, status } of body.items ?? []) {
      const { namespace, name, generation } = metadata;
      if (status?.observedGeneration === generation) continue;
      const done = {
        observedGeneration: generation,
        ...{ replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1 },
      };
      await cluster(
        'PATCH',
        `/apis/apps/v1/namespaces/${namespace}/deployments/${name}/status`,
        { status: done },
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
