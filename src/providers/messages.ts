/** A message of a queue that others fill. */
export interface QueueMessage {
  /** What takes it out of the queue. */
  readonly receipt: string;
  readonly body: string;
  /** How often it was handed out, this time included, by the queue's own count. */
  readonly received: number;
}

/** A queue of messages. Each is hidden from others for a while when it is handed out, and comes again after that. */
export interface MessageQueue extends AsyncDisposable {
  /**
   * Waits until there is something, and not for ever: nothing is an answer too.
   * @throws AppError; the signal's reason once it is aborted.
   */
  receive(signal: AbortSignal): Promise<readonly QueueMessage[]>;
  /** Gives how many could not be taken out: they come again. @throws AppError when it cannot be asked for. */
  remove(receipts: readonly string[], signal: AbortSignal): Promise<number>;
  /**
   * Whether messages may be fetched and taken out. Takes none out, and hides none.
   * @throws AppError which of the two may not be done, or why it cannot be said.
   */
  check(signal: AbortSignal | undefined): Promise<void>;
}
