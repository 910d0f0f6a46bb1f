/**
 * A limited number of places, and the groups that hold them. Groups share them by the rule of dynamic thresholds
 * (Choudhury and Hahne, 1998): each takes at most as many places as it leaves free. So one group alone gets half, two get
 * a third each, and some places are always left. Jobs without a group are not limited.
 */
export class FairShares {
  readonly #limit: number;
  readonly #byGroup = new Map<string, number>();
  #taken = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get taken(): number {
    return this.#taken;
  }

  get free(): number {
    return this.#limit - this.#taken;
  }

  takenBy(group: string | undefined): number {
    return this.#byGroup.get(group ?? '') ?? 0;
  }

  /** Whether one more place for this group leaves it with no more places than are free. */
  isFairFor(group: string | undefined): boolean {
    return group === undefined || this.takenBy(group) < this.free;
  }

  add(group: string | undefined, change: 1 | -1): void {
    this.#taken += change;
    const taken = this.takenBy(group) + change;
    if (taken === 0) this.#byGroup.delete(group ?? '');
    else this.#byGroup.set(group ?? '', taken);
  }
}
