import { matches } from '../core/glob.ts';
import { claimedMessage } from './checks/mapping.ts';
import type { Bound } from './files/include.ts';
import { locate } from './files/merge.ts';
import type { Located } from './files/yaml.ts';
import { formatPlace, type Path, type Place, type Problem, quoted, toProblem } from './problem.ts';
import type { ParsedFile } from './resolve.ts';

type ParsedMapping = ParsedFile['mappings'][number];

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

/** A target outside the bounds of its mapping is not claimed. */
export function claimsOf(
  parsed: ReadonlyMap<number, ParsedMapping>,
  nodes: readonly Located[],
  bound?: Bound,
): Claims {
  const claims = new Map<string, Claim>();
  for (const [index, { name, target }] of parsed) {
    const node = nodes[index];
    if (node === undefined) continue;
    const add = (id: string, at: string, isShared: boolean) =>
      claims.set(id, { mapping: name, path: ['mappings', index, at], place: locate(node, [at]), isShared });
    add(`name ${name}`, 'name', false);
    const namespaces = target.namespace === undefined ? (target.namespaces ?? []) : [target.namespace];
    for (const namespace of namespaces)
      if (bound?.rule.namespaces.some((glob) => matches(glob, namespace)) ?? true)
        add(`target ${namespace}/${target.secret ?? name}`, 'target', target.mode === 'merge');
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
