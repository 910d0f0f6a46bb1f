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

/**
 * Facts about desired targets that are known without reading the cluster. `undefined` means that the cluster must be
 * read.
 */
export interface KnownPresence {
  /** Whether the target exists and belongs to this instance. */
  readonly isPresent: (target: DesiredTarget) => boolean | undefined;
  /** Whether the target exists and was created by the mapping in this `DesiredTarget`. */
  readonly isCreated: (target: DesiredTarget) => boolean | undefined;
}

export const NO_KNOWN_PRESENCE: KnownPresence = { isPresent: () => undefined, isCreated: () => undefined };

/**
 * An orphaned target that is kept until its replacement exists. After a rename, the mapping that creates the
 * replacement may have another name.
 */
export interface AwaitingReplacement {
  readonly mapping: string;
  readonly target: TargetId;
  /** The replacement, which must exist before the orphaned target is removed. */
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

/** Reads a target. If it cannot be read, it counts as missing, so orphans that it may replace are kept. */
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

/** The annotation alone does not prove a merge: a copy of the Secret has the annotation, but not the field manager. */
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
 * Postpones removals until the targets that replace them exist. So after a rename, the new target is created before the
 * old one is removed. An orphaned target waits for the targets that its mapping has not created yet. Because the
 * mapping may have been renamed too, the orphaned target also waits for all mappings in its namespace that read the
 * same sources. An ending merge waits for all mappings that merge into the same Secret.
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
 * Whether another target of the mapping may replace the removed one. If the namespace has merely lost the label of the
 * selector, there is no replacement.
 */
function isMoved({ live }: Proposal, target: TargetSpec | undefined): boolean {
  return target !== undefined && (target.namespaceSelector === undefined || target.secret !== live.id.secret);
}
