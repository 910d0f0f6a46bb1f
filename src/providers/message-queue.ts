/** A message from an external queue. */
export interface QueueMessage {
  /** Identifies the message when it is removed from the queue. */
  readonly receipt: string;
  readonly body: string;
  /** How often the queue delivered the message, including this time. */
  readonly received: number;
}

/**
 * A message queue. A delivered message is hidden from other consumers for a while, and is delivered again after that.
 */
export interface MessageQueue extends AsyncDisposable {
  /**
   * Waits for messages for a limited time. The result may be empty.
   * @throws AppError; the signal's reason once it is aborted.
   */
  receive(signal: AbortSignal): Promise<readonly QueueMessage[]>;
  /**
   * Returns how many messages could not be removed. These are delivered again. @throws AppError if the request fails.
   */
  remove(receipts: readonly string[], signal: AbortSignal): Promise<number>;
  /**
   * Checks the permissions to receive and remove messages, without removing or hiding any.
   * @throws AppError that names the missing permission, or the reason why the check failed.
   */
  check(signal: AbortSignal | undefined): Promise<void>;
}
