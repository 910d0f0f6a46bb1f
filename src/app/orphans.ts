import type { AppError } from '../core/errors.ts';
import { mapConcurrently } from '../core/map-concurrently.ts';
import { formatTarget, type TargetId } from '../core/target.ts';
import type { Population } from '../reconcile/brake.ts';
import { latestRecord, TARGET_STATE_ACTIONS } from '../reconcile/latest-records.ts';
import {
  proposeRemoval,
  findEndedMerges,
  findOrphans,
  type OrphanScan,
  type Unreadable,
} from '../reconcile/orphans.ts';
import type { Proposal } from '../reconcile/outcome.ts';
import {
  isPresent,
  deferReplaced,
  type KnownPresence,
  type AwaitingReplacement,
} from '../reconcile/presence.ts';
import { namespacesOf, type DesiredTarget, desiredByAny, desiredIndex } from '../reconcile/targets.ts';
import { targetKey } from '../service/config-snapshot.ts';
import type { App } from './app.ts';

/** The targets of this instance that no mapping wants; with `search`, also those that the audit does not know. */
export async function findOrphanedTargets(
  app: App,
  { search = false, onLook: onChecked }: { readonly search?: boolean; readonly onLook?: () => void } = {},
): Promise<OrphanScan> {
  const namespaces = search ? namespacesOf(app.targets) : [];
  const { audit, cluster, instances } = app;
  return findOrphans(
    { audit, cluster, instances, isDesired: desiredByAny(app.targets), onProgress: onChecked },
    namespaces,
  );
}

function findEndedMergesOf(
  { audit, cluster, instances, fingerprints, targets }: App,
  gone: OrphanScan['missing'],
  onChecked: (() => void) | undefined,
): Promise<readonly Proposal[]> {
  const merged = targets.filter(({ mapping }) => mapping.target.mode === 'merge').map(({ id }) => id);
  const [isWanted, wants] = [desiredByAny(targets), desiredIndex(targets)];
  return findEndedMerges({
    audit,
    cluster,
    instances,
    fingerprints,
    isDesired: isWanted,
    isDesiredBy: wants,
    mergeTargets: merged,
    missing: gone,
    onProgress: onChecked,
  });
}

/** How a target was found, by a run or a plan. */
export interface ObservedTarget {
  readonly mapping: string;
  readonly target: TargetId;
  readonly alive: boolean;
  readonly error?: AppError;
  readonly proposal?: Proposal;
}

/** What a run or a plan has seen of the targets that are wanted. */
export function presenceOf(observed: readonly ObservedTarget[]): KnownPresence {
  const found = new Map(observed.map((it) => [targetKey(it.mapping, it.target), it]));
  const find = ({ mapping, id }: DesiredTarget): ObservedTarget | undefined =>
    found.get(targetKey(mapping.name, id));
  return {
    isPresent: (wanted) => observedPresence(find(wanted)),
    isCreated: (wanted) => isReady(find(wanted)),
  };
}

function observedPresence(observed: ObservedTarget | undefined): boolean | undefined {
  if (observed?.alive !== true) return observed?.alive;
  // What could not be brought into step may be somebody else's that we would adopt, or merge into.
  return observed.error === undefined || observed.proposal !== undefined ? true : undefined;
}

function isReady(observed: ObservedTarget | undefined): boolean | undefined {
  if (observed === undefined) return undefined;
  const { alive, error, proposal } = observed;
  if (error === undefined && proposal === undefined) return true;
  // What is to be made anew may not come back.
  if (!alive || proposal?.replacement !== undefined) return false;
  // It is there, but which mapping made it was not told.
  return undefined;
}

/** What a run has not decided on: what is proposed of it counts, and stays as it is. */
export interface OtherTargets {
  readonly targets: readonly DesiredTarget[];
  /** How many that left the configuration are to be deleted beside those of the run. */
  readonly leaving: number;
}

const NO_OTHER_TARGETS: OtherTargets = { targets: [], leaving: 0 };

interface PopulationInput {
  readonly sight: KnownPresence;
  /** How many targets left the configuration. */
  readonly left: number;
  readonly proposals: readonly Proposal[];
  readonly others?: OtherTargets;
}

/**
 * What the brake measures by. `alive` is exact only where it decides: other targets are looked at only while those that
 * were seen would all go, since what was never made is not what is left.
 */
