import { AppError } from '../../core/errors.ts';
import { type StartTimer, startBackgroundTimer } from '../../core/timer.ts';
import type { ChangeListener } from '../provider.ts';
import { requestHeaders } from './client.ts';
import { createConnector } from './connect.ts';
import { fromStatus } from './errors.ts';
import { keyOfEvent } from './event-key.ts';
import { type DeclinedUpgrade, type EventSocket, openEventSocket } from './event-socket.ts';
import type { Store } from './read.ts';

/** https://developer.hashicorp.com/vault/api-docs/system/events */
const PATH = '/v1/sys/events/subscribe/kv*?json=true';
const PING_MS = 20_000;
/** After this many pings without any received data, the connection is closed. */
const MAX_MISSED_PINGS = 3;
/** The maximum number of redirects to follow. A standby redirects clients to the active node. */
const MAX_REDIRECTS = 3;

export interface EventStreamDeps extends Pick<Store, 'config' | 'session' | 'deps'> {
  readonly wake?: StartTimer;
}

/**
 * Follows the events of the store's mount, with its own connection and the store's login. Logs in again if the token
 * has expired.
 * @throws AppError that tells why the stream ended or could not start.
 * @throws The signal's reason once it is aborted.
 */
export async function followEvents(
  stream: EventStreamDeps,
  listener: ChangeListener,
  signal: AbortSignal,
): Promise<never> {
  using socket = await open(stream, (text) => listener.onMessage(keyOfEvent(stream.config, text)), signal);
  listener.onOpen();
  const ended = Promise.withResolvers<never>();
  const onAbort = (): void => ended.reject(signal.reason);
  const stop = watchLiveness(socket, listener, stream.wake ?? startBackgroundTimer, ended.reject);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  void socket.closed.then(() =>
    ended.reject(new AppError('STORE_UNAVAILABLE', { detail: 'its event stream was closed' })),
  );
  try {
    return await ended.promise;
  } finally {
    stop();
    signal.removeEventListener('abort', onAbort);
  }
}

/** Sends pings to notice a lost connection. TCP alone would keep the connection open for hours. */
function watchLiveness(
  socket: EventSocket,
  listener: ChangeListener,
  wake: StartTimer,
  fail: (error: AppError) => void,
): () => void {
  let bytes = socket.bytes;
  let missed = 0;
  const checkLiveness = (): void => {
    missed = socket.bytes === bytes ? missed + 1 : 0;
    bytes = socket.bytes;
    if (missed === 0) listener.onAlive();
    if (missed >= MAX_MISSED_PINGS)
      fail(new AppError('TIMEOUT', { detail: 'its event stream stopped responding' }));
    else {
      socket.ping();
      cancelTimer = wake(checkLiveness, PING_MS);
    }
  };
  socket.ping();
  let cancelTimer = wake(checkLiveness, PING_MS);
  return () => cancelTimer();
}

async function open(
  stream: EventStreamDeps,
  onText: (text: string) => void,
  signal: AbortSignal,
): Promise<EventSocket> {
  const { session } = stream;
  const token = await session.token(signal);
  const first = await handshake(stream, token, onText, signal);
  if (!('status' in first)) return first;
  if (first.status !== 403) throw refusal(first);
  // The token may have expired. `session.call` checks this, and logs in again if the token is not valid.
  await session.call('login', (vault, requestOptions) => vault.tokenLookupSelf({ requestOptions }), signal);
  const next = await session.token(signal);
  const second = next === token ? first : await handshake(stream, next, onText, signal);
  if (!('status' in second)) return second;
  throw refusal(second);
}

type Token = Awaited<ReturnType<Store['session']['token']>>;

async function handshake(
  { config, deps }: EventStreamDeps,
  token: Token,
  onText: (text: string) => void,
  signal: AbortSignal,
): Promise<EventSocket | DeclinedUpgrade> {
  const connect = createConnector(config);
  const headers = requestHeaders(config.namespace, token);
  let url = new URL(config.address.replace(/\/+$/, '') + PATH);
  for (let hops = 0; ; hops += 1) {
    // If the server declines the upgrade, return its response instead of throwing. A thrown error would count against
    // the health of the store.
    const answer = await deps.limit(
      (limited) => openEventSocket({ url, headers, connect, onText }, limited),
      signal,
      'other',
    );
    if (!('status' in answer) || answer.status !== 307 || hops === MAX_REDIRECTS) return answer;
    const next = URL.parse(answer.location, url.href);
    // The redirected request contains the token, so follow only a redirect to the same path with the same protocol.
    if (next === null || next.protocol !== url.protocol || next.pathname !== url.pathname) return answer;
    url = new URL(next.pathname + url.search, next.origin);
  }
}

function refusal({ status }: DeclinedUpgrade): AppError {
  if (status === 403)
    return new AppError('ACCESS_DENIED', {
      detail: 'the token may not subscribe to events, or it is not Vault Enterprise',
    });
  if (status === 400 || status === 404 || status === 405 || status === 501)
    return new AppError('CONFIG_INVALID', {
      detail: 'it has no event stream, which requires Vault Enterprise',
    });
  return fromStatus({ status, text: '', isJson: false, retryAfterMs: undefined, date: undefined });
}
