import { REASONS, type Reason, rankOf } from '../../queue/queue.ts';

/** Less urgent than any other reason, so it counts all jobs. */
const ANY: Reason = 'sweep';

/**
 * A limited number of places, and the groups whose jobs hold them. Groups share them by the rule of dynamic thresholds
 * (Choudhury and Hahne, 1998): each may take a place while it has fewer than are free. So one group alone gets half, two
 * get a third each, and the last place is for a group that has none. Jobs without a group are not limited.
 *
 * For a job with a reason, the places of less urgent jobs count as free.
 */
export class FairShares {
  readonly #limit: number;
  /** The number of jobs by the rank of their reason. */
  readonly #taken = REASONS.map(() => 0);
  readonly #byGroup = new Map<string, number[]>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  taken(reason = ANY): number {
    return sumUntil(this.#taken, reason);
  }

  free(reason = ANY): number {
    return this.#limit - this.taken(reason);
  }

  takenBy(group: string | undefined, reason = ANY): number {
    return sumUntil(this.#byGroup.get(group ?? '') ?? [], reason);
  }

  /** Whether this group has fewer places than are free. */
  isFairFor(group: string | undefined, reason = ANY): boolean {
    return group === undefined || this.takenBy(group, reason) < this.free(reason);
  }

  add(job: { readonly group: string | undefined; readonly reason: Reason }, change: 1 | -1): void {
    const { group = '' } = job;
    const rank = rankOf(job);
    const ofGroup = this.#byGroup.get(group) ?? REASONS.map(() => 0);
    for (const counts of [this.#taken, ofGroup]) counts[rank] = (counts[rank] ?? 0) + change;
    if (ofGroup.every((count) => count === 0)) this.#byGroup.delete(group);
    else this.#byGroup.set(group, ofGroup);
  }
}

function sumUntil(counts: readonly number[], reason: Reason): number {
  const last = rankOf({ reason });
  return counts.reduce((sum, count, rank) => (rank > last ? sum : sum + count), 0);
}
