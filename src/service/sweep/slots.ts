import { createHash } from 'node:crypto';
import type { Mapping } from '../../core/mapping.ts';
import type { StoreRef } from '../../core/reading.ts';
import { formatTarget } from '../../core/target.ts';
import type { Subject } from '../../queue/subject.ts';
import type { Wanted } from '../../reconcile/targets.ts';
import { isSpread, sourcesOf } from '../../sync/desired.ts';
import { refsOf } from './refs.ts';

export type Sweep = Extract<Subject, { kind: 'sweep' }>;

/** What is looked at together: references of one store, and targets that only a full run can check. */
export interface Slot {
  readonly sweep: Sweep;
  readonly refs: readonly StoreRef[];
  readonly whole: readonly Wanted[];
}

/** As many references as a store that must be read for each is asked for at once. */
const READS_A_SLOT = 25;
const MOST_SLOTS = 64;

/**
 * Divides what has to be checked within each interval into slots. The same configuration gives the same slots in
 * every process, so that replicas name the same work alike.
 */
export function slotsOf(
  wanted: readonly Wanted[],
  tellsVersions: (store: string) => boolean,
): readonly Slot[] {
  const groups = new Map<
    string,
    { store: string; refreshMs: number; refs: Map<string, StoreRef>; whole: Wanted[] }
  >();
  const groupOf = (store: string, refreshMs: number) => {
    const id = `${store}/${refreshMs}`;
    const group = groups.get(id) ?? { store, refreshMs, refs: new Map<string, StoreRef>(), whole: [] };
    groups.set(id, group);
    return group;
  };
  const soonest = soonestRefresh(wanted);
  for (const it of wanted) {
    const { mapping } = it;
    const whole = wholeStore(mapping);
    if (whole !== undefined) groupOf(whole, mapping.refreshMs).whole.push(it);
  }
  for (const mapping of new Set(wanted.map((it) => it.mapping))) {
    if (mapping.target.mode === 'merge') continue;
    // What two mappings share is read at the shorter interval, once for both.
    for (const [id, ref] of refsOf(mapping))
      groupOf(ref.store, soonest.get(id) ?? mapping.refreshMs).refs.set(id, ref);
  }
  return [...groups.values()].flatMap(({ store, refreshMs, refs, whole }) => {
    // One list tells all of a store's versions; reads are spread.
    const parts = Math.ceil(
      (tellsVersions(store) ? 1 : refs.size / READS_A_SLOT) + whole.length / READS_A_SLOT,
    );
    // By powers of two, so that a mapping more seldom changes the names and so the due times of all.
    const slots = Math.min(MOST_SLOTS, 2 ** Math.ceil(Math.log2(Math.max(1, parts))));
    const slotOf = (id: string) => (slots === 1 ? 0 : hashOf(id) % slots);
    const inSlot = Map.groupBy([...refs], ([id]) => slotOf(id));
    const wholeInSlot = Map.groupBy(whole, ({ id }) => slotOf(formatTarget(id)));
    return Array.from({ length: slots }, (_, slot) => ({
      sweep: { kind: 'sweep' as const, store, refreshMs, slot, slots },
      refs: (inSlot.get(slot) ?? []).map(([, ref]) => ref),
      whole: wholeInSlot.get(slot) ?? [],
    }));
  });
}

/** Of each reference, the shortest interval of those that use it. */
function soonestRefresh(wanted: readonly Wanted[]): ReadonlyMap<string, number> {
  const soonest = new Map<string, number>();
  for (const mapping of new Set(wanted.map((it) => it.mapping)))
    for (const id of refsOf(mapping).keys())
      soonest.set(id, Math.min(mapping.refreshMs, soonest.get(id) ?? Number.POSITIVE_INFINITY));
  return soonest;
}

/**
 * The store with which a mapping is checked by a full run: what a search finds, no list of references tells, and
 * in a Secret of others only the API server knows what is ours.
 */
export function wholeStore(mapping: Mapping): string | undefined {
  const search = mapping.dataFrom.find((entry) => !isSpread(entry));
  if (search !== undefined) return search.store;
  return mapping.target.mode === 'merge' ? sourcesOf(mapping)[0]?.store : undefined;
}

/** At most this share of the interval is added to a due time, another one in each round. */
const JITTER = 0.05;

/** A round of a slot: from one due time to the next, in milliseconds since 1970. */
export interface Round {
  readonly round: number;
  readonly from: number;
  readonly until: number;
}

/**
 * Which round of a slot a moment belongs to. Due times are spread over the interval by the slot's name, and are the
 * same before and after a restart and in every replica.
 */
export function roundAt(sweep: Sweep, now: number): Round {
  const { refreshMs } = sweep;
  const name = `${sweep.store}/${refreshMs}/${sweep.slot}/${sweep.slots}`;
  const phase = hashOf(name) % refreshMs;
  const dueAt = (round: number): number => {
    const jitter = (hashOf(`${name}/${round}`) % 1_000) * (JITTER / 1_000) * refreshMs;
    return phase + round * refreshMs + jitter;
  };
  const begun = Math.floor((now - phase) / refreshMs);
  const round = now >= dueAt(begun) ? begun : begun - 1;
  return { round, from: dueAt(round), until: dueAt(round + 1) };
}

function hashOf(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32BE(0);
}
