import { matches } from '../core/glob.ts';
import { formatTarget } from '../core/target.ts';
import { claimedMessage } from './checks/mapping.ts';
import { claimsIn, placeIn } from './files/divided.ts';
import { formatPlace, type Place, type Problem, quoted, toProblem } from './problem.ts';
import type { ValidMapping } from './resolve.ts';

/** The name or a target of a mapping. There are thousands of claims, so their places are computed only for a problem. */
export interface Claim {
  /** The name, or the target as `<namespace>/<secret>`. Names contain no slash. */
  readonly id: string;
  readonly valid: ValidMapping;
  /** The index of the mapping in its file. */
  readonly index: number;
}

/** The names and targets that a file claims. Each appears once. */
export type Claims = readonly Claim[];

/**
 * A target outside the bounds of its mapping is not claimed.
 *
 * @param mappings Each valid mapping, at its index in the file.
 */
export function claimsOf(mappings: readonly (ValidMapping | undefined)[]): Claims {
  const claims = new Map<string, Claim>();
  for (const [index, valid] of mappings.entries()) {
    if (valid === undefined) continue;
    const { mapping, include } = valid;
    const { name, target } = mapping;
    claims.set(name, { id: name, valid, index });
    for (const namespace of target.namespaces) {
      if (include?.namespaces.some((glob) => matches(glob, namespace)) === false) continue;
      const id = formatTarget({ namespace, secret: target.secret });
      claims.set(id, { id, valid, index });
    }
  }
  return [...claims.values()];
}

/**
 * Returns a problem for each claim that another file has too.
 *
 * @param withId Returns all claims with an ID, which may include the claim itself.
 */
export function conflictsIn(claims: Claims, withId: (id: string) => readonly Claim[]): readonly Problem[] {
  const conflicts: Problem[] = [];
  for (const claim of claims) {
    const isConflict = (other: Claim) => other !== claim && !(isShared(other) && isShared(claim));
    const conflicting = withId(claim.id).find(isConflict);
    if (conflicting !== undefined) conflicts.push(conflictProblem(claim, conflicting));
  }
  return conflicts;
}

function isTarget({ id }: Claim): boolean {
  return id.includes('/');
}

/** Several mappings may merge into one target. Only one may own it. */
function isShared(claim: Claim): boolean {
  return isTarget(claim) && claim.valid.mapping.target.mode === 'merge';
}

function placeOf(claim: Claim): Place {
  const { node } = claim.valid;
  const { nameLine, nameColumn, targetLine, targetColumn } = claimsIn(node);
  return isTarget(claim) ? placeIn(node, targetLine, targetColumn) : placeIn(node, nameLine, nameColumn);
}

function conflictProblem(claim: Claim, conflicting: Claim): Problem {
  const { id, index } = claim;
  const finding = isTarget(claim)
    ? {
        code: 'TARGET_CLAIMED' as const,
        message: claimedMessage(id, conflicting.valid.mapping.name, placeOf(conflicting)),
      }
    : {
        code: 'CONFIG_INVALID' as const,
        message: `the name ${quoted(id)} is used twice, first at ${formatPlace(placeOf(conflicting))}`,
      };
  const path = ['mappings', index, isTarget(claim) ? 'target' : 'name'];
  return toProblem({ path, ...finding }, placeOf(claim));
}
