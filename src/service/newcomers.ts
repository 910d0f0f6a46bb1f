import type { SecretMeta } from '../cluster/cluster.ts';
import type { Clock } from '../core/clock.ts';
import type { TargetId } from '../core/target.ts';
import { LABEL } from '../sync/marks.ts';
import type { Board } from './board.ts';
import { type Generation, nameOf } from './generation.ts';

/**
 * Targets that have come to the configuration of a running service, until they are there: by a new mapping, or because a
 * selector finds their namespace. Under the same names there may have been some before, and the audit knows them; that
 * those are gone, with their namespace or by whoever tidied up, is nobody's edit of what is wanted now.
 */
export interface Newcomers extends Disposable {
  has(mapping: string, target: TargetId): boolean;
  /** The first configuration of a process brings none: what was before it, nobody knows. */
  note(before: Generation, now: Generation): void;
  /** What the watch shows. One that is there as its mapping left it is not looked at. */
  seen(meta: Pick<SecretMeta, 'id' | 'labels'>): void;
}

export function createNewcomers(board: Pick<Board, 'known' | 'onKnown'>, clock: Clock): Newcomers {
  /** When each came. */
  const names = new Map<string, number>();
  let isBegun = false;
  /** Made already by a replica that the configuration has reached before: what became of it since is an edit. */
  const isMade = (mapping: string, target: TargetId): boolean => {
    const known = board.known(mapping, target);
    return known !== undefined && (known.error === undefined || known.drifted === true);
  };
  const stop = board.onKnown(({ mapping, target, error, startedAt }) => {
    const name = nameOf(mapping, target);
    // One that began before may have looked at what has gone since.
    if (error === undefined && startedAt >= (names.get(name) ?? startedAt)) names.delete(name);
  });
  return {
    has: (mapping, target) => names.has(nameOf(mapping, target)),
    note(before, now) {
      const namesIn = ({ wanted }: Generation) =>
        new Set(wanted.map(({ mapping, id }) => nameOf(mapping.name, id)));
      const [were, are] = [namesIn(before), namesIn(now)];
      for (const name of names.keys()) if (!are.has(name)) names.delete(name);
      // While its namespaces could not be looked up, a mapping may have wanted any.
      const unseen = new Set(before.wanted.flatMap(({ mapping, error }) => (error ? [mapping.name] : [])));
      for (const { mapping, id, error } of now.wanted) {
        const name = nameOf(mapping.name, id);
        const hasCome = isBegun && !were.has(name) && !unseen.has(mapping.name);
        if (hasCome && error === undefined && !isMade(mapping.name, id)) names.set(name, clock.now());
      }
      isBegun = true;
    },
    seen({ id, labels }) {
      const owner = labels[LABEL.mapping];
      if (owner !== undefined) names.delete(nameOf(owner, id));
    },
    [Symbol.dispose]: stop,
  };
}
