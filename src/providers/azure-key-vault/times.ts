/** When a version was made, as `ReadResult` has it. */
export function createdAt({ createdOn }: { readonly createdOn?: Date }): { createdAt?: number } {
  return createdOn === undefined ? {} : { createdAt: createdOn.getTime() };
}
