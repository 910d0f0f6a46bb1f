import { append } from '../core/lists.ts';
import type { IncludeState } from './config.ts';
import { isConfigMapPath, parseShown } from './files/config-maps.ts';
import type { SourceFile } from './files/files.ts';
import type { Bound, IncludedFile } from './files/include.ts';
import type { Located } from './files/yaml.ts';
import { type Claim, type Claims, conflictsIn } from './include-claims.ts';
import { type Problem, sortProblems } from './problem.ts';
import type { ValidMapping } from './resolve.ts';
import type { CheckedUnit } from './unit.ts';

/**
 * The version of each included file that is in force. The next load needs it, because it uses this version of a file
 * whose newest version is invalid.
 */
export type FilesInForce = ReadonlyMap<string, FileInForce>;

interface FileInForce {
  readonly source: SourceFile;
  readonly from: string;
  readonly mappings: readonly Located[];
  readonly text: string;
  readonly claims: Claims;
}

export interface IncludedMapping extends ValidMapping {
  readonly bound: Bound;
  /** The index in the list of its file. */
  readonly index: number;
}

export interface SettledIncludes {
  /** The mappings of all files in force, in the order of the files. */
  readonly mappings: readonly IncludedMapping[];
  readonly states: readonly IncludeState[];
  readonly inForce: FilesInForce;
  /** The newest text of each ConfigMap with `statusAnnotation`, by its path. */
  readonly withStatus: ReadonlyMap<string, string>;
}

/** A version of a file that was checked against the main files. */
export interface CheckedVersion extends CheckedUnit {
  /** Each valid mapping, at its index in the file. */
  readonly valid: readonly (ValidMapping | undefined)[];
  /** Empty if the version is not usable. */
  readonly claims: Claims;
}

export interface SettleDeps {
  /** The claims of the main files, which win over those of any included file. */
  readonly mainClaims: Claims;
  readonly previous: FilesInForce;
  /** Removes text of the main files that looks like a credential. */
  readonly redact: CheckedUnit['redact'];
  readonly check: (
    file: Pick<IncludedFile, 'source' | 'mappings' | 'text' | 'problems'>,
    bound: Bound,
  ) => CheckedVersion | Promise<CheckedVersion>;
}

/**
 * Decides which version of each file is in force. A file with a problem keeps its last valid version. If two files
 * claim the same mapping name or target, the file that had it before keeps it, or else the first file gets it.
 */
export async function settleIncludes(
  files: readonly IncludedFile[],
  deps: SettleDeps,
): Promise<SettledIncludes> {
  const candidates: Candidate[] = [];
  const known = new Set<string>();
  for (const listed of files) {
    const { bound } = listed;
    if (bound === undefined) continue;
    for (const file of filesOf(listed, deps.previous)) {
      // Two entries of `include` may select ConfigMaps in a namespace that cannot be listed now.
      const id = idOf(file);
      if (known.has(id) && isUnlisted(listed) && isConfigMapPath(file.from)) continue;
      known.add(id);
      candidates.push(await candidateOf({ id, file, bound }, deps));
    }
  }
  // Each round withdraws a version, so the rounds end.
  while (!(await settleClaims(candidates, deps.mainClaims)));
  const inForce = new Map(
    candidates.flatMap(({ id, current, before, file }): [string, FileInForce][] => {
      const { source, from } = file;
      if (current !== undefined) {
        const { mappings, text, claims } = current;
        return [[id, { source, from, mappings, text, claims }]];
      }
      // A change of the main files may make the last valid version usable again.
      return before === undefined ? [] : [[id, { ...before, claims: [] }]];
    }),
  );
  return {
    inForce,
    withStatus: textsWithStatus(files),
    states: candidates.map(({ file, current, newest, problems, bound }) => ({
      path: file.source.shown,
      state: current === undefined ? 'disabled' : current === newest ? 'valid' : 'outdated',
      // A problem may quote the main files, which can contain a credential by mistake.
      problems: sortProblems(problems.map(deps.redact)),
      namespaces: bound.rule.namespaces,
    })),
    mappings: candidates.flatMap(({ current, bound }) =>
      (current?.valid ?? []).flatMap((valid, index) =>
        valid === undefined ? [] : [{ ...valid, bound, index }],
      ),
    ),
  };
}

