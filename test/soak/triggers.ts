import type { Trigger } from './changes.ts';
import type { Fault } from './faults.ts';
import { type Distribution, distribution } from './stats.ts';
import type { Change } from './witness.ts';

export interface Answered {
  readonly trigger: Trigger;
  /** The time until a replica wrote in reaction to the trigger. Undefined without such a write. */
  readonly ms: number | undefined;
  /** The reaction time, measured from the end of the last overlapping fault. Undefined without such a fault. */
  readonly afterFaultsMs: number | undefined;
  readonly faults: readonly string[];
}

export interface TriggerVerdict {
  readonly undisturbed: Distribution;
  readonly disturbed: Distribution;
  /** The reaction times of triggers during faults, measured from the end of the last overlapping fault. */
  readonly afterFaults: Distribution;
  readonly late: readonly Answered[];
  readonly lost: readonly Answered[];
}

/** The maximum time until a manual edit is repaired. */
const DRIFT_MS = 5_000;
/** The maximum time until the queue is empty after all targets became due at the same time. */
const SWEEP_SLACK_MS = 15_000;
/**
 * The maximum recovery time after a fault. A circuit breaker probes every 20 s. A backoff lasts at most one refresh
 * interval. After a crash, another worker takes over the job within a minute.
 */
const RECOVERY_MS = 60_000;

export function boundOf({ kind, item }: Trigger): number {
  return kind === 'rotation' ? item.refreshMs * 1.06 + SWEEP_SLACK_MS : DRIFT_MS;
}

/** Measures how fast replicas reacted to triggers. Finds triggers with a late reaction, or with none. */
export function judgeTriggers(
  triggers: readonly Trigger[],
  changes: readonly Change[],
  others: ReadonlySet<string>,
  faults: readonly Fault[],
): TriggerVerdict {
  const byTarget = Map.groupBy(changes, ({ target }) => target);
  const answered = triggers.map((trigger): Answered => {
    const targetChanges = byTarget.get(trigger.target) ?? [];
    const answer = answerOf(trigger, targetChanges, others);
    if (answer === undefined) return { trigger, ms: undefined, afterFaultsMs: undefined, faults: [] };
    const { names, overAt } = faultsDuring(trigger.at, answer, faults);
    const ms = Math.max(0, answer - trigger.at);
    const afterFaultsMs = overAt === undefined ? undefined : Math.max(0, answer - overAt);
    return { trigger, ms, afterFaultsMs, faults: names };
  });
  const answeredWith = (disturbed: boolean) =>
    answered.filter(
      ({ ms, afterFaultsMs }) => ms !== undefined && (afterFaultsMs !== undefined) === disturbed,
    );
  const late = answered.filter((result) => {
    const bound = boundOf(result.trigger);
    if (result.ms === undefined) return false;
    return result.afterFaultsMs === undefined
      ? result.ms > bound
      : result.afterFaultsMs > bound + RECOVERY_MS;
  });
  return {
    undisturbed: distribution(answeredWith(false).map(({ ms }) => ms ?? 0)),
    disturbed: distribution(answeredWith(true).map(({ ms }) => ms ?? 0)),
    afterFaults: distribution(answeredWith(true).map(({ afterFaultsMs }) => afterFaultsMs ?? 0)),
    late,
    lost: answered.filter(({ ms }) => ms === undefined),
  };
}

/** Returns the time when the target first contained the required version again. */
function answerOf(
  trigger: Trigger,
  targetChanges: readonly Change[],
  others: ReadonlySet<string>,
): number | undefined {
  // The watch event of a write may arrive slightly before the write request returns.
  const from = trigger.kind === 'rotation' ? trigger.at : trigger.at - 1;
  const answer = targetChanges.find(
    ({ at, version, resourceVersion }) =>
      at >= from && !others.has(resourceVersion) && version !== undefined && version >= trigger.version,
  );
  return answer?.at;
}

/**
 * Returns the faults that may have delayed the reaction to a trigger. They overlap the time between trigger and
 * reaction, or ended shortly before the trigger.
 */
function faultsDuring(
  at: number,
  answer: number,
  faults: readonly Fault[],
): { readonly names: readonly string[]; readonly overAt: number | undefined } {
  const touching = faults.filter(
    ({ startedAt, endedAt = Number.POSITIVE_INFINITY }) => startedAt <= answer && endedAt + RECOVERY_MS >= at,
  );
  // For a fault that ended before the trigger, use the time of the trigger.
  const endTimes = touching.map(({ endedAt }) => Math.max(at, endedAt ?? answer));
  return {
    names: touching.map(({ name }) => name),
    overAt: endTimes.length === 0 ? undefined : Math.min(answer, Math.max(...endTimes)),
  };
}
