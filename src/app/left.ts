import type { AppError } from '../core/errors.ts';
import { mapConcurrently } from '../core/map-concurrently.ts';
import { formatTarget, type TargetId } from '../core/target.ts';
import type { Population } from '../reconcile/brake.ts';
import { lastWord, TARGET_ACTIONS } from '../reconcile/last-word.ts';
import { endOfLeft, findEndedMerges, findLeft, type LeftFound, type Unseen } from '../reconcile/left.ts';
import type { Proposal } from '../reconcile/outcome.ts';
import { isThere, putOff, type Sight, type Waiting } from '../reconcile/standing.ts';
import { namespacesOf, type Wanted, wantedByAny, wantedIndex } from '../reconcile/targets.ts';
import { nameOf } from '../service/generation.ts';
import type { App } from './app.ts';

/** The targets of this instance that no mapping wants; with `search`, also those that the audit does not know. */
export async function leftTargets(
  app: App,
  { search = false, onLook }: { readonly search?: boolean; readonly onLook?: () => void } = {},
): Promise<LeftFound> {
  const namespaces = search ? namespacesOf(app.targets) : [];
  const { audit, cluster, instances } = app;
  return findLeft({ audit, cluster, instances, isWanted: wantedByAny(app.targets), onLook }, namespaces);
}

function endedMerges(
  { audit, cluster, instances, fingerprints, targets }: App,
  gone: LeftFound['gone'],
  onLook: (() => void) | undefined,
): Promise<readonly Proposal[]> {
  const merged = targets.filter(({ mapping }) => mapping.target.mode === 'merge').map(({ id }) => id);
  const [isWanted, wants] = [wantedByAny(targets), wantedIndex(targets)];
  return findEndedMerges({ audit, cluster, instances, fingerprints, isWanted, wants, merged, gone, onLook });
}

/** How a target was found, by a run or a plan. */
export interface Looked {
  readonly mapping: string;
  readonly target: TargetId;
  readonly alive: boolean;
  readonly error?: AppError;
  readonly proposal?: Proposal;
}

/** What a run or a plan has seen of the targets that are wanted. */
export function sightOf(looked: readonly Looked[]): Sight {
  const found = new Map(looked.map((it) => [nameOf(it.mapping, it.target), it]));
  const find = ({ mapping, id }: Wanted): Looked | undefined => found.get(nameOf(mapping.name, id));
  return { isThere: (it) => isThereBy(find(it)), isMade: (it) => isMade(find(it)) };
}

function isThereBy(looked: Looked | undefined): boolean | undefined {
  if (looked?.alive !== true) return looked?.alive;
  // What could not be brought into step may be somebody else's that we would adopt, or merge into.
  return looked.error === undefined || looked.proposal !== undefined ? true : undefined;
}

function isMade(looked: Looked | undefined): boolean | undefined {
  if (looked === undefined) return undefined;
  const { alive, error, proposal } = looked;
  if (error === undefined && proposal === undefined) return true;
  // What is to be made anew may not come back.
  if (!alive || proposal?.replacement !== undefined) return false;
  // It is there, but which mapping made it was not told.
  return undefined;
}

/** What a run has not decided on: what is proposed of it counts, and stays as it is. */
export interface Others {
  readonly targets: readonly Wanted[];
  /** How many that left the configuration are to be deleted beside those of the run. */
  readonly leaving: number;
}

const NO_OTHERS: Others = { targets: [], leaving: 0 };

interface Looks {
  readonly sight: Sight;
  /** How many targets left the configuration. */
  readonly left: number;
  readonly proposals: readonly Proposal[];
  readonly others?: Others;
}

/**
 * What the brake measures by. `alive` is exact only where it decides: other targets are looked at only while those
 * that were seen would all go, since what was never made is not what is left.
 */
