import type { FastifyInstance } from 'fastify';
import { AppError } from '../core/errors.ts';
import { networkOf } from './address.ts';
import { createAdmission } from './admission.ts';
import type { RouteDeps } from './deps.ts';
import { toHttpError } from './errors.ts';

/** Who may pass, what is said of those who may not, and a line in the log for each. To be added before the routes. */
export function addGate(app: FastifyInstance, { auth, clock, logger }: RouteDeps): void {
  const admission = createAdmission(auth, clock);
  app.decorateRequest('requester', undefined);
  app.decorateRequest('identity', undefined);

  app.addHook('onRoute', ({ config, url }) => {
    // What nobody thought of is not open to everybody.
    if (config?.access === undefined) throw new AppError('INTERNAL', { detail: `no access said for ${url}` });
  });

  // After `onRequest`, where the rate limit stands, and before the body is read.
  app.addHook('preParsing', async (request) => {
    const { access } = request.routeOptions.config;
    if (access === undefined || access === 'public' || access === 'signed') return;
    const identity = await admission.identify(request.headers.authorization, networkOf(request.ip));
    if (!(await identity.may(access)))
      throw new AppError('FORBIDDEN', { detail: `it needs the role ${access}` });
    request.identity = identity;
    request.requester = { name: identity.name, address: request.ip };
  });

  app.addHook('onError', async (request, _, thrown) => {
    const { status, error } = toHttpError(thrown);
    const fields = { requestId: request.id, method: request.method, path: request.routeOptions.url };
    if (error.code === 'INTERNAL') logger.error('request failed', { ...fields, error });
    // These may come in floods, and have lines of their own.
    else if (request.routeOptions.config.access === 'signed') return;
    else if (status >= 500) logger.warn('request cannot be served', { ...fields, error });
    else if (status === 401 || status === 403)
      logger.info('request refused', { ...fields, address: request.ip, code: error.code });
  });

  // The pattern of the route and not the address as sent, in which anything may stand, a token too.
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
