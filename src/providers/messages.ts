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
  /** Those that cannot be taken out come again. @throws AppError when none can. */
  remove(receipts: readonly string[], signal: AbortSignal): Promise<void>;
}
