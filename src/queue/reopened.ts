import type { Queue, QueueEventsProducer } from 'bullmq';
import type { RedisServer } from './connect-redis.ts';

export type BullQueue = Queue<unknown, void, string>;

/**
 * Replaces a BullMQ object after each loss of the connection. A BullMQ object sets itself up only once: for example, it
 * writes its settings to Redis. If this setup fails, the object stays unusable. If Redis loses its data, the settings
 * are lost too.
 */
export class Reopened<Opened extends BullQueue | QueueEventsProducer> {
  readonly #create: () => Opened;
  readonly #onError: (thrown: unknown) => void;
  #opened: Promise<Opened> | undefined;

  constructor(server: RedisServer, create: () => Opened) {
    this.#create = create;
    this.#onError = server.reportError;
    server.onClose(() => void this.close());
  }

  async get(): Promise<Opened> {
    this.#opened ??= this.#open();
    const current = this.#opened;
    try {
      return await current;
    } catch (thrown) {
      // Meanwhile the object may have been reopened on another connection. Keep the reopened object in that case.
      if (this.#opened === current) this.#opened = undefined;
      throw thrown;
    }
  }

  async close(): Promise<void> {
    const old = this.#opened;
    this.#opened = undefined;
    await old?.then((created) => created.close(), this.#onError);
  }

  async #open(): Promise<Opened> {
    const created = this.#create();
    try {
      await created.waitUntilReady();
      return created;
    } catch (thrown) {
      await created.close();
      throw thrown;
    }
  }
}
