import { AppError } from '../core/errors.ts';
import type { Mapping } from '../core/mapping.ts';
import type { LiveSecret } from '../core/secret.ts';
import { type Instances, instancesOf } from '../core/target.ts';
import { LABEL } from './ownership-metadata.ts';

export interface Claim extends Instances {
  readonly mapping: Mapping;
  /** Whether another mapping of the configuration desires this target. */
  readonly isDesiredBy: (mapping: string) => boolean;
}

export type Ownership =
  | { readonly kind: 'ours' }
  | { readonly kind: 'adoptable' }
  | { readonly kind: 'refused'; readonly error: AppError };

/**
 * Decides whether a Secret is ours. Both labels must be present, and they must name the mapping and this instance or a
 * former one. Removing one label by hand releases the Secret. Any other Secret becomes ours only if the mapping allows
 * adoption.
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

/** Do not write a Secret that is being deleted and waits for its finalizers. */
export function deletionInProgress({ deleting }: Pick<LiveSecret, 'deleting'>): AppError | undefined {
  const detail = 'it is being deleted';
  const todo =
    'No action needed. If the error persists, check which finalizers of the Secret block the deletion.';
  return deleting ? new AppError('CONFLICT', { detail, remedy: todo }) : undefined;
}

function unownedResult(live: LiveSecret, claim: Claim): Ownership {
  const { mapping } = claim;
  if (mapping.onConflict === 'refuse')
    return isReleased(live, claim) ? releasedResult(live, claim) : refused('NOT_OWNED');
  // Kubernetes deletes the Secret together with its owner, even if it contains our data.
  if (live.controlled && mapping.onConflict !== 'adoptAndDropOwner')
    return refused('NOT_OWNED', 'a controller owns it; `onConflict: adoptAndDropOwner` would take it over');
  return { kind: 'adoptable' };
}

/**
 * Whether somebody released the Secret by removing a label. In that case, our other label or our field manager is still
 * present.
 */
function isReleased({ labels, ours: ownedFields }: LiveSecret, claim: Claim): boolean {
  const instance = labels[LABEL.instance];
  if (instance !== undefined) return instancesOf(claim).includes(instance);
  return labels[LABEL.mapping] === claim.mapping.name || ownedFields !== undefined;
}

/** Names the removed label, so that an operator sees the cause. */
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
