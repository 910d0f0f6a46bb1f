import { AppError } from '../core/errors.ts';
import { type Instances, instancesOf } from '../core/instances.ts';
import type { Mapping } from '../core/mapping.ts';
import type { LiveSecret } from '../core/secret.ts';
import { LABEL } from './ownership-metadata.ts';

export interface Claim extends Instances {
  readonly mapping: Mapping;
  /** Whether another configured mapping wants the same target. */
  readonly isDesiredBy: (mapping: string) => boolean;
}

export type Ownership =
  | { readonly kind: 'ours' }
  | { readonly kind: 'adoptable' }
  | { readonly kind: 'refused'; readonly error: AppError };

/**
 * A Secret is ours if both labels name this instance, or a former one, and the mapping. Removing one label by hand
 * releases it. Any other Secret becomes ours only if the mapping allows adoption.
 */
export function ownership(live: LiveSecret, claim: Claim): Ownership {
  const instance = live.labels[LABEL.instance];
  const mapping = live.labels[LABEL.mapping];
  if (instance === undefined || mapping === undefined) return unownedResult(live, claim);
  if (!instancesOf(claim).includes(instance))
    return refused('TARGET_CLAIMED', `owned by instance ${instance}, mapping ${mapping}`);
  if (mapping !== claim.mapping.name && claim.isDesiredBy(mapping))
    return refused('TARGET_CLAIMED', `owned by mapping ${mapping}`);
  return { kind: 'ours' };
}

/** A Secret that waits only for its finalizers must not be written. */
export function deletionInProgress({ deleting }: Pick<LiveSecret, 'deleting'>): AppError | undefined {
  const detail = 'it is being deleted';
  const todo = 'No action needed. If it persists, check which finalizers of the Secret block the deletion.';
  return deleting ? new AppError('CONFLICT', { detail, remedy: todo }) : undefined;
}

function unownedResult(live: LiveSecret, claim: Claim): Ownership {
  const { mapping } = claim;
  if (mapping.onConflict === 'refuse')
    return isReleased(live, claim) ? releasedResult(live, claim) : refused('NOT_OWNED');
  // The Secret would be deleted with its owner, even with our content.
  if (live.controlled && mapping.onConflict !== 'adoptAndDropOwner')
    return refused('NOT_OWNED', 'a controller owns it; `onConflict: adoptAndDropOwner` would take it over');
  return { kind: 'adoptable' };
}

/** Whether one of our two labels, or our field manager, is left. */
function isReleased({ labels, ours: ownedFields }: LiveSecret, claim: Claim): boolean {
  const instance = labels[LABEL.instance];
  if (instance !== undefined) return instancesOf(claim).includes(instance);
  return labels[LABEL.mapping] === claim.mapping.name || ownedFields !== undefined;
}

/** Names the removed label, so that an operator sees what changed. */
function releasedResult({ labels }: LiveSecret, { mapping, instance }: Claim): Ownership {
  const expectedLabels = { [LABEL.instance]: instance, [LABEL.mapping]: mapping.name };
  const missingLabels = Object.entries(expectedLabels).filter(([name]) => labels[name] === undefined);
  const detail = `it was ours until somebody removed its label ${missingLabels.map(([name]) => `\`${name}\``).join(' and ')}`;
  const labelList = missingLabels.map(([name, value]) => `\`${name}: ${value}\``).join(' and ');
  const todo = `Add ${labelList} to the Secret again if it should be ours, or remove the mapping.`;
  return { kind: 'refused', error: new AppError('NOT_OWNED', { detail, remedy: todo }) };
}

function refused(code: 'NOT_OWNED' | 'TARGET_CLAIMED', detail?: string): Ownership {
  return { kind: 'refused', error: new AppError(code, detail === undefined ? {} : { detail }) };
}
