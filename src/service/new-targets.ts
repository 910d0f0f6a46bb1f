import type { SecretMeta } from '../cluster/cluster.ts';
import type { Clock } from '../core/clock.ts';
import type { TargetId } from '../core/target.ts';
import { LABEL } from '../sync/ownership-metadata.ts';
import { type ConfigSnapshot, targetKey } from './config-snapshot.ts';
import type { TargetStates } from './target-states.ts';

/**
 * Targets that a running service added and has not written yet, because of a new mapping or a newly selected namespace.
 * The audit may contain earlier Secrets of the same names. Their absence is not drift, since the present targets have not
 * been edited.
 */
export interface NewTargets extends Disposable {
  has(mapping: string, target: TargetId): boolean;
  /** The first snapshot of a process adds no new targets, because the previous configuration is unknown. */
  note(before: ConfigSnapshot, now: ConfigSnapshot): void;
  /** Removes a target that the watch shows as written by its mapping. No run follows for a target in sync. */
  seen(meta: Pick<SecretMeta, 'id' | 'labels'>): void;
}

export function createNewTargets(states: Pick<TargetStates, 'get' | 'onChange'>, clock: Clock): NewTargets {
  /** The time at which each target was added. */
  const names = new Map<string, number>();
  let hasBaseline = false;
  /** Another replica with the new configuration has already written it. Later changes are drift. */
  const isAlreadyWritten = (mapping: string, target: TargetId): boolean => {
    const state = states.get(mapping, target);
    return state !== undefined && (state.error === undefined || state.drifted === true);
  };
  const stop = states.onChange(({ mapping, target, error, startedAt }) => {
    const name = targetKey(mapping, target);
    // A run that began earlier may have read a Secret that is gone now.
    if (error === undefined && startedAt >= (names.get(name) ?? startedAt)) names.delete(name);
  });
  return {
    has: (mapping, target) => names.has(targetKey(mapping, target)),
    note(before, now) {
      const namesIn = ({ targets }: ConfigSnapshot) =>
        new Set(targets.map(({ mapping, id }) => targetKey(mapping.name, id)));
      const [previousNames, currentNames] = [namesIn(before), namesIn(now)];
      for (const name of names.keys()) if (!currentNames.has(name)) names.delete(name);
      // While its namespaces were unresolved, the mapping may have had any target.
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
