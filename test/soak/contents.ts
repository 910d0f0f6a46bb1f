import { ANNOTATION } from '../../src/sync/ownership-metadata.ts';
import { restartAnnotation } from '../../src/sync/restart.ts';
import type { Changes } from './changes.ts';
import type { Scene } from './scene.ts';
import type { Change } from './witness.ts';
import { type Item, NAMESPACES, type World } from './world.ts';

/**
 * Finds targets whose data matches no version of their source. Also finds deletions of targets that still have a
 * mapping.
 */
export function judgeContent(
  changes: readonly Change[],
  items: readonly Item[],
  { written, deleted }: Pick<Changes, 'written' | 'deleted'>,
): readonly string[] {
  const permanentNames = new Set(items.filter(({ swapped }) => !swapped).map(({ name }) => name));
  const deletionsByOthers = new Map(deleted);
  const knownTargets = new Set<string>();
  return changes.flatMap(({ target, type, version, resourceVersion }) => {
    const isFirst = !knownTargets.has(target);
    knownTargets.add(target);
    const name = target.slice(target.indexOf('/') + 1);
    if (type === 'DELETED') {
      const remaining = deletionsByOthers.get(target) ?? 0;
      deletionsByOthers.set(target, remaining - 1);
      return permanentNames.has(name) && remaining < 1 ? [`${target}: deleted at ${resourceVersion}`] : [];
    }
    // The target of a merge existed before the run, with data of its own.
    if (version !== undefined || written.has(resourceVersion) || (type === 'ADDED' && isFirst)) return [];
    return [`${target}: the data of ${resourceVersion} matches no source version`];
  });
}

interface Annotated {
  readonly metadata: { readonly annotations?: Readonly<Record<string, string>> };
}

/** Finds workloads that did not restart with the final content of their Secret. */
export async function findWrongRestarts({ cluster }: Scene, world: World): Promise<readonly string[]> {
  const wrong: string[] = [];
  for (const { name, key } of world.items.filter(({ kind }) => kind === 'restart'))
    for (const namespace of NAMESPACES) {
      const secret = await cluster<Annotated>('GET', `/api/v1/namespaces/${namespace}/secrets/${name}`);
      const path = `/apis/apps/v1/namespaces/${namespace}/deployments/${name}`;
      const { body } = await cluster<{ spec: { template: Annotated } }>('GET', path);
      const restartedWith = body.spec.template.metadata.annotations?.[restartAnnotation(name)];
      const current = secret.body.metadata.annotations?.[ANNOTATION.fingerprint];
      // A Secret that never changed needs no restart.
      if (restartedWith === undefined ? world.version(key) > 1 : restartedWith !== current)
        wrong.push(`${namespace}/${name}: restarted with ${restartedWith}, has ${current}`);
    }
  return wrong;
}
