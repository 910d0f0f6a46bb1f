/**
 * Returns the request id for a repetition of a lost or interrupted run. The suffix separates the records of the two
 * runs. Without it, the outcome of the second run could complete an intent of the first run.
 */
export function withSuffix(requestId: string, mark: string): string {
  return `${requestId}~${mark}`;
}

/** Returns the original request id, which identifies the command in the audit log and the trace. */
export function withoutSuffix(requestId: string): string {
  return requestId.replace(/~.*/, '');
}
