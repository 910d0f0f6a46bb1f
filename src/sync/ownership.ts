import { AppError } from '../core/errors.ts';
import { type Instances, instancesOf } from '../core/instances.ts';
import type { Mapping } from '../core/mapping.ts';
import type { LiveSecret } from '../core/secret.ts';
import { LABEL } from './ownership-metadata.ts';

export interface Claim extends Instances {
  readonly mapping: Mapping;
  /** Whether another mapping of this configuration wants the same target. */
  readonly isDesiredBy: (mapping: string) => boolean;
}

export type Ownership =
  | { readonly kind: 'ours' }
  | { readonly kind: 'adoptable' }
  | { readonly kind: 'refused'; readonly error: AppError };

/**
 * Ours is what both labels say is ours: of this instance or a former one. One label stripped by hand is a release.
 * Nothing else makes a Secret ours but the mapping's word that it may be adopted.
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

/** What is deleted already, and only its finalizers let be seen, is nobody's to write. */
export function deletionInProgress({ deleting }: Pick<LiveSecret, 'deleting'>): AppError | undefined {
  const detail = 'it is being deleted';
  const todo = 'Nothing at once; if it goes on, see which finalizers of the Secret hold it, and why.';
  return deleting ? new AppError('CONFLICT', { detail, remedy: todo }) : undefined;
}

function unownedResult(live: LiveSecret, claim: Claim): Ownership {
  const { mapping } = claim;
  if (mapping.onConflict === 'refuse')
    return isReleased(live, claim) ? releasedResult(live, claim) : refused('NOT_OWNED');
  // The end of its owner would take the Secret along, whatever we write into it.
  if (live.controlled && mapping.onConflict !== 'adoptAndDropOwner')
    return refused(
      'NOT_OWNED',
      'a controller owns it; `onConflict: adoptAndDropOwner` would take it from there',
    );
  return { kind: 'adoptable' };
}

/** Whether one of our two labels is left, or our field manager, of what we wrote. */
function isReleased({ labels, ours: ownedFields }: LiveSecret, claim: Claim): boolean {
  const instance = labels[LABEL.instance];
  if (instance !== undefined) return instancesOf(claim).includes(instance);
  return labels[LABEL.mapping] === claim.mapping.name || ownedFields !== undefined;
}

/** Whoever finds this at night has taken nothing over, and looks for what has changed. */
function releasedResult({ labels }: LiveSecret, { mapping, instance }: Claim): Ownership {
  const expectedLabels = { [LABEL.instance]: instance, [LABEL.mapping]: mapping.name };
  const missingLabels = Object.entries(expectedLabels).filter(([name]) => labels[name] === undefined);
  const detail = `it was, until somebody took off its label ${missingLabels.map(([name]) => `\`${name}\``).join(' and ')}`;
  const labelList = missingLabels.map(([name, value]) => `\`${name}: ${value}\``).join(' and ');
  const todo = `Put ${labelList} back on it if it is to be ours, or take the mapping out.`;
  return { kind: 'refused', error: new AppError('NOT_OWNED', { detail, remedy: todo }) };
}

function refused(code: 'NOT_OWNED' | 'TARGET_CLAIMED', detail?: string): Ownership {
  return { kind: 'refused', error: new AppError(code, detail === undefined ? {} : { detail }) };
}
