/** What the one destroying step of an instance looks at before it destroys anything. */
export interface BrakeInput {
  /** Targets that are to be destroyed now. */
  readonly proposed: number;
  /** Targets that were destroyed within the window. */
  readonly destroyed: number;
  /** Targets of the instance, those of both included. */
  readonly total: number;
  /** Targets that are there now. */
  readonly alive: number;
  /** From 0 to 1. */
  readonly share: number;
}

/** All or nothing: a mass of deletions is a mistake somewhere, and half of a mistake helps nobody. */
export function mayDestroy({ proposed, destroyed, total, alive, share }: BrakeInput): boolean {
  // A share such as 0.07 of 100 is 7.000000000000001 in binary, and others fall just short.
  const allowed = Math.max(1, Math.floor(share * total + 1e-9));
  return proposed + destroyed <= allowed && !leavesNoTarget({ proposed, alive });
}

/** Whether no target would be there any more. */
export function leavesNoTarget({ proposed, alive }: Pick<BrakeInput, 'proposed' | 'alive'>): boolean {
  return proposed >= alive;
}
