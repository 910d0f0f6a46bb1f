import { isDeepStrictEqual } from 'node:util';
import { type Dispatcher, request } from 'undici';
import { unlessAborted } from '../core/abort.ts';
import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import { toJson } from '../core/json.ts';
import { errorFromTransport, isTlsError, type KubeResponse, unavailable } from './errors.ts';
import { createIdentity, IDENTITY_TTL_MS, type Identity } from './kubeconfig/identity.ts';
import {
  clusterOf,
  contextOf,
  type KubeconfigOptions,
  loadKubeconfig,
  POD_CONTEXT,
} from './kubeconfig/kubeconfig.ts';
import { createPool, type Pool } from './pool.ts';
import { createRequestRateLimiter, type RetryDeps, retryWhileBusy } from './throttle.ts';

export interface KubeClientOptions extends KubeconfigOptions, RetryDeps {
  /** The request rate limit of this process. Unset means no limit. */
  readonly requestsPerSecond?: number | undefined;
  /**
   * Time limit for one request, from its start to the end of the response. For a stream, the limit covers the time
   * until the response starts.
   */
  readonly timeoutMs?: number;
  readonly clock: Clock;
  /** Time limit for one login, for example by a credential plugin. */
  readonly loginMs?: number;
  /** Aborted when the process stops, so that the client no longer waits for a hanging login. */
  readonly stop?: AbortSignal | undefined;
}

export interface KubeRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Path below the server's address, URL-encoded. */
  readonly path: string;
  readonly body?: object;
  /** Content type of the body. Default: JSON. */
  readonly contentType?: string;
  /** Content type of the response. Default: JSON. */
  readonly accept?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A response that stays open until the caller's signal aborts it. */
export interface KubeStream {
  readonly status: 200;
  readonly chunks: AsyncIterable<Uint8Array>;
}

export interface KubeClient extends AsyncDisposable {
  readonly address: string;
  /** Whether the client uses the service account of its pod. */
  readonly inCluster: boolean;
  /** The namespace of the pod, or of the kubeconfig's context. */
  readonly namespace: string | undefined;
  /**
   * Returns the response with any status. Retries a 429 that asks for a short wait. Throws an AppError if there is no
   * response.
   */
  send(request: KubeRequest): Promise<KubeResponse>;
  /**
   * Opens a streaming response on a separate connection pool. A response with a status other than 200 is read
   * completely and returned.
   */
  open(
    request: Pick<KubeRequest, 'path' | 'accept'> & { signal: AbortSignal },
  ): Promise<KubeResponse | KubeStream>;
}

/**
 * Uses client-node only to read the kubeconfig and to run plugins; undici sends the requests. The requests of
 * client-node open one connection each, leak an agent, and resend the body on redirects. They also map objects to
 * models and drop unknown fields. The watches of client-node end at the first error other than a 410, and skip lines
 * that they cannot parse.
 */
