import { QueueEvents, type QueueEventsListener, QueueEventsProducer } from 'bullmq';
import { pause, type Timers, within } from '../core/timer.ts';
import type { RedisServer } from './connect-redis.ts';
import { type Broadcast, isWithinLimit, type MessageListener } from './queue.ts';
import { Reopened } from './reopened.ts';

/** The name of the queue in BullMQ. */
const NAME = 'broadcast';

export interface BullBroadcast extends Broadcast {
  close(): void;
}

interface Message {
  readonly topic?: unknown;
  readonly text?: unknown;
}

interface Listeners extends QueueEventsListener {
  message: (message: Message, id: string) => void;
}

/** The approximate number of messages that the server keeps for new subscribers. */
const KEPT_MESSAGES = 10_000;
/** Maximum number of messages that wait for a connection. */
const MAX_UNSENT = 10_000;
const BATCH = 500;
const RETRY_MS = 1_000;
const CLOSE_TIMEOUT_MS = 500;
/**
 * This timeout is short, because a process without a connection can end only after BullMQ's pending read has timed out.
 */
const READ_TIMEOUT_MS = 2_000;

/**
 * Creates the broadcast of the processes that share Redis. Messages are custom events of a BullMQ queue that has no
 * jobs. Each subscription has its own connection and starts with the oldest event that the server has kept. After a
 * reconnect, the subscription continues with the next event, so it misses no event.
 *
 * If a reply of the server contains several events, BullMQ emits all of them together. A listener then receives only
 * the latest event of each topic. Otherwise a new process could act on outdated messages.
 */
export function createBullBroadcast(server: RedisServer, timers: Timers): BullBroadcast {
  const sender = new Sender(server, timers);
  const readers = new Set<Reader>();
  return {
    send: (topic, text) => sender.send(topic, text),
    subscribe(listener) {
      const reader = new Reader(server, timers, listener);
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

/** Sends the latest text of each topic. Texts that cannot be sent during an outage are sent afterwards. */
class Sender {
  readonly #server: RedisServer;
  readonly #timers: Timers;
  readonly #producer: Reopened<QueueEventsProducer>;
  readonly #unsent = new Map<string, string | undefined>();
  #sending = false;
  #closed = false;

  constructor(server: RedisServer, timers: Timers) {
    this.#server = server;
    this.#timers = timers;
    const { connection, prefix, reportError } = server;
    this.#producer = new Reopened(server, () =>
      new QueueEventsProducer(NAME, { connection, prefix, skipVersionCheck: true }).on('error', reportError),
    );
    server.onReady(() => void this.#flush());
  }

  send(topic: string, text: string | undefined): void {
    if (this.#closed || !isWithinLimit(topic, text)) return;
    // Delete the topic first, because a `Map` sorts its keys by the time when they were added. Then the latest message
    // is sent last.
    this.#unsent.delete(topic);
    if (this.#unsent.size < MAX_UNSENT) this.#unsent.set(topic, text);
    // Send all messages of the current tick in one batch.
    queueMicrotask(() => void this.#flush());
  }

  close(): void {
    this.#closed = true;
    void within(this.#producer.close(), CLOSE_TIMEOUT_MS, this.#timers);
  }

  async #flush(): Promise<void> {
    if (this.#sending || this.#closed) return;
    this.#sending = true;
    try {
      while (this.#unsent.size > 0 && this.#server.isReady() && !this.#closed) {
        const producer = await this.#producer.get();
        const batch = [...this.#unsent].slice(0, BATCH);
        for (const [topic] of batch) this.#unsent.delete(topic);
        await Promise.all(batch.map((message) => this.#sendOne(producer, message)));
      }
    } catch (thrown) {
      this.#server.reportError(thrown);
    } finally {
      this.#sending = false;
    }
  }

  async #sendOne(
    producer: QueueEventsProducer,
    [topic, text]: readonly [string, string | undefined],
  ): Promise<void> {
    try {
      const message = { eventName: 'message', topic, ...(text === undefined ? {} : { text }) };
      await producer.publishEvent(message, KEPT_MESSAGES);
    } catch (thrown) {
      // Keep a newer message of this topic that was added meanwhile.
      if (!this.#unsent.has(topic)) this.#unsent.set(topic, text);
      throw thrown;
    }
  }
}

/** Passes messages to one listener. */
class Reader {
  readonly #server: RedisServer;
  readonly #timers: Timers;
  readonly #listener: MessageListener;
  readonly #received = new Map<string, string | undefined>();
  #events: QueueEvents | undefined;
  #closed = false;

  constructor(server: RedisServer, timers: Timers, listener: MessageListener) {
    this.#server = server;
    this.#timers = timers;
    this.#listener = listener;
    void this.#read();
  }

  close(): void {
    this.#closed = true;
    void this.#events?.close().catch(this.#server.reportError);
  }

  async #read(): Promise<void> {
    const { reportError } = this.#server;
    while (!this.#closed) {
      const events = this.#open();
      this.#events = events;
      try {
        await events.run();
      } catch (thrown) {
        reportError(thrown);
      }
      await events.close().catch(reportError);
      if (!this.#closed) await pause(RETRY_MS, this.#timers);
    }
  }

  #open(): QueueEvents {
    const events = new QueueEvents(NAME, {
      connection: this.#server.blocking(),
      prefix: this.#server.prefix,
      skipVersionCheck: true,
      lastEventId: '0',
      autorun: false,
      blockingTimeout: READ_TIMEOUT_MS,
    });
    events.on('error', this.#server.reportError);
    return events.on<Listeners, 'message'>('message', (message) => this.#receive(message));
  }

  /** Ignores malformed messages, because anyone with the password of Redis can send them. */
  #receive({ topic, text }: Message): void {
    if (typeof topic !== 'string' || (text !== undefined && typeof text !== 'string')) return;
    if (!isWithinLimit(topic, text)) return;
    if (this.#received.size === 0) queueMicrotask(() => this.#deliver());
    this.#received.delete(topic);
    this.#received.set(topic, text);
  }

  #deliver(): void {
    const messages = [...this.#received];
    this.#received.clear();
    if (!this.#closed) for (const [topic, text] of messages) this.#listener(topic, text);
  }
}
