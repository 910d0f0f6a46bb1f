import { Agent, request } from 'undici';
import type { Clock } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import {
  type Answer,
  decodeText,
  firstOf,
  isJsonType,
  parseDate,
  parseRetryAfter,
  readBounded,
} from '../answer.ts';
import type { VaultConfig } from './config.ts';
import { createConnector } from './connect.ts';
import { fromNetwork } from './errors.ts';

/** The largest answer that is read. A Kubernetes Secret holds 1 MiB; a list of many keys may be longer. */
const MAX_BYTES = 16 * 1024 * 1024;
/** Of an answer that is no success only a few words matter. */
const MAX_ERROR_BYTES = 64 * 1024;

/** What node-vault hands to its transport, as far as we use it. */
export interface TransportOptions {
  readonly method: string;
  readonly uri: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly json?: unknown;
  readonly signal: AbortSignal;
}

export interface Transport extends AsyncDisposable {
  /**
   * One request, one answer, whatever its status: no redirect is followed, so the token goes to nobody else.
   * @throws AppError for what the connection did; the signal's reason once it is aborted.
   */
  send(options: TransportOptions): Promise<Answer>;
  /** Requests from now on go over new connections; those under way end on theirs. */
  reconnect(): void;
}

type OnIndex = (header: string) => void;

/**
 * One connection pool for a store.
 * @param onIndex Is told the header `X-Vault-Index` of each answer; empty for none.
 */
export function createTransport(
  config: VaultConfig,
  clock: Clock,
  onIndex: OnIndex = () => undefined,
): Transport {
  const connect = createConnector(config);
  const open = () => new Agent({ keepAliveTimeout: 10_000, connect });
  let agent = open();
  // Its requests go on, and what is idle ends by itself. (`close` would let go of requests that never end.)
  let previous: Agent | undefined;
  return {
    send: (options) => send(agent, clock, options, onIndex),
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

async function send(
  agent: Agent,
  clock: Clock,
  options: TransportOptions,
  onIndex: OnIndex,
): Promise<Answer> {
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
    const enough = isSuccess ? MAX_BYTES : MAX_ERROR_BYTES;
    const bytes = await readBounded(answer.body, { most: MAX_BYTES, enough });
    onIndex(firstOf(answer.headers['x-vault-index']));
    return {
      status,
      text: decodeText(bytes, isSuccess),
      isJson: isJsonType(firstOf(answer.headers['content-type'])),
      retryAfterMs: parseRetryAfter(firstOf(answer.headers['retry-after']), clock),
      date: parseDate(firstOf(answer.headers.date)),
    };
  } catch (thrown) {
    signal.throwIfAborted();
    throw thrown instanceof AppError ? thrown : fromNetwork(thrown);
  }
}
