import type { AppError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { pause } from '../core/pause.ts';
import type { KubeClient } from './client.ts';
import { errorOfAnswer, errorOfTransport, saysExpired, unavailable } from './errors.ts';
import { linesOf } from './lines.ts';
import { listWhole, unknownForm } from './pages.ts';
import { eventIn } from './watch-event.ts';

export interface WatchTuning {
  /** A connection that says nothing for so long is taken for dead: API servers send a bookmark about once a minute. */
  readonly silenceMs?: number;
  /** The first wait after a failure, before jitter; it doubles up to `longestWaitMs`. */
  readonly firstWaitMs?: number;
  readonly longestWaitMs?: number;
  /** From 0 to 1. */
  readonly random?: () => number;
}

export interface Followed {
  /** Of the collection, without a query. */
  readonly path: string;
  readonly fieldSelector?: string | undefined;
  /** For messages. */
  readonly about: string;
}

/** What was seen, metadata only. What one of these throws makes the watch begin anew. */
export interface Follower<T> {
  /** What is kept of an object until it is told. */
  take(item: JsonObject): T;
  /** Gives whether enough of them was kept; they are listed anew otherwise. */
  listed(items: readonly T[]): boolean;
  changed(item: T): void;
  gone(item: T): void;
  progress(error?: AppError): void;
}

/** https://github.com/kubernetes/enhancements/tree/master/keps/sig-api-machinery/2334-graduate-server-side-get-and-partial-objects-to-GA */
const METADATA = {
  accept: 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1',
  apiVersion: 'meta.k8s.io/v1',
  kind: 'PartialObjectMetadataList',
} as const;
const EVENTS = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1';
/** Without the data a Secret is small. */
const METADATA_PAGE = 500;

/** A server may end a watch when it likes; asked for, it does so at a time when nothing is lost. */
const SHORTEST_WATCH_S = 240;
/** So that a hundred watches opened together are not opened together again. */
const SPREAD_S = 120;
/** An end sooner than this counts as a failure, so that a server that hangs up at once is not called in a loop. */
const TOO_SOON_MS = 1_000;
/** Of a `Retry-After`. An API server says a second; a proxy's hour would be a watch that stands still. */
const LONGEST_ASKED_MS = 60_000;

/**
 * List and watch, for ever (https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes).
 *
 * `place` is the version up to which everything was told. With a place the watch goes on from there; without one
 * it begins anew with a list. The place is given up when the server has forgotten it (410), when a line cannot be
 * read or is not taken, when the connection was silent, and when an attempt to go on was told nothing: after a
 * restore of etcd the versions begin at an older one, and a watch from a version of the future waits in silence.
 */
export function follow<T>(
  client: KubeClient,
  followed: Followed,
  follower: Follower<T>,
  tuning: WatchTuning = {},
): AsyncDisposable {
  const {
    silenceMs = 90_000,
    // Until the first sign: seen from an API server of which nothing changes after two minutes.
    silenceMs: firstSilenceMs = 150_000,
    firstWaitMs = 500,
    longestWaitMs = 30_000,
    random = Math.random,
  } = tuning;
  const { path, fieldSelector, about } = followed;
  const end = new AbortController();
  let place: string | undefined;
  let told = false;

  async function list(signal: AbortSignal, onPage: () => void): Promise<void> {
    const form = { form: METADATA, pageSize: METADATA_PAGE };
    const request = { path, selector: '', fieldSelector, about, signal, onPage, ...form };
    const { items, resourceVersion } = await listWhole(client, request, follower.take);
    if (!resourceVersion) throw unknownForm(about);
    if (end.signal.aborted) return;
    if (follower.listed(items)) place = resourceVersion;
  }

  /** Resolves when the server ended it, or has forgotten the place. */
  async function watch(from: string, signal: AbortSignal, alive: () => void): Promise<void> {
    const query = new URLSearchParams({
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: from,
      timeoutSeconds: String(SHORTEST_WATCH_S + Math.floor(random() * SPREAD_S)),
    });
    if (fieldSelector !== undefined) query.set('fieldSelector', fieldSelector);
    const answer = await client.open({ path: `${path}?${query.toString()}`, accept: EVENTS, signal });
    if ('text' in answer) {
      if (!saysExpired(answer)) throw errorOfAnswer(answer, about);
      place = undefined;
      return;
    }
    alive();
    for await (const line of linesOf(answer.chunks)) {
      if (end.signal.aborted) return;
      // Until the line is understood and taken: otherwise a list has to tell what it held.
      place = undefined;
      const event = eventIn(line, about);
      if (event.kind === 'expired') return;
      if (event.kind === 'changed') follower.changed(follower.take(event.item));
      if (event.kind === 'gone') follower.gone(follower.take(event.item));
      place = event.place;
      told = true;
      alive();
    }
  }

  /** Resolves when it ended as watches do; throws an AppError otherwise. */
  async function attempt(): Promise<void> {
    const connection = new AbortController();
    const stop = () => connection.abort();
    end.signal.addEventListener('abort', stop, { once: true });
    let silent = false;
    const cut = () => {
      silent = true;
      connection.abort();
    };
    let timer = setTimeout(cut, firstSilenceMs);
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(cut, told ? silenceMs : firstSilenceMs);
      follower.progress();
    };
    try {
      if (place === undefined) await list(connection.signal, alive);
      if (place !== undefined) await watch(place, connection.signal, alive);
    } catch (thrown) {
      if (!silent) throw errorOfTransport(thrown, silenceMs);
      place = undefined;
      throw unavailable(`no sign of life for ${(told ? silenceMs : firstSilenceMs) / 1000} s`, thrown);
    } finally {
      clearTimeout(timer);
      end.signal.removeEventListener('abort', stop);
      connection.abort();
    }
  }

  async function run(): Promise<void> {
    for (let failures = 0; !end.signal.aborted; ) {
      const started = performance.now();
      let asked = 0;
      told = false;
      try {
        await attempt();
        failures = told && performance.now() - started >= TOO_SOON_MS ? 0 : failures + 1;
        if (end.signal.aborted) return;
        follower.progress();
      } catch (thrown) {
        if (end.signal.aborted) return;
        const error = errorOfTransport(thrown, silenceMs);
        failures = told ? 1 : failures + 1;
        asked = Math.min(error.retryAfterMs ?? 0, LONGEST_ASKED_MS);
        follower.progress(error.about === undefined ? error.concerning(about) : error);
      }
      if (!told && failures > 1) place = undefined;
      if (failures > 0) {
        const most = Math.min(longestWaitMs, firstWaitMs * 2 ** (failures - 1));
        await pause(asked + random() * most, end.signal);
      }
    }
  }

  const running = run();
  return {
    async [Symbol.asyncDispose]() {
      end.abort();
      await running;
    },
  };
}
