import type { SecretMeta } from '../cluster/cluster.ts';
import { type Clock, isYetToCome } from '../core/clock.ts';
import { createTargetMap, formatTarget, type TargetId } from '../core/target.ts';
import type { Notices } from '../queue/queue.ts';
import { type Known, knownText, parseKnown, parseSwept, type Swept } from './known.ts';

export interface Board {
  /** Since when anything can be known. */
  readonly beganAt: number;
  known(mapping: string, target: TargetId): Known | undefined;
  all(): Iterable<Known>;
  note(known: Known): void;
  /** The last run of another replica by another configuration, since this process began. */
  byOthers(mapping: string, target: TargetId): Known | undefined;
  forget(mapping: string, target: TargetId): void;
  swept(slot: string): Swept | undefined;
  noteSweep(slot: string, swept: Swept): void;
  /** By slot. */
  sweeps(): Iterable<readonly [string, Swept]>;
  forgetSweep(slot: string): void;
  /** As the watch has it. `undefined` where `Watches.isListed`: it is not there. */
  meta(target: TargetId): SecretMeta | undefined;
  setMeta(meta: SecretMeta): void;
  dropMeta(target: TargetId): void;
  metas(): Iterable<SecretMeta>;
  /** Told each outcome, of this process or another. */
  onKnown(listener: (known: Known) => void): () => void;
}

/**
 * What the replicas know of the targets. All of it can be found out again from the cluster, the stores and the
 * audit, so it is kept nowhere; the notices only save each replica from finding it out itself.
 * @param notices Left out where no other process is there to hear them.
 * @param heldId Names a held change whose keys are too many to be told.
 * @param runsBy What a run of a mapping goes by now. An outcome of another process that went by something else, as a replica
 * that has not got the configuration yet or one of before a start, tells nothing of a target.
 */
export function createBoard(
  notices: Notices | undefined,
  clock: Clock,
  heldId: (held: Known) => string | undefined = () => undefined,
  runsBy: (mapping: string) => string | undefined = () => undefined,
): Board & Disposable {
  const outcomes = new Map<string, Known>();
  const byOthers = new Map<string, Known>();
  const beganAt = clock.now();
  const sweeps = new Map<string, Swept>();
  const metas = createTargetMap<SecretMeta>();
  const listeners = new Set<(known: Known) => void>();

  /** Whether what stands was told later. A time that is yet to come, by a clock set back, is later than nothing. */
  const isLater = (standing: number, told: number): boolean =>
    standing > told && !isYetToCome(standing, clock.now());
  const keep = (field: string, known: Known): void => {
    // Who waits is told which keys; of a target that is well nobody asks again, and there may be hundreds of each.
    const isOpen = known.kind === 'held' || known.proposed === true;
    outcomes.set(field, isOpen ? known : { ...known, keys: [] });
    for (const listener of listeners) listener(known);
  };
  const hearKnown = (field: string, told: Known | undefined): void => {
    if (told === undefined || field !== fieldOf(told.mapping, told.target)) return;
    if (told.endedAt > clock.now() + NONSENSE_MS) return;
    const by = runsBy(told.mapping);
    const isOther = by !== undefined && told.by !== by;
    if (!isOther) byOthers.delete(field);
    // What was left before a start is looked at all the same.
    else if (told.endedAt > beganAt) byOthers.set(field, { ...told, keys: [] });
    if (isOther) return;
    const before = outcomes.get(field);
    // Notices of two processes may cross on the way, and ours comes back to us, shortened.
    if (before !== undefined && (isLater(before.endedAt, told.endedAt) || isSame(before, told))) return;
    keep(field, told);
  };
  const hear = (field: string, text: string | undefined): void => {
    const isSweep = field.startsWith(SWEEP);
    if (text === undefined) for (const it of isSweep ? [sweeps] : [outcomes, byOthers]) it.delete(field);
    else if (!isSweep) hearKnown(field, parseKnown(text));
    else {
      const told = parseSwept(text);
      if (told === undefined || told.at > clock.now() + NONSENSE_MS) return;
      if (!isLater(sweeps.get(field)?.at ?? 0, told.at)) sweeps.set(field, told);
    }
  };
  const stop = notices?.subscribe(hear);
  const textOf = (known: Known): string => {
    const by = runsBy(known.mapping);
    return knownText(by === undefined ? known : { ...known, by }, heldId);
  };

  return {
    beganAt,
    known: (mapping, target) => outcomes.get(fieldOf(mapping, target)),
    all: () => outcomes.values(),
    note(known) {
      const field = fieldOf(known.mapping, known.target);
      keep(field, known);
      notices?.post(field, textOf(known));
    },
    byOthers: (mapping, target) => byOthers.get(fieldOf(mapping, target)),
    forget(mapping, target) {
      const field = fieldOf(mapping, target);
      byOthers.delete(field);
      if (outcomes.delete(field)) notices?.post(field, undefined);
    },
    swept: (slot) => sweeps.get(SWEEP + slot),
    noteSweep(slot, swept) {
      sweeps.set(SWEEP + slot, swept);
      notices?.post(SWEEP + slot, JSON.stringify(swept));
    },
    sweeps: () => [...sweeps].map(([field, swept]) => [field.slice(SWEEP.length), swept] as const),
    forgetSweep(slot) {
      if (sweeps.delete(SWEEP + slot)) notices?.post(SWEEP + slot, undefined);
    },
    meta: metas.get,
    setMeta: (meta) => metas.set(meta.id, meta),
    dropMeta: metas.delete,
    metas: metas.values,
    onKnown(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    [Symbol.dispose]() {
      stop?.();
    },
  };
}

const SWEEP = 's/';
/** What ended then ended never. */
const NONSENSE_MS = 3_600_000;

function fieldOf(mapping: string, target: TargetId): string {
  return `t/${mapping}/${formatTarget(target)}`;
}

function isSame(a: Known, b: Known): boolean {
  return (
    a.requestId === b.requestId &&
    a.startedAt === b.startedAt &&
    a.endedAt === b.endedAt &&
    a.kind === b.kind &&
    a.proposed === b.proposed &&
    a.retryAt === b.retryAt
  );
}
