import { randomUUID } from 'node:crypto';
import type { Server as SecureServer } from 'node:https';
import helmet from '@fastify/helmet';
import rateLimit from '@fastify/rate-limit';
import { type FastifyInstance, type FastifyServerOptions, fastify } from 'fastify';
import { systemClock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import { wakeLater } from '../core/wake.ts';
import { listenError, parseListen } from './address.ts';
import { type Certificate, readCertificate, renewCertificate } from './certificate.ts';
import { trackConnections } from './connections.ts';
import type { HttpDeps } from './deps.ts';
import { answerBroken, answerUnexpected, sendError } from './errors.ts';
import { addGate } from './gate.ts';
import { LIMITS, type Limits } from './limits.ts';
import { addOpenApi } from './openapi.ts';
import { addRoutes } from './routes/routes.ts';

export interface HttpServer extends AsyncDisposable {
  /** For tests: `app.inject`. */
  readonly app: FastifyInstance;
  /** @param address `host:port`, port 0 for any. Gives the base URL. @throws AppError LISTEN_FAILED. */
  listen(address: string): Promise<string>;
  /** Takes no more requests, lets those under way end for at most `graceMs`, then cuts them. Never hangs. */
  close(graceMs: number): Promise<void>;
}

/** A server with all its routes that does not listen yet. @throws AppError when the certificate cannot be used. */
export async function buildServer(given: HttpDeps, limits: Limits = LIMITS): Promise<HttpServer> {
  const { config, logger, clock = systemClock, wake = wakeLater } = given;
  const certificate = config.tls && (await readCertificate(config.tls));
  const closing = new AbortController();
  const deps = { ...given, clock, closing: closing.signal };

  const app = createApp(certificate, limits);
  app.server.maxConnections = limits.connections;
  app.setErrorHandler((error, request, reply) => {
    sendError(request, reply, error);
  });
  app.server.on('checkExpectation', (_, response) => answerUnexpected(response, randomUUID()));
  app.addHook('onRequest', async (request, reply) => {
    reply.headers({ 'x-request-id': request.id, 'cache-control': 'no-store' });
  });
  // After `onRequest`, where the rate limit stands.
  app.addHook('preParsing', async ({ raw: { httpVersion, headers } }) => {
    if (httpVersion === '1.1' && headers.host === undefined)
      throw new AppError('INVALID_REQUEST', { detail: 'the header `Host` is missing' });
  });
  await app.register(helmet, securityHeaders(certificate !== undefined));
  await app.register(rateLimit, {
    max: limits.requests,
    timeWindow: limits.windowMs,
    addHeaders: NO_HEADERS,
    addHeadersOnExceeding: NO_HEADERS,
    errorResponseBuilder: (_, { ttl }) => new AppError('RATE_LIMITED', { retryAfterMs: ttl }),
  });
  await addOpenApi(app, deps.version);
  addGate(app, deps);
  await addRoutes(app, deps, limits);
  await app.ready();

  const connections = trackConnections(app.server, limits.connectionsOfOne);
  const stopRenewal =
    config.tls && certificate
      ? renewCertificate({
          files: config.tls,
          current: certificate,
          wake,
          logger,
          use: (renewed) => secure(app).setSecureContext({ ...renewed, ...TLS }),
        })
      : undefined;

  async function close(graceMs: number): Promise<void> {
    closing.abort(new AppError('INTERRUPTED'));
    stopRenewal?.();
    const closed = app.close();
    connections.drain();
    const callOff = wake(() => connections.destroyAll(), graceMs);
    await closed;
    callOff();
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

const TLS = { minVersion: 'TLSv1.2' } as const;

function createApp(certificate: Certificate | undefined, limits: Limits): FastifyInstance {
  const connection = {
    headersTimeout: limits.headersMs,
    // Node looks for late requests every 30 s unless told otherwise.
    connectionsCheckingInterval: Math.min(1_000, limits.headersMs),
    maxHeaderSize: limits.headerBytes,
    requestTimeout: limits.requestMs,
    // Node's own refusal says nothing; ours is an error as every other.
    requireHostHeader: false,
  };
  const options = {
    bodyLimit: limits.bodyBytes,
    connectionTimeout: limits.silenceMs,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.keepAliveMs,
    // The one that a caller sends is not ours: it could be anything, and the same twice.
    requestIdHeader: false,
    genReqId: () => randomUUID(),
    // What is still under way at the end is answered as ever, and its connection closed.
    return503OnClosing: false,
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false } },
    frameworkErrors: (error, request, reply) => {
      sendError(request, reply, error);
    },
    clientErrorHandler: (error, socket) => answerBroken(error, socket, randomUUID()),
  } satisfies FastifyServerOptions;
  if (certificate === undefined) return fastify({ ...options, http: connection });
  const https = { ...connection, ...certificate, ...TLS, handshakeTimeout: limits.headersMs };
  return fastify({ ...options, https }) as unknown as FastifyInstance;
}

/** With a certificate given, the server is one of `node:https`. */
function secure(app: FastifyInstance): SecureServer {
  return app.server as unknown as SecureServer;
}

const NO_HEADERS = {
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
