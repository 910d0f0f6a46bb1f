/**
 * Returns the request id for a repetition of a lost or interrupted run. The suffix separates the records of the two
 * runs, so that an intent of the first run is not closed by the second.
 */
export function withSuffix(requestId: string, mark: string): string {
  return `${requestId}~${mark}`;
}

/** Returns the original request id, which identifies the command in the audit log and the trace. */
export function withoutSuffix(requestId: string): string {
  return requestId.replace(/~.*/, '');
}
