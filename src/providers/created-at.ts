/** When a version was made, as `ReadResult` has it; nothing, where a store tells no time or none that is one. */
export function createdAt(made: Date | undefined): { createdAt?: number } {
  const at = made?.getTime() ?? Number.NaN;
  return Number.isNaN(at) ? {} : { createdAt: at };
}
