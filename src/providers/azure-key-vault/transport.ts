import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import type { SecretClientOptions } from '@azure/keyvault-secrets';
import type { Clock } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import type { JsonNode } from '../../core/json.ts';
import {
  type Answer as AnyAnswer,
  badAnswer,
  decodeText,
  isJsonType,
  parseDate,
  parseJsonBody,
  parseRetryAfter,
  readBounded,
} from '../answer.ts';
import { fromNetwork } from '../network-errors.ts';
import { secureContextWithCa } from '../tls.ts';
import type { AzureConfig } from './config.ts';

export interface Answer extends AnyAnswer {
  /** The first value of each header, by its lower-case name. */
  readonly headers: ReadonlyMap<string, string>;
}

/** Returns undefined if the body is not a JSON object. */
export function jsonOf(answer: Pick<Answer, 'isJson' | 'text'>): JsonNode | undefined {
  const node = parseJsonBody(answer);
  return node?.kind === 'object' ? node : undefined;
}

/** The interface that the Azure SDK requires of an HTTP client. */
export type HttpClient = NonNullable<SecretClientOptions['httpClient']>;
export type HttpRequest = Parameters<HttpClient['sendRequest']>[0];
export type HttpResponse = Awaited<ReturnType<HttpClient['sendRequest']>>;

/** The maximum response size. The pages of a list are far smaller than this, and a value has at most 25 KB. */
const MAX_BYTES = 4 * 1024 * 1024;
/** The maximum size of an error response. Only its codes are needed. */
const MAX_ERROR_BYTES = 64 * 1024;
const IDLE_MS = 10_000;

export interface Transport extends Disposable {
  /**
   * Sends one request and returns its response with any status. Does not follow redirects, because they would send the
   * token to another host.
   * @throws AppError for connection errors.
   * @throws The signal's reason once it is aborted.
   */
  send(request: HttpRequest, signal: AbortSignal): Promise<Answer>;
}

/**
 * Creates one connection pool for a store. It replaces the HTTP client of the SDK, which has no size limit, accepts
 * invalid UTF-8, and puts the body into error messages.
 * @throws AppError CONFIG_INVALID if `tls.caFile` cannot be read or is not PEM.
 */
export async function createTransport({ tls }: AzureConfig, clock: Clock): Promise<Transport> {
  const secureContext = await secureContextWithCa(tls?.caFile);
  const secure = {
    rejectUnauthorized: true, // NODE_TLS_REJECT_UNAUTHORIZED must not turn off this check.
    // One context for all connections, because creating a context takes longer than a request.
    ...(secureContext === undefined ? {} : { secureContext }),
  };
  const agent = new https.Agent({ keepAlive: true, timeout: IDLE_MS, ...secure });
  return {
    async send(request, signal) {
      try {
        const answer = await exchange(request, agent, secure, signal);
        return await readAnswer(answer, clock);
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
  // Only managed identity endpoints may use plain HTTP, because they are on this machine or on the local network.
  if (plain && request.allowInsecureConnection !== true) throw badAnswer('it contains a URL without TLS');
  const { 'accept-encoding': _, ...headers } = request.headers.toJSON();
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const options = { method: request.method, headers, signal };
  // The SDK sets a proxy agent from HTTPS_PROXY and NO_PROXY, even for local endpoints. Use this agent only for HTTPS.
  // A proxy cannot reach a local endpoint, and it would see the secret and the token of the identity.
  const proxy = request.agent instanceof http.Agent ? { agent: request.agent } : {};
  const call = plain
    ? http.request(url, options)
    : https.request(url, { ...options, ...secure, agent, ...proxy });
  call.on('response', resolve).on('error', reject);
  call.end(typeof request.body === 'string' ? request.body : undefined);
  return promise;
}

async function readAnswer(answer: IncomingMessage, clock: Clock): Promise<Answer> {
  const status = answer.statusCode ?? 0;
  const isSuccess = status >= 200 && status < 300;
  const enough = isSuccess ? MAX_BYTES : MAX_ERROR_BYTES;
  const bytes = await readBounded(answer, { maxBytes: MAX_BYTES, stopAfterBytes: enough });
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

/**
 * Returns the wait in milliseconds. The headers of Azure's identity endpoints contain milliseconds. `Retry-After`
 * contains seconds or a date (RFC 9110, 10.2.3).
 */
function waitOf(headers: Answer['headers'], clock: Clock): number | undefined {
  const ms = headers.get('retry-after-ms') ?? headers.get('x-ms-retry-after-ms') ?? '';
  if (/^\d{1,12}$/.test(ms)) return Number(ms);
  return parseRetryAfter(headers.get('retry-after') ?? '', clock);
}

/** Converts a response to the form that the SDK expects. */
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
