/** The creation time of a version in the form of `ReadResult`. Empty if the store reports no valid time. */
export function createdAt(date: Date | undefined): { createdAt?: number } {
  const at = validDate(date)?.getTime();
  return at === undefined ? {} : { createdAt: at };
}

/** A client may pass on an invalid date, despite its types. */
export function validDate(date: Date | undefined): Date | undefined {
  return date instanceof Date && !Number.isNaN(date.getTime()) ? date : undefined;
}
