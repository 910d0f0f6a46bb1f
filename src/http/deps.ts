import type { AuditStore } from '../audit/store.ts';
import type { Evidence } from '../audit/verify/verify.ts';
import type { Clock } from '../core/clock.ts';
import type { StartTimer } from '../core/timer.ts';
import type { HttpIntakes } from '../events/http-intakes.ts';
import type { Logger } from '../log/logger.ts';
import type { Metrics } from '../metrics/metrics.ts';
import type { Requester, Service } from '../service/service.ts';
import type { CertificateFiles } from './certificate.ts';
import type { Authenticator, Identity, Role } from './identity.ts';

/** The part of the `http` configuration that the server uses. */
export interface HttpConfig {
  readonly tls?: CertificateFiles | undefined;
  readonly metricsNeedToken: boolean;
}

export interface HttpDeps {
  readonly service: Service;
  readonly audit: Pick<AuditStore, 'list' | 'get' | 'storedRecords' | 'head' | 'base' | 'reviews' | 'append'>;
  /** Returns the checkpoints that are stored outside the audit store. */
  readonly evidence?: () => Promise<Evidence | undefined>;
  readonly metrics: Pick<Metrics, 'render'>;
  readonly auth: Authenticator;
  /** If undefined, the server has no event routes. */
  readonly events?: HttpIntakes;
  readonly config: HttpConfig;
  readonly version: string;
  readonly logger: Logger;
  readonly clock?: Clock;
  readonly wake?: StartTimer;
}

/** The dependencies of route handlers, including defaults. */
export type RouteDeps = HttpDeps & {
  readonly clock: Clock;
  /** Aborted when the server starts to close. */
  readonly closing: AbortSignal;
};

/**
 * Who may call a route. Every route must declare it. `signed`: the request is authenticated by a signature or a key.
 */
export type Access = 'public' | 'signed' | Role;

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access;
  }
  interface FastifyRequest {
    /** The authenticated caller. Undefined on public routes. */
    requester: Requester | undefined;
    /** The identity of the caller, which checks roles. Undefined on public routes. */
    identity: Identity | undefined;
  }
}