function textsWithStatus(files: readonly IncludedFile[]): SettledIncludes['withStatus'] {
  const texts = new Map<string, string>();
  // The text of a ConfigMap that cannot be listed is unknown. If two entries match a ConfigMap, the first one reads it.
  for (const { source, text, bound } of files)
    if (
      bound?.rule.statusAnnotation === true &&
      parseShown(source.shown) !== undefined &&
      !texts.has(source.shown)
    )
      texts.set(source.shown, text);
  return texts;
}

interface Version extends Pick<FileInForce, 'mappings' | 'text'>, CheckedVersion {}

interface Candidate {
  readonly id: string;
  readonly file: IncludedFile;
  readonly bound: Bound;
  /** The version that the file contains, if it is usable by itself. */
  readonly newest: Version | undefined;
  /** The version that was in force before, if it is still usable. */
  readonly fallback: () => Promise<Version | undefined>;
  readonly before: FileInForce | undefined;
  readonly problems: Problem[];
  current: Version | undefined;
}

/** The members of an unlisted folder are unknown, so all files that came from it keep their last version. */
function filesOf(file: IncludedFile, previous: FilesInForce): readonly IncludedFile[] {
  if (!isUnlisted(file)) return [file];
  const earlier = [...previous.values()].filter(({ from }) => from === file.from);
  return earlier.length === 0 ? [file] : earlier.map(({ source }) => ({ ...file, source }));
}

function isUnlisted({ problems, source, from }: IncludedFile): boolean {
  return problems.length > 0 && source.absolute === from;
}

async function candidateOf(
  { id, file, bound }: Pick<Candidate, 'id' | 'file' | 'bound'>,
  { previous, check }: SettleDeps,
): Promise<Candidate> {
  const { source, mappings, text } = file;
  const read: Version = { ...(await check(file, bound)), mappings, text };
  const before = previous.get(id);
  const fallback = async (): Promise<Version | undefined> => {
    if (before === undefined || before.text === text) return undefined;
    const last = { source, mappings: before.mappings, text: before.text };
    const checked = await check({ ...last, problems: [] }, bound);
    return checked.isUsable ? { ...checked, ...last } : undefined;
  };
  const newest = read.isUsable ? read : undefined;
  return {
    id,
    file,
    bound,
    newest,
    fallback,
    before,
    problems: [...read.problems],
    current: newest ?? (await fallback()),
  };
}

/** Withdraws versions that conflict. Returns whether the remaining versions are free of conflicts. */
async function settleClaims(candidates: readonly Candidate[], mainClaims: Claims): Promise<boolean> {
  const owners = new Map<string, { readonly owner: Candidate | undefined; readonly claim: Claim }[]>();
  const take = (owner: Candidate | undefined, claims: Claims) => {
    for (const claim of claims) owners.set(claim.id, [...(owners.get(claim.id) ?? []), { owner, claim }]);
  };
  take(undefined, mainClaims);
  for (const candidate of candidates) take(candidate, claimsBy(candidate).held);
  for (const candidate of candidates) {
    const { current } = candidate;
    if (current === undefined) continue;
    const others = (id: string) =>
      (owners.get(id) ?? []).filter(({ owner }) => owner !== candidate).map(({ claim }) => claim);
    const conflicts = conflictsIn(current.claims, others);
    const { held, fresh } = claimsBy(candidate);
    if (conflicts.length === 0) take(candidate, fresh);
    else {
      append(candidate.problems, conflicts.map(current.redact));
      candidate.current = current === candidate.newest ? await candidate.fallback() : undefined;
      // Other decisions of this round do not depend on a version that held nothing and has no replacement.
      if (held.length > 0 || candidate.current !== undefined) return false;
    }
  }
  return true;
}

/** Divides the claims of the current version into those that the version in force before had too, and the others. */
function claimsBy({ before, current }: Candidate): { readonly held: Claims; readonly fresh: Claims } {
  const claims = current?.claims ?? [];
  if (before === undefined) return { held: [], fresh: claims };
  // Most files have not changed.
  if (before.claims === claims) return { held: claims, fresh: [] };
  const heldIds = new Set(before.claims.map(({ id }) => id));
  return {
    held: claims.filter(({ id }) => heldIds.has(id)),
    fresh: claims.filter(({ id }) => !heldIds.has(id)),
  };
}

function idOf({ from, source }: Pick<IncludedFile, 'from' | 'source'>): string {
  return `${from}\0${source.absolute}`;
}
