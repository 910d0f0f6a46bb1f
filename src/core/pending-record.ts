/** An appended audit record that may not be durable yet. Records become durable in order. */
export interface PendingRecord {
  readonly durable: Promise<unknown>;
}
