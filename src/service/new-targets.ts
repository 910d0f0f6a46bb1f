import type { SecretMeta } from '../cluster/cluster.ts';
import type { Clock } from '../core/clock.ts';
import type { TargetId } from '../core/target.ts';
import { LABEL } from '../sync/ownership-metadata.ts';
import { type ConfigSnapshot, targetKey } from './config-snapshot.ts';
import type { TargetStates } from './target-states.ts';

/**
 * Targets that were added while the service was running, by a new mapping or a newly selected namespace, and that are
 * not written yet. The audit may contain earlier Secrets with the same names. A missing new target is not drift,
 * because its Secret was not written for this target.
 */
export interface NewTargets extends Disposable {
  has(mapping: string, target: TargetId): boolean;
  /**
   * Adds the targets that only the new snapshot contains. The first snapshot of a process adds none, because the
   * previous configuration is unknown.
   */
  note(before: ConfigSnapshot, now: ConfigSnapshot): void;
  /**
   * Removes a target that its mapping has written, according to the watch. If the target is in sync, no run would
   * remove it.
   */
  seen(meta: Pick<SecretMeta, 'id' | 'labels'>): void;
}

export function createNewTargets(states: Pick<TargetStates, 'get' | 'onChange'>, clock: Clock): NewTargets {
  /** The time at which each target was added. */
  const names = new Map<string, number>();
  let hasBaseline = false;
  /** Whether another replica with the new configuration has already written the target. Later changes are drift. */
  const isAlreadyWritten = (mapping: string, target: TargetId): boolean => {
    const state = states.get(mapping, target);
    return state !== undefined && (state.error === undefined || state.drifted === true);
  };
  const stop = states.onChange(({ mapping, target, error, startedAt }) => {
    const name = targetKey(mapping, target);
    // Ignore a run that began before the target was added, because its Secret may have been deleted since.
    if (error === undefined && startedAt >= (names.get(name) ?? startedAt)) names.delete(name);
  });
  return {
    has: (mapping, target) => names.has(targetKey(mapping, target)),
    note(before, now) {
      const namesIn = ({ targets }: ConfigSnapshot) =>
        new Set(targets.map(({ mapping, id }) => targetKey(mapping.name, id)));
      const [previousNames, currentNames] = [namesIn(before), namesIn(now)];
      for (const name of names.keys()) if (!currentNames.has(name)) names.delete(name);
      // If the namespaces of a mapping were unresolved before, any of its targets may have existed.
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