export async function createKubeClient(options: KubeClientOptions): Promise<KubeClient> {
  const { timeoutMs = 15_000, clock, loginMs, stop } = options;
  const requests = createPool();
  // Each watch keeps a connection open. A separate pool keeps a hundred watches from starving the requests.
  const streams = createPool(null);
  const waitForRate = createRequestRateLimiter(options.requestsPerSecond, { clock });
  const closing = new AbortController();
  const load = (context = options.context) => {
    const config = loadKubeconfig({ ...options, context });
    const identity = createIdentity(config, { clock, loginMs, stop, signal: closing.signal });
    return { config, identity };
  };
  let login = load();
  let loadedAt = clock.now();
  const { config } = login;
  const server = clusterOf(config)?.server ?? '';
  const address = withoutCredentials(server);
  const proxy = clusterOf(config)?.proxyUrl;
  const displayAddress = proxy ? `${address} through ${withoutCredentials(proxy)}` : address;

  async function identity(): Promise<Identity> {
    const used = login;
    try {
      return await used.identity();
    } catch (error) {
      // Retry only with a changed kubeconfig. The same login, such as a failing plugin, would fail again.
      if (!reloadLogin(used, false)) throw error;
      return login.identity();
    }
  }

  async function dispatch(
    kubeRequest: KubeRequest,
    pool: Pool,
    signal: AbortSignal,
  ): Promise<Dispatcher.ResponseData> {
    // End the request at its time limit even if the login hangs.
    const { headers, connection } = await unlessAborted(identity(), signal);
    const { method, path, body, contentType = 'application/json', accept = 'application/json' } = kubeRequest;
    return request(server.replace(/\/+$/, '') + path, {
      method,
      headers: {
        ...groupHeaders(headers),
        Accept: accept,
        'User-Agent': 'secretbridge',
        ...(body === undefined ? {} : { 'Content-Type': contentType }),
      },
      body: body === undefined ? null : toJson(body),
      signal,
      dispatcher: pool.dispatcher(connection),
      // Streams have no body timeout, because the reader of the stream detects silence.
      ...(pool === streams ? { bodyTimeout: 0 } : {}),
    });
  }

  async function sendOnce(kubeRequest: KubeRequest): Promise<KubeResponse> {
    await waitForRate(kubeRequest.signal);
    return withTimeout(kubeRequest.signal, async (signal) =>
      readResponse(await dispatch(kubeRequest, requests, signal)),
    );
  }

  async function openOnce(
    kubeRequest: KubeRequest & { signal: AbortSignal },
  ): Promise<KubeResponse | KubeStream> {
    await waitForRate(kubeRequest.signal);
    return withTimeout(kubeRequest.signal, async (signal) => {
      const response = await dispatch(kubeRequest, streams, signal);
      return response.statusCode === 200
        ? { status: 200, chunks: response.body }
        : await readResponse(response);
    });
  }

  /** `AbortSignal.timeout` would leave a timer behind for each of thousands of requests. */
  async function withTimeout<T>(
    callerSignal: AbortSignal | undefined,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(new DOMException('late', 'TimeoutError')), timeoutMs);
    try {
      return await work(
        callerSignal === undefined ? timeout.signal : AbortSignal.any([callerSignal, timeout.signal]),
      );
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Loads the kubeconfig again, because tokens and certificates rotate in their files and in the kubeconfig itself.
   * @param acceptUnchanged Whether to log in again even if the kubeconfig did not change.
   * @returns Whether a login newer than `used` is available.
   */
  function reloadLogin(used: typeof login, acceptUnchanged: boolean): boolean {
    if (login !== used) return true;
    if (Math.abs(clock.now() - loadedAt) < IDENTITY_TTL_MS) return false;
    loadedAt = clock.now();
    try {
      // The kubeconfig may now name another cluster. Never send its credentials to the old server.
      const next = config.currentContext === POD_CONTEXT ? load() : load(config.currentContext);
      if (clusterOf(next.config)?.server !== server) return false;
      if (!acceptUnchanged && isDeepStrictEqual(next.config, used.config)) return false;
      login = next;
      return true;
    } catch (error) {
      // The kubeconfig may be half-written. Keep the current login; a later request tries again.
      if (error instanceof AppError) return false;
      throw error;
    }
  }

  async function withTypedErrors<T extends { readonly status: number }>(
    kubeRequest: KubeRequest,
    attempt: () => Promise<T>,
  ): Promise<T> {
    try {
      const used = login;
      const response = await attempt().catch((thrown: unknown) => {
        // The handshake failed, so no request was sent. The kubeconfig may now contain a new CA or client certificate.
        if (isTlsError(thrown) && reloadLogin(used, false)) return attempt();
        throw thrown;
      });
      // A request with a 401 has no effect, so retry it once with a new login.
      return response.status === 401 && reloadLogin(used, true) ? await attempt() : response;
    } catch (thrown) {
      // An abort reason can be any value, so check the signal instead.
      if (kubeRequest.signal?.aborted) throw unavailable('cancelled before the API server answered', thrown);
      const error = errorFromTransport(thrown, timeoutMs);
      throw error.subject === undefined ? error.withSubject(displayAddress) : error;
    }
  }

  return {
    address,
    inCluster: config.currentContext === POD_CONTEXT,
    namespace: contextOf(config)?.namespace,
    send: (kubeRequest) =>
      withTypedErrors(kubeRequest, () =>
        retryWhileBusy(() => sendOnce(kubeRequest), kubeRequest.signal, options),
      ),
    open: (kubeRequest) =>
      withTypedErrors({ method: 'GET', ...kubeRequest }, () => openOnce({ method: 'GET', ...kubeRequest })),
    async [Symbol.asyncDispose]() {
      closing.abort();
      await Promise.all([requests[Symbol.asyncDispose](), streams[Symbol.asyncDispose]()]);
    },
  };
}

/** Groups repeated headers into lists. */
function groupHeaders(headers: Identity['headers']): Record<string, string | string[]> {
  const all = Map.groupBy(headers, ([name]) => name);
  return Object.fromEntries(
    [...all].map(([name, [first, ...more]]) => {
      const value = first?.[1] ?? '';
      return [name, more.length === 0 ? value : [value, ...more.map(([, other]) => other)]];
    }),
  );
}

async function readResponse({ statusCode, headers, body }: Dispatcher.ResponseData): Promise<KubeResponse> {
  return { status: statusCode, headers, text: await body.text() };
}

/** Removes credentials from an address before it is shown. */
function withoutCredentials(server: string): string {
  const { origin, pathname } = new URL(server);
  return pathname === '/' ? origin : origin + pathname;
}
