import { toAppError } from '../core/errors.ts';
import { pause } from '../core/pause.ts';
import type { Logger } from '../log/logger.ts';
import type { MessageQueue, QueueMessage } from '../providers/messages.ts';
import { createBackoff } from './backoff.ts';
import type { Hint, Intake, IntakeDeps } from './hint.ts';
import { parseSqsEvent } from './sqs-event.ts';

export interface SqsOptions {
  readonly name: string;
  /** The store that the events are about, and its region. */
  readonly store: string;
  readonly region: string;
  /** Asked again as long as it fails. */
  readonly open: () => Promise<MessageQueue>;
  readonly logger: Logger;
  readonly random: () => number;
  /** Ends without an error when the signal says so. */
  readonly pause?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/**
 * A message that is no event is left in the queue, so that the queue's own redrive policy can put it aside. One that
 * has been handed out so often has no such policy, and would come for ever.
 */
const MOST_RECEIVED = 50;
/** After messages of which none was taken out: a queue that hides nothing hands them out again at once. */
const AFTER_NOTHING_MS = 1_000;

/** Fetches events until it is disposed of. Several processes may share a queue: each message goes to one of them. */
export function startSqs(options: SqsOptions, deps: IntakeDeps): Intake {
  const { name, store, region, open, logger, random, pause: rest = pause } = options;
  const origin = { kind: 'sqs', name } as const;
  const ending = new AbortController();
  const { signal } = ending;
  const backoff = createBackoff({ random, pause: rest, signal });
  let queue: MessageQueue | undefined;

  /** What can be taken out of the queue. */
  const takeUp = (messages: readonly QueueMessage[]): readonly string[] => {
    const done: string[] = [];
    const hints: Hint[] = [];
    for (const { body, receipt, received } of messages) {
      const event = parseSqsEvent(body, region);
      if (event.kind === 'hint') hints.push({ store, keys: event.keys });
      if (event.kind === 'other') deps.onOther('ignored');
      if (event.kind !== 'malformed') done.push(receipt);
      else if (received < MOST_RECEIVED) deps.onOther('malformed');
      else {
        deps.onOther('dropped');
        logger.warn('a message that is no event has come too often and is taken out of the queue', {
          name,
          attempt: received,
        });
        done.push(receipt);
      }
    }
    if (hints.length > 0) deps.take(hints, origin);
    return done;
  };

  const fetchOnce = async (): Promise<void> => {
    queue ??= await open();
    const messages = await queue.receive(signal);
    const done = takeUp(messages);
    // Only then: what is lost on the way comes again, and a hint too many does no harm.
    const left = done.length === 0 ? 0 : await queue.remove(done, signal);
    deps.onProgress();
    if (messages.length > 0 && done.length === left) await rest(AFTER_NOTHING_MS, signal);
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
      ending.abort();
      await running;
      await queue?.[Symbol.asyncDispose]();
    },
  };
}
