import type { Cluster } from '../cluster/cluster.ts';
import { AppError } from '../core/errors.ts';
import type { TargetSpec } from '../core/mapping.ts';
import type { LiveSecret } from '../core/secret.ts';
import { formatTarget, type TargetId } from '../core/target.ts';
import { mergesIn } from '../sync/merge-record.ts';
import { LABEL, mergeManager } from '../sync/ownership-metadata.ts';
import { renameCandidates } from '../sync/rename-candidates.ts';
import { isOurs } from './orphans.ts';
import type { Proposal } from './outcome.ts';
import { byNamespace, type DesiredTarget } from './targets.ts';

export interface PresenceDeps {
  readonly cluster: Pick<Cluster, 'read' | 'mergedKeys'>;
  /** The current name of the instance, and its former names. */
  readonly instances: readonly string[];
}

/** Known facts about desired targets. `undefined` means that the cluster must be read. */
export interface KnownPresence {
  /** Whether the target exists and belongs to this instance. */
  readonly isPresent: (target: DesiredTarget) => boolean | undefined;
  /** Whether the target exists and its own mapping created it. */
  readonly isCreated: (target: DesiredTarget) => boolean | undefined;
}

export const NO_KNOWN_PRESENCE: KnownPresence = { isPresent: () => undefined, isCreated: () => undefined };

/**
 * An orphaned target that is kept until its replacement exists. The mapping that creates the replacement may have
 * another name after a rename.
 */
export interface AwaitingReplacement {
  readonly mapping: string;
  readonly target: TargetId;
  /** The replacement, which must exist first. */
  readonly until: TargetId;
  /** The mapping that creates the replacement. */
  readonly by: string;
}

/** Whether a target exists and belongs to this instance, whichever mapping created it. */
export async function isPresent(desired: DesiredTarget, deps: PresenceDeps): Promise<boolean> {
  const live = await readLive(desired, deps);
  if (live === undefined) return false;
  return desired.mapping.target.mode === 'merge'
    ? holdsMerge(desired, live, deps)
    : isOurs(live, deps.instances);
}

async function isCreated(desired: DesiredTarget, deps: PresenceDeps): Promise<boolean> {
  const live = await readLive(desired, deps);
  if (live === undefined) return false;
  const { name, target } = desired.mapping;
  if (target.mode === 'merge') return holdsMerge(desired, live, deps);
  return isOurs(live, deps.instances) && live.labels[LABEL.mapping] === name;
}

/** Treats an unreadable target as missing, so that no orphan is deleted because of it. */
async function readLive(
  { id, error }: DesiredTarget,
  { cluster }: PresenceDeps,
): Promise<LiveSecret | undefined> {
  if (error !== undefined) return undefined;
  try {
    return await cluster.read(id);
  } catch (thrown) {
    if (thrown instanceof AppError) return undefined;
    throw thrown;
  }
}

/** The annotation alone is no proof: a copy of the Secret has the annotation, but not the field manager. */
function holdsMerge(
  { mapping }: DesiredTarget,
  live: LiveSecret,
  { cluster, instances }: PresenceDeps,
): boolean {
  return mergesIn(live).some(
    (merge) =>
      merge.mapping === mapping.name &&
      instances.includes(merge.instance) &&
      cluster.mergedKeys(live, mergeManager(merge.instance, merge.mapping)).length > 0,
  );
}

/**
 * Defers removals until their replacements exist, so that after a rename the new target is created before the old one
 * is removed. An orphan waits for the targets that its mapping has not created yet. The mapping may have been renamed
 * too, so removals also wait for targets of other mappings. An ending merge waits for all mappings that merge into the
 * same Secret. An orphaned target waits for all mappings in its namespace that read the same sources.
 */
export async function deferReplaced(
  proposals: readonly Proposal[],
  targets: readonly DesiredTarget[],
  known: KnownPresence,
  deps: PresenceDeps,
): Promise<{ readonly proposals: readonly Proposal[]; readonly waiting: readonly AwaitingReplacement[] }> {
  const byMapping = Map.groupBy(targets, ({ mapping }) => mapping.name);
  const merges = targets.filter(({ mapping }) => mapping.target.mode === 'merge');
  const bySecret = Map.groupBy(merges, ({ id }) => formatTarget(id));
  const targetsIn = byNamespace(targets);
  const candidatesByNamespace = new Map<string, ReturnType<typeof renameCandidates<DesiredTarget>>>();
  const renamedTargets = ({ live }: Proposal): readonly DesiredTarget[] => {
    const { namespace } = live.id;
    const mayFollow = candidatesByNamespace.get(namespace) ?? renameCandidates(targetsIn(namespace));
    candidatesByNamespace.set(namespace, mayFollow);
    return mayFollow(live);
  };
  const replacementsOf = (proposal: Proposal): readonly DesiredTarget[] => {
    const sameMapping = byMapping.get(proposal.mapping) ?? [];
    return [
      ...(isMoved(proposal, sameMapping[0]?.mapping.target) ? sameMapping : []),
      ...(proposal.ending === undefined
        ? renamedTargets(proposal)
        : (bySecret.get(formatTarget(proposal.live.id)) ?? [])),
    ];
  };
  const created = new Map<DesiredTarget, boolean>();
  const firstMissing = async (replacements: readonly DesiredTarget[]): Promise<DesiredTarget | undefined> => {
    for (const replacement of replacements) {
      const isCreatedNow =
        created.get(replacement) ?? known.isCreated(replacement) ?? (await isCreated(replacement, deps));
      created.set(replacement, isCreatedNow);
      if (!isCreatedNow) return replacement;
    }
    return undefined;
  };
  const ready: Proposal[] = [];
  const waiting: AwaitingReplacement[] = [];
  for (const proposal of proposals) {
    const missing = await firstMissing(replacementsOf(proposal));
    if (missing === undefined) ready.push(proposal);
    else
      waiting.push({
        mapping: proposal.mapping,
        target: proposal.live.id,
        until: missing.id,
        by: missing.mapping.name,
      });
  }
  return { proposals: ready, waiting };
}

/**
 * Whether another target of the mapping may replace the removed one. If a namespace only lost its label, there is no
 * replacement.
 */
function isMoved({ live }: Proposal, target: TargetSpec | undefined): boolean {
  return target !== undefined && (target.namespaceSelector === undefined || target.secret !== live.id.secret);
}