export async function populationOf(
  app: App,
  { sight: presence, left, proposals, others = NO_OTHER_TARGETS }: PopulationInput,
): Promise<Population> {
  const { targets } = app;
  const free = proposals.filter(({ held }) => !held);
  // The Secret of a merge that ends is there, and stays.
  const merges = free.filter(({ ending }) => ending !== undefined).length;
  // Of several mappings that claim one Secret, all see it there.
  const secrets = [...Map.groupBy(targets, secretOf).values()];
  const total = secrets.length + left + merges;
  if (free.length === 0) return { total, alive: total };
  // What no key would be left of waits for a person in any case, and counts until then.
  const held = proposals.length - free.length;
  const leavingElsewhere =
    held + others.leaving + (await recordedAsHeld(app, others.targets, targetSubject)).length;
  const going = leavingElsewhere + free.filter(({ replacement }) => replacement === undefined).length;
  const isKnownPresent = (its: readonly DesiredTarget[]): boolean =>
    its.some((wanted) => presence.isPresent(wanted));
  let alive = left + merges + secrets.filter(isKnownPresent).length;
  for (const its of secrets) {
    if (alive > going) break;
    if (!isKnownPresent(its) && (await isAnyPresent(its, presence, app))) alive += 1;
  }
  return { total, alive, proposedElsewhere: leavingElsewhere };
}

function secretOf({ mapping, id }: DesiredTarget): string {
  return mapping.target.mode === 'merge' ? targetKey(mapping.name, id) : formatTarget(id);
}

async function isAnyPresent(
  claimants: readonly DesiredTarget[],
  presence: KnownPresence,
  app: App,
): Promise<boolean> {
  for (const wanted of claimants)
    if (presence.isPresent(wanted) === undefined && (await isPresent(wanted, app))) return true;
  return false;
}

/**
 * Whether a proposal is one by the configuration that is in force, asked again and again: many deletions take minutes,
 * in which a mapping that was taken out or changed by mistake is put right.
 */
export function isStillProposed(app: App): (proposal: Proposal, isLeft: boolean) => boolean {
  const { config } = app;
  let { targets } = app;
  const indexes = () => ({ isWanted: desiredByAny(targets), wants: desiredIndex(targets) });
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

/** Those whose last word on record is that something of them is held, with that note if one is asked for. */
export async function recordedAsHeld<T>(
  { audit, config, instances }: App,
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

export function targetSubject({ mapping, id }: DesiredTarget): TargetId & { readonly mapping: string } {
  return { mapping: mapping.name, ...id };
}

export interface OrphanProposals {
  readonly proposals: readonly Proposal[];
  /** Those whose mapping has yet to make what it wants now. */
  readonly waiting: readonly AwaitingReplacement[];
  /** How many left in all. */
  readonly count: number;
  /** How many of them are to be deleted, now or later. */
  readonly ended: number;
  /** The same of other mappings than the one that was asked for. */
  readonly endedOfOthers: number;
  readonly unseen: readonly Unreadable[];
}

/** What left the configuration: targets, and merges into targets. */
export interface LeftScan extends OrphanScan {
  readonly merges: readonly Proposal[];
}

/**
 * Looks at every target that ever was and that nobody wants.
 * @param onChecked Told after each, well or not.
 */
export async function scanOrphans(app: App, onChecked?: () => void): Promise<LeftScan> {
  const found = await findOrphanedTargets(app, onChecked === undefined ? {} : { onLook: onChecked });
  return { ...found, merges: await findEndedMergesOf(app, found.missing, onChecked) };
}

/** Of the targets that left, those whose mapping had said `onMappingRemoved: delete`. */
export async function proposeOrphanDeletions(
  app: App,
  only: string | undefined,
  presence: KnownPresence,
  scan?: LeftScan,
): Promise<OrphanProposals> {
  const { orphans: left, unreadable: unseen, merges } = scan ?? (await scanOrphans(app));
  const ending = left.filter(({ onMappingRemoved }) => onMappingRemoved === 'delete');
  const going = ending.filter(({ mapping }) => only === undefined || mapping === only);
  const ended = merges.filter(({ mapping }) => only === undefined || mapping === only);
  const all = [...going.map((it) => proposeRemoval(it, app.fingerprints)), ...ended];
  const { proposals, waiting } = await deferReplaced(all, app.targets, presence, app);
  const endedOfOthers = ending.length + merges.length - going.length - ended.length;
  return { proposals, waiting, count: left.length, ended: going.length, endedOfOthers, unseen };
}
