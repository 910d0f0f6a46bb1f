import type { AppError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { sleepUntilAborted } from '../core/sleep.ts';
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
  /** The delay after the first failure, before jitter. It doubles up to `longestWaitMs`. */
  readonly firstWaitMs?: number;
  readonly longestWaitMs?: number;
  /** From 0 to 1. */
  readonly random?: () => number;
}

export interface WatchedCollection {
  /** The path of the collection, without a query string. */
  readonly path: string;
  readonly fieldSelector?: string | undefined;
  /** For messages. */
  readonly subject: string;
}

/** Receives objects with metadata only. If a method throws, the objects are listed again. */
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
 * The requested watch duration. A server may end a watch at any time, but it ends a requested duration without losing
 * events.
 */
const MIN_WATCH_S = 240;
/** Random extra duration, so that watches that started together do not all reconnect together. */
const WATCH_JITTER_S = 120;
/**
 * A shorter connection counts as a failure. Otherwise a server that closes each connection at once would be called in a
 * loop.
 */
const MIN_CONNECTION_MS = 1_000;
/**
 * The longest `Retry-After` that the watch follows. API servers ask for one second. A proxy that asks for an hour would
 * stop the watch.
 */
const MAX_RETRY_AFTER_MS = 60_000;

/**
 * Lists and then watches a collection until disposed
 * (https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes).
 *
 * All events up to `resumeVersion` were delivered. If it is set, the watch continues from there; otherwise the objects
 * are listed again. It is cleared if the server has expired it (410), if a line is invalid, if the sink throws, or if
 * the connection was silent. It is also cleared after an attempt without events: after etcd is restored, a watch from a
 * version in the future would receive nothing.
 */
export function listAndWatch<T>(
  client: KubeClient,
  collection: WatchedCollection,
  sink: WatchSink<T>,
  tuning: WatchTuning = {},
): AsyncDisposable {
  const {
    silenceMs = 90_000,
    // The limit before the first event. In practice an API server may send the first bookmark only after two minutes
    // without changes.
    silenceMs: firstSilenceMs = 150_000,
    firstWaitMs = 500,
    longestWaitMs = 30_000,
    random = Math.random,
  } = tuning;
  const { path, fieldSelector, subject } = collection;
  const disposal = new AbortController();
  let resumeVersion: string | undefined;
  let hasReceivedEvent = false;

  async function list(signal: AbortSignal, onPage: () => void): Promise<void> {
    const listOptions = { format: METADATA_LIST, pageSize: METADATA_PAGE_SIZE };
    const request = { path, selector: '', fieldSelector, subject, signal, onPage, ...listOptions };
    const { items, resourceVersion } = await listWithVersion(client, request, sink.convert);
    if (!resourceVersion) throw unexpectedResponse(subject);
    if (disposal.signal.aborted) return;
    if (sink.listed(items)) resumeVersion = resourceVersion;
  }

  /** Resolves when the server has ended the watch or expired the version. */
  async function watch(from: string, signal: AbortSignal, onActivity: () => void): Promise<void> {
    const query = new URLSearchParams({
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: from,
      timeoutSeconds: String(MIN_WATCH_S + Math.floor(random() * WATCH_JITTER_S)),
    });
    if (fieldSelector !== undefined) query.set('fieldSelector', fieldSelector);
    const response = await client.open({
      path: `${path}?${query.toString()}`,
      accept: EVENTS_ACCEPT,
      signal,
    });
    if ('text' in response) {
      if (!isExpired(response)) throw errorFromResponse(response, subject);
      resumeVersion = undefined;
      return;
    }
    onActivity();
    for await (const line of linesOf(response.chunks)) {
      if (disposal.signal.aborted) return;
      // If this event fails, only a new list can replace it. So clear the version until the event is handled.
      resumeVersion = undefined;
      const event = eventIn(line, subject);
      if (event.kind === 'expired') return;
      if (event.kind === 'changed') sink.changed(sink.convert(event.item));
      if (event.kind === 'gone') sink.deleted(sink.convert(event.item));
      resumeVersion = event.place;
      hasReceivedEvent = true;
      onActivity();
    }
  }

  /** Resolves when the watch ended normally. Throws an AppError otherwise. */
  async function attempt(): Promise<void> {
    const connection = new AbortController();
    const stop = () => connection.abort();
    disposal.signal.addEventListener('abort', stop, { once: true });
    let isSilent = false;
    const onSilence = () => {
      isSilent = true;
      connection.abort();
    };
    let timer = setTimeout(onSilence, firstSilenceMs);
    const onActivity = () => {
      clearTimeout(timer);
      timer = setTimeout(onSilence, hasReceivedEvent ? silenceMs : firstSilenceMs);
      sink.progress();
    };
    try {
      if (resumeVersion === undefined) await list(connection.signal, onActivity);
      if (resumeVersion !== undefined) await watch(resumeVersion, connection.signal, onActivity);
    } catch (thrown) {
      if (!isSilent) throw errorFromTransport(thrown, silenceMs);
      resumeVersion = undefined;
      throw unavailable(
        `no sign of life for ${(hasReceivedEvent ? silenceMs : firstSilenceMs) / 1000} s`,
        thrown,
      );
    } finally {
      clearTimeout(timer);
      disposal.signal.removeEventListener('abort', stop);
      connection.abort();
    }
  }

  async function run(): Promise<void> {
    for (let failures = 0; !disposal.signal.aborted; ) {
      const started = performance.now();
      let retryAfterMs = 0;
      hasReceivedEvent = false;
      try {
        await attempt();
        failures = hasReceivedEvent && performance.now() - started >= MIN_CONNECTION_MS ? 0 : failures + 1;
        if (disposal.signal.aborted) return;
        sink.progress();
      } catch (thrown) {
        if (disposal.signal.aborted) return;
        const error = errorFromTransport(thrown, silenceMs);
        failures = hasReceivedEvent ? 1 : failures + 1;
        retryAfterMs = Math.min(error.retryAfterMs ?? 0, MAX_RETRY_AFTER_MS);
        sink.progress(error.subject === undefined ? error.withSubject(subject) : error);
      }
      if (!hasReceivedEvent && failures > 1) resumeVersion = undefined;
      if (failures > 0) {
        const maxWaitMs = Math.min(longestWaitMs, firstWaitMs * 2 ** (failures - 1));
        await sleepUntilAborted(retryAfterMs + random() * maxWaitMs, disposal.signal);
      }
    }
  }

  const running = run();
  return {
    async [Symbol.asyncDispose]() {
      disposal.abort();
      await running;
    },
  };
}
