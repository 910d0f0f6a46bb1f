import { AppError } from '../../core/errors.ts';
import { type Wake, wakeLater } from '../../core/wake.ts';
import type { ChangeListener } from '../provider.ts';
import { requestHeaders } from './client.ts';
import { createConnector } from './connect.ts';
import { fromStatus } from './errors.ts';
import { keyOfEvent } from './event-key.ts';
import { type Declined, type EventSocket, openEventSocket } from './event-socket.ts';
import type { Store } from './read.ts';

/** https://developer.hashicorp.com/vault/api-docs/system/events */
const PATH = '/v1/sys/events/subscribe/kv*?json=true';
const PING_MS = 20_000;
/** Pings without any sign of life, after which the connection is given up. */
const PATIENCE = 3;
/** A standby sends its clients to the active node. */
const MOST_REDIRECTS = 3;

export interface EventStreamDeps extends Pick<Store, 'config' | 'session' | 'deps'> {
  readonly wake?: Wake;
}

/**
 * Events of the store's engine, over a connection of its own, as the store's own login. Logs in again where the token
 * has ended.
 * @throws AppError why the stream ended or could not begin; the signal's reason once it is aborted.
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
  const stop = watchLife(socket, listener, stream.wake ?? wakeLater, ended.reject);
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

/** A connection whose other side is gone without a word stays open for hours, as far as TCP is concerned. */
function watchLife(
  socket: EventSocket,
  listener: ChangeListener,
  wake: Wake,
  fail: (error: AppError) => void,
): () => void {
  let bytes = socket.bytes;
  let missed = 0;
  const look = (): void => {
    missed = socket.bytes === bytes ? missed + 1 : 0;
    bytes = socket.bytes;
    if (missed === 0) listener.onAlive();
    if (missed >= PATIENCE) fail(new AppError('TIMEOUT', { detail: 'its event stream went silent' }));
    else {
      socket.ping();
      callOff = wake(look, PING_MS);
    }
  };
  socket.ping();
  let callOff = wake(look, PING_MS);
  return () => callOff();
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
  // It may be the token that has ended: this tells, and logs in again where it has.
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
): Promise<EventSocket | Declined> {
  const connect = createConnector(config);
  const headers = requestHeaders(config.namespace, token);
  let url = new URL(config.address.replace(/\/+$/, '') + PATH);
  for (let hops = 0; ; hops += 1) {
    // That it is not offered, or not allowed, says nothing of the store.
    const answer = await deps.limit(
      (limited) => openEventSocket({ url, headers, connect, onText }, limited),
      signal,
      'other',
    );
    if (!('status' in answer) || answer.status !== 307 || hops === MOST_REDIRECTS) return answer;
    const next = URL.parse(answer.location, url.href);
    // The token goes along, so only to where such a request belongs, and never with less protection.
    if (next === null || next.protocol !== url.protocol || next.pathname !== url.pathname) return answer;
    url = new URL(next.pathname + url.search, next.origin);
  }
}

function refusal({ status }: Declined): AppError {
  if (status === 403)
    return new AppError('ACCESS_DENIED', {
      detail: 'its token may not subscribe to events, or it is no Vault Enterprise',
    });
  if (status === 400 || status === 404 || status === 405 || status === 501)
    return new AppError('CONFIG_INVALID', { detail: 'it has no event stream: only Vault Enterprise does' });
  return fromStatus({ status, text: '', isJson: false, retryAfterMs: undefined, date: undefined });
}
