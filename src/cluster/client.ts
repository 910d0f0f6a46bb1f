import { isDeepStrictEqual } from 'node:util';
import { type Dispatcher, request } from 'undici';
import { unlessAborted } from '../core/abort.ts';
import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import { toJson } from '../core/json.ts';
import { type BusyDeps, whileBusy } from './busy.ts';
import { errorOfTransport, isOfTrust, type KubeAnswer, unavailable } from './errors.ts';
import { createIdentity, IDENTITY_MS, type Identity } from './kubeconfig/identity.ts';
import {
  clusterOf,
  contextOf,
  type KubeconfigOptions,
  loadKubeconfig,
  POD,
} from './kubeconfig/kubeconfig.ts';
import { createPace } from './pace.ts';
import { createPool, type Pool } from './pool.ts';

export interface KubeClientOptions extends KubeconfigOptions, BusyDeps {
  /** Of this process; none: no limit. */
  readonly requestsPerSecond?: number | undefined;
  /** For one request, from its start to the end of its answer; for a stream, to its start. */
  readonly timeoutMs?: number;
  readonly clock: Clock;
  /** For one login, as by a plugin. */
  readonly loginMs?: number;
  /** Told to stop: a login that hangs is not waited for any more. */
  readonly stop?: AbortSignal | undefined;
}

export interface KubeRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Below the server's address, encoded. */
  readonly path: string;
  readonly body?: object;
  /** Of the body; JSON when left out. */
  readonly contentType?: string;
  /** Of the answer; JSON when left out. */
  readonly accept?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** An answer that goes on for as long as its signal lets it. */
export interface KubeStream {
  readonly status: 200;
  readonly chunks: AsyncIterable<Uint8Array>;
}

export interface KubeClient extends AsyncDisposable {
  readonly address: string;
  /** Whether it works under the identity of our pod. */
  readonly inCluster: boolean;
  /** The namespace of the pod, or of the kubeconfig's context. */
  readonly namespace: string | undefined;
  /** Any answer, of whatever status, but what is busy for a moment is asked again; a typed error if there is none. */
  send(request: KubeRequest): Promise<KubeAnswer>;
  /** The same for an answer without an end, over a connection beside those of `send`. Any other status is an answer. */
  open(
    request: Pick<KubeRequest, 'path' | 'accept'> & { signal: AbortSignal },
  ): Promise<KubeAnswer | KubeStream>;
}

/**
 * client-node reads the kubeconfig and runs plugins; the request itself goes through undici: the
 * library's own requests open a connection and leak an agent each, follow redirects with
 * the body, and map objects to models, which drops what they do not know. Its watches moreover end for good at
 * the first error that is not a 410, and skip lines that they cannot read.
 */
