import type { FastifyInstance } from 'fastify';
import { AppError } from '../../core/errors.ts';
import type { Limits, RouteDeps } from '../deps.ts';
import { acceptJsonOnly, parseParameters } from '../request-input.ts';
import { addApprovalRoutes } from './approvals.ts';
import { addAuditRoutes } from './audit.ts';
import { addExportRoute } from './audit-export.ts';
import { addChangeRoutes } from './changes.ts';
import { addBulkReleaseRoute, addHeldRoutes, addPruneRoutes } from './decisions.ts';
import { addEventRoutes } from './events.ts';
import { addHistoryRoutes } from './history.ts';
import { addMappingRoutes } from './mappings.ts';
import { addPage } from './page.ts';
import { addPictureRoutes } from './pictures.ts';
import { addPlanRoute } from './plan.ts';
import { addReviewRoutes } from './review.ts';
import { addSignInRoutes } from './sign-in.ts';
import { addHealthRoutes, addMetricsRoute, addStatusRoutes } from './status.ts';
import { addStreamRoute } from './stream.ts';

export async function addRoutes(app: FastifyInstance, deps: RouteDeps, limits: Limits): Promise<void> {
  const refuseOthers = noteMethods(app);
  acceptJsonOnly(app);
  parseParameters(app);
  addHealthRoutes(app, deps);
  if (deps.config.metrics === undefined) addMetricsRoute(app, deps);
  addStatusRoutes(app);
  addMappingRoutes(app);
  addHeldRoutes(app);
  addBulkReleaseRoute(app);
  addPruneRoutes(app);
  addPlanRoute(app);
  addApprovalRoutes(app);
  addAuditRoutes(app, deps);
  addReviewRoutes(app, deps);
  addExportRoute(app, deps);
  addHistoryRoutes(app);
  addPictureRoutes(app, deps);
  addStreamRoute(app, deps);
  addChangeRoutes(app, deps);
  await addEventRoutes(app, deps, limits);
  addSignInRoutes(app, deps);
  addPage(app);
  refuseOthers();
}

/** Adds the routes of the port for metrics. */
export function addMonitoringRoutes(app: FastifyInstance, deps: RouteDeps): void {
  const refuseOthers = noteMethods(app);
  addHealthRoutes(app, deps);
  addMetricsRoute(app, deps);
  refuseOthers();
}

/** Notes the methods of each route. Returns a function that adds routes to refuse everything else. */
function noteMethods(app: FastifyInstance): () => void {
  const methodsByUrl = new Map<string, Set<string>>();
  app.addHook('onRoute', ({ url, method }) => {
    const urlMethods = methodsByUrl.get(url) ?? new Set();
    for (const name of [method].flat()) urlMethods.add(name);
    methodsByUrl.set(url, urlMethods);
  });
  return () => {
    refuseOtherMethods(app, new Map(methodsByUrl));
    app.setNotFoundHandler({ preHandler: app.rateLimit() }, () => {
      throw new AppError('NOT_FOUND');
    });
  };
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
