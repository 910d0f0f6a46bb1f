import { isDeepStrictEqual } from 'node:util';
import { type Dispatcher, request } from 'undici';
import { unlessAborted } from '../core/abort.ts';
import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import { toJson } from '../core/json.ts';
import { createRequestRateLimiter, type WaitForRate } from '../core/rate-limiter.ts';
import { errorFromTransport, isTlsError, type KubeResponse, unavailable } from './errors.ts';
import { createIdentity, IDENTITY_TTL_MS, type Identity } from './kubeconfig/identity.ts';
import {
  clusterOf,
  contextOf,
  type Kubeconfig,
  type KubeconfigOptions,
  loadKubeconfig,
  POD_CONTEXT,
} from './kubeconfig/kubeconfig.ts';
import { createPool } from './pool.ts';
import { headersOf, type KubeRequest, readResponse } from './request.ts';
import { createStreamPool } from './streams.ts';
import { type RetryDeps, retryWhileBusy } from './throttle.ts';

export interface KubeClientOptions extends KubeconfigOptions, RetryDeps {
  /** Limits the request rate of this process. Unset means no limit. */
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

export type StreamRequest = Pick<KubeRequest, 'path' | 'accept'> & { readonly signal: AbortSignal };

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
  open(request: StreamRequest): Promise<KubeResponse | KubeStream>;
}

/**
 * Sends requests with undici, and watches with `node:http2` on connections of their own. The package client-node only
 * reads the kubeconfig and runs logins. Requests by client-node open one connection each, leak an agent, and resend the
 * body on redirects. Watches by client-node end at the first error other than a 410, and skip lines that they cannot
 * parse.
 * @throws AppError CONFIG_INVALID if no kubeconfig names an API server.
 */
export async function createKubeClient(options: KubeClientOptions): Promise<KubeClient> {
  return new UndiciClient(options);
}

const DEFAULT_TIMEOUT_MS = 15_000;

interface Login {
  readonly config: Kubeconfig;
  readonly identity: () => Promise<Identity>;
}

class UndiciClient implements KubeClient {
  readonly address: string;
  readonly inCluster: boolean;
  readonly namespace: string | undefined;
  readonly #options: KubeClientOptions;
  readonly #timeoutMs: number;
  readonly #waitForRate: WaitForRate;
  readonly #requests = createPool();
  // Over HTTP/1.1, each watch keeps a connection open. If watches and requests shared a pool, a hundred watches would
  // leave no connections for the requests.
  readonly #streams = createStreamPool();
  readonly #closing = new AbortController();
  readonly #context: string;
  readonly #server: string;
  readonly #displayAddress: string;
  #login: Login;
  #loadedAt: number;

  constructor(options: KubeClientOptions) {
    this.#options = options;
    this.#timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    this.#waitForRate = createRequestRateLimiter(options.requestsPerSecond, { clock: options.clock });
    this.#login = this.#load(options.context);
    this.#loadedAt = options.clock.now();
    const { config } = this.#login;
    const { server = '', proxyUrl } = clusterOf(config) ?? {};
    this.#context = config.currentContext;
    this.#server = server;
    this.address = withoutCredentials(server);
    this.#displayAddress = proxyUrl
      ? `${this.address} through ${withoutCredentials(proxyUrl)}`
      : this.address;
    this.inCluster = config.currentContext === POD_CONTEXT;
    this.namespace = contextOf(config)?.namespace;
  }

  // An arrow function, because callers pass `send` on without its object.
  readonly send = (kubeRequest: KubeRequest): Promise<KubeResponse> =>
    this.#withTypedErrors(kubeRequest, () =>
      retryWhileBusy(() => this.#sendOnce(kubeRequest), kubeRequest.signal, this.#options),
    );

  open(streamRequest: StreamRequest): Promise<KubeResponse | KubeStream> {
    const kubeRequest = { method: 'GET', ...streamRequest } as const;
    return this.#withTypedErrors(kubeRequest, () => this.#openOnce(kubeRequest));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await Promise.all([this.#requests[Symbol.asyncDispose](), this.#streams[Symbol.asyncDispose]()]);
  }

