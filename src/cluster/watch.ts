import type { AppError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { sleepUntilAborted } from '../core/timer.ts';
import type { KubeClient } from './client.ts';
import {
  errorFromResponse,
  errorFromTransport,
  isExpired,
  unavailable,
  unexpectedResponse,
} from './errors.ts';
import { listWithVersion } from './pages.ts';
import { eventIn, linesOf } from './watch-events.ts';

export interface WatchTuning {
  /** A connection without data for this long counts as broken. API servers send a bookmark about once a minute. */
  readonly silenceMs?: number;
  /**
   * The delay after the first failure, before jitter is added. The delay doubles after each further failure, up to
   * `longestWaitMs`.
   */
  readonly firstWaitMs?: number;
  readonly longestWaitMs?: number;
  /** Returns a number from 0 to 1, for the jitter. */
  readonly random?: () => number;
}

export interface WatchedCollection {
  /** The path of the collection, without a query string. */
  readonly path: string;
  readonly fieldSelector?: string | undefined;
  readonly labelSelector?: string;
  /** The kind of the list if complete objects are needed. By default, only their metadata is requested. */
  readonly objects?: string;
  /** A name of the listed objects, for messages. */
  readonly subject: string;
}

/** Receives the objects. If a method throws, the objects are listed again. */
export interface WatchSink<T> {
  /** Reduces an object to the data that the sink keeps. */
  convert(item: JsonObject): T;
  /** Returns whether the items were complete. If not, the objects are listed again. */
  listed(items: readonly T[]): boolean;
  changed(item: T): void;
  deleted(item: T): void;
  progress(error?: AppError): void;
}

/**
 * https://github.com/kubernetes/enhancements/tree/master/keps/sig-api-machinery/2334-graduate-server-side-get-and-partial-objects-to-GA
 */
const METADATA_LIST = {
  accept: 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1',
  apiVersion: 'meta.k8s.io/v1',
  kind: 'PartialObjectMetadataList',
} as const;
const EVENTS_ACCEPT = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1';
/** Larger than the page size for complete Secrets, because metadata is small. */
const METADATA_PAGE_SIZE = 500;

/**
 * The duration that a watch requests. A server may end a watch at any time. At the end of the requested duration, it
 * ends the watch without losing events.
 */
const MIN_WATCH_S = 240;
/** Random extra duration, so that watches that started together do not all reconnect together. */
const WATCH_JITTER_S = 120;
/**
 * If a connection ends before this time, it counts as a failure. Otherwise the watch would reconnect in a tight loop to
 * a server that closes each connection immediately.
 */
const MIN_CONNECTION_MS = 1_000;
/**
 * The longest `Retry-After` that the watch follows. API servers ask for one second. If a proxy asked for an hour, the
 * watch would stop.
 */
const MAX_RETRY_AFTER_MS = 60_000;

/**
 * Lists and then watches a collection until disposed
 * (https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes).
 */
export function listAndWatch<T>(
  client: KubeClient,
  collection: WatchedCollection,
  sink: WatchSink<T>,
  tuning: WatchTuning = {},
): AsyncDisposable {
  return new CollectionWatch(client, collection, sink, tuning);
}

class CollectionWatch<T> implements AsyncDisposable {
  readonly #client: KubeClient;
  readonly #collection: WatchedCollection;
  readonly #sink: WatchSink<T>;
  readonly #silenceMs: number;
  readonly #firstSilenceMs: number;
  readonly #firstWaitMs: number;
  readonly #longestWaitMs: number;
  readonly #random: () => number;
  readonly #disposal = new AbortController();
  readonly #running: Promise<void>;
  /**
   * The version up to which all events were delivered. The watch continues from this version. If it is not set, the
   * objects are listed again. The version is cleared if the server has expired it (410), if a line is invalid, if the
   * sink throws, or if the connection was silent. It is also cleared after an attempt without events. Otherwise the
   * watch could wait forever after etcd was restored from a backup. The versions of a restored etcd are lower, and a
   * watch from a higher version receives nothing.
   */
  #resumeVersion: string | undefined;
  #hasReceivedEvent = false;

  constructor(client: KubeClient, collection: WatchedCollection, sink: WatchSink<T>, tuning: WatchTuning) {
    this.#client = client;
    this.#collection = collection;
    this.#sink = sink;
    this.#silenceMs = tuning.silenceMs ?? 90_000;
    // In practice an API server may send the first bookmark only after two minutes without changes.
    this.#firstSilenceMs = tuning.silenceMs ?? 150_000;
    this.#firstWaitMs = tuning.firstWaitMs ?? 500;
    this.#longestWaitMs = tuning.longestWaitMs ?? 30_000;
    this.#random = tuning.random ?? Math.random;
    this.#running = this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposal.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    for (let failures = 0; !this.#disposal.signal.aborted; ) {
      const started = performance.now();
      let retryAfterMs = 0;
      this.#hasReceivedEvent = false;
      try {
        await this.#attempt();
        const isHealthy = this.#hasReceivedEvent && performance.now() - started >= MIN_CONNECTION_MS;
        failures = isHealthy ? 0 : failures + 1;
        if (this.#disposal.signal.aborted) return;
        this.#sink.progress();
      } catch (thrown) {
        if (this.#disposal.signal.aborted) return;
        const error = errorFromTransport(thrown, this.#silenceMs);
        failures = this.#hasReceivedEvent ? 1 : failures + 1;
        retryAfterMs = Math.min(error.retryAfterMs ?? 0, MAX_RETRY_AFTER_MS);
        this.#sink.progress(
          error.subject === undefined ? error.withSubject(this.#collection.subject) : error,
        );
      }
      if (!this.#hasReceivedEvent && failures > 1) this.#resumeVersion = undefined;
      if (failures > 0) {
        const maxWaitMs = Math.min(this.#longestWaitMs, this.#firstWaitMs * 2 ** (failures - 1));
        await sleepUntilAborted(retryAfterMs + this.#random() * maxWaitMs, this.#disposal.signal);
      }
    }
  }

  /** Resolves when the watch ended normally. Throws an AppError otherwise. */
  async #attempt(): Promise<void> {
    const connection = new AbortController();
    const stop = () => connection.abort();
    this.#disposal.signal.addEventListener('abort', stop, { once: true });
    let silentMs: number | undefined;
    let timer: NodeJS.Timeout | undefined;
    const endAfterSilence = () => {
      const ms = this.#hasReceivedEvent ? this.#silenceMs : this.#firstSilenceMs;
      clearTimeout(timer);
      timer = setTimeout(() => {
        silentMs = ms;
        stop();
      }, ms);
    };
    endAfterSilence();
    const onActivity = () => {
      endAfterSilence();
      this.#sink.progress();
    };
    try {
      if (this.#resumeVersion === undefined) await this.#list(connection.signal, onActivity);
      if (this.#resumeVersion !== undefined)
        await this.#watch(this.#resumeVersion, connection.signal, onActivity);
    } catch (thrown) {
      if (silentMs === undefined) throw errorFromTransport(thrown, this.#silenceMs);
      this.#resumeVersion = undefined;
      throw unavailable(`no sign of life for ${silentMs / 1000} s`, thrown);
    } finally {
      clearTimeout(timer);
      this.#disposal.signal.removeEventListener('abort', stop);
      connection.abort();
    }
  }

  async #list(signal: AbortSignal, onPage: () => void): Promise<void> {
    const { path, fieldSelector, labelSelector: selector = '', objects: kind, subject } = this.#collection;
    const listOptions =
      kind === undefined
        ? { format: METADATA_LIST, pageSize: METADATA_PAGE_SIZE }
        : { format: { apiVersion: 'v1', kind } };
    const request = { path, selector, fieldSelector, subject, signal, onPage, ...listOptions };
    const { items, resourceVersion } = await listWithVersion(this.#client, request, (item) =>
      this.#sink.convert(item),
    );
    if (!resourceVersion) throw unexpectedResponse(subject);
    if (this.#disposal.signal.aborted) return;
    if (this.#sink.listed(items)) this.#resumeVersion = resourceVersion;
  }

  /** Resolves when the server has ended the watch or expired the version. */
  async #watch(from: string, signal: AbortSignal, onActivity: () => void): Promise<void> {
    const { path, fieldSelector, labelSelector, objects, subject } = this.#collection;
    const query = new URLSearchParams({
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: from,
      timeoutSeconds: String(MIN_WATCH_S + Math.floor(this.#random() * WATCH_JITTER_S)),
    });
    if (fieldSelector !== undefined) query.set('fieldSelector', fieldSelector);
    if (labelSelector !== undefined) query.set('labelSelector', labelSelector);
    const url = `${path}?${query.toString()}`;
    const accept = objects === undefined ? EVENTS_ACCEPT : undefined;
    const response = await this.#client.open({ path: url, accept, signal });
    if ('text' in response) {
      if (!isExpired(response)) throw errorFromResponse(response, subject);
      this.#resumeVersion = undefined;
      return;
    }
    onActivity();
    for await (const line of linesOf(response.chunks)) {
      if (this.#disposal.signal.aborted) return;
      // If the event cannot be parsed or the sink throws, only a new list can replace the event. So clear the version
      // until the event is handled.
      this.#resumeVersion = undefined;
      const event = eventIn(line, subject);
      if (event.kind === 'expired') return;
      if (event.kind === 'changed') this.#sink.changed(this.#sink.convert(event.item));
      if (event.kind === 'gone') this.#sink.deleted(this.#sink.convert(event.item));
      this.#resumeVersion = event.place;
      this.#hasReceivedEvent = true;
      onActivity();
    }
  }
}
