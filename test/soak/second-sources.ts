import { any, repeatedly } from './changes.ts';
import type { Scene } from './scene.ts';
import type { Change } from './witness.ts';
import { ABSENCE_MS, type Item, secondKey, type World } from './world.ts';

/** A time in which a key was gone from its store. */
export interface Absence {
  readonly key: string;
  readonly from: number;
  until?: number;
}

export interface SecondSources {
  readonly absences: readonly Absence[];
  readonly done: Promise<void>;
}

const EVERY_MS = 12_000;
/** A write may be on its way for so long, while the API server is silent, after its source has come back. */
const LATE_MS = 90_000;

/** Until the end: one of two sources of a Secret is removed from its store, and comes back with another value. */
export function startSecondSources(
  scene: Scene,
  world: World,
  { random, endsAt }: { random: () => number; endsAt: number },
): SecondSources {
  const items = world.items.filter(({ kind }) => kind === 'partial');
  const absences: Absence[] = [];
  const turn = async (): Promise<void> => {
    const key = secondKey(any(items, random));
    if (!world.absent.has(key)) {
      absences.push({ key, from: Date.now() });
      return scene.remove(key);
    }
    await scene.put(key, world.version(key) + 1);
    const last = absences.findLast((it) => it.key === key);
    if (last !== undefined) last.until = Date.now();
  };
  return {
    absences,
    done: items.length === 0 ? Promise.resolve() : repeatedly(turn, EVERY_MS, { random, endsAt }),
  };
}

/** A key may be removed only after its source was absent for long enough to prove it. */
export function judgeRemovals(
  changes: readonly Change[],
  items: readonly Item[],
  absences: readonly Absence[],
  others: ReadonlySet<string>,
): readonly string[] {
  const keys = new Map(items.map((item) => [item.name, secondKey(item)]));
  const before = new Map<string, number | undefined>();
  return changes.flatMap(({ target, resourceVersion, type, more, at }) => {
    const had = before.get(target);
    before.set(target, more);
    if (type === 'DELETED' || had === undefined || more !== undefined || others.has(resourceVersion))
      return [];
    const key = keys.get(target.slice(target.indexOf('/') + 1));
    const proven = absences.some(
      ({ key: its, from, until = Number.POSITIVE_INFINITY }) =>
        its === key && from + ABSENCE_MS <= at && until + LATE_MS >= at,
    );
    return proven
      ? []
      : [`${target}: ${resourceVersion} removes a key whose source was not gone for so long`];
  });
}
