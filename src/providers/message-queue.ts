/** A message from an external queue. */
export interface QueueMessage {
  /** The id that removes the message from the queue. */
  readonly receipt: string;
  readonly body: string;
  /** The number of times that this message was delivered, including this time. */
  readonly received: number;
}

/**
 * A message queue. It hides a delivered message from other consumers for a while. Then it delivers the message again,
 * unless the message was removed.
 */
export interface MessageQueue extends AsyncDisposable {
  /**
   * Waits for messages for a limited time. The result may be empty.
   * @throws AppError
   * @throws The signal's reason once it is aborted.
   */
  receive(signal: AbortSignal): Promise<readonly QueueMessage[]>;
  /**
   * Removes messages. Returns how many messages could not be removed. The queue delivers those again. @throws AppError
   * if the request fails.
   */
  remove(receipts: readonly string[], signal: AbortSignal): Promise<number>;
  /**
   * Checks the permissions to receive and remove messages, but removes and hides no message.
   * @throws AppError that names the missing permission, or tells why the check failed.
   */
  check(signal: AbortSignal | undefined): Promise<void>;
}
