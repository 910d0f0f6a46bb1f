import type { AppError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { sleepUntilAborted } from '../core/sleep.ts';
import type { KubeClient } from './client.ts';
import { errorFromResponse, errorFromTransport, isExpired, unavailable } from './errors.ts';
import { linesOf } from './lines.ts';
import { listWithVersion, unexpectedResponse } from './pages.ts';
import { eventIn } from './watch-event.ts';

export interface WatchTuning {
  /** A connection without data for this long counts as dead. API servers send a bookmark about once a minute. */
  readonly silenceMs?: number;
  /** The first wait after a failure, before jitter. It doubles up to `longestWaitMs`. */
  readonly firstWaitMs?: number;
  readonly longestWaitMs?: number;
  /** From 0 to 1. */
  readonly random?: () => number;
}

export interface WatchedCollection {
  /** The path of the collection, without a query. */
  readonly path: string;
  readonly fieldSelector?: string | undefined;
  /** For messages. */
  readonly subject: string;
}

/** Receives objects with metadata only. If a method throws, the watch restarts with a list. */
export interface WatchSink<T> {
  /** Converts an object to what the sink needs. */
  convert(item: JsonObject): T;
  /** Returns whether the items are complete. If not, the objects are listed again. */
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
/** Without its data a Secret is small. */
const METADATA_PAGE_SIZE = 500;

/** A server may end a watch at any time. With a requested timeout it ends without losing events. */
const MIN_WATCH_S = 240;
/** Jitter, so that watches opened together do not all reconnect together. */
const WATCH_JITTER_S = 120;
/** A shorter connection counts as a failure, so that a server that hangs up at once is not called in a loop. */
const MIN_CONNECTION_MS = 1_000;
/** The longest `Retry-After` to follow. An API server asks for one second; a proxy's hour would stop the watch. */
const MAX_RETRY_AFTER_MS = 60_000;

/**
 * Lists and then watches a collection until disposed
 * (https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes).
 *
 * `resumeVersion` is the version up to which all events were delivered. With it the watch continues; without it the
 * watch restarts with a list. It is dropped when the server has expired it (410), when a line is invalid or the sink
 * rejects it, and when the connection was silent. It is also dropped after an attempt without events: a restored etcd
 * has older versions, and a watch from a future version waits in silence.
 */
export function listAndWatch<T>(
  client: KubeClient,
  collection: WatchedCollection,
  sink: WatchSink<T>,
  tuning: WatchTuning = {},
): AsyncDisposable {
  const {
    silenceMs = 90_000,
    // Limit before the first event. An API server was seen to send the first bookmark after two minutes without
    // changes.
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

  /** Resolves when the server ended the watch or expired the version. */
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
      // Until the line is parsed and accepted, only a list could replace a lost event.
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
