import { toAppError } from '../core/errors.ts';
import { sleepUntilAborted } from '../core/timer.ts';
import type { MessageQueue, QueueMessage } from '../providers/message-queue.ts';
import type { Logger } from '../telemetry/logger.ts';
import { createBackoff } from './backoff.ts';
import type { Hint, Intake, IntakeDeps } from './hint.ts';
import { type EventStore, parseSqsEvent } from './sqs-event.ts';

export interface SqsIntakeOptions {
  readonly name: string;
  /** The name of the store whose events the queue receives. */
  readonly store: string;
  readonly events: EventStore;
  /** Opens the queue. Called at the start, and another time after each failure. */
  readonly open: () => Promise<MessageQueue>;
  readonly logger: Logger;
  readonly random: () => number;
  /** Resolves after the time, or as soon as the signal is aborted. An aborted signal never causes a rejection. */
  readonly pause?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/**
 * The number of deliveries after which a malformed message is deleted. Until then, the message stays in the queue, so
 * that the queue's redrive policy can move it to a dead-letter queue. After this many deliveries, there is evidently no
 * such policy.
 */
const MAX_RECEIVES = 50;
/**
 * The pause after a batch from which no message could be removed. Without the pause, a queue without a visibility
 * timeout would deliver the messages again immediately.
 */
const NOTHING_REMOVED_PAUSE_MS = 1_000;

/**
 * Receives events until it is disposed. Several processes may share a queue, and each message is delivered to one of
 * them.
 */
export function startSqsIntake(options: SqsIntakeOptions, deps: IntakeDeps): Intake {
  const { name, open, random, pause: sleep = sleepUntilAborted } = options;
  const origin = { kind: 'sqs', name } as const;
  const stopping = new AbortController();
  const { signal } = stopping;
  const backoff = createBackoff({ random, pause: sleep, signal });
  let queue: MessageQueue | undefined;

  const fetchOnce = async (): Promise<void> => {
    queue ??= await open();
    const messages = await queue.receive(signal);
    const done = processMessages(messages, options, deps);
    // Remove messages only after their hints are submitted. After a crash, the queue delivers them again, and duplicate
    // hints do no harm.
    const notRemoved = done.length === 0 ? 0 : await queue.remove(done, signal);
    deps.onProgress();
    if (messages.length > 0 && done.length === notRemoved) await sleep(NOTHING_REMOVED_PAUSE_MS, signal);
  };

  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      try {
        await fetchOnce();
        backoff.reset();
      } catch (thrown) {
        if (signal.aborted) return;
        const error = toAppError(thrown);
        deps.onProgress(error);
        await backoff.wait(error);
      }
    }
  };
  const running = run();

  return {
    origin,
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await running;
      await queue?.[Symbol.asyncDispose]();
    },
  };
}

/** Submits the hints in the messages. Returns the receipts of the messages that should be removed from the queue. */
function processMessages(
  messages: readonly QueueMessage[],
  { name, store, events, logger }: SqsIntakeOptions,
  deps: IntakeDeps,
): readonly string[] {
  const done: string[] = [];
  const hints: Hint[] = [];
  for (const { body, receipt, received } of messages) {
    const event = parseSqsEvent(body, events);
    if (event.kind === 'hint') hints.push({ store, keys: event.keys });
    if (event.kind === 'other') deps.onSkipped('ignored');
    if (event.kind !== 'malformed') done.push(receipt);
    else if (received < MAX_RECEIVES) deps.onSkipped('malformed');
    else {
      deps.onSkipped('dropped');
      logger.warn('malformed message deleted after too many deliveries', {
        name,
        attempt: received,
      });
      done.push(receipt);
    }
  }
  if (hints.length > 0) deps.submit(hints, { kind: 'sqs', name });
  return done;
}