export async function createKubeClient(options: KubeClientOptions): Promise<KubeClient> {
  const { timeoutMs = 15_000, clock, loginMs, stop } = options;
  const requests = createPool();
  // Each watch holds a connection for as long as it lasts: a hundred of them must not starve the requests.
  const streams = createPool(null);
  const pace = createPace(options.requestsPerSecond, { clock });
  const ending = new AbortController();
  const load = (context = options.context) => {
    const config = loadKubeconfig({ ...options, context });
    const identity = createIdentity(config, { clock, loginMs, stop, signal: ending.signal });
    return { config, identity };
  };
  let login = load();
  let loadedAt = clock.now();
  const { config } = login;
  const server = clusterOf(config)?.server ?? '';
  const address = withoutLogin(server);
  const proxy = clusterOf(config)?.proxyUrl;
  const reached = proxy ? `${address} through ${withoutLogin(proxy)}` : address;

  async function identity(): Promise<Identity> {
    const used = login;
    try {
      return await used.identity();
    } catch (error) {
      // The kubeconfig may name another login by now. The same one would only fail again, such as a plugin.
      if (!renewed(used, false)) throw error;
      return login.identity();
    }
  }

  async function start(
    wanted: KubeRequest,
    pool: Pool,
    signal: AbortSignal,
  ): Promise<Dispatcher.ResponseData> {
    // If a login hangs, the request must still end in time.
    const { headers, connection } = await unlessAborted(identity(), signal);
    const { method, path, body, contentType = 'application/json', accept = 'application/json' } = wanted;
    return request(server.replace(/\/+$/, '') + path, {
      method,
      headers: {
        ...byName(headers),
        Accept: accept,
        'User-Agent': 'secretbridge',
        ...(body === undefined ? {} : { 'Content-Type': contentType }),
      },
      body: body === undefined ? null : toJson(body),
      signal,
      dispatcher: pool.dispatcher(connection),
      // How long a stream may be silent is for its reader to say.
      ...(pool === streams ? { bodyTimeout: 0 } : {}),
    });
  }

  async function once(wanted: KubeRequest): Promise<KubeAnswer> {
    await pace(wanted.signal);
    return inTime(wanted.signal, async (signal) => answerOf(await start(wanted, requests, signal)));
  }

  async function openOnce(wanted: KubeRequest & { signal: AbortSignal }): Promise<KubeAnswer | KubeStream> {
    await pace(wanted.signal);
    return inTime(wanted.signal, async (signal) => {
      const answer = await start(wanted, streams, signal);
      return answer.statusCode === 200 ? { status: 200, chunks: answer.body } : await answerOf(answer);
    });
  }

  /** `AbortSignal.timeout` would leave a timer behind for each of thousands of requests. */
  async function inTime<T>(
    given: AbortSignal | undefined,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(new DOMException('late', 'TimeoutError')), timeoutMs);
    try {
      return await work(given === undefined ? late.signal : AbortSignal.any([given, late.signal]));
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Tokens and certificates rotate, in their files and in the kubeconfig itself.
   * @param anew Whether to log in again also as the kubeconfig said before.
   */
  function renewed(used: typeof login, anew: boolean): boolean {
    if (login !== used) return true;
    if (Math.abs(clock.now() - loadedAt) < IDENTITY_MS) return false;
    loadedAt = clock.now();
    try {
      // Somebody may have gone on to another cluster since: no login is to be sent to a server that it is not for.
      const next = config.currentContext === POD ? load() : load(config.currentContext);
      if (clusterOf(next.config)?.server !== server) return false;
      if (!anew && isDeepStrictEqual(next.config, used.config)) return false;
      login = next;
      return true;
    } catch (error) {
      // Somebody is writing it just now: the answer stands, and a later one looks again.
      if (error instanceof AppError) return false;
      throw error;
    }
  }

  async function typed<T extends { readonly status: number }>(
    wanted: KubeRequest,
    attempt: () => Promise<T>,
  ): Promise<T> {
    try {
      const used = login;
      const answer = await attempt().catch((thrown: unknown) => {
        // Nothing was sent, and the kubeconfig may hold other authorities by now, or another certificate.
        if (isOfTrust(thrown) && renewed(used, false)) return attempt();
        throw thrown;
      });
      // It refused to do anything, so once more, if our identity is another one by now.
      return answer.status === 401 && renewed(used, true) ? await attempt() : answer;
    } catch (thrown) {
      // The reason of a signal can be anything, so the signal is asked.
      if (wanted.signal?.aborted) throw unavailable('cancelled before it answered', thrown);
      const error = errorOfTransport(thrown, timeoutMs);
      throw error.about === undefined ? error.concerning(reached) : error;
    }
  }

  return {
    address,
    inCluster: config.currentContext === POD,
    namespace: contextOf(config)?.namespace,
    send: (wanted) => typed(wanted, () => whileBusy(() => once(wanted), wanted.signal, options)),
    open: (wanted) => typed({ method: 'GET', ...wanted }, () => openOnce({ method: 'GET', ...wanted })),
    async [Symbol.asyncDispose]() {
      ending.abort();
      await Promise.all([requests[Symbol.asyncDispose](), streams[Symbol.asyncDispose]()]);
    },
  };
}

/** A header that comes several times is a list. */
function byName(headers: Identity['headers']): Record<string, string | string[]> {
  const all = Map.groupBy(headers, ([name]) => name);
  return Object.fromEntries(
    [...all].map(([name, [first, ...more]]) => {
      const value = first?.[1] ?? '';
      return [name, more.length === 0 ? value : [value, ...more.map(([, other]) => other)]];
    }),
  );
}

async function answerOf({ statusCode, headers, body }: Dispatcher.ResponseData): Promise<KubeAnswer> {
  return { status: statusCode, headers, text: await body.text() };
}

/** For people to see: nobody should write a password into an address, but some do. */
function withoutLogin(server: string): string {
  const { origin, pathname } = new URL(server);
  return pathname === '/' ? origin : origin + pathname;
}
