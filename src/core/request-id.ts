/**
 * The request id of a run that repeats a lost or interrupted run. The suffix separates the records of the two runs, for
 * example an intent without an outcome.
 */
export function withSuffix(requestId: string, mark: string): string {
  return `${requestId}~${mark}`;
}

/** The original request id, which identifies the command in the audit log and the trace. */
export function withoutSuffix(requestId: string): string {
  return requestId.replace(/~.*/, '');
}