  async #sendOnce(kubeRequest: KubeRequest): Promise<KubeResponse> {
    await this.#waitForRate(kubeRequest.signal);
    return this.#withTimeout(kubeRequest.signal, async (signal) =>
      readResponse(await this.#dispatch(kubeRequest, signal), kubeRequest.maxBytes),
    );
  }

  async #openOnce(kubeRequest: KubeRequest): Promise<KubeResponse | KubeStream> {
    await this.#waitForRate(kubeRequest.signal);
    return this.#withTimeout(kubeRequest.signal, async (signal) => {
      const { headers, connection } = await unlessAborted(this.#identity(), signal);
      const response = await this.#streams.open(connection, {
        url: this.#urlOf(kubeRequest),
        headers: headersOf(kubeRequest, headers),
        signal,
      });
      return response.statusCode === 200
        ? { status: 200, chunks: response.body }
        : await readResponse(response);
    });
  }

  /** `AbortSignal.timeout` would leave a timer behind for each of thousands of requests. */
  async #withTimeout<T>(
    callerSignal: AbortSignal | undefined,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(new DOMException('late', 'TimeoutError')), this.#timeoutMs);
    try {
      return await work(
        callerSignal === undefined ? timeout.signal : AbortSignal.any([callerSignal, timeout.signal]),
      );
    } finally {
      clearTimeout(timer);
    }
  }

  async #dispatch(kubeRequest: KubeRequest, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    // End the request at its time limit even if the login hangs.
    const { headers, connection } = await unlessAborted(this.#identity(), signal);
    const { method, body } = kubeRequest;
    return request(this.#urlOf(kubeRequest), {
      method,
      headers: headersOf(kubeRequest, headers),
      body: typeof body === 'object' ? toJson(body) : (body ?? null),
      signal,
      dispatcher: this.#requests.dispatcher(connection),
    });
  }

  #urlOf({ path }: KubeRequest): string {
    return this.#server.replace(/\/+$/, '') + path;
  }

  async #identity(): Promise<Identity> {
    const used = this.#login;
    try {
      return await used.identity();
    } catch (error) {
      // Retry only if the kubeconfig changed. An unchanged login, such as a failing plugin, would fail again.
      if (!this.#reload(used, false)) throw error;
      return this.#login.identity();
    }
  }

  #load(context: string | undefined): Login {
    const config = loadKubeconfig({ ...this.#options, context });
    const { clock, loginMs, stop } = this.#options;
    return {
      config,
      identity: createIdentity(config, { clock, loginMs, stop, signal: this.#closing.signal }),
    };
  }

  /**
   * Loads the kubeconfig again, because tokens and certificates rotate in their files and in the kubeconfig itself.
   * @param acceptUnchanged Whether to log in again even if the kubeconfig did not change.
   * @returns Whether a login newer than `used` is available.
   */
  #reload(used: Login, acceptUnchanged: boolean): boolean {
    if (this.#login !== used) return true;
    const now = this.#options.clock.now();
    if (Math.abs(now - this.#loadedAt) < IDENTITY_TTL_MS) return false;
    this.#loadedAt = now;
    try {
      // The kubeconfig may now name another cluster. Never send the credentials of the new cluster to the old server.
      const next = this.#load(this.inCluster ? this.#options.context : this.#context);
      if (clusterOf(next.config)?.server !== this.#server) return false;
      if (!acceptUnchanged && isDeepStrictEqual(next.config, used.config)) return false;
      this.#login = next;
      return true;
    } catch (error) {
      // The kubeconfig may be half-written. Keep the current login; a later request tries again.
      if (error instanceof AppError) return false;
      throw error;
    }
  }

  async #withTypedErrors<T extends { readonly status: number }>(
    kubeRequest: KubeRequest,
    attempt: () => Promise<T>,
  ): Promise<T> {
    try {
      const used = this.#login;
      const response = await attempt().catch((thrown: unknown) => {
        // The handshake failed, so no request was sent. The kubeconfig may now contain a new CA or client certificate.
        if (isTlsError(thrown) && this.#reload(used, false)) return attempt();
        throw thrown;
      });
      // The API server did not carry out a request that it answered with 401. So retry the request once with a new
      // login.
      return response.status === 401 && this.#reload(used, true) ? await attempt() : response;
    } catch (thrown) {
      // An abort reason can be any value, so check the signal and not the thrown value.
      if (kubeRequest.signal?.aborted) throw unavailable('cancelled before the API server answered', thrown);
      const error = errorFromTransport(thrown, this.#timeoutMs);
      throw error.subject === undefined ? error.withSubject(this.#displayAddress) : error;
    }
  }
}

/** Removes credentials from an address before it is shown. */
function withoutCredentials(server: string): string {
  const { origin, pathname } = new URL(server);
  return pathname === '/' ? origin : origin + pathname;
}
