import type { SecretMeta } from '../cluster/cluster.ts';
import type { Clock } from '../core/clock.ts';
import type { TargetId } from '../core/target.ts';
import { LABEL } from '../sync/ownership-metadata.ts';
import type { TargetStates } from './target-states.ts';
import { type ConfigSnapshot, targetKey } from './config-snapshot.ts';

/**
 * Targets that have come to the configuration of a running service, until they are there: by a new mapping, or because
 * a selector finds their namespace. Under the same names there may have been some before, and the audit knows them;
 * that those are gone, with their namespace or by whoever tidied up, is nobody's edit of what is wanted now.
 */
export interface NewTargets extends Disposable {
  has(mapping: string, target: TargetId): boolean;
  /** The first configuration of a process brings none: what was before it, nobody knows. */
  note(before: ConfigSnapshot, now: ConfigSnapshot): void;
  /** What the watch shows. One that is there as its mapping left it is not looked at. */
  seen(meta: Pick<SecretMeta, 'id' | 'labels'>): void;
}

export function createNewTargets(states: Pick<TargetStates, 'get' | 'onChange'>, clock: Clock): NewTargets {
  /** When each came. */
  const names = new Map<string, number>();
  let hasBaseline = false;
  /** Made already by a replica that the configuration has reached before: what became of it since is an edit. */
  const isAlreadyWritten = (mapping: string, target: TargetId): boolean => {
    const state = states.get(mapping, target);
    return state !== undefined && (state.error === undefined || state.drifted === true);
  };
  const stop = states.onChange(({ mapping, target, error, startedAt }) => {
    const name = targetKey(mapping, target);
    // One that began before may have looked at what has gone since.
    if (error === undefined && startedAt >= (names.get(name) ?? startedAt)) names.delete(name);
  });
  return {
    has: (mapping, target) => names.has(targetKey(mapping, target)),
    note(before, now) {
      const namesIn = ({ targets: wanted }: ConfigSnapshot) =>
        new Set(wanted.map(({ mapping, id }) => targetKey(mapping.name, id)));
      const [previousNames, currentNames] = [namesIn(before), namesIn(now)];
      for (const name of names.keys()) if (!currentNames.has(name)) names.delete(name);
      // While its namespaces could not be looked up, a mapping may have wanted any.
      const unresolved = new Set(
        before.targets.flatMap(({ mapping, error }) => (error ? [mapping.name] : [])),
      );
      for (const { mapping, id, error } of now.targets) {
        const name = targetKey(mapping.name, id);
        const isAdded = hasBaseline && !previousNames.has(name) && !unresolved.has(mapping.name);
        if (isAdded && error === undefined && !isAlreadyWritten(mapping.name, id))
          names.set(name, clock.now());
      }
      hasBaseline = true;
    },
    seen({ id, labels }) {
      const owner = labels[LABEL.mapping];
      if (owner !== undefined) names.delete(targetKey(owner, id));
    },
    [Symbol.dispose]: stop,
  };
}
