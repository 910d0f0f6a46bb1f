import { X509Certificate } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PeerCertificate } from 'node:tls';
import { Agent, request } from 'undici';
import { z } from 'zod';
import type { Config } from '../../config/config.ts';
import { isErrorCode } from '../../core/error-codes.ts';
import { AppError } from '../../core/errors.ts';
import { parseAny } from '../../core/json.ts';
import { codeOf } from '../../core/system-errors.ts';
import { decodeText, firstOf, parseRetryAfter, readBounded } from '../../providers/answer.ts';
import { fromNetwork } from '../../providers/network.ts';
import type { Context } from '../context.ts';
import { errorOf, plain, unreachable } from './error.ts';
import { configuredAddress, type ServerAddress } from './server-address.ts';

/** The API of a running service, with the token of `SECRETBRIDGE_TOKEN`. */
export interface Client extends AsyncDisposable {
  /**
   * The answer, if it has this form.
   * @throws AppError with the code that the service answered with; SERVICE_UNAVAILABLE when it cannot be talked to.
   */
  get<T extends z.ZodType>(path: string, form: T): Promise<z.output<T>>;
  post<T extends z.ZodType>(path: string, form: T, body?: object): Promise<z.output<T>>;
}

/** A status of 20,000 targets has about 8 MB. */
const MAX_BYTES = 64 * 1024 * 1024;
const CONNECT_MS = 5_000;
/** A request that waits for targets is answered before this by the service itself. */
const ANSWER_MS = 120_000;
const MAX_RETRIES = 10;
const LONGEST_RETRY_MS = 60_000;
/** It runs, and the address may be right. */
const UNTRUSTED =
  'Check the certificate of the service (name, expiry, issuer), and that it is meant to speak https. For issuers of your own set NODE_EXTRA_CA_CERTS to a file of their certificates.';

/** What only a service of ours says at `/livez`. */
const Liveness = z.looseObject({ ok: z.boolean(), stalled: z.array(z.string()) });
const ErrorAnswer = z.looseObject({ code: z.string(), message: z.string(), remedy: z.string().optional() });

export function createClient(address: ServerAddress, context: Context): Client {
  const { clock, signal } = context;
  const token = tokenOf(context);
  const agent = createAgent(address);

  async function send<T extends z.ZodType>(method: Method, path: string, form: T, body?: object) {
    for (let attempt = 1; ; attempt++) {
      try {
        return await once(method, path, form, body);
      } catch (error) {
        const waitMs =
          error instanceof AppError && error.code === 'RATE_LIMITED' ? error.retryAfterMs : undefined;
        if (waitMs === undefined || waitMs > LONGEST_RETRY_MS || attempt > MAX_RETRIES) throw error;
        await wait(waitMs, signal);
      }
    }
  }

  async function once<T extends z.ZodType>(method: Method, path: string, form: T, sent?: object) {
    const { status, headers, text } = await exchange(address, agent, method, path, {
      headers: { authorization: `Bearer ${token}`, accept: 'application/json' },
      signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]),
      stopped: signal,
      ...(sent === undefined ? {} : { body: JSON.stringify(sent) }),
    });
    const body = parseAny(text);
    if (status >= 200 && status < 300) {
      const answer = form.safeParse(body);
      if (answer.success) return answer.data;
      throw unreachable(address.url, 'it answers in a form that this version does not know');
    }
    const error = ErrorAnswer.safeParse(body).data;
    if (error !== undefined && isErrorCode(error.code)) {
      if (error.code === 'UNAUTHENTICATED')
        throw new AppError(error.code, {
          about: address.url,
          detail: 'it was sent the one of the environment variable SECRETBRIDGE_TOKEN',
        });
      const retryAfterMs = parseRetryAfter(firstOf(headers['retry-after']), clock);
      throw errorOf(error.code, plain(error.message), {
        ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
        ...(error.remedy === undefined ? {} : { todo: plain(error.remedy) }),
        // Also with a code that mends itself as a rule.
        refused: status === 409,
      });
    }
    throw unreachable(address.url, `it answers with status ${status}, and is perhaps another service`);
  }

  return {
    get: (path, form) => send('GET', path, form),
    post: (path, form, body) => send('POST', path, form, body),
    [Symbol.asyncDispose]: () => agent.destroy(),
  };
}

