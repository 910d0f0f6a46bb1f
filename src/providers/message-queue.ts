/** A message from an external queue. */
export interface QueueMessage {
  /** The id with which the message is removed from the queue. */
  readonly receipt: string;
  readonly body: string;
  /** The number of deliveries of this message so far, including this one. */
  readonly received: number;
}

/**
 * A message queue. A delivered message is hidden from other consumers for a while, and then delivered again unless it
 * was removed.
 */
export interface MessageQueue extends AsyncDisposable {
  /**
   * Waits for messages for a limited time. The result may be empty.
   * @throws AppError; the signal's reason once it is aborted.
   */
  receive(signal: AbortSignal): Promise<readonly QueueMessage[]>;
  /**
   * Removes messages. Returns how many could not be removed; these are delivered again. @throws AppError if the request
   * fails.
   */
  remove(receipts: readonly string[], signal: AbortSignal): Promise<number>;
  /**
   * Checks the permissions to receive and remove messages, without removing or hiding any.
   * @throws AppError that names the missing permission, or the reason why the check failed.
   */
  check(signal: AbortSignal | undefined): Promise<void>;
}
