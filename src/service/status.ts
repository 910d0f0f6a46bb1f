import type { Clock } from '../core/clock.ts';
import { isErrorCode } from '../core/error-codes.ts';
import { AppError } from '../core/errors.ts';
import type { Mapping } from '../core/mapping.ts';
import { compareTargets } from '../core/target.ts';
import type { Wanted } from '../reconcile/targets.ts';
import { searchesOf, sourcesOf } from '../sync/desired.ts';
import { LABEL, pinIn } from '../sync/marks.ts';
import type { Board } from './board.ts';
import type { Generation } from './generation.ts';
import type { Known, Swept } from './known.ts';
import type { HeldStatus, MappingStatus, TargetState, TargetStatus } from './service.ts';

/** When a slot's round is late by so much, its targets count as stale. */
const LATE = 1.5;
const GRACE_MS = 30_000;

export interface StatusInput {
  readonly generation: Generation;
  readonly board: Board;
  readonly clock: Clock;
}

export interface HeldInput {
  readonly board: Board;
  /** The id under which a person may release what is held. */
  readonly idOf: (held: Known) => string;
}

/** The state of each target, by namespace, then name. */
export function targetStatuses({ generation, board, clock }: StatusInput): readonly TargetStatus[] {
  return generation.wanted.map((it) => targetStatus(it, generation, board, clock.now()));
}

export function targetStatus(
  { mapping, id, error }: Wanted,
  generation: Generation,
  board: Board,
  now: number,
): TargetStatus {
  const known = board.known(mapping.name, id);
  const names = generation.slotsOf(mapping);
  const slots = names.map((name) => board.swept(name));
  const okAt = lastOk(known, sweptAt(slots));
  // What has no sources cannot grow old. One that is in step by its marks, and whose sources no round has found since
  // this process began, was right once, and nobody knows whether it is.
  const age = now - (okAt ?? board.beganAt);
  const isLate = slots.length > 0 && age > LATE * mapping.refreshMs + GRACE_MS;
  const meta = board.meta(id);
  const isThere = meta?.labels[LABEL.mapping] === mapping.name;
  // Its own look knows; until the first one of this process the annotation shows it.
  const shown = isThere ? pinIn(meta.annotations) : undefined;
  const pinned = known === undefined || known.undecided ? shown : known.pinned;
  const state = stateOf(known, { isLate, isThere, isPinned: pinned !== undefined });
  const said = error?.toJSON() ?? known?.error;
  return {
    mapping: mapping.name,
    ...id,
    state: error === undefined ? state : 'waiting',
    lastSuccess: okAt === undefined ? null : new Date(okAt).toISOString(),
    staleSeconds: okAt === undefined ? null : Math.max(0, Math.floor((now - okAt) / 1_000)),
    ...(said ?? (state === 'stale' ? whyLate(names, generation, board) : {})),
    ...(pinned === undefined ? {} : { pinned }),
  };
}

/** What a sweep met, with what to do about it; a newer replica may know more codes. */
function whyLate(
  slots: readonly string[],
  generation: Generation,
  board: Board,
): Pick<TargetStatus, 'code' | 'message' | 'remedy'> {
  for (const slot of slots) {
    const code = board.swept(slot)?.code;
    if (code === undefined) continue;
    const store = generation.slots.get(slot)?.sweep.store;
    return isErrorCode(code) ? new AppError(code, { about: `store ${store}` }).toJSON() : { code };
  }
  return {};
}

/** When all the slots of a mapping's sources were last found whole. */
export function sweptAt(slots: readonly (Swept | undefined)[]): number | undefined {
  const times = slots.map((slot) => slot?.okAt).filter((at) => at !== undefined);
  return times.length === 0 || times.length < slots.length ? undefined : Math.min(...times);
}

/** A sweep that finds all sources as they were shows again that a target is right. */
export function lastOk(known: Known | undefined, sweptAt: number | undefined): number | undefined {
  if (known?.error !== undefined) return known.okAt;
  const times = [known?.okAt, sweptAt].filter((at) => at !== undefined);
  return times.length === 0 ? undefined : Math.max(...times);
}

function stateOf(
  known: Known | undefined,
  { isLate, isThere, isPinned }: { isLate: boolean; isThere: boolean; isPinned: boolean },
): TargetState {
  const inStep = isPinned ? 'pinned' : isLate ? 'stale' : 'synced';
  if (known === undefined) return isThere ? inStep : 'waiting';
  if (known.contestedUntil !== undefined) return 'contested';
  if (known.drifted) return 'drifted';
  if (known.proposed || known.kind === 'held') return 'held';
  if (known.kind === 'refused') return 'refused';
  // Gone with its source: the next look, which is due, says that it lacks it.
  if (known.kind === 'deleted') return 'waiting';
  if (known.kind === 'failed') {
    if (known.error?.code === 'SECRET_MISSING') return 'waiting';
    // Its old content is there still, and a store that fails or a source that is missing keeps it so. A run that did
    // not get to see it knows less than the watch.
    const isStill = known.alive || (isThere && known.error?.code === 'CLUSTER_UNAVAILABLE');
    const keeps = isStill && (!known.person || known.error?.code === 'SOURCE_ABSENT');
    return keeps ? 'stale' : 'failed';
  }
  return inStep;
}

/** What a mapping is made of: several values may be members of one key. */
export function lookedAt(mapping: Mapping): Pick<MappingStatus, 'sources' | 'searches'> {
  const named = sourcesOf(mapping).map(({ store, key }) => ({ store, key }));
  return {
    sources: [...new Map(named.map((it) => [`${it.store} ${it.key}`, it])).values()],
    searches: searchesOf(mapping).map(({ store, find: { path, name } }) => ({
      store,
      path,
      ...(name === undefined ? {} : { name }),
    })),
  };
}

export function heldOf({ board, idOf }: HeldInput): readonly HeldStatus[] {
  return [...board.all()]
    .filter(({ kind, proposed }) => kind === 'held' && !proposed)
    .map((known) => ({
      id: known.heldId ?? idOf(known),
      mapping: known.mapping,
      ...known.target,
      action: 'delete',
      keys: known.keys,
    }))
    .toSorted(compareTargets);
}
