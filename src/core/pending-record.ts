/** An appended audit record that may not be on disk yet. Records are written in order. */
export interface PendingRecord {
  readonly durable: Promise<unknown>;
}
