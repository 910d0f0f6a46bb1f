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

/** The part of the `http` configuration that the server itself uses. */
export interface HttpConfig {
  readonly tls?: CertificateFiles | undefined;
  readonly metricsNeedToken: boolean;
}

export interface HttpDeps {
  readonly service: Service;
  readonly audit: Pick<AuditStore, 'list' | 'get' | 'storedRecords' | 'head' | 'base' | 'reviews' | 'append'>;
  /** Checkpoints of the audit chain that are kept outside its store. */
  readonly evidence?: () => Promise<Evidence | undefined>;
  readonly metrics: Pick<Metrics, 'render'>;
  readonly auth: Authenticator;
  /** Undefined: no event routes. */
  readonly events?: HttpIntakes;
  readonly config: HttpConfig;
  readonly version: string;
  readonly logger: Logger;
  readonly clock?: Clock;
  readonly wake?: StartTimer;
}

/** The dependencies of route handlers, with defaults filled in. */
export type RouteDeps = HttpDeps & {
  readonly clock: Clock;
  /** Aborted when the server closes. */
  readonly closing: AbortSignal;
};

/** Who may call a route. Every route declares it. `signed`: the request proves itself, by a signature or a key. */
export type Access = 'public' | 'signed' | Role;

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access;
  }
  interface FastifyRequest {
    /** The authenticated caller. Undefined on public routes. */
    requester: Requester | undefined;
    /** The caller with a check of their roles. */
    identity: Identity | undefined;
  }
}
