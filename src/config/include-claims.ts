import { matches } from '../core/glob.ts';
import { claimedMessage } from './checks/mapping.ts';
import { claimsIn, placeIn } from './files/divided.ts';
import { formatPlace, type Path, type Place, type Problem, quoted, toProblem } from './problem.ts';
import type { ValidMapping } from './resolve.ts';

interface Claim {
  /** The name of the mapping. */
  readonly mapping: string;
  readonly path: Path;
  readonly place: Place;
  /** Several mappings may merge into one target. Only one may own it. */
  readonly isShared: boolean;
}

/** The mapping names and targets that a file claims, by an id for each name and each target. */
export type Claims = ReadonlyMap<string, Claim>;

/**
 * A target outside the bounds of its mapping is not claimed.
 *
 * @param mappings Each valid mapping, at its index in the file.
 */
export function claimsOf(mappings: readonly (ValidMapping | undefined)[]): Claims {
  const claims = new Map<string, Claim>();
  for (const [index, valid] of mappings.entries()) {
    if (valid === undefined) continue;
    const { node, mapping, include } = valid;
    const { name, target } = mapping;
    const { nameLine, nameColumn, targetLine, targetColumn } = claimsIn(node);
    const add = (id: string, at: 'name' | 'target', isShared: boolean) =>
      claims.set(id, {
        mapping: name,
        path: ['mappings', index, at],
        place: at === 'name' ? placeIn(node, nameLine, nameColumn) : placeIn(node, targetLine, targetColumn),
        isShared,
      });
    add(`name ${name}`, 'name', false);
    for (const namespace of target.namespaces)
      if (include?.namespaces.some((glob) => matches(glob, namespace)) ?? true)
        add(`target ${namespace}/${target.secret}`, 'target', target.mode === 'merge');
  }
  return claims;
}

/** Returns a problem for each claim that another file has too. */
export function conflictsIn(claims: Claims, others: (id: string) => readonly Claims[]): readonly Problem[] {
  return [...claims].flatMap(([id, claim]) => {
    const conflicting = others(id)
      .flatMap((other) => other.get(id) ?? [])
      .find(({ isShared }) => !(isShared && claim.isShared));
    return conflicting === undefined ? [] : [conflictProblem(id, claim, conflicting)];
  });
}

function conflictProblem(id: string, { path, place }: Claim, conflicting: Claim): Problem {
  const [kind, name = ''] = id.split(' ');
  const finding =
    kind === 'name'
      ? {
          code: 'CONFIG_INVALID' as const,
          message: `the name ${quoted(name)} is used twice, first at ${formatPlace(conflicting.place)}`,
        }
      : {
          code: 'TARGET_CLAIMED' as const,
          message: claimedMessage(name, conflicting.mapping, conflicting.place),
        };
  return toProblem({ path, ...finding }, place);
}
