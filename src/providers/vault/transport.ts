import { Agent, request } from 'undici';
import type { Clock } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import type { Answer } from './answer.ts';
import { badAnswer } from './answer.ts';
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

/** One connection pool for a store. */
export function createTransport(config: VaultConfig, clock: Clock): Transport {
  const connect = createConnector(config);
  const open = () => new Agent({ keepAliveTimeout: 10_000, connect });
  let agent = open();
  // Its requests go on, and what is idle ends by itself. (`close` would let go of requests that never end.)
  let previous: Agent | undefined;
  return {
    send: (options) => send(agent, clock, options),
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

async function send(agent: Agent, clock: Clock, options: TransportOptions): Promise<Answer> {
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
    const bytes = await readBounded(answer.body, status >= 200 && status < 300);
    return {
      status,
      text: decode(bytes),
      isJson: /^application\/json\s*(;|$)/i.test(one(answer.headers['content-type'])),
      retryAfterMs: parseRetryAfter(one(answer.headers['retry-after']), clock),
      date: parseDate(one(answer.headers.date)),
    };
  } catch (thrown) {
    signal.throwIfAborted();
    throw thrown instanceof AppError ? thrown : fromNetwork(thrown);
  }
}

async function readBounded(body: AsyncIterable<Uint8Array>, success: boolean): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.byteLength;
    if (size > MAX_BYTES) throw new AppError('TOO_LARGE', { detail: 'an answer of more than 16 MiB' });
    chunks.push(chunk);
    if (!success && size > MAX_ERROR_BYTES) break; // leaving the loop ends the connection
  }
  return Buffer.concat(chunks);
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) throw badAnswer('it is not UTF-8');
    throw error;
  }
}

function one(header: string | string[] | undefined): string {
  return (Array.isArray(header) ? header[0] : header) ?? '';
}

/** Seconds or a date (RFC 9110, 10.2.3). */
function parseRetryAfter(header: string, clock: Clock): number | undefined {
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000;
  const date = parseDate(header);
  return date === undefined ? undefined : Math.max(0, date - clock.now());
}

function parseDate(header: string): number | undefined {
  const time = Date.parse(header);
  return header === '' || Number.isNaN(time) ? undefined : time;
}
