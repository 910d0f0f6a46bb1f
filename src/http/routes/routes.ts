import type { FastifyInstance } from 'fastify';
import { AppError } from '../../core/errors.ts';
import type { Limits, RouteDeps } from '../deps.ts';
import { acceptJsonOnly, parseParameters } from '../request-input.ts';
import { addAuditRoutes, addReviewRoute } from './audit.ts';
import { addExportRoute } from './audit-export.ts';
import { addHeldRoutes, addPruneRoutes } from './decisions.ts';
import { addEventRoutes } from './events.ts';
import { addMappingRoutes } from './mappings.ts';
import { addPage } from './page.ts';
import { addHealthRoutes, addMetricsRoute, addStatusRoutes } from './status.ts';

export async function addRoutes(app: FastifyInstance, deps: RouteDeps, limits: Limits): Promise<void> {
  acceptJsonOnly(app);
  parseParameters(app);
  const methodsByUrl = new Map<string, Set<string>>();
  app.addHook('onRoute', ({ url, method }) => {
    const urlMethods = methodsByUrl.get(url) ?? new Set();
    for (const name of [method].flat()) urlMethods.add(name);
    methodsByUrl.set(url, urlMethods);
  });
  addHealthRoutes(app, deps);
  addMetricsRoute(app, deps);
  addStatusRoutes(app, deps);
  addMappingRoutes(app, deps);
  addHeldRoutes(app, deps);
  addPruneRoutes(app, deps);
  addAuditRoutes(app, deps);
  addReviewRoute(app, deps);
  addExportRoute(app, deps);
  await addEventRoutes(app, deps, limits);
  addPage(app);
  refuseOtherMethods(app, new Map(methodsByUrl));
  app.setNotFoundHandler({ preHandler: app.rateLimit() }, () => {
    throw new AppError('NOT_FOUND');
  });
}

/**
 * Adds routes for the methods that a URL does not support. These routes respond with status 405 and the allowed methods
 * (RFC 9110, section 15.5.6).
 */
function refuseOtherMethods(
  app: FastifyInstance,
  methodsByUrl: ReadonlyMap<string, ReadonlySet<string>>,
): void {
  for (const [url, methods] of methodsByUrl) {
    const allow = [...methods].sort().join(', ');
    app.route({
      url,
      method: app.supportedMethods.filter((method) => !methods.has(method)),
      schema: { hide: true },
      config: { access: 'public' },
      onRequest: async (_, reply) => {
        reply.header('allow', allow);
        throw new AppError('METHOD_NOT_ALLOWED');
      },
      handler: () => undefined,
    });
  }
}
