import type { QueueEventsListener } from 'bullmq';
import { pause, type Timers, within } from '../core/timer.ts';
import { type Broadcast, isWithinLimit, type MessageListener } from './queue.ts';
import {
  type BullEvents,
  type BullEventsProducer,
  type BullMq,
  createReopened,
  type QueueServer,
} from './server.ts';

export interface BullBroadcastOptions {
  /** BullMQ's name of the queue. */
  readonly name: string;
  readonly timers: Timers;
  readonly onError: (thrown: unknown) => void;
}

export interface BullBroadcast extends Broadcast {
  close(): void;
}

interface Listeners extends QueueEventsListener {
  message: (event: { readonly topic?: unknown; readonly text?: unknown }, id: string) => void;
}

/** The number of messages that the server keeps for new subscribers, approximately. */
const KEPT_MESSAGES = 10_000;
/** Maximum number of messages that wait for a connection. */
const MAX_UNSENT = 10_000;
const BATCH = 500;
const RETRY_MS = 1_000;
const CLOSE_TIMEOUT_MS = 500;
/** Short, because a process without a connection ends only when BullMQ's pending read has timed out. */
const READ_TIMEOUT_MS = 2_000;

/**
 * Messages are custom events of a BullMQ queue that has no jobs. Each subscription has its own connection and starts
 * with the oldest event that the server has kept. After a reconnect it continues with the next event, so it misses
 * none.
 *
 * BullMQ emits all events of one reply together. A listener receives only the latest of them for each topic. Otherwise
 * a new process could act on outdated messages.
 */
export function createBullBroadcast(
  bullMq: BullMq,
  server: QueueServer,
  options: BullBroadcastOptions,
): BullBroadcast {
  const sender = createSender(bullMq, server, options);
  const readers = new Set<Reader>();
  return {
    send: sender.send,
    subscribe(listener) {
      const reader = startReader(listener, options, () => {
        const connection = server.blocking();
        return new bullMq.QueueEvents(
          options.name,
          {
            ...{ connection, prefix: server.prefix, skipVersionCheck: true },
            ...{ lastEventId: '0', autorun: false, blockingTimeout: READ_TIMEOUT_MS },
          },
          server.backend,
        );
      });
      readers.add(reader);
      return () => {
        readers.delete(reader);
        reader.close();
      };
    },
    close() {
      for (const reader of readers) reader.close();
      sender.close();
    },
  };
}

/** Sends the latest text of each topic, also after an outage. */
function createSender(
  bullMq: BullMq,
  server: QueueServer,
  { name, timers, onError }: BullBroadcastOptions,
): Pick<BullBroadcast, 'send' | 'close'> {
  const unsent = new Map<string, string | undefined>();
  let sending = false;
  let closed = false;
  const producer = createReopened<BullEventsProducer>(
    server,
    () =>
      new bullMq.QueueEventsProducer(
        name,
        { connection: server.connection, prefix: server.prefix, skipVersionCheck: true },
        server.backend,
      ).on('error', onError),
    onError,
  );
  const sendOne = async (
    opened: BullEventsProducer,
    [topic, text]: [string, string | undefined],
  ): Promise<void> => {
    try {
      const message = { eventName: 'message', topic, ...(text === undefined ? {} : { text }) };
      await opened.publishEvent(message, KEPT_MESSAGES);
    } catch (thrown) {
      // Do not overwrite a message that was sent meanwhile.
      if (!unsent.has(topic)) unsent.set(topic, text);
      throw thrown;
    }
  };
  const flush = async (): Promise<void> => {
    if (sending || closed) return;
    sending = true;
    try {
      while (unsent.size > 0 && server.isReady() && !closed) {
        const opened = await producer.get();
        const batch = [...unsent].slice(0, BATCH);
        for (const [topic] of batch) unsent.delete(topic);
        await Promise.all(batch.map((message) => sendOne(opened, message)));
      }
    } catch (thrown) {
      onError(thrown);
    } finally {
      sending = false;
    }
  };
  server.onReady(() => void flush());
  return {
    send(topic, text) {
      if (closed || !isWithinLimit(topic, text)) return;
      // Send the latest message last.
      unsent.delete(topic);
      if (unsent.size < MAX_UNSENT) unsent.set(topic, text);
      // Send all messages of the current tick in one batch.
      queueMicrotask(() => void flush());
    },
    close() {
      closed = true;
      void within(producer.close(), CLOSE_TIMEOUT_MS, timers);
    },
  };
}

interface Reader {
  close(): void;
}

function startReader(
  listener: MessageListener,
  { timers, onError }: BullBroadcastOptions,
  open: () => BullEvents,
): Reader {
  const received = new Map<string, string | undefined>();
  let closed = false;
  let events: BullEvents | undefined;
  const deliver = (): void => {
    const messages = [...received];
    received.clear();
    if (!closed) for (const [topic, text] of messages) listener(topic, text);
  };
  // Ignore malformed messages, because anyone with the password of the server can send them.
  const receive: Listeners['message'] = ({ topic, text }) => {
    if (typeof topic !== 'string' || (text !== undefined && typeof text !== 'string')) return;
    if (received.size === 0) queueMicrotask(deliver);
    received.delete(topic);
    received.set(topic, text);
  };
  const read = async (): Promise<void> => {
    while (!closed) {
      events = open();
      events.on('error', onError);
      events.on<Listeners, 'message'>('message', receive);
      try {
        await events.run();
      } catch (thrown) {
        onError(thrown);
      }
      await events.close().catch(onError);
      if (!closed) await pause(RETRY_MS, timers);
    }
  };
  void read();
  return {
    close() {
      closed = true;
      void events?.close().catch(onError);
    },
  };
}
