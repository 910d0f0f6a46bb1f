import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { LRUCache } from 'lru-cache';
import type { Actor } from '../audit/entry.ts';
import type { Clock } from '../core/clock.ts';
import type { ErrorCode } from '../core/error-codes.ts';
import { AppError } from '../core/errors.ts';
import { personOf } from '../core/person.ts';
import type { Role } from '../core/roles.ts';
import { SecretValue } from '../core/secret-value.ts';
import type { Requester } from '../service/service.ts';
import { type Authenticator, createDigest, type Identity } from './auth.ts';
import { networkOf } from './connections.ts';
import type { Backend, HttpDeps, View } from './deps.ts';
import { toHttpError } from './errors.ts';
import { identifySession } from './session-login.ts';
import type { Views } from './view.ts';

const MAX_FAILURES = 30;
const WINDOW_MS = 60_000;
const MAX_ADDRESSES = 10_000;

/** Counts the failed attempts of each address within a time window. */
interface AttemptLimiter {
  /** @throws AppError RATE_LIMITED after too many failures. */
  check(address: string): void;
  recordFailure(address: string): void;
}

export function createAttemptLimiter(clock: Clock): AttemptLimiter {
  const failuresByAddress = new LRUCache<string, { count: number; readonly until: number }>({
    max: MAX_ADDRESSES,
  });
  return {
    check(address) {
      const failures = failuresByAddress.get(address);
      if (failures === undefined) return;
      const remainingMs = failures.until - clock.now();
      // If more than a whole window remains, the clock was set back. So end this window.
      if (remainingMs <= 0 || remainingMs > WINDOW_MS) failuresByAddress.delete(address);
      else if (failures.count >= MAX_FAILURES)
        throw new AppError('RATE_LIMITED', { retryAfterMs: remainingMs });
    },
    recordFailure(address) {
      const failures = failuresByAddress.get(address);
      if (failures !== undefined) failures.count += 1;
      else failuresByAddress.set(address, { count: 1, until: clock.now() + WINDOW_MS });
    },
  };
}

const MAX_ACCEPTED = 1_000;
/** The errors of invalid tokens of the OIDC provider and of `secretbridge login`. */
const INVALID_TOKEN: readonly ErrorCode[] = ['SIGN_IN_REFUSED', 'SESSION_ENDED'];

interface RequestAuthenticator {
  /**
   * @param address The network address for counting failures. Several clients may share it.
   * @throws AppError UNAUTHENTICATED, RATE_LIMITED, and the errors of the authenticator.
   */
  identify(authorization: string | undefined, address: string): Promise<Identity>;
}

/**
 * Limits how many tokens a client can guess. After too many failures from an address, every token from that address is
 * rejected until the window has passed, even a valid token. If this address has used a token successfully before, this
 * token is still accepted. So an attacker behind a shared proxy does not lock out other users.
 */
export function createRequestAuthenticator(auth: Authenticator, clock: Clock): RequestAuthenticator {
  const digest = createDigest();
  const attempts = createAttemptLimiter(clock);
  const accepted = new LRUCache<string, true>({ max: MAX_ACCEPTED });

  return {
    async identify(authorization, address) {
      const token = bearerToken(authorization);
      if (token === undefined) throw new AppError('UNAUTHENTICATED');
      const addressAndToken = `${address} ${digest(token)}`;
      if (!accepted.has(addressAndToken)) attempts.check(address);
      const refuse = (error: AppError): never => {
        accepted.delete(addressAndToken);
        attempts.recordFailure(address);
        throw error;
      };
      try {
        const identity = await auth.identify(token);
        if (identity === undefined) return refuse(new AppError('UNAUTHENTICATED'));
        accepted.set(addressAndToken, true);
        return identity;
      } catch (error) {
        if (error instanceof AppError && INVALID_TOKEN.includes(error.code)) return refuse(error);
        throw error;
      }
    },
  };
}

/** Returns the bytes of the token that the client sent (RFC 6750, section 2.1). Node decodes headers as Latin-1. */
function bearerToken(authorization: string | undefined): SecretValue | undefined {
  const token = /^bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
  return token === undefined ? undefined : SecretValue.fromBytes(Buffer.from(token, 'latin1'));
}

function requesterFrom(identity: Identity, address: string): Requester {
  const { groups } = identity;
  return { ...personOf(identity), ...(groups.length === 0 ? {} : { groups }), address };
}

