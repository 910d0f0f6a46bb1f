import type { AuditStore } from '../../src/audit/store.ts';
import { AppError } from '../../src/core/errors.ts';
import { buildServer } from '../../src/http/server.ts';
import type { Service } from '../../src/service/service.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';

/**
 * Returns the OpenAPI document, which the service serves as `/api/openapi.json`. The document depends only on the
 * routes, so the service can be an empty object.
 */
export async function openApiDocument(): Promise<object> {
  await using server = await buildServer({
    backend: {
      service: {} as Service,
      audit: {} as AuditStore,
      metrics: { render: async () => ({ contentType: '', text: '' }), signIn: () => undefined },
      signIn: () => {
        throw new AppError('STARTING');
      },
    },
    auth: { identify: async () => undefined },
    config: { metricsNeedToken: false },
    version: '',
    logger: silentLogger,
  });
  return server.app.swagger();
}
