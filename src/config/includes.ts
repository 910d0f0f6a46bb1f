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
      const isRepeated = known.has(id);
      if (isRepeated && isUnlisted(listed) && isConfigMapPath(file.from)) continue;
      known.add(id);
      // Only the first entry that names a file has a version in force.
      const before = isRepeated ? undefined : deps.previous.get(id);
      candidates.push(await candidateOf({ id, file, bound, before }, deps));
    }
  }
  // Each round withdraws a version, so the rounds end.
  while (!(await settleClaims(candidates, deps)));
  const inForce = new Map<string, FileInForce>();
  for (const candidate of candidates) {
    const version = inForceOf(candidate);
    if (version !== undefined) inForce.set(candidate.id, version);
  }
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

interface Candidate {
  readonly id: string;
  readonly file: IncludedFile;
  readonly bound: Bound;
  /** The version that the file contains, if it is usable by itself. */
  readonly newest: CheckedVersion | undefined;
  readonly before: FileInForce | undefined;
  problems: readonly Problem[];
  current: CheckedVersion | undefined;
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
  { id, file, bound, before }: Pick<Candidate, 'id' | 'file' | 'bound' | 'before'>,
  deps: SettleDeps,
): Promise<Candidate> {
  const read = await deps.check(file, bound);
  const newest = read.isUsable ? read : undefined;
  const candidate = { id, file, bound, newest, before, problems: read.problems, current: newest };
  if (newest === undefined) candidate.current = await fallbackOf(candidate, deps);
  return candidate;
}

/** Returns the version that was in force before, if it is another one and still usable. */
async function fallbackOf(
  { file: { source, text }, before, bound }: Candidate,
  { check }: SettleDeps,
): Promise<CheckedVersion | undefined> {
  if (before === undefined || before.text === text) return undefined;
  const { mappings, text: lastText } = before;
  const checked = await check({ source, mappings, text: lastText, problems: [] }, bound);
  return checked.isUsable ? checked : undefined;
}

function inForceOf({ file, newest, current, before }: Candidate): FileInForce | undefined {
  // A change of the main files may make the last valid version usable again.
  if (current === undefined) return before && { ...before, claims: [] };
  const { source, from } = file;
  const { mappings, text } = current === newest ? file : (before ?? file);
  return { source, from, mappings, text, claims: current.claims };
}

/** Withdraws versions that conflict. Returns whether the remaining versions are free of conflicts. */
async function settleClaims(candidates: readonly Candidate[], deps: SettleDeps): Promise<boolean> {
  const claimed = new Map<string, Claim[]>();
  const take = (claims: Claims) => {
    for (const claim of claims) {
      const others = claimed.get(claim.id);
      if (others === undefined) claimed.set(claim.id, [claim]);
      else others.push(claim);
    }
  };
  take(deps.mainClaims);
  for (const candidate of candidates) take(claimsBy(candidate).held);
  for (const candidate of candidates) {
    const { current } = candidate;
    if (current === undefined) continue;
    const conflicts = conflictsIn(current.claims, (id) => claimed.get(id) ?? []);
    const { held, fresh } = claimsBy(candidate);
    if (conflicts.length === 0) take(fresh);
    else {
      candidate.problems = [...candidate.problems, ...conflicts.map(current.redact)];
      candidate.current = current === candidate.newest ? await fallbackOf(candidate, deps) : undefined;
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
