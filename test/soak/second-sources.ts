import { pickRandom, repeatedly } from './changes.ts';
import type { Scene } from './scene.ts';
import type { Change } from './witness.ts';
import { ABSENCE_MS, type Item, secondKey, type World } from './world.ts';

/** A period in which a key is absent from its store. */
export interface Absence {
  readonly key: string;
  readonly from: number;
  until?: number;
}

export interface SecondSources {
  readonly absences: readonly Absence[];
  readonly done: Promise<void>;
}

const INTERVAL_MS = 12_000;
/** The maximum delay of a write after its source returned. A write can be late when the API server does not answer. */
const LATE_WRITE_MS = 90_000;

/**
 * Removes one of the two sources of a Secret from its store, and later restores it with another value. Repeats this
 * until the end of the run.
 */
export function startSecondSources(
  scene: Scene,
  world: World,
  { random, endsAt }: { random: () => number; endsAt: number },
): SecondSources {
  const items = world.items.filter(({ kind }) => kind === 'partial');
  const absences: Absence[] = [];
  const step = async (): Promise<void> => {
    const key = secondKey(pickRandom(items, random));
    if (!world.absent.has(key)) {
      absences.push({ key, from: Date.now() });
      return scene.remove(key);
    }
    await scene.put(key, world.version(key) + 1);
    const last = absences.findLast((absence) => absence.key === key);
    if (last !== undefined) last.until = Date.now();
  };
  return {
    absences,
    done: items.length === 0 ? Promise.resolve() : repeatedly(step, INTERVAL_MS, { random, endsAt }),
  };
}

/**
 * Finds keys that were removed before the absence of their source was proven. An absence is proven after the source was
 * absent for long enough.
 */
export function judgeRemovals(
  changes: readonly Change[],
  items: readonly Item[],
  absences: readonly Absence[],
  others: ReadonlySet<string>,
): readonly string[] {
  const keys = new Map(items.map((item) => [item.name, secondKey(item)]));
  const before = new Map<string, number | undefined>();
  return changes.flatMap(({ target, resourceVersion, type, more, at }) => {
    const previous = before.get(target);
    before.set(target, more);
    if (type === 'DELETED' || previous === undefined || more !== undefined || others.has(resourceVersion))
      return [];
    const key = keys.get(target.slice(target.indexOf('/') + 1));
    const isProven = absences.some(
      ({ key: absentKey, from, until = Number.POSITIVE_INFINITY }) =>
        absentKey === key && from + ABSENCE_MS <= at && until + LATE_WRITE_MS >= at,
    );
    return isProven ? [] : [`${target}: ${resourceVersion} removes a key whose absence was not proven`];
  });
}