export async function populationOf(
  app: App,
  { sight, left, proposals, others = NO_OTHERS }: Looks,
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
  const elsewhere = held + others.leaving + (await heldAmong(app, others.targets, aboutWanted)).length;
  const going = elsewhere + free.filter(({ replacement }) => replacement === undefined).length;
  const isSeen = (its: readonly Wanted[]): boolean => its.some((it) => sight.isThere(it));
  let alive = left + merges + secrets.filter(isSeen).length;
  for (const its of secrets) {
    if (alive > going) break;
    if (!isSeen(its) && (await isAnyThere(its, sight, app))) alive += 1;
  }
  return { total, alive, elsewhere };
}

function secretOf({ mapping, id }: Wanted): string {
  return mapping.target.mode === 'merge' ? nameOf(mapping.name, id) : formatTarget(id);
}

async function isAnyThere(claimants: readonly Wanted[], sight: Sight, app: App): Promise<boolean> {
  for (const it of claimants) if (sight.isThere(it) === undefined && (await isThere(it, app))) return true;
  return false;
}

/**
 * Whether a proposal is one by the configuration that is in force, asked again and again: many deletions take minutes, in
 * which a mapping that was taken out or changed by mistake is put right.
 */
export function meantStill(app: App): (proposal: Proposal, isLeft: boolean) => boolean {
  const { config } = app;
  let { targets } = app;
  const indexes = () => ({ isWanted: wantedByAny(targets), wants: wantedIndex(targets) });
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
export async function heldAmong<T>(
  { audit, config, instances }: App,
  targets: readonly T[],
  aboutOf: (it: T) => TargetId & { readonly mapping: string },
  note?: string,
): Promise<readonly T[]> {
  const isHeld = await mapConcurrently(targets, config.engine.concurrency, async (it) => {
    const said = await lastWord(audit, aboutOf(it), TARGET_ACTIONS, instances);
    return said?.outcome === 'held' && (note === undefined || said.note === note);
  });
  return targets.filter((_, index) => isHeld[index]);
}

export function aboutWanted({ mapping, id }: Wanted): TargetId & { readonly mapping: string } {
  return { mapping: mapping.name, ...id };
}

export interface Leaving {
  readonly proposals: readonly Proposal[];
  /** Those whose mapping has yet to make what it wants now. */
  readonly waiting: readonly Waiting[];
  /** How many left in all. */
  readonly count: number;
  /** How many of them are to be deleted, now or later. */
  readonly ended: number;
  /** The same of other mappings than the one that was asked for. */
  readonly endedOfOthers: number;
  readonly unseen: readonly Unseen[];
}

/** What left the configuration: targets, and merges into targets. */
export interface LeftScan extends LeftFound {
  readonly merges: readonly Proposal[];
}

/**
 * Looks at every target that ever was and that nobody wants.
 * @param onLook Told after each, well or not.
 */
export async function scanLeft(app: App, onLook?: () => void): Promise<LeftScan> {
  const found = await leftTargets(app, onLook === undefined ? {} : { onLook });
  return { ...found, merges: await endedMerges(app, found.gone, onLook) };
}

/** Of the targets that left, those whose mapping had said `onMappingRemoved: delete`. */
export async function leftProposals(
  app: App,
  only: string | undefined,
  sight: Sight,
  scanned?: LeftScan,
): Promise<Leaving> {
  const { left, unseen, merges } = scanned ?? (await scanLeft(app));
  const ending = left.filter(({ onMappingRemoved }) => onMappingRemoved === 'delete');
  const going = ending.filter(({ mapping }) => only === undefined || mapping === only);
  const ended = merges.filter(({ mapping }) => only === undefined || mapping === only);
  const all = [...going.map((it) => endOfLeft(it, app.fingerprints)), ...ended];
  const { proposals, waiting } = await putOff(all, app.targets, sight, app);
  const endedOfOthers = ending.length + merges.length - going.length - ended.length;
  return { proposals, waiting, count: left.length, ended: going.length, endedOfOthers, unseen };
}
