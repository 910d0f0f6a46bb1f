import type { AuditStore } from '../audit/store.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { AppError } from '../core/errors.ts';
import type { Fingerprinter } from '../core/fingerprint.ts';
import type { LiveSecret } from '../core/secret.ts';
import { compareTargets, formatTarget, type TargetId } from '../core/target.ts';
import { compareData } from '../sync/drift.ts';
import { mergeEnd } from '../sync/merge.ts';
import { mergesIn } from '../sync/merge-record.ts';
import { ANNOTATION, LABEL } from '../sync/ownership-metadata.ts';
import { CHANGE_ACTIONS, latestRecord } from './latest-records.ts';
import type { Proposal } from './outcome.ts';

export interface OrphanDeps {
  readonly audit: Pick<AuditStore, 'targets' | 'latest'>;
  readonly cluster: Pick<Cluster, 'read' | 'list'>;
  /** The current name of the instance, and its former names. */
  readonly instances: readonly string[];
  /** Whether any mapping wants this target. */
  readonly isDesired: (id: TargetId) => boolean;
  /**
   * Called after each target, even if it could not be read. A scan takes long if there are thousands of targets or the
   * cluster does not answer.
   */
  readonly onProgress?: (() => void) | undefined;
}

/** A target of ours that no mapping wants any more. */
export interface Orphan {
  readonly live: LiveSecret;
  readonly mapping: string;
  /** The policy that its former mapping had set. It comes from the target's annotation. */
  readonly onMappingRemoved: 'keep' | 'delete';
}

/** A target, or a whole namespace, that could not be read. */
export interface Unreadable {
  readonly what: string;
  readonly error: AppError;
}

export interface OrphanScan {
  readonly orphans: readonly Orphan[];
  readonly unreadable: readonly Unreadable[];
  /** The targets that do not exist, in the format of `formatTarget`. */
  readonly missing: ReadonlySet<string>;
}

/**
 * Finds the targets that are no longer in the configuration. The audit contains every target that was ever created, so
 * it is not necessary to list all Secrets. The given `namespaces` are listed too, in case the audit was lost.
 */
export async function findOrphans(deps: OrphanDeps, namespaces: readonly string[] = []): Promise<OrphanScan> {
  const { audit, cluster, instances, isDesired } = deps;
  const unreadable: Unreadable[] = [];
  const undesired = new Map<string, TargetId>();
  const consider = (id: TargetId): void => {
    if (!isDesired(id)) undesired.set(formatTarget(id), id);
  };
  for (const id of await audit.targets()) consider(id);
  for (const namespace of namespaces)
    for (const value of instances) {
      const label = { name: LABEL.instance, value };
      const listed = await readIfPossible(
        () => cluster.list(namespace, label),
        `namespace ${namespace}`,
        unreadable,
      );
      for (const { id } of listed ?? []) consider(id);
    }
  const candidates = [...undesired.values()].sort(compareTargets);
  const orphans: Orphan[] = [];
  const missing = new Set<string>();
  for (const id of candidates) {
    const failureCount = unreadable.length;
    const live = await readIfPossible(() => cluster.read(id), formatTarget(id), unreadable);
    deps.onProgress?.();
    if (live === undefined && unreadable.length === failureCount) missing.add(formatTarget(id));
    // The audit may also contain targets of other instances. Ignore a failure to read them, because we may lack the
    // permission.
    if (
      unreadable.length > failureCount &&
      (await latestRecord(audit, id, CHANGE_ACTIONS, instances)) === undefined
    )
      unreadable.pop();
    if (live !== undefined && isOurs(live, instances)) orphans.push(toOrphan(live));
  }
  return { orphans, unreadable, missing };
}

/**
 * Runs `read`. Adds an error to `unreadable` and continues, so that the other targets are still found. Targets in a
 * missing namespace count as missing.
 */
async function readIfPossible<T>(
  read: () => Promise<T>,
  subject: string,
  unreadable: Unreadable[],
): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    if (error.code !== 'NAMESPACE_MISSING') unreadable.push({ what: subject, error });
    return undefined;
  }
}

/**
 * Whether the Secret has both of our labels and our field manager. A copy of a Secret has the labels, but not the field
 * manager.
 */
export function isOurs(
  { labels, ours: ownedFields, deleting }: LiveSecret,
  instances: readonly string[],
): boolean {
  return (
    instances.includes(labels[LABEL.instance] ?? '') &&
    labels[LABEL.mapping] !== undefined &&
    ownedFields !== undefined &&
    !deleting
  );
}

function isOwned({ labels }: LiveSecret): boolean {
  return labels[LABEL.instance] !== undefined && labels[LABEL.mapping] !== undefined;
}

function toOrphan(live: LiveSecret): Orphan {
  const policy = live.annotations[ANNOTATION.onMappingRemoved];
  return {
    live,
    mapping: live.labels[LABEL.mapping] ?? '',
    onMappingRemoved: policy === 'delete' ? 'delete' : 'keep',
  };
}

export interface MergeDeps extends OrphanDeps {
  readonly cluster: Pick<Cluster, 'read' | 'list' | 'mergedKeys'>;
  readonly fingerprints: Fingerprinter;
  /** Whether this mapping wants a target. */
  readonly isDesiredBy: (mapping: string, id: TargetId) => boolean;
  /** The Secrets into which the configured mappings merge keys. */
  readonly mergeTargets: readonly TargetId[];
  /**
   * The missing targets that `findOrphans` returned. They need not be read a second time. Most targets of removed
   * mappings are among them.
   */
  readonly missing: ReadonlySet<string>;
}

/** Proposes to end the merges of removed mappings with the policy `onMappingRemoved: delete`. */
export async function findEndedMerges(deps: MergeDeps): Promise<readonly Proposal[]> {
  const { audit, cluster, instances, isDesired, isDesiredBy, mergeTargets, missing, fingerprints } = deps;
  const sharedTargets = new Set(mergeTargets.map(formatTarget));
  const candidates = (await audit.targets()).filter(
    (id) => !missing.has(formatTarget(id)) && (!isDesired(id) || sharedTargets.has(formatTarget(id))),
  );
  const proposals: Proposal[] = [];
  for (const id of candidates.toSorted(compareTargets)) {
    const live = await readIfPossible(() => cluster.read(id), formatTarget(id), []);
    deps.onProgress?.();
    // If an instance of secretbridge now owns the whole Secret, it also owns our former keys.
    if (live === undefined || live.deleting || isOwned(live)) continue;
    for (const merge of mergesIn(live)) {
      const { instance, mapping, onMappingRemoved } = merge;
      if (!instances.includes(instance) || isDesiredBy(mapping, id) || onMappingRemoved === 'keep') continue;
      const ending = mergeEnd(merge);
      const heldKeys = new Set(cluster.mergedKeys(live, ending.manager));
      // The annotation alone does not prove a merge: a copy of the Secret has the annotation, but not the field
      // manager.
      if (heldKeys.size === 0) continue;
      const ownData = new Map([...live.data].filter(([key]) => heldKeys.has(key)));
      proposals.push({
        mapping,
        live,
        keys: compareData(new Map(), ownData, fingerprints),
        held: false,
        ending,
      });
    }
  }
  return proposals;
}

/** Proposes the removal of an orphaned target. */
export function proposeRemoval({ live, mapping }: Orphan, fingerprints: Fingerprinter): Proposal {
  return { mapping, live, keys: compareData(new Map(), live.data, fingerprints), held: false };
}
