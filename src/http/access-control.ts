import type { FastifyInstance } from 'fastify';
import { AppError } from '../core/errors.ts';
import { networkOf } from './address.ts';
import type { RouteDeps } from './deps.ts';
import { toHttpError } from './errors.ts';
import { createRequestAuthenticator } from './request-authenticator.ts';

/** Checks the access of each route, logs refused requests and answers. Call it before the routes are added. */
export function addAccessControl(app: FastifyInstance, { auth, clock, logger }: RouteDeps): void {
  const requestAuthenticator = createRequestAuthenticator(auth, clock);
  app.decorateRequest('requester', undefined);
  app.decorateRequest('identity', undefined);

  app.addHook('onRoute', ({ config, url }) => {
    // A route must declare its access, so that a forgotten declaration never means public.
    if (config?.access === undefined)
      throw new AppError('INTERNAL', { detail: `the route ${url} declares no access` });
  });

  // After `onRequest`, where the rate limit runs, and before the body is read.
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
    // These can come in floods. The refusal log condenses them.
    else if (request.routeOptions.config.access === 'signed') return;
    else if (status >= 500) logger.warn('request failed on a dependency', { ...fields, error });
    else if (status === 401 || status === 403)
      logger.info('request refused', { ...fields, address: request.ip, code: error.code });
  });

  // Log the route pattern and not the URL as sent: the URL could hold anything, a token too.
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
