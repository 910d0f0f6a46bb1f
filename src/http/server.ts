import { randomUUID } from 'node:crypto';
import type { Server as SecureServer } from 'node:https';
import helmet from '@fastify/helmet';
import rateLimit from '@fastify/rate-limit';
import { type FastifyInstance, type FastifyServerOptions, fastify } from 'fastify';
import { systemClock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import { startBackgroundTimer } from '../core/timer.ts';
import { addAccessControl } from './access-control.ts';
import { type Certificate, readCertificate, watchCertificate } from './certificate.ts';
import { listenError, parseListen, trackConnections } from './connections.ts';
import { type HttpDeps, LIMITS, type Limits, type RouteDeps } from './deps.ts';
import { answerUnparsable, rejectExpectation, sendError } from './errors.ts';
import { addOpenApi } from './openapi.ts';
import { recordRefusedCommands } from './refused-commands.ts';
import { addMonitoringRoutes, addRoutes } from './routes/routes.ts';
import { createSignInRecords, recordRefusedSignIns } from './sign-in-records.ts';
import { requireForwardedAddress } from './trusted-proxies.ts';
import { createViews } from './view.ts';

export interface HttpServer extends AsyncDisposable {
  /** The Fastify instance, for tests that use `app.inject`. */
  readonly app: FastifyInstance;
  /**
   * Starts to listen. @param address `host:port`. Port 0 selects a free port. Returns the base URL. @throws AppError
   * LISTEN_FAILED.
   */
  listen(address: string): Promise<string>;
  /** Rejects new requests, waits up to `graceMs` for active requests, and then closes all connections. Never hangs. */
  close(graceMs: number): Promise<void>;
}

/**
 * Builds a server with all its routes, without starting to listen. @throws AppError when the certificate is unusable.
 */
export function buildServer(httpDeps: HttpDeps, limits: Limits = LIMITS): Promise<HttpServer> {
  return build(httpDeps, limits, addRoutes);
}

/** Builds a server with only the probes and the metrics, for `http.metrics`. */
export function buildMetricsServer(httpDeps: HttpDeps, limits: Limits = LIMITS): Promise<HttpServer> {
  return build(httpDeps, limits, addMonitoringRoutes);
}

async function build(
  httpDeps: HttpDeps,
  limits: Limits,
  addAll: (app: FastifyInstance, deps: RouteDeps, limits: Limits) => void | Promise<void>,
): Promise<HttpServer> {
  const { backend, timers = { ...systemClock, wake: startBackgroundTimer }, ...common } = httpDeps;
  const { config, logger } = common;
  const { wake } = timers;
  const certificate = config.tls && (await readCertificate(config.tls));
  const closing = new AbortController();
  const { service, metrics, events, signIn } = backend;
  const deps: RouteDeps = {
    ...{ config, logger, version: common.version, metrics, probes: service, signIn },
    ...(events && { events }),
    ...{ clock: timers, wake, closing: closing.signal },
    signInRecords: createSignInRecords({ ...backend, wake, logger }),
  };

  const app = createApp(certificate, limits, config.trustProxy);
  await protect(app, limits, certificate !== undefined);
  await addOpenApi(app, deps.version);
  addAccess(app, deps, httpDeps);
  await addAll(app, deps, limits);
  await app.ready();

  const connections = trackConnections(app.server, limits);
  const stopCertificateWatch =
    config.tls && certificate
      ? watchCertificate({
          files: config.tls,
          current: certificate,
          wake,
          logger,
          use: (renewed) => tlsServer(app).setSecureContext({ ...renewed, ...TLS_OPTIONS }),
        })
      : undefined;

  async function close(graceMs: number): Promise<void> {
    closing.abort(new AppError('INTERRUPTED'));
    stopCertificateWatch?.();
    const closed = app.close();
    connections.drain();
    const cancelTimer = wake(() => connections.destroyAll(), graceMs);
    await closed;
    cancelTimer();
  }

  return {
    app,
    async listen(address) {
      try {
        return await app.listen(parseListen(address));
      } catch (error) {
        throw listenError(error, address);
      }
    },
    close,
    [Symbol.asyncDispose]: () => close(0),
  };
}

function addAccess(app: FastifyInstance, deps: RouteDeps, { auth, backend }: HttpDeps): void {
  addAccessControl(app, { ...deps, auth, views: createViews(backend, deps.closing) });
  recordRefusedCommands(app, { ...deps, ...backend });
  recordRefusedSignIns(app, deps.signInRecords);
}

/** Adds the common error format, the headers of every answer, and the limits of requests. */
async function protect(app: FastifyInstance, limits: Limits, tls: boolean): Promise<void> {
  app.setErrorHandler((error, request, reply) => {
    sendError(request, reply, error);
  });
  app.server.on('checkExpectation', (_, response) => rejectExpectation(response, randomUUID()));
  app.addHook('onRequest', async (request, reply) => {
    reply.headers({ 'x-request-id': request.id, 'cache-control': 'no-store' });
  });
  // Use the hook `preParsing`, because it runs after the rate limit, which uses the hook `onRequest`.
  app.addHook('preParsing', async ({ raw: { httpVersion, headers } }) => {
    if (httpVersion === '1.1' && headers.host === undefined)
      throw new AppError('INVALID_REQUEST', { detail: 'the header `Host` is missing' });
  });
  await app.register(helmet, securityHeaders(tls));
  requireForwardedAddress(app);
  await app.register(rateLimit, {
    max: limits.requests,
    timeWindow: limits.windowMs,
    addHeaders: NO_RATE_LIMIT_HEADERS,
    addHeadersOnExceeding: NO_RATE_LIMIT_HEADERS,
    errorResponseBuilder: (_, { ttl }) => new AppError('RATE_LIMITED', { retryAfterMs: ttl }),
  });
}

const TLS_OPTIONS = { minVersion: 'TLSv1.2' } as const;

function createApp(
  certificate: Certificate | undefined,
  limits: Limits,
  proxies: readonly string[] = [],
): FastifyInstance {
  const connection = {
    headersTimeout: limits.headersMs,
    // Node checks timeouts only every 30 s by default.
    connectionsCheckingInterval: Math.min(1_000, limits.headersMs),
    maxHeaderSize: limits.headerBytes,
    requestTimeout: limits.requestMs,
    // Without this option, Node would reject a request without the header `Host`, with an empty response body. The hook
    // above rejects such a request with the common error format.
    requireHostHeader: false,
  };
  const options = {
    bodyLimit: limits.bodyBytes,
    trustProxy: proxies.length === 0 ? false : [...proxies],
    connectionTimeout: limits.silenceMs,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.keepAliveMs,
    // Ignore request ids that clients send. Such an id can be any text, and need not be unique.
    requestIdHeader: false,
    genReqId: () => randomUUID(),
    // During shutdown, active requests get their normal response. Their connections close afterwards.
    return503OnClosing: false,
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false } },
    frameworkErrors: (error, request, reply) => {
      sendError(request, reply, error);
    },
    clientErrorHandler: (error, socket) => answerUnparsable(error, socket, randomUUID()),
  } satisfies FastifyServerOptions;
  if (certificate === undefined) return fastify({ ...options, http: connection });
  const https = { ...connection, ...certificate, ...TLS_OPTIONS, handshakeTimeout: limits.headersMs };
  return fastify({ ...options, https }) as unknown as FastifyInstance;
}

/**
 * Returns the server with the type of `node:https`, because Fastify creates an HTTPS server if a certificate is
 * configured.
 */
function tlsServer(app: FastifyInstance): SecureServer {
  return app.server as unknown as SecureServer;
}

const NO_RATE_LIMIT_HEADERS = {
  'x-ratelimit-limit': false,
  'x-ratelimit-remaining': false,
  'x-ratelimit-reset': false,
  'retry-after': false,
};

function securityHeaders(tls: boolean) {
  return {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        baseUri: ["'none'"],
        formAction: ["'none'"],
        frameAncestors: ["'none'"],
      },
    },
    frameguard: { action: 'deny' },
    referrerPolicy: { policy: 'no-referrer' },
    strictTransportSecurity: tls ? { maxAge: 31_536_000, includeSubDomains: false } : false,
  } as const;
}
