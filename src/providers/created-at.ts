/** Returns the creation time of a version as a member of `ReadResult`. Empty if the store reports no valid time. */
export function createdAt(date: Date | undefined): { createdAt?: number } {
  const at = validDate(date)?.getTime();
  return at === undefined ? {} : { createdAt: at };
}

/** SDKs may return an invalid date, regardless of their types. */
export function validDate(date: Date | undefined): Date | undefined {
  return date instanceof Date && !Number.isNaN(date.getTime()) ? date : undefined;
}
