import type {
  BackendFactory,
  IQueueBackend,
  JobProgress,
  Queue,
  QueueEvents,
  QueueEventsProducer,
  Worker,
} from 'bullmq';
import type { ProbedServer } from './health.ts';

/** BullMQ's types for any backend. Only the module of a backend knows the type of its connections. */
export type Backend = BackendFactory<IQueueBackend, unknown>;
export type BullQueue = Queue<unknown, void, string, unknown, void, string, IQueueBackend, unknown>;
export type BullWorker = Worker<unknown, void, string, IQueueBackend, JobProgress, unknown>;
export type BullEvents = QueueEvents<unknown, IQueueBackend, unknown>;
export type BullEventsProducer = QueueEventsProducer<IQueueBackend, unknown>;
export type BullMq = typeof import('bullmq');

/** The server that BullMQ runs on. It connects in the background and reconnects after each loss. */
export interface QueueServer extends ProbedServer {
  readonly kind: 'redis';
  readonly backend: Backend;
  /** BullMQ's prefix of all keys. */
  readonly prefix: string;
  /** A connection whose calls fail immediately while it is down, and within seconds if the server does not reply. */
  readonly connection: unknown;
  /**
   * For calls that wait for the server indefinitely, as BullMQ's worker requires. BullMQ opens a duplicate for blocking
   * calls.
   */
  blocking(): unknown;
  /** Receives every error of a connection. */
  onError(listener: (thrown: unknown) => void): void;
  close(): void;
}

/** A BullMQ object that works again after an outage. */
export interface Reopened<Opened> {
  get(): Promise<Opened>;
  close(): Promise<void>;
}

/**
 * Opens another object after each loss of the connection. A BullMQ object sets itself up once, for example it writes
 * its settings. If the setup fails, the object stays unusable. If the server loses its data, the settings are lost too.
 */
export function createReopened<Opened extends BullQueue | BullEventsProducer>(
  server: QueueServer,
  create: () => Opened,
  onError: (thrown: unknown) => void,
): Reopened<Opened> {
  let opened: Promise<Opened> | undefined;
  const open = async (): Promise<Opened> => {
    const created = create();
    try {
      await created.waitUntilReady();
      return created;
    } catch (thrown) {
      await created.close();
      throw thrown;
    }
  };
  const close = async (): Promise<void> => {
    const old = opened;
    opened = undefined;
    await old?.then((created) => created.close(), onError);
  };
  server.onClose(() => void close());
  return {
    async get() {
      opened ??= open();
      const current = opened;
      try {
        return await current;
      } catch (thrown) {
        // The object may have been reopened on another connection meanwhile.
        if (opened === current) opened = undefined;
        throw thrown;
      }
    },
    close,
  };
}
