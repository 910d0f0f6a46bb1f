import type { App } from '../app/app.ts';
import { findDisabled } from '../app/current-config.ts';
import { TARGET_STATE_ACTIONS } from '../audit/entry.ts';
import type { AppError } from '../core/errors.ts';
import { mapConcurrently } from '../core/semaphore.ts';
import { formatTarget, type TargetId } from '../core/target.ts';
import type { Population } from '../reconcile/brake.ts';
import { changesOf, hasKeys } from '../reconcile/change.ts';
import { latestRecord } from '../reconcile/latest-records.ts';
import {
  findEndedMerges,
  findOrphans,
  type OrphanScan,
  proposeRemoval,
  type Unreadable,
} from '../reconcile/orphans.ts';
import type { Proposal } from '../reconcile/outcome.ts';
import {
  type AwaitingReplacement,
  deferReplaced,
  isPresent,
  type KnownPresence,
} from '../reconcile/presence.ts';
import { type DesiredTarget, desiredByAny, desiredIndex, namespacesOf } from '../reconcile/targets.ts';
import { targetKey } from '../service/config-snapshot.ts';
import type { KeyPlan } from '../sync/drift.ts';

/** What a plan for the whole instance needs. */
export type PlanApp = Pick<
  App,
  'audit' | 'clock' | 'cluster' | 'config' | 'fingerprints' | 'instances' | 'targets'
>;

/**
 * Returns the targets of this instance that no mapping uses. With `search`, the result includes targets that have no
 * record in the audit log.
 */
export async function findOrphanedTargets(
  app: PlanApp,
  { search = false, onLook: onChecked }: { readonly search?: boolean; readonly onLook?: () => void } = {},
): Promise<OrphanScan> {
  const namespaces = search ? namespacesOf(app.targets) : [];
  const { audit, cluster, instances } = app;
  return findOrphans(
    { audit, cluster, instances, isDesired: createWanted(app).isWanted, onProgress: onChecked },
    namespaces,
  );
}

/**
 * Returns functions that report whether a target is wanted by any mapping, or by one. The mappings of a disabled file
 * are unknown, so they may want every target within the bounds of the file. Such a target is no orphan.
 */
function createWanted({ config, targets }: Pick<App, 'config' | 'targets'>) {
  const [isWanted, wants] = [desiredByAny(targets), desiredIndex(targets)];
  const disabledAt = findDisabled(config) ?? (() => undefined);
  const mayBeWanted = ({ namespace }: TargetId): boolean => disabledAt(namespace) !== undefined;
  return {
    isWanted: (id: TargetId): boolean => isWanted(id) || mayBeWanted(id),
    wants: (mapping: string, id: TargetId): boolean => wants(mapping, id) || mayBeWanted(id),
  };
}

function findEndedMergesOf(
  app: PlanApp,
  missing: OrphanScan['missing'],
  onChecked: (() => void) | undefined,
): Promise<readonly Proposal[]> {
  const { audit, cluster, instances, fingerprints, targets } = app;
  const merged = targets.filter(({ mapping }) => mapping.target.mode === 'merge').map(({ id }) => id);
  const { isWanted, wants } = createWanted(app);
  return findEndedMerges({
    audit,
    cluster,
    instances,
    fingerprints,
    isDesired: isWanted,
    isDesiredBy: wants,
    mergeTargets: merged,
    missing: missing,
    onProgress: onChecked,
  });
}

/** The state of a target according to a run or a plan. */
export interface ObservedTarget {
  readonly mapping: string;
  readonly target: TargetId;
  readonly alive: boolean;
  readonly error?: AppError;
  readonly proposal?: Proposal;
}

/** Returns which desired targets exist, according to a run or a plan. */
export function presenceOf(observed: readonly ObservedTarget[]): KnownPresence {
  const byTarget = new Map(observed.map((entry) => [targetKey(entry.mapping, entry.target), entry]));
  const find = ({ mapping, id }: DesiredTarget): ObservedTarget | undefined =>
    byTarget.get(targetKey(mapping.name, id));
  return {
    isPresent: (wanted) => observedPresence(find(wanted)),
    isCreated: (wanted) => isReady(find(wanted)),
  };
}

