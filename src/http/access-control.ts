import type { FastifyInstance } from 'fastify';
import { AppError } from '../core/errors.ts';
import { networkOf } from './address.ts';
import type { RouteDeps } from './deps.ts';
import { toHttpError } from './errors.ts';
import { createRequestAuthenticator } from './request-authenticator.ts';

/** Checks the access of each route, and logs requests and refusals. Call this before the routes are added. */
export function addAccessControl(app: FastifyInstance, { auth, clock, logger }: RouteDeps): void {
  const requestAuthenticator = createRequestAuthenticator(auth, clock);
  app.decorateRequest('requester', undefined);
  app.decorateRequest('identity', undefined);

  app.addHook('onRoute', ({ config, url }) => {
    // Every route must declare its access, so that a forgotten declaration never makes a route public.
    if (config?.access === undefined)
      throw new AppError('INTERNAL', { detail: `the route ${url} declares no access` });
  });

  // This hook runs after the rate limit, which uses `onRequest`, and before the body is read.
  app.addHook('preParsing', async (request) => {
    const { access } = request.routeOptions.config;
    if (access === undefined || access === 'public' || access === 'signed') return;
    const identity = await requestAuthenticator.identify(
      request.headers.authorization,
      networkOf(request.ip),
    );
    if (!(await identity.may(access)))
      throw new AppError('FORBIDDEN', { detail: `the role ${access} is required` });
    request.identity = identity;
    request.requester = { name: identity.name, address: request.ip };
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
