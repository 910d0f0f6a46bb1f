/** The numbers that decide whether the deletion step may delete targets. */
export interface BrakeInput {
  /** The targets to delete now. */
  readonly proposed: number;
  /** The targets already deleted within the time window. */
  readonly destroyed: number;
  /** All targets of the instance, including the targets to delete and the deleted ones. */
  readonly total: number;
  /** The targets that exist now. */
  readonly alive: number;
  /** From 0 to 1. */
  readonly share: number;
}

/** Allows either all deletions or none. A mass deletion is usually a mistake, and then half of it is a mistake too. */
export function mayDestroy({ proposed, destroyed, total, alive, share }: BrakeInput): boolean {
  // The tolerance covers floating-point rounding, because some products are slightly below the exact integer.
  const allowed = Math.max(1, Math.floor(share * total + 1e-9));
  return proposed + destroyed <= allowed && !leavesNoTarget({ proposed, alive });
}

/** Whether no target would be left after the deletion. */
export function leavesNoTarget({ proposed, alive }: Pick<BrakeInput, 'proposed' | 'alive'>): boolean {
  return proposed >= alive;
}
