import { Agent, request } from 'undici';
import type { Clock } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import { createSemaphore, type Semaphore } from '../../core/semaphore.ts';
import {
  type Answer,
  decodeText,
  firstHeaderValue,
  isJsonType,
  parseDate,
  parseRetryAfter,
  readBounded,
} from '../answer.ts';
import type { VaultConfig } from './config.ts';
import { createConnector } from './connect.ts';
import { fromNetwork } from './errors.ts';

/** The maximum size of a response with a value. A Kubernetes Secret holds 1 MiB, and JSON may escape every byte. */
const MAX_BYTES = 8 * 1024 * 1024;
/** The maximum size of a list of keys. */
const MAX_LIST_BYTES = 16 * 1024 * 1024;
/** The number of large responses that are read at the same time. Each needs three times its size. */
const LARGE_AT_ONCE = 2;
/** The maximum size of an error response. Only a few words of it are needed. */
const MAX_ERROR_BYTES = 64 * 1024;

/** The request options of node-vault that our transport uses. */
export interface TransportOptions {
  readonly method: string;
  readonly uri: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly json?: unknown;
  readonly signal: AbortSignal;
}

export interface Transport extends AsyncDisposable {
  /**
   * Sends one request and returns its response with any status. Does not follow redirects, because they would send the
   * token to another host.
   * @throws AppError for connection errors.
   * @throws The signal's reason once it is aborted.
   */
  send(options: TransportOptions): Promise<Answer>;
  /** Makes later requests use new connections. A running request keeps its connection. */
  reconnect(): void;
}

type OnIndex = (header: string) => void;

/**
 * Creates one connection pool for a store.
 * @param onIndex Called with the header `X-Vault-Index` of each response, or with an empty string if there is none.
 */
export function createTransport(
  config: VaultConfig,
  clock: Clock,
  onIndex: OnIndex = () => undefined,
): Transport {
  const connect = createConnector(config);
  const open = () => new Agent({ keepAliveTimeout: 10_000, connect });
  let agent = open();
  // Do not close the previous agent, because `close` would wait for requests that never end. Its running requests
  // continue, and its idle connections time out.
  let previous: Agent | undefined;
  const large = createSemaphore(LARGE_AT_ONCE);
  return {
    send: (options) => send(options, { agent, clock, large, onIndex }),
    reconnect() {
      void previous?.destroy();
      previous = agent;
      agent = open();
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([agent.destroy(), previous?.destroy()]);
    },
  };
}

interface SendDeps {
  readonly agent: Agent;
  readonly clock: Clock;
  readonly large: Semaphore;
  readonly onIndex: OnIndex;
}

async function send(options: TransportOptions, { agent, clock, large, onIndex }: SendDeps): Promise<Answer> {
  const { method, uri, headers, json, signal } = options;
  try {
    const answer = await request(uri, {
      dispatcher: agent,
      method: method === 'POST' ? 'POST' : 'GET',
      headers: { ...headers, ...(json === undefined ? {} : { 'content-type': 'application/json' }) },
      body: json === undefined ? null : JSON.stringify(json),
      signal,
    });
    const status = answer.statusCode;
    const isSuccess = status >= 200 && status < 300;
    const maxBytes = uri.endsWith('?list=true') ? MAX_LIST_BYTES : MAX_BYTES;
    const bytes = await readBounded(answer.body, {
      maxBytes,
      stopAfterBytes: isSuccess ? maxBytes : MAX_ERROR_BYTES,
      large: { semaphore: large, signal },
    });
    onIndex(firstHeaderValue(answer.headers['x-vault-index']));
    return {
      status,
      text: decodeText(bytes, isSuccess),
      isJson: isJsonType(firstHeaderValue(answer.headers['content-type'])),
      retryAfterMs: parseRetryAfter(firstHeaderValue(answer.headers['retry-after']), clock),
      date: parseDate(firstHeaderValue(answer.headers.date)),
    };
  } catch (thrown) {
    signal.throwIfAborted();
    throw thrown instanceof AppError ? thrown : fromNetwork(thrown);
  }
}
