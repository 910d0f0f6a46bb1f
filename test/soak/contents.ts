import { ANNOTATION } from '../../src/sync/ownership-metadata.ts';
import { restartAnnotation } from '../../src/sync/restart.ts';
import type { Changes } from './changes.ts';
import type { Scene } from './scene.ts';
import type { Change } from './witness.ts';
import { type Item, NAMESPACES, type World } from './world.ts';

/** No replica ever leaves a target as no version would make it, and none goes whose mapping is there. */
export function judgeContent(
  changes: readonly Change[],
  items: readonly Item[],
  { written, deleted }: Pick<Changes, 'written' | 'deleted'>,
): readonly string[] {
  const stays = new Set(items.filter(({ swapped }) => !swapped).map(({ name }) => name));
  const gone = new Map(deleted);
  const seen = new Set<string>();
  return changes.flatMap(({ target, type, version, resourceVersion }) => {
    const isFirst = !seen.has(target);
    seen.add(target);
    const name = target.slice(target.indexOf('/') + 1);
    if (type === 'DELETED') {
      const byOthers = gone.get(target) ?? 0;
      gone.set(target, byOthers - 1);
      return stays.has(name) && byOthers < 1 ? [`${target}: deleted at ${resourceVersion}`] : [];
    }
    // What we merge into was there before.
    if (version !== undefined || written.has(resourceVersion) || (type === 'ADDED' && isFirst)) return [];
    return [`${target}: ${resourceVersion} is made from nothing that the store ever held`];
  });
}

interface Annotated {
  readonly metadata: { readonly annotations?: Readonly<Record<string, string>> };
}

/** Workloads whose pods have not been told of the content that their Secret has at the end. */
export async function wronglyRolled({ cluster }: Scene, world: World): Promise<readonly string[]> {
  const wrong: string[] = [];
  for (const { name, key } of world.items.filter(({ kind }) => kind === 'restart'))
    for (const namespace of NAMESPACES) {
      const secret = await cluster<Annotated>('GET', `/api/v1/namespaces/${namespace}/secrets/${name}`);
      const path = `/apis/apps/v1/namespaces/${namespace}/deployments/${name}`;
      const { body } = await cluster<{ spec: { template: Annotated } }>('GET', path);
      const told = body.spec.template.metadata.annotations?.[restartAnnotation(name)];
      const has = secret.body.metadata.annotations?.[ANNOTATION.fingerprint];
      // What was never changed rolls nothing.
      if (told === undefined ? world.version(key) > 1 : told !== has)
        wrong.push(`${namespace}/${name}: told of ${told}, has ${has}`);
    }
  return wrong;
}
