import type { AuditStore } from '../audit/store.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { AppError } from '../core/errors.ts';
import type { Fingerprinter } from '../core/fingerprint.ts';
import type { LiveSecret } from '../core/secret.ts';
import { compareTargets, formatTarget, type TargetId } from '../core/target.ts';
import { compareData } from '../sync/compare.ts';
import { ANNOTATION, LABEL } from '../sync/marks.ts';
import { mergeEnd, mergesIn } from '../sync/merge.ts';
import { CHANGES, lastWord } from './last-word.ts';
import type { Proposal } from './outcome.ts';

export interface LeftDeps {
  readonly audit: Pick<AuditStore, 'targets' | 'latest'>;
  readonly cluster: Pick<Cluster, 'read' | 'list'>;
  /** Ours, and those that were. */
  readonly instances: readonly string[];
  /** Whether any mapping wants a target. */
  readonly isWanted: (id: TargetId) => boolean;
  /** Told after each look at a target, well or not: there may be thousands, and a cluster that does not answer. */
  readonly onLook?: (() => void) | undefined;
}

/** A target of ours that no mapping wants any more. */
export interface Left {
  readonly live: LiveSecret;
  readonly mapping: string;
  /** What its mapping said, when there was one, about this moment. */
  readonly onMappingRemoved: 'keep' | 'delete';
}

/** What could not be looked at: a target, or all of a namespace. */
export interface Unseen {
  readonly what: string;
  readonly error: AppError;
}

export interface LeftFound {
  readonly left: readonly Left[];
  readonly unseen: readonly Unseen[];
  /** By `formatTarget`: those that are not there. */
  readonly gone: ReadonlySet<string>;
}

/**
 * The targets that left the configuration. The audit knows every one that was ever made, so that no list of all
 * Secrets is needed; `namespaces` are searched as well, for those of which the audit was lost.
 */
export async function findLeft(deps: LeftDeps, namespaces: readonly string[] = []): Promise<LeftFound> {
  const { audit, cluster, instances, isWanted } = deps;
  const unseen: Unseen[] = [];
  const unwanted = new Map<string, TargetId>();
  const consider = (id: TargetId): void => {
    if (!isWanted(id)) unwanted.set(formatTarget(id), id);
  };
  for (const id of await audit.targets()) consider(id);
  for (const namespace of namespaces)
    for (const value of instances) {
      const label = { name: LABEL.instance, value };
      const listed = await ifPossible(() => cluster.list(namespace, label), `namespace ${namespace}`, unseen);
      for (const { id } of listed ?? []) consider(id);
    }
  const candidates = [...unwanted.values()].sort(compareTargets);
  const left: Left[] = [];
  const gone = new Set<string>();
  for (const id of candidates) {
    const failed = unseen.length;
    const live = await ifPossible(() => cluster.read(id), formatTarget(id), unseen);
    deps.onLook?.();
    if (live === undefined && unseen.length === failed) gone.add(formatTarget(id));
    // Others that share the audit have targets too, which we may well not see.
    if (unseen.length > failed && (await lastWord(audit, id, CHANGES, instances)) === undefined) unseen.pop();
    if (live !== undefined && isOurs(live, instances)) left.push(toLeft(live));
  }
  return { left, unseen, gone };
}

/** One target that cannot be looked at hides no other. A namespace that is gone took its targets along. */
async function ifPossible<T>(look: () => Promise<T>, what: string, unseen: Unseen[]): Promise<T | undefined> {
  try {
    return await look();
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    if (error.code !== 'NAMESPACE_MISSING') unseen.push({ what, error });
    return undefined;
  }
}

/** By both labels; a Secret that somebody copied has them too, but not our field manager. */
export function isOurs({ labels, ours, deleting }: LiveSecret, instances: readonly string[]): boolean {
  return (
    instances.includes(labels[LABEL.instance] ?? '') &&
    labels[LABEL.mapping] !== undefined &&
    ours !== undefined &&
    !deleting
  );
}

function isOwned({ labels }: LiveSecret): boolean {
  return labels[LABEL.instance] !== undefined && labels[LABEL.mapping] !== undefined;
}

function toLeft(live: LiveSecret): Left {
  const word = live.annotations[ANNOTATION.onMappingRemoved];
  return {
    live,
    mapping: live.labels[LABEL.mapping] ?? '',
    onMappingRemoved: word === 'delete' ? 'delete' : 'keep',
  };
}

export interface MergeDeps extends LeftDeps {
  readonly cluster: Pick<Cluster, 'read' | 'list' | 'mergedKeys'>;
  readonly fingerprints: Fingerprinter;
  /** Whether this mapping wants a target. */
  readonly wants: (mapping: string, id: TargetId) => boolean;
  /** Targets that mappings of the configuration merge into. */
  readonly merged: readonly TargetId[];
  /** As `findLeft` found them: what is not there holds nothing of ours, and is most of what ever was. */
  readonly gone: ReadonlySet<string>;
}

/** The ends of merges whose mapping left the configuration, and had said `onMappingRemoved: delete`. */
export async function findEndedMerges(deps: MergeDeps): Promise<readonly Proposal[]> {
  const { audit, cluster, instances, isWanted, wants, merged, gone, fingerprints } = deps;
  const shared = new Set(merged.map(formatTarget));
  const candidates = (await audit.targets()).filter(
    (id) => !gone.has(formatTarget(id)) && (!isWanted(id) || shared.has(formatTarget(id))),
  );
  const ends: Proposal[] = [];
  for (const id of candidates.toSorted(compareTargets)) {
    const live = await ifPossible(() => cluster.read(id), formatTarget(id), []);
    deps.onLook?.();
    // What a bridge owns by now has the keys of its owner, whoever merged them before.
    if (live === undefined || live.deleting || isOwned(live)) continue;
    for (const merge of mergesIn(live)) {
      const { instance, mapping, onMappingRemoved } = merge;
      if (!instances.includes(instance) || wants(mapping, id) || onMappingRemoved === 'keep') continue;
      const ending = mergeEnd(merge);
      const held = new Set(cluster.mergedKeys(live, ending.manager));
      // A mark can be copied; what the API server holds for our manager cannot.
      if (held.size === 0) continue;
      const ours = new Map([...live.data].filter(([key]) => held.has(key)));
      ends.push({ mapping, live, keys: compareData(new Map(), ours, fingerprints), held: false, ending });
    }
  }
  return ends;
}

/** The end of a target that left. */
export function endOfLeft({ live, mapping }: Left, fingerprints: Fingerprinter): Proposal {
  return { mapping, live, keys: compareData(new Map(), live.data, fingerprints), held: false };
}
