/**
 * A run that repeats another one, which was lost or cut short, has the id of its request with a mark behind it. What
 * the other one may have left on record, such as an intent without an outcome, is so not taken for what this one does.
 */
export function withMark(requestId: string, mark: string): string {
  return `${requestId}~${mark}`;
}

/** The id that the request was given, by which its command is on record and its trace is found. */
export function withoutMark(requestId: string): string {
  return requestId.replace(/~.*/, '');
}
