import type { Trigger } from './changes.ts';
import type { Fault } from './faults.ts';
import { type Distribution, distribution } from './stats.ts';
import type { Change } from './witness.ts';

export interface Answered {
  readonly trigger: Trigger;
  /** Until a write of a replica answered it; `undefined`: never. */
  readonly ms: number | undefined;
  /** After the last fault that touched it. */
  readonly afterFaultsMs: number | undefined;
  readonly faults: readonly string[];
}

export interface TriggerVerdict {
  readonly undisturbed: Distribution;
  readonly disturbed: Distribution;
  /** Of the disturbed ones, counted from when the last fault that touched them was over. */
  readonly afterFaults: Distribution;
  readonly late: readonly Answered[];
  readonly lost: readonly Answered[];
}

/** A change by hand is mended within this. */
const DRIFT_MS = 5_000;
/** A queue works off what it has, also when everything is due at once. */
const SWEEP_SLACK_MS = 15_000;
/**
 * After a fault: breakers look every 20 s, backoffs are as long as a refresh at most, and a job of a killed worker is
 * taken up by another one within a minute.
 */
const RECOVERY_MS = 60_000;

export function boundOf({ kind, item }: Trigger): number {
  return kind === 'rotation' ? item.refreshMs * 1.06 + SWEEP_SLACK_MS : DRIFT_MS;
}

/** Which triggers were answered, how fast, and which were not within the bounds. */
export function judgeTriggers(
  triggers: readonly Trigger[],
  changes: readonly Change[],
  others: ReadonlySet<string>,
  faults: readonly Fault[],
): TriggerVerdict {
  const byTarget = Map.groupBy(changes, ({ target }) => target);
  const answered = triggers.map((trigger): Answered => {
    const own = byTarget.get(trigger.target) ?? [];
    const answer = answerOf(trigger, own, others);
    if (answer === undefined) return { trigger, ms: undefined, afterFaultsMs: undefined, faults: [] };
    const { names, overAt } = cover(trigger.at, answer, faults);
    const ms = Math.max(0, answer - trigger.at);
    const afterFaultsMs = overAt === undefined ? undefined : Math.max(0, answer - overAt);
    return { trigger, ms, afterFaultsMs, faults: names };
  });
  const of = (disturbed: boolean) =>
    answered.filter(
      ({ ms, afterFaultsMs }) => ms !== undefined && (afterFaultsMs !== undefined) === disturbed,
    );
  const late = answered.filter((it) => {
    const bound = boundOf(it.trigger);
    if (it.ms === undefined) return false;
    return it.afterFaultsMs === undefined ? it.ms > bound : it.afterFaultsMs > bound + RECOVERY_MS;
  });
  return {
    undisturbed: distribution(of(false).map(({ ms }) => ms ?? 0)),
    disturbed: distribution(of(true).map(({ ms }) => ms ?? 0)),
    afterFaults: distribution(of(true).map(({ afterFaultsMs }) => afterFaultsMs ?? 0)),
    late,
    lost: answered.filter(({ ms }) => ms === undefined),
  };
}

/** When the target was first right again after it. */
function answerOf(trigger: Trigger, own: readonly Change[], others: ReadonlySet<string>): number | undefined {
  // Its own event may be told a little before the request that made it has returned.
  const from = trigger.kind === 'rotation' ? trigger.at : trigger.at - 1;
  const found = own.find(
    ({ at, version, resourceVersion }) =>
      at >= from && !others.has(resourceVersion) && version !== undefined && version >= trigger.version,
  );
  return found?.at;
}

/** The faults between a trigger and its answer; one that had just ended still has effects. */
function cover(
  at: number,
  answer: number,
  faults: readonly Fault[],
): { readonly names: readonly string[]; readonly overAt: number | undefined } {
  const touching = faults.filter(
    ({ startedAt, endedAt = Number.POSITIVE_INFINITY }) => startedAt <= answer && endedAt + RECOVERY_MS >= at,
  );
  // What came to its end before still counts from its end only.
  const ends = touching.map(({ endedAt }) => Math.max(at, endedAt ?? answer));
  return {
    names: touching.map(({ name }) => name),
    overAt: ends.length === 0 ? undefined : Math.min(answer, Math.max(...ends)),
  };
}
