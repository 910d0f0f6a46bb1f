import type { FastifyReply, FastifyRequest } from 'fastify';
import { AppError } from '../core/errors.ts';
import type { Session } from '../sign-in/sessions.ts';
import type { SignIn } from '../sign-in/sign-in.ts';
import type { Identity } from './auth.ts';
import { identityOf } from './oidc-logins.ts';
import { clearCookie, cookieOf, requireOwnPage, SESSION_COOKIE, setCookie } from './session-cookies.ts';

/** The page sends this header with requests that it makes by itself, such as an automatic refresh. */
const IDLE_HEADER = 'x-secretbridge-idle';

/**
 * Returns the owner of the session in the cookie, and renews the session. Undefined without a session.
 * @param reply Gets the renewed cookie. Without it, the session is not renewed.
 * @throws AppError SESSION_ENDED, and FORBIDDEN for a request from another site.
 */
export async function identifySession(
  request: FastifyRequest,
  reply: FastifyReply | undefined,
  getSignIn: (() => SignIn) | undefined,
): Promise<Identity | undefined> {
  if (getSignIn === undefined || cookieOf(request, SESSION_COOKIE) === undefined) return undefined;
  const signIn = getSignIn();
  try {
    const session = await browserSession(request, signIn);
    const isAutomatic =
      request.headers[IDLE_HEADER] !== undefined || request.routeOptions.config.keepsSession === true;
    const renewed =
      session === undefined || reply === undefined || isAutomatic
        ? undefined
        : signIn.sessions.renewIfDue(session);
    if (renewed !== undefined && reply !== undefined)
      setCookie(reply, SESSION_COOKIE, signIn.sessions.seal(renewed));
    return session && identityOf(session, signIn, (renewed ?? session).endsAt);
  } catch (error) {
    // The browser forgets a useless cookie. Otherwise it would send the cookie again with every request.
    if (reply !== undefined && error instanceof AppError && error.code === 'SESSION_ENDED')
      clearCookie(reply, SESSION_COOKIE);
    throw error;
  }
}

/** @throws AppError SESSION_ENDED, and FORBIDDEN for a request from another site. */
export async function browserSession(request: FastifyRequest, signIn: SignIn): Promise<Session | undefined> {
  const text = cookieOf(request, SESSION_COOKIE);
  if (text === undefined) return undefined;
  requireOwnPage(request, signIn.publicUrl);
  const session = await signIn.sessions.open(text);
  if (session.kind !== 'browser')
    throw new AppError('SESSION_ENDED', { detail: 'it is the session of a command line' });
  return session;
}
