import { isIP, type LookupFunction } from 'node:net';
import { EnvHttpProxyAgent, request } from 'undici';
import { AppError } from '../core/errors.ts';
import { isLoopback } from '../core/loopback.ts';
import type { SecretValue } from '../core/secret-value.ts';
import { fromNetwork } from '../providers/network-errors.ts';
import { allowedAddresses } from './addresses.ts';

/** A request with a JSON body. */
export interface Post {
  /** The address of a Slack webhook is a credential. */
  readonly url: SecretValue;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly allowPrivate: boolean;
  readonly signal: AbortSignal;
}

const TIMEOUT_MS = 10_000;
const MAX_ANSWER = 64 * 1024;

/** Sends a request. It follows no redirect, and the answer is not read. @throws AppError NOTIFY_FAILED */
export async function post({ url, body, headers = {}, allowPrivate, signal }: Post): Promise<void> {
  const target = parseUrl(url);
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const stop = AbortSignal.any([signal, timeout]);
  try {
    // A name is resolved only by a direct connection. If there is a proxy, the proxy resolves it.
    if (isIP(target.hostname.replace(/^\[|\]$/g, '')) !== 0)
      await allowedAddresses(target.hostname, allowPrivate);
    const agent = new EnvHttpProxyAgent({ allowH2: false, connect: { lookup: checkedLookup(allowPrivate) } });
    try {
      const answer = await request(target, {
        dispatcher: agent,
        method: 'POST',
        headers: { 'content-type': 'application/json', 'user-agent': 'secretbridge', ...headers },
        body,
        signal: stop,
      });
      await answer.body.dump({ limit: MAX_ANSWER });
      checkStatus(answer.statusCode, answer.headers['retry-after']);
    } finally {
      // Do not use `close`, because it would wait for a proxy that does not respond.
      await agent.destroy();
    }
  } catch (thrown) {
    if (signal.aborted) throw signal.reason;
    throw failureOf(thrown, timeout.aborted);
  }
}

/** Resolves names, and gives the connection only addresses that were checked. */
function checkedLookup(allowPrivate: boolean): LookupFunction {
  return (host, { all }, done) => {
    allowedAddresses(host, allowPrivate).then(
      (addresses) => {
        const [first = { address: '', family: 0 }] = addresses;
        if (all) done(null, [...addresses]);
        else done(null, first.address, first.family);
      },
      (error: NodeJS.ErrnoException) => done(error, []),
    );
  };
}

/** Returns the host of an address. @throws AppError NOTIFY_FAILED, which does not quote the address. */
export function hostOf(url: SecretValue): string {
  return parseUrl(url).hostname;
}

function parseUrl(address: SecretValue): URL {
  const url = URL.parse(address.revealText().trim());
  if (url === null || !/^https?:$/.test(url.protocol))
    throw new AppError('NOTIFY_FAILED', { detail: 'its URL is not valid', needsAction: true });
  if (url.protocol === 'http:' && !isLoopback(url.href))
    throw new AppError('NOTIFY_FAILED', {
      detail: 'its URL is not https; http is allowed on loopback only',
      needsAction: true,
    });
  return url;
}

function checkStatus(status: number, retryAfter: string | string[] | undefined): void {
  if (status >= 200 && status < 300) return;
  const seconds = Number(retryAfter);
  throw new AppError('NOTIFY_FAILED', {
    detail:
      status >= 300 && status < 400
        ? `the receiver redirects (status ${status}), which is not followed`
        : `the receiver answered with status ${status}`,
    ...(Number.isFinite(seconds) && seconds > 0 ? { retryAfterMs: seconds * 1_000 } : {}),
  });
}

/** Returns our own error for any failure to send. A vendor's text could contain the address. */
export function failureOf(thrown: unknown, isLate: boolean): AppError {
  if (thrown instanceof AppError && (thrown.code === 'NOTIFY_FAILED' || thrown.code === 'CREDENTIAL_MISSING'))
    return thrown;
  const { detail = 'the connection failed' } = fromNetwork(thrown);
  return new AppError('NOTIFY_FAILED', { detail: isLate ? 'the receiver did not answer in time' : detail });
}