/** Returns the caller. @throws AppError INTERNAL on a public route, where the caller is unknown. */
export function requesterOf({ requester }: FastifyRequest): Requester {
  if (requester === undefined)
    throw new AppError('INTERNAL', { detail: 'a public route asked for its caller' });
  return requester;
}

/** Returns the caller as the actor of an audit record. */
export function actorOf(request: FastifyRequest): Actor {
  const { address, ...person } = requesterOf(request);
  return { kind: 'operator', ...personOf(person), ...(address === undefined ? {} : { address }) };
}

/** Returns what the caller may see. @throws AppError INTERNAL on a public route, where the caller is unknown. */
export function viewOf({ view }: FastifyRequest): View {
  if (view === undefined) throw new AppError('INTERNAL', { detail: 'a public route asked for a view' });
  return view;
}

export interface AccessControlDeps extends Pick<HttpDeps, 'auth' | 'logger'>, Pick<Backend, 'signIn'> {
  readonly clock: Clock;
  readonly views: Views;
}

/** Identifies the sender of a request by its token or its session. @param reply Gets the cookie of a renewed session. */
type Identifier = (request: FastifyRequest, reply?: FastifyReply) => Promise<Identity>;

function createIdentifier(tokens: RequestAuthenticator, signIn: AccessControlDeps['signIn']): Identifier {
  return async (request, reply) => {
    const { authorization } = request.headers;
    const session = authorization === undefined ? await identifySession(request, reply, signIn) : undefined;
    return session ?? (await tokens.identify(authorization, networkOf(request.ip)));
  };
}

function roleMissing(role: Role): AppError {
  return new AppError('FORBIDDEN', { detail: `the role ${role} is required` });
}

/** Checks the access of each route, and logs requests and refusals. Call this before the routes are added. */
export function addAccessControl(
  app: FastifyInstance,
  { auth, clock, logger, signIn, views }: AccessControlDeps,
): void {
  const identifyCaller = createIdentifier(createRequestAuthenticator(auth, clock), signIn);
  app.decorateRequest('requester', undefined);
  app.decorateRequest('identity', undefined);
  app.decorateRequest('view', undefined);
  app.decorateRequest('identifyAgain', undefined);

  app.addHook('onRoute', ({ config, url }) => {
    // Every route must declare its access, so that a forgotten declaration never makes a route public.
    if (config?.access === undefined)
      throw new AppError('INTERNAL', { detail: `the route ${url} declares no access` });
  });

  // Use the hook `preParsing`. It runs after the rate limit, which uses the hook `onRequest`, and before the body is
  // read.
  app.addHook('preParsing', async (request, reply) => {
    const { access } = request.routeOptions.config;
    if (access === undefined || access === 'public' || access === 'signed') return;
    const viewFor = async (caller: Identity): Promise<View | undefined> => {
      const namespaces = await caller.namespaces(access, views.namespaces);
      return namespaces === undefined ? undefined : views.of(namespaces);
    };
    const identity = await identifyCaller(request, reply);
    request.requester = requesterFrom(identity, request.ip);
    request.view = await viewFor(identity);
    if (request.view === undefined) throw roleMissing(access);
    request.identifyAgain = async () => viewFor(await identifyCaller(request));
    request.identity = {
      ...identity,
      namespaces: (role) => identity.namespaces(role, views.namespaces),
    };
  });

  app.addHook('onError', async (request, _, thrown) => {
    const { status, error } = toHttpError(thrown);
    const fields = { requestId: request.id, method: request.method, path: request.routeOptions.url };
    if (error.code === 'INTERNAL') logger.error('request failed', { ...fields, error });
    // Refused events can arrive in large numbers, so the refusal log summarizes them.
    else if (request.routeOptions.config.access === 'signed') return;
    else if (status >= 500) logger.warn('request failed on a dependency', { ...fields, error });
    else if (status === 401 || status === 403)
      logger.info('request refused', { ...fields, address: request.ip, code: error.code });
  });

  // Log the pattern of the route and not the URL, which could contain anything, even a token.
  app.addHook('onResponse', async (request, reply) => {
    logger.debug('request answered', {
      requestId: request.id,
      method: request.method,
      path: request.routeOptions.url,
      status: reply.statusCode,
      durationMs: Math.round(reply.elapsedTime),
      address: request.ip,
      name: request.requester?.name,
    });
  });
}
