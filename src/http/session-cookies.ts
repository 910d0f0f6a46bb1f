import type { FastifyReply, FastifyRequest } from 'fastify';
import { AppError } from '../core/errors.ts';
import { isLoopback } from '../core/loopback.ts';

// The cookies of the review page. The prefix `__Host-` makes browsers refuse a cookie that another host has set, or
// that could be sent without TLS.

/** The session. It is never sent with a request from another site, not even when somebody follows a link. */
export const SESSION_COOKIE = { name: '__Host-secretbridge-session', sameSite: 'Strict' } as const;
/** The started sign-in. The provider sends the browser back from its own site, so this cookie must be `Lax`. */
export const PENDING_COOKIE = { name: '__Host-secretbridge-sign-in', sameSite: 'Lax' } as const;

type Cookie = typeof SESSION_COOKIE | typeof PENDING_COOKIE;

export function cookieOf({ headers }: FastifyRequest, { name }: Cookie): string | undefined {
  const pairs = (headers.cookie ?? '').split(';').map((pair) => pair.trim());
  const found = pairs.find((pair) => pair.startsWith(`${name}=`))?.slice(name.length + 1);
  return found === '' ? undefined : found;
}

/** @param maxAgeSeconds Undefined: until the browser closes. */
export function setCookie(
  reply: FastifyReply,
  { name, sameSite }: Cookie,
  value: string,
  maxAgeSeconds?: number,
): void {
  const age = maxAgeSeconds === undefined ? '' : `; Max-Age=${maxAgeSeconds}`;
  // Fastify adds a further `set-cookie` header to those that are already set.
  reply.header('set-cookie', `${name}=${value}; Path=/; Secure; HttpOnly; SameSite=${sameSite}${age}`);
}

export function clearCookie(reply: FastifyReply, cookie: Cookie): void {
  setCookie(reply, cookie, '', 0);
}

/**
 * Returns the address of the service as browsers see it, without a trailing slash. A `__Host-` cookie needs https, so a
 * service without TLS of its own is behind a proxy with https, or on this machine.
 */
export function publicUrlOf(request: FastifyRequest, configured: string | undefined): string {
  if (configured !== undefined) return configured;
  const url = URL.parse(`${request.protocol}://${request.host}`);
  if (url === null) throw new AppError('INVALID_REQUEST', { detail: 'the header `Host` is not a host name' });
  const isLocal = request.protocol === 'http' && isLoopback(url.origin);
  return isLocal ? url.origin : `https://${url.host}`;
}

const SAFE_METHODS: readonly string[] = ['GET', 'HEAD'];

/**
 * Requires that a request with a session comes from our own page. Browsers say where a request comes from, and no page
 * can change what they say. A request that changes something needs this proof.
 * @throws AppError FORBIDDEN
 */
export function requireOwnPage(request: FastifyRequest, configuredUrl: string | undefined): void {
  const { 'sec-fetch-site': site, origin } = request.headers;
  const isSafe = SAFE_METHODS.includes(request.method);
  // `none`: the person has typed the address.
  if (site === 'same-origin' || (site === 'none' && isSafe)) return;
  if (site === undefined && origin === undefined && isSafe) return;
  if (site === undefined && origin === new URL(publicUrlOf(request, configuredUrl)).origin) return;
  throw new AppError('FORBIDDEN', {
    detail: 'the request does not come from the review page',
    remedy:
      'Use the review page. Programs send a token in the header `Authorization`. If a proxy changes the host, set `http.oidc.publicUrl`.',
  });
}
