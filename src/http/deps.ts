import type { AuditStore } from '../audit/store.ts';
import type { Evidence } from '../audit/verify/verify.ts';
import type { Clock } from '../core/clock.ts';
import type { Wake } from '../core/wake.ts';
import type { PostedIntakes } from '../events/posted.ts';
import type { Logger } from '../log/logger.ts';
import type { Metrics } from '../metrics/metrics.ts';
import type { Requester, Service } from '../service/service.ts';
import type { CertificateFiles } from './certificate.ts';
import type { Authenticator, Identity, Role } from './identity.ts';

/** The part of `http` in the configuration that the server itself needs. */
export interface HttpConfig {
  readonly tls?: CertificateFiles | undefined;
  readonly metricsNeedToken: boolean;
}

export interface HttpDeps {
  readonly service: Service;
  readonly audit: Pick<AuditStore, 'list' | 'get' | 'stored' | 'head' | 'base' | 'reviews' | 'append'>;
  /** What was noted of the audit's chain outside of its store. */
  readonly evidence?: () => Promise<Evidence | undefined>;
  readonly metrics: Pick<Metrics, 'render'>;
  readonly auth: Authenticator;
  /** Left out: no events are posted. */
  readonly events?: PostedIntakes;
  readonly config: HttpConfig;
  readonly version: string;
  readonly logger: Logger;
  readonly clock?: Clock;
  readonly wake?: Wake;
}

/** What a route's handler needs, with the defaults filled in. */
export type RouteDeps = HttpDeps & {
  readonly clock: Clock;
  /** Aborted when the server ends. */
  readonly closing: AbortSignal;
};

/** Who may call a route; every route says so. `signed`: whoever proves it by the request itself, as the route says. */
export type Access = 'public' | 'signed' | Role;

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access;
  }
  interface FastifyRequest {
    /** Who asks; nobody on a public route. */
    requester: Requester | undefined;
    /** The same, with what they may do. */
    identity: Identity | undefined;
  }
}
