import { Counter, Gauge } from 'prom-client';

// The metrics that have series for each target. prom-client needs about 400 bytes for each series, because each has a
// long key and labels of its own. Here all series of a target share its labels.

/** The labels of a target. There is one object for each target, so objects can be compared. */
export interface TargetLabels {
  readonly mapping: string;
  readonly namespace: string;
}

interface SeriesOfTarget {
  /** Removes all series of a target. */
  removeTarget(target: TargetLabels): void;
}

/** The targets that have series. */
export class KnownTargets {
  readonly #metrics: readonly SeriesOfTarget[];
  readonly #namespaces = new Map<string, Map<string, TargetLabels>>();

  constructor(metrics: readonly SeriesOfTarget[]) {
    this.#metrics = metrics;
  }

  get(mapping: string, namespace: string): TargetLabels {
    const mappings = this.#namespaces.get(namespace) ?? new Map<string, TargetLabels>();
    this.#namespaces.set(namespace, mappings);
    const target = mappings.get(mapping) ?? { mapping, namespace };
    mappings.set(mapping, target);
    return target;
  }

  /** Removes the series of all other targets. */
  retain(targets: readonly TargetLabels[]): void {
    const wanted = new Set(targets.map(({ mapping, namespace }) => this.get(mapping, namespace)));
    for (const [namespace, mappings] of this.#namespaces) {
      for (const [mapping, target] of mappings) {
        if (wanted.has(target)) continue;
        mappings.delete(mapping);
        for (const metric of this.#metrics) metric.removeTarget(target);
      }
      if (mappings.size === 0) this.#namespaces.delete(namespace);
    }
  }
}

/** Counts the syncs of targets by outcome. */
export class SyncCounter extends Counter implements SeriesOfTarget {
  readonly #byOutcome = new Map<string, Map<TargetLabels, number>>();

  count(target: TargetLabels, outcome: string): void {
    const counts = this.#byOutcome.get(outcome) ?? new Map<TargetLabels, number>();
    this.#byOutcome.set(outcome, counts);
    counts.set(target, (counts.get(target) ?? 0) + 1);
  }

  removeTarget(target: TargetLabels): void {
    for (const counts of this.#byOutcome.values()) counts.delete(target);
  }

  override async get() {
    const values = [...this.#byOutcome].flatMap(([outcome, counts]) =>
      [...counts].map(([target, value]) => ({ labels: { ...target, outcome }, value })),
    );
    return { ...(await super.get()), values };
  }
}

/** Holds one time for each target, in seconds since 1970. A target has no series while its time is unknown. */
export class TargetTime extends Gauge implements SeriesOfTarget {
  readonly #times = new Map<TargetLabels, number>();

  setTime(target: TargetLabels, ms: number | undefined): void {
    if (ms === undefined) this.#times.delete(target);
    else this.#times.set(target, ms / 1_000);
  }

  removeTarget(target: TargetLabels): void {
    this.#times.delete(target);
  }

  override async get() {
    const values = [...this.#times].map(([{ mapping, namespace }, value]) => ({
      labels: { mapping, namespace },
      value,
    }));
    return { ...(await super.get()), values };
  }
}
