import type { Mapping } from '../core/mapping.ts';
import { compareTargets, compareText, formatTarget, type TargetId } from '../core/target.ts';

/** One target and the mapping that wants it. */
export interface Wanted {
  readonly mapping: Mapping;
  readonly id: TargetId;
}

/** Every target of the mappings, by namespace, then name. */
export function targetsOf(mappings: readonly Mapping[]): readonly Wanted[] {
  return mappings
    .flatMap((mapping) => {
      const { namespaces, secret } = mapping.target;
      return namespaces.map((namespace) => ({ mapping, id: { namespace, secret } }));
    })
    .sort((a, b) => compareTargets(a.id, b.id) || compareText(a.mapping.name, b.mapping.name));
}

/** Whether a mapping wants a target, for all mappings of the configuration. */
export function wantedIndex(targets: readonly Wanted[]): (mapping: string, id: TargetId) => boolean {
  const index = new Set(targets.map(({ mapping, id }) => `${mapping.name} ${formatTarget(id)}`));
  return (mapping, id) => index.has(`${mapping} ${formatTarget(id)}`);
}
