import type { SecretChange } from './isolation.ts';

/** A ConfigMap that was applied, and what shows that its Secret is written. */
export interface Apply {
  /** `namespace/name` of the Secret. */
  readonly target: string;
  /** A key of the Secret that no earlier version had. */
  readonly key: string;
  readonly stores: readonly string[];
  /** When the API server had answered. */
  readonly at: number;
  /** When the next action on the same ConfigMap began. */
  replacedAt?: number;
}

/** A time during which something was broken. */
export interface Outage {
  /** The name of a store, or `service`. */
  readonly of: string;
  readonly name: string;
  readonly from: number;
  /** Undefined while the outage lasts. */
  until?: number;
}

export interface ApplyTimes {
  /** The times of the applies while everything that they need was up. */
  readonly times: readonly number[];
  /** The number of applies that an outage may have delayed. */
  readonly disturbed: number;
}

/** After an outage, the circuit breaker may need this long to notice that the store is back. */
const BREAKER_MS = 25_000;
/** A version that was replaced earlier than this has no time. */
const REPLACED_MS = 2_000;

/** Measures the time from each apply until its Secret appeared. */
export function applyTimes(
  applies: readonly Apply[],
  changes: readonly SecretChange[],
  outages: readonly Outage[],
): ApplyTimes {
  const byTarget = Map.groupBy(changes, ({ namespace, name }) => `${namespace}/${name}`);
  const times: number[] = [];
  let disturbed = 0;
  for (const { target, key, stores, at, replacedAt } of applies) {
    const seen = byTarget.get(target)?.find(({ keys }) => keys.includes(key))?.at;
    const end = seen ?? replacedAt ?? Number.POSITIVE_INFINITY;
    const isDisturbed = outages.some(
      ({ of, from, until = Number.POSITIVE_INFINITY }) =>
        (of === 'service' || stores.includes(of)) && from <= end && until + BREAKER_MS >= at,
    );
    if (isDisturbed) disturbed += 1;
    // A version that still waits has no time yet.
    else if (Number.isFinite(end) && (seen !== undefined || end - at >= REPLACED_MS))
      times.push(Math.max(0, end - at));
  }
  return { times, disturbed };
}