function observedPresence(observed: ObservedTarget | undefined): boolean | undefined {
  if (observed?.alive !== true) return observed?.alive;
  // The target has an error, so the existing Secret may belong to another owner.
  return observed.error === undefined || observed.proposal !== undefined ? true : undefined;
}

function isReady(observed: ObservedTarget | undefined): boolean | undefined {
  if (observed === undefined) return undefined;
  const { alive, error, proposal } = observed;
  if (error === undefined && proposal === undefined) return true;
  // A recreation deletes a target and then creates it. If the creation fails, the target stays deleted. So a target
  // does not count as present if it is about to be recreated.
  if (!alive || proposal?.replacement !== undefined) return false;
  // The target exists, but it is unknown which mapping created it.
  return undefined;
}

/** The targets that this run does not process. Their held changes stay held, and the brake counts them. */
export interface OtherTargets {
  readonly targets: readonly DesiredTarget[];
  /** Number of orphaned targets that belong to other mappings and are to be deleted. */
  readonly leaving: number;
}

const NO_OTHER_TARGETS: OtherTargets = { targets: [], leaving: 0 };

interface PopulationInput {
  readonly presence: KnownPresence;
  /** Number of orphaned targets. */
  readonly orphanCount: number;
  readonly proposals: readonly Proposal[];
  readonly others?: OtherTargets;
}

/**
 * Returns the numbers that the brake needs. Stops counting `alive` when it exceeds the number of proposed deletions,
 * because a higher number would have no effect. If a target was never created, it does not count as alive.
 */
export async function populationOf(
  app: PlanApp,
  { presence, orphanCount, proposals, others = NO_OTHER_TARGETS }: PopulationInput,
): Promise<Population> {
  const { targets } = app;
  const free = proposals.filter(({ held }) => !held);
  // Count the mappings that stop merging into a Secret. Such a mapping removes its keys but not the Secret.
  const merges = free.filter(({ ending }) => ending !== undefined).length;
  // If several mappings claim one Secret, count it once.
  const secrets = [...Map.groupBy(targets, secretOf).values()];
  const total = secrets.length + orphanCount + merges;
  if (free.length === 0) return { total, alive: total };
  // If a proposal would remove the last key of a Secret, it is already held. It counts toward the limit of the brake
  // until a person releases it.
  const held = proposals.length - free.length;
  const leavingElsewhere =
    held + others.leaving + (await recordedAsHeld(app, others.targets, targetSubject)).length;
  const going = leavingElsewhere + free.filter(({ replacement }) => replacement === undefined).length;
  const isKnownPresent = (claimants: readonly DesiredTarget[]): boolean =>
    claimants.some((wanted) => presence.isPresent(wanted));
  let alive = orphanCount + merges + secrets.filter(isKnownPresent).length;
  for (const claimants of secrets) {
    if (alive > going) break;
    if (!isKnownPresent(claimants) && (await isAnyPresent(claimants, presence, app))) alive += 1;
  }
  return { total, alive, proposedElsewhere: leavingElsewhere };
}

function secretOf({ mapping, id }: DesiredTarget): string {
  return mapping.target.mode === 'merge' ? targetKey(mapping.name, id) : formatTarget(id);
}

async function isAnyPresent(
  claimants: readonly DesiredTarget[],
  presence: KnownPresence,
  app: PlanApp,
): Promise<boolean> {
  for (const wanted of claimants)
    if (presence.isPresent(wanted) === undefined && (await isPresent(wanted, app))) return true;
  return false;
}

/**
 * Returns a function that checks whether a proposal still follows from the active configuration. The function is called
 * again during the deletions, because they can take minutes. In this time, a user can correct a mistake in the
 * configuration.
 */
