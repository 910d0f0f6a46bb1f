/** When a version was made, as `ReadResult` has it; nothing, where a store tells no time or none that is one. */
export function createdAt(made: Date | undefined): { createdAt?: number } {
  const at = asDate(made)?.getTime();
  return at === undefined ? {} : { createdAt: at };
}

/** A client may hand on what stood there instead, whatever its types say. */
export function asDate(given: Date | undefined): Date | undefined {
  return given instanceof Date && !Number.isNaN(given.getTime()) ? given : undefined;
}
