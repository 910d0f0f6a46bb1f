import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import type { SecretClientOptions } from '@azure/keyvault-secrets';
import type { Clock } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import { badAnswer, decodeText, isJsonType, parseDate, parseRetryAfter, readBounded } from '../answer.ts';
import { fromNetwork } from '../network.ts';
import { trustAlso } from '../tls.ts';
import type { Answer } from './answer.ts';
import type { AzureConfig } from './config.ts';

/** What the vendor's clients send their requests with. */
export type HttpClient = NonNullable<SecretClientOptions['httpClient']>;
export type HttpRequest = Parameters<HttpClient['sendRequest']>[0];
export type HttpResponse = Awaited<ReturnType<HttpClient['sendRequest']>>;

/** The largest answer that is read: a page of a list is far smaller, a value has at most 25 KB. */
const MAX_BYTES = 4 * 1024 * 1024;
/** Of an answer that is no success only its codes matter. */
const MAX_ERROR_BYTES = 64 * 1024;
const IDLE_MS = 10_000;

export interface Transport extends Disposable {
  /**
   * One request, one answer, whatever its status: no redirect is followed, so a token goes to nobody else.
   * @throws AppError for what the connection did; the signal's reason once it is aborted.
   */
  send(request: HttpRequest, signal: AbortSignal): Promise<Answer>;
}

/**
 * One connection pool for a store. The vendor's own HTTP client reads answers of any size, takes broken UTF-8, and
 * puts the body into the message of an error, so this one stands in its place.
 * @throws AppError CONFIG_INVALID when `tls.caFile` cannot be read or is no PEM.
 */
export async function createTransport({ tls }: AzureConfig, clock: Clock): Promise<Transport> {
  const secureContext = await trustAlso(tls?.caFile);
  const secure = {
    rejectUnauthorized: true, // NODE_TLS_REJECT_UNAUTHORIZED must not switch it off
    // Made once: it takes longer than a request, and would be made for each connection.
    ...(secureContext === undefined ? {} : { secureContext }),
  };
  const agent = new https.Agent({ keepAlive: true, timeout: IDLE_MS, ...secure });
  return {
    async send(request, signal) {
      try {
        const answer = await exchange(request, agent, secure, signal);
        return await received(answer, clock);
      } catch (thrown) {
        signal.throwIfAborted();
        throw thrown instanceof AppError ? thrown : fromNetwork(thrown);
      }
    },
    [Symbol.dispose]: () => agent.destroy(),
  };
}

function exchange(
  request: HttpRequest,
  agent: https.Agent,
  secure: https.AgentOptions,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const url = new URL(request.url);
  const plain = url.protocol === 'http:';
  // Only the endpoints of managed identities, which are on the machine or next to it, speak plain HTTP.
  if (plain && request.allowInsecureConnection !== true) throw badAnswer('it names an address without TLS');
  const { 'accept-encoding': _, ...headers } = request.headers.toJSON();
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const options = { method: request.method, headers, signal };
  // The client's own policy sets an agent where HTTPS_PROXY and NO_PROXY say so, also for what is on the machine: a
  // proxy cannot reach that, and would see the identity's secret and its token.
  const proxy = request.agent instanceof http.Agent ? { agent: request.agent } : {};
  const call = plain
    ? http.request(url, options)
    : https.request(url, { ...options, ...secure, agent, ...proxy });
  call.on('response', resolve).on('error', reject);
  call.end(typeof request.body === 'string' ? request.body : undefined);
  return promise;
}

async function received(answer: IncomingMessage, clock: Clock): Promise<Answer> {
  const status = answer.statusCode ?? 0;
  const isSuccess = status >= 200 && status < 300;
  const enough = isSuccess ? MAX_BYTES : MAX_ERROR_BYTES;
  const bytes = await readBounded(answer, { most: MAX_BYTES, enough });
  const headers = new Map<string, string>();
  for (const [name, values] of Object.entries(answer.headersDistinct)) headers.set(name, values?.[0] ?? '');
  return {
    status,
    text: decodeText(bytes, isSuccess),
    isJson: isJsonType(headers.get('content-type') ?? ''),
    headers,
    retryAfterMs: waitOf(headers, clock),
    date: parseDate(headers.get('date') ?? ''),
  };
}

/** Milliseconds, which Azure's identity endpoints use, or seconds or a date (RFC 9110, 10.2.3). */
function waitOf(headers: Answer['headers'], clock: Clock): number | undefined {
  const ms = headers.get('retry-after-ms') ?? headers.get('x-ms-retry-after-ms') ?? '';
  if (/^\d{1,12}$/.test(ms)) return Number(ms);
  return parseRetryAfter(headers.get('retry-after') ?? '', clock);
}

/** In the form that the vendor's clients expect. */
export function toResponse(request: HttpRequest, answer: Answer): HttpResponse {
  return { request, status: answer.status, headers: headersOf(answer.headers), bodyAsText: answer.text };
}

function headersOf(from: Answer['headers']): HttpResponse['headers'] {
  const map = new Map(from);
  return {
    get: (name) => map.get(name.toLowerCase()),
    has: (name) => map.has(name.toLowerCase()),
    set: (name, value) => void map.set(name.toLowerCase(), String(value)),
    delete: (name) => void map.delete(name.toLowerCase()),
    toJSON: () => Object.fromEntries(map),
    [Symbol.iterator]: () => map.entries(),
  };
}
