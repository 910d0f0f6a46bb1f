/** The figures that decide whether the deletion step may destroy anything. */
export interface BrakeInput {
  /** Targets to destroy now. */
  readonly proposed: number;
  /** Targets destroyed within the window. */
  readonly destroyed: number;
  /** All targets of the instance, including the proposed and destroyed ones. */
  readonly total: number;
  /** Targets that exist now. */
  readonly alive: number;
  /** From 0 to 1. */
  readonly share: number;
}

/** Allows all or nothing. A mass deletion points to a mistake, and applying half of it would not help. */
export function mayDestroy({ proposed, destroyed, total, alive, share }: BrakeInput): boolean {
  // The tolerance covers rounding: 0.07 of 100 is 7.000000000000001 in binary, and other products fall just short.
  const allowed = Math.max(1, Math.floor(share * total + 1e-9));
  return proposed + destroyed <= allowed && !leavesNoTarget({ proposed, alive });
}

/** Whether no target would exist afterwards. */
export function leavesNoTarget({ proposed, alive }: Pick<BrakeInput, 'proposed' | 'alive'>): boolean {
  return proposed >= alive;
}