/** Whether a service of ours answers there; it is asked without the token. */
export async function answersAt(
  address: ServerAddress,
  { signal }: Pick<Context, 'signal'>,
): Promise<boolean> {
  let agent: ReturnType<typeof createAgent> | undefined;
  try {
    agent = createAgent(address);
    const { status, text } = await exchange(address, agent, 'GET', '/livez', {
      headers: { accept: 'application/json' },
      signal: AbortSignal.any([signal, AbortSignal.timeout(CONNECT_MS)]),
      stopped: signal,
    });
    return (status === 200 || status === 503) && Liveness.safeParse(parseAny(text)).success;
  } catch (error) {
    if (error instanceof AppError && error.code === 'SERVICE_UNAVAILABLE') return false;
    throw error;
  } finally {
    await agent?.destroy();
  }
}

/**
 * Where the service with this configuration answers, if one does. Whether it answers is asked without the token, and so
 * over plain http too.
 */
export async function answeringAddress(
  config: Pick<Config, 'http'>,
  allowHttp: boolean | undefined,
  context: Pick<Context, 'signal'>,
): Promise<ServerAddress | undefined> {
  const asked = await configuredAddress(config, true);
  return (await answersAt(asked, context)) ? configuredAddress(config, allowHttp) : undefined;
}

type Method = 'GET' | 'POST';

interface Exchange {
  /** JSON. */
  readonly body?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  /** Aborted by the person: then its reason is what is thrown. */
  readonly stopped: AbortSignal;
}

/** One request, one answer. No redirect is followed, so the token goes to nobody else. */
async function exchange(
  { url }: ServerAddress,
  agent: Agent,
  method: Method,
  path: string,
  { headers: given, signal, stopped, body }: Exchange,
) {
  try {
    const headers = body === undefined ? given : { ...given, 'content-type': 'application/json' };
    const sent = body === undefined ? {} : { body };
    const answer = await request(`${url}${path}`, { dispatcher: agent, method, headers, signal, ...sent });
    const bytes = await readBounded(answer.body, { most: MAX_BYTES });
    return { status: answer.statusCode, headers: answer.headers, text: decodeText(bytes) };
  } catch (thrown) {
    stopped.throwIfAborted();
    if (signal.aborted) throw unreachable(url, 'it did not answer in time');
    const { code, detail = 'the connection failed' } =
      thrown instanceof AppError ? thrown : fromNetwork(thrown);
    throw unreachable(url, detail, code === 'TLS_FAILED' ? UNTRUSTED : undefined);
  }
}

async function wait(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal });
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}

function createAgent({ url, certificate }: ServerAddress): Agent {
  // NODE_TLS_REJECT_UNAUTHORIZED must not switch it off: the token is sent there.
  const usual = { timeout: CONNECT_MS, rejectUnauthorized: true };
  if (certificate === undefined) return new Agent({ connect: usual });
  // The name in it is that of the outside, and we come from the inside: so it is known by itself, not by its name.
  const { raw } = certificateOf(certificate, url);
  return new Agent({
    connect: {
      ...usual,
      ca: certificate,
      allowPartialTrustChain: true,
      checkServerIdentity: (_: string, shown: PeerCertificate) =>
        raw.equals(shown.raw)
          ? undefined
          : Object.assign(new Error('another certificate'), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' }),
    },
  });
}

function certificateOf(pem: string, url: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    throw unreachable(url, 'the file of `http.tls.certFile` is no certificate');
  }
}

/** What is sent in a header must not end it. */
function tokenOf({ env }: Context): string {
  const token = env.SECRETBRIDGE_TOKEN ?? '';
  if (token === '') throw missing('environment variable SECRETBRIDGE_TOKEN is not set or empty');
  if (!/^[\x21-\x7e]+$/.test(token))
    throw missing('environment variable SECRETBRIDGE_TOKEN holds characters that no token has');
  return token;
}

function missing(detail: string): AppError {
  const todo = 'Set it to a token that the service takes: one of its `http.tokens`, or of Kubernetes.';
  return new AppError('CREDENTIAL_MISSING', { detail, todo });
}
