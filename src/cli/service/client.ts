import { X509Certificate } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PeerCertificate } from 'node:tls';
import { Agent, request } from 'undici';
import { z } from 'zod';
import type { Config } from '../../config/config.ts';
import { AppError } from '../../core/errors.ts';
import { parseAny } from '../../core/json.ts';
import { codeOf } from '../../core/system-errors.ts';
import { decodeText, firstHeaderValue, parseRetryAfter, readBounded } from '../../providers/answer.ts';
import { fromNetwork } from '../../providers/network-errors.ts';
import type { Context } from '../context.ts';
import { printNotice } from '../texts/output.ts';
import { safeText, serviceErrorIn, unreachable } from './error.ts';
import { configuredAddress, type ServerAddress } from './server-address.ts';
import { LoginAnswer, type Token, tokenFor } from './token.ts';

/**
 * A client for the API of a running service. It sends the token in `SECRETBRIDGE_TOKEN`, or that of `secretbridge login`.
 */
export interface Client extends AsyncDisposable {
  /**
   * Returns the response if it matches the schema.
   * @throws AppError with the error code of the response; SERVICE_UNAVAILABLE if there is no usable response
   */
  get<T extends z.ZodType>(path: string, form: T): Promise<z.output<T>>;
  post<T extends z.ZodType>(path: string, form: T, body?: object): Promise<z.output<T>>;
}

/** The maximum size of a response. A status with 20,000 targets has about 8 MB. */
const MAX_BYTES = 64 * 1024 * 1024;
const CONNECT_MS = 5_000;
/** The timeout of a request. The service itself waits for targets, so the timeout is longer than this wait. */
const ANSWER_MS = 120_000;
const MAX_RETRIES = 10;
const LONGEST_RETRY_MS = 60_000;
/** The remedy for an untrusted certificate. */
const UNTRUSTED_REMEDY =
  'Check the certificate of the service (name, expiry, issuer), and that the service uses https. For your own issuers, set NODE_EXTRA_CA_CERTS to a file with their certificates.';

/** The format of the response to `/livez`. Only a secretbridge service responds in this format. */
const Liveness = z.looseObject({
  ok: z.boolean(),
  stalled: z.array(z.string()),
  instance: z.string().optional(),
});

/** @param getToken Undefined: the token for this service. It returns undefined for requests without a token. */
export function createClient(
  address: ServerAddress,
  context: Context,
  getToken: () => Promise<Token | undefined> = tokenSource(address, context),
): Client {
  const { clock, signal } = context;
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
    const token = await getToken();
    const authorization = token === undefined ? {} : { authorization: `Bearer ${token.text}` };
    const { status, headers, text } = await sendRequest(address, agent, method, path, {
      headers: { ...authorization, accept: 'application/json' },
      signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]),
      stopped: signal,
      ...(sent === undefined ? {} : { body: JSON.stringify(sent) }),
    });
    const body = parseAny(text);
    if (status >= 200 && status < 300) {
      const answer = form.safeParse(body);
      if (answer.success) return answer.data;
      throw unreachable(
        address.url,
        'its answer has an unknown format; the service may have another version',
      );
    }
    const retryAfterMs = parseRetryAfter(firstHeaderValue(headers['retry-after']), clock);
    const error = serviceErrorIn(body, { status, retryAfterMs });
    if (error?.code === 'UNAUTHENTICATED' && token !== undefined)
      throw new AppError(error.code, {
        subject: address.url,
        detail: `the token was read from ${token.origin}`,
      });
    if (error !== undefined) throw error;
    throw unreachable(address.url, `it answers with status ${status}, so it may be another service`);
  }

  return {
    get: (path, form) => send('GET', path, form),
    post: (path, form, body) => send('POST', path, form, body),
    [Symbol.asyncDispose]: () => agent.destroy(),
  };
}

/**
 * Checks that the service of this instance answers at the address. The request contains no token, so that no other
 * service receives the token.
 * @throws AppError SERVICE_UNAVAILABLE
 */
export async function requireInstance(
  address: ServerAddress,
  instance: string,
  context: Pick<Context, 'signal'>,
): Promise<void> {
  const answer = await livenessAt(address, context);
  if (answer === undefined) throw unreachable(address.url, 'no secretbridge service answers there');
  if (answer.instance !== instance)
    throw unreachable(address.url, otherService(answer.instance, instance), OTHER_SERVICE_REMEDY);
}

const OTHER_SERVICE_REMEDY =
  'Start the service with this configuration, or name the address of its service with `--server`.';