export function isStillProposed(app: PlanApp): (proposal: Proposal, isLeft: boolean) => boolean {
  const { config } = app;
  let { targets } = app;
  const indexes = () => createWanted({ config, targets });
  let index = indexes();
  return ({ mapping, live: { id }, ending }, isLeft) => {
    if (app.config !== config) return false;
    if (app.targets !== targets) {
      targets = app.targets;
      index = indexes();
    }
    if (!isLeft) return true;
    return ending === undefined ? !index.isWanted(id) : !index.wants(mapping, id);
  };
}

/** Returns the targets whose last record describes a held change. With `note`, the record must also have this note. */
export async function recordedAsHeld<T>(
  { audit, config, instances }: PlanApp,
  targets: readonly T[],
  subjectOf: (nonNullable: T) => TargetId & { readonly mapping: string },
  note?: string,
): Promise<readonly T[]> {
  const isHeld = await mapConcurrently(targets, config.engine.concurrency, async (nonNullable) => {
    const lastRecord = await latestRecord(audit, subjectOf(nonNullable), TARGET_STATE_ACTIONS, instances);
    return lastRecord?.outcome === 'held' && (note === undefined || lastRecord.note === note);
  });
  return targets.filter((_, index) => isHeld[index]);
}

/** Returns when this change of a target was first recorded as held, in RFC 3339. Undefined if it is not held yet. */
export async function heldSince(
  { audit, instances }: Pick<App, 'audit' | 'instances'>,
  { mapping, target, keys }: { mapping: string; target: TargetId; keys: readonly KeyPlan[] },
): Promise<string | undefined> {
  const last = await latestRecord(audit, { mapping, ...target }, TARGET_STATE_ACTIONS, instances);
  return last?.outcome === 'held' && hasKeys(last, changesOf(keys)) ? last.time : undefined;
}

export function targetSubject({ mapping, id }: DesiredTarget): TargetId & { readonly mapping: string } {
  return { mapping: mapping.name, ...id };
}

export interface OrphanProposals {
  readonly proposals: readonly Proposal[];
  /** Orphans that are kept until their mapping has created its new target. */
  readonly waiting: readonly AwaitingReplacement[];
  /** Number of all orphaned targets. */
  readonly count: number;
  /** Number of orphaned targets that this run or a later run is to delete. */
  readonly ended: number;
  /**
   * Number of orphaned targets and ended merges that this run or a later run is to delete, and that belong to mappings
   * outside of this run.
   */
  readonly endedOfOthers: number;
  readonly unseen: readonly Unreadable[];
}

/** Orphaned targets, and merges whose keys no mapping uses any more. */
export interface LeftScan extends OrphanScan {
  readonly merges: readonly Proposal[];
}

/**
 * Checks every recorded target that no mapping uses.
 * @param onChecked Called after each check, even if the check failed.
 */
export async function scanOrphans(app: PlanApp, onChecked?: () => void): Promise<LeftScan> {
  const found = await findOrphanedTargets(app, onChecked === undefined ? {} : { onLook: onChecked });
  return { ...found, merges: await findEndedMergesOf(app, found.missing, onChecked) };
}

/** Proposes to delete the orphaned targets that have `onMappingRemoved: delete`. */
export async function proposeOrphanDeletions(
  app: PlanApp,
  only: string | undefined,
  presence: KnownPresence,
  scan?: LeftScan,
): Promise<OrphanProposals> {
  const { orphans, unreadable, merges } = scan ?? (await scanOrphans(app));
  const ending = orphans.filter(({ onMappingRemoved }) => onMappingRemoved === 'delete');
  const going = ending.filter(({ mapping }) => only === undefined || mapping === only);
  const ended = merges.filter(({ mapping }) => only === undefined || mapping === only);
  const all = [...going.map((orphan) => proposeRemoval(orphan, app.fingerprints)), ...ended];
  const { proposals, waiting } = await deferReplaced(all, app.targets, presence, app);
  const endedOfOthers = ending.length + merges.length - going.length - ended.length;
  return {
    proposals,
    waiting,
    count: orphans.length,
    ended: going.length,
    endedOfOthers,
    unseen: unreadable,
  };
}
