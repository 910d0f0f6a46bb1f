import type * as k8s from '@kubernetes/client-node';
import { request } from 'undici';
import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import { errorOfTransport, type KubeAnswer, unavailable } from './errors.ts';
import { clusterOf, IDENTITY_MS, pooled } from './identity.ts';
import { type KubeconfigOptions, loadKubeconfig, POD } from './kubeconfig.ts';
import { createPace } from './pace.ts';
import { createPool } from './pool.ts';

export interface KubeClientOptions extends KubeconfigOptions {
  /** Of this process; none: no limit. */
  readonly requestsPerSecond?: number | undefined;
  /** For one request, from its start to the end of its answer. */
  readonly timeoutMs?: number;
  readonly clock: Clock;
}

export interface KubeRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Below the server's address, encoded. */
  readonly path: string;
  readonly body?: object;
  /** Of the body; JSON when left out. */
  readonly contentType?: string;
  readonly signal?: AbortSignal | undefined;
}

export interface KubeClient extends AsyncDisposable {
  readonly address: string;
  /** Whether it works under the identity of our pod. */
  readonly inCluster: boolean;
  /** The namespace of the pod, or of the kubeconfig's context. */
  readonly namespace: string | undefined;
  /** Any answer, of whatever status; a typed error if there is none. */
  send(request: KubeRequest): Promise<KubeAnswer>;
}

/**
 * client-node reads the kubeconfig and logs in (tokens, certificates, plugins, OIDC); the request itself goes
 * through undici: the library's own requests open a connection and leak an agent each, follow redirects with
 * the body, and map objects to models, which drops what they do not know.
 */
export async function createKubeClient(options: KubeClientOptions): Promise<KubeClient> {
  const { timeoutMs = 15_000, clock } = options;
  // 0.3 s and 86 MiB: only for those who talk to a cluster.
  const library = await import('@kubernetes/client-node');
  const pool = createPool();
  const pace = createPace(options.requestsPerSecond, { clock });
  const load = () => {
    const config = pooled(library, pool, clock);
    loadKubeconfig(config, options);
    return config;
  };
  let config = load();
  let loadedAt = clock.now();
  const { server } = clusterOf(config);
  const address = withoutLogin(server);

  async function once({ method, path, body, contentType, signal }: KubeRequest): Promise<KubeAnswer> {
    await pace(signal);
    const context = new library.RequestContext(server.replace(/\/+$/, '') + path, method as k8s.HttpMethod);
    const timeout = AbortSignal.timeout(timeoutMs);
    const deadline = signal ? AbortSignal.any([signal, timeout]) : timeout;
    await orAborted(config.applySecurityAuthentication(context), deadline);
    context.setHeaderParam('Accept', 'application/json');
    context.setHeaderParam('User-Agent', 'secretbridge');
    if (body !== undefined) context.setHeaderParam('Content-Type', contentType ?? 'application/json');
    const answer = await request(context.getUrl(), {
      method,
      headers: context.getHeaders(),
      body: body === undefined ? null : JSON.stringify(body),
      signal: deadline,
      ...dispatcherOf(context),
    });
    return { status: answer.statusCode, headers: answer.headers, text: await answer.body.text() };
  }

  /** Tokens and certificates rotate, in their files and in the kubeconfig itself. */
  function renewed(used: k8s.KubeConfig): boolean {
    if (config !== used) return true;
    if (clock.now() - loadedAt < IDENTITY_MS) return false;
    loadedAt = clock.now();
    try {
      config = load();
      return true;
    } catch (error) {
      // Somebody is writing it just now: the answer stands, and a later one looks again.
      if (error instanceof AppError) return false;
      throw error;
    }
  }

  return {
    address,
    inCluster: config.currentContext === POD,
    namespace: config.getContextObject(config.currentContext)?.namespace,
    async send(wanted) {
      try {
        const used = config;
        const answer = await once(wanted);
        // It refused to do anything, so once more, if our identity is another one by now.
        return answer.status === 401 && renewed(used) ? await once(wanted) : answer;
      } catch (thrown) {
        // The reason of a signal can be anything, so the signal is asked.
        if (wanted.signal?.aborted) throw unavailable('cancelled before it answered', thrown);
        const error = errorOfTransport(thrown, timeoutMs);
        throw error.about === undefined ? error.concerning(address) : error;
      }
    },
    [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose](),
  };
}

/** For people to see: nobody should write a password into an address, but some do. */
function withoutLogin(server: string): string {
  const { origin, pathname } = new URL(server);
  return pathname === '/' ? origin : origin + pathname;
}

function dispatcherOf(context: k8s.RequestContext): {
  dispatcher?: NonNullable<ReturnType<typeof context.getDispatcher>>;
} {
  const dispatcher = context.getDispatcher();
  return dispatcher === undefined ? {} : { dispatcher };
}

/** A login plugin takes no signal; if it hangs, the request must still end in time. */
async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    if (signal.aborted) abort();
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