function otherService(found: string | undefined, wanted: string): string {
  const other = found === undefined ? 'an unknown instance' : `instance ${safeText(found)}`;
  return `it is the service of ${other}, not of ${wanted}`;
}

/**
 * Returns what `/livez` answers at this address. Returns undefined if the answer is not that of a secretbridge service.
 * @throws AppError SERVICE_UNAVAILABLE if nothing answers.
 */
async function livenessAt(
  address: ServerAddress,
  { signal }: Pick<Context, 'signal'>,
): Promise<z.output<typeof Liveness> | undefined> {
  const agent = createAgent(address);
  try {
    const { status, text } = await sendRequest(address, agent, 'GET', '/livez', {
      headers: { accept: 'application/json' },
      signal: AbortSignal.any([signal, AbortSignal.timeout(CONNECT_MS)]),
      stopped: signal,
    });
    return status === 200 || status === 503 ? Liveness.safeParse(parseAny(text)).data : undefined;
  } finally {
    await agent.destroy();
  }
}

/**
 * Returns the address of the service that runs with this configuration. Returns undefined if no service answers at this
 * address, or if the service of another instance does, which is printed. Finds this out with a request that contains no
 * token, so the request may use plain http.
 */
export async function answeringAddress(
  config: Pick<Config, 'http' | 'instance'>,
  allowHttp: boolean | undefined,
  context: Context,
): Promise<ServerAddress | undefined> {
  const probed = await configuredAddress(config, true);
  const answer = await orNothing(() => livenessAt(probed, context));
  if (answer === undefined) return undefined;
  if (answer.instance === config.instance) return configuredAddress(config, allowHttp);
  printNotice(
    context,
    `${probed.url}: ${otherService(answer.instance, config.instance)}. This process does the work itself; to ask another service, use \`--server\`.`,
  );
  return undefined;
}

/** Returns undefined if no service answers. */
export async function orNothing<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof AppError && error.code === 'SERVICE_UNAVAILABLE') return undefined;
    throw error;
  }
}

type Method = 'GET' | 'POST';

interface Exchange {
  /** The body of the request as JSON text. */
  readonly body?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  /** Aborted when the user stops the command. The request then rejects with the reason of this signal. */
  readonly stopped: AbortSignal;
}

/** Sends one request. Does not follow redirects, because that would send the token to another address. */
async function sendRequest(
  { url }: ServerAddress,
  agent: Agent,
  method: Method,
  path: string,
  { headers: baseHeaders, signal, stopped, body }: Exchange,
) {
  try {
    const headers = body === undefined ? baseHeaders : { ...baseHeaders, 'content-type': 'application/json' };
    const sent = body === undefined ? {} : { body };
    const answer = await request(`${url}${path}`, { dispatcher: agent, method, headers, signal, ...sent });
    const bytes = await readBounded(answer.body, { maxBytes: MAX_BYTES });
    return { status: answer.statusCode, headers: answer.headers, text: decodeText(bytes) };
  } catch (thrown) {
    stopped.throwIfAborted();
    if (signal.aborted) throw unreachable(url, 'it did not answer in time');
    const { code, detail = 'the connection failed' } =
      thrown instanceof AppError ? thrown : fromNetwork(thrown);
    throw unreachable(url, detail, code === 'TLS_FAILED' ? UNTRUSTED_REMEDY : undefined);
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
  // Always verify the certificate, even with NODE_TLS_REJECT_UNAUTHORIZED=0, because the token is sent.
  const usual = { timeout: CONNECT_MS, rejectUnauthorized: true };
  if (certificate === undefined) return new Agent({ connect: usual });
  // We connect to a local address, but the certificate has the external name. So compare the whole certificate instead
  // of the name.
  const { raw } = certificateOf(certificate, url);
  return new Agent({
    connect: {
      ...usual,
      ca: certificate,
      allowPartialTrustChain: true,
      checkServerIdentity: (_: string, shown: PeerCertificate) =>
        raw.equals(shown.raw)
          ? undefined
          : Object.assign(new Error('different certificate'), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' }),
    },
  });
}

function certificateOf(pem: string, url: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    throw unreachable(url, 'the file in `http.tls.certFile` is not a certificate');
  }
}

/** Returns a function that looks up the token once. */
function tokenSource(address: ServerAddress, context: Context): () => Promise<Token> {
  let token: Promise<Token> | undefined;
  return () => {
    token ??= tokenFor(address.url, context, async (renewal) => {
      await using anonymous = createClient(address, context, async () => undefined);
      return await anonymous.post('/auth/token', LoginAnswer, { renewal });
    });
    return token;
  };
}
