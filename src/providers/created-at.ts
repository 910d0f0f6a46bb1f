/** The creation time of a version in the form of `ReadResult`. Empty if the store reports no valid time. */
export function createdAt(made: Date | undefined): { createdAt?: number } {
  const at = validDate(made)?.getTime();
  return at === undefined ? {} : { createdAt: at };
}

/** A client may pass on an invalid date, despite its types. */
export function validDate(given: Date | undefined): Date | undefined {
  return given instanceof Date && !Number.isNaN(given.getTime()) ? given : undefined;
}
