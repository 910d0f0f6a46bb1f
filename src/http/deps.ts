import type { FastifyRequest } from 'fastify';
import type { ChainPosition } from '../audit/query/record-detail.ts';
import type { AuditStore } from '../audit/store.ts';
import type { Evidence } from '../audit/verify/evidence.ts';
import type { VerifyReport } from '../audit/verify/verify.ts';
import type { Clock } from '../core/clock.ts';
import type { AppError } from '../core/errors.ts';
import type { Person } from '../core/person.ts';
import type { Namespaces, Role } from '../core/roles.ts';
import type { StartTimer, Timers } from '../core/timer.ts';
import type { HttpIntakes } from '../events/hint.ts';
import type { Requester, Service } from '../service/service.ts';
import type { SignIn } from '../sign-in/sign-in.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Authenticator } from './auth.ts';
import type { CertificateFiles } from './certificate.ts';

/** The limits that protect the server against its clients. */
export interface Limits {
  readonly bodyBytes: number;
  readonly headerBytes: number;
  /** The timeout for receiving the headers, and for the TLS handshake. */
  readonly headersMs: number;
  /** The timeout for receiving the whole request. */
  readonly requestMs: number;
  /**
   * A connection is closed after this time without data in either direction. The time must be longer than the slowest
   * response needs for its first byte.
   */
  readonly silenceMs: number;
  readonly keepAliveMs: number;
  /**
   * The maximum number of connections from all addresses. Beyond this limit or the next one, a new connection replaces
   * an idle one.
   */
  readonly connections: number;
  /** The maximum number of connections from one address. */
  readonly connectionsPerAddress: number;
  /** The maximum number of requests of one address within `windowMs`. Probes are not counted. */
  readonly requests: number;
  readonly windowMs: number;
  /** The maximum size of a webhook event. */
  readonly webhookBytes: number;
  /**
   * The maximum size of an Event Grid batch. Event Grid sends batches of up to this size, and never retries after
   * status 413.
   */
  readonly eventGridBytes: number;
}

export const LIMITS: Limits = {
  bodyBytes: 64 * 1024,
  headerBytes: 16 * 1024,
  headersMs: 10_000,
  requestMs: 15_000,
  silenceMs: 120_000,
  keepAliveMs: 60_000,
  connections: 1_000,
  connectionsPerAddress: 500,
  requests: 1_000,
  windowMs: 60_000,
  webhookBytes: 16 * 1024,
  eventGridBytes: 1024 * 1024,
};

/** The part of the `http` configuration that the server uses. */
interface HttpConfig {
  /** The name of the instance, which `/livez` shows. */
  readonly instance?: string | undefined;
  readonly tls?: CertificateFiles | undefined;
  readonly metricsNeedToken: boolean;
  /** The addresses and networks of trusted proxies. Default: none. */
  readonly trustProxy?: readonly string[] | undefined;
  /** Set if another server serves the metrics. */
  readonly metrics?: object | undefined;
}

/** The parts of the program from which the routes get their answers. */
export interface Backend {
  readonly service: Service;
  readonly audit: Pick<
    AuditStore,
    | 'list'
    | 'get'
    | 'storedRecords'
    | 'head'
    | 'base'
    | 'reviews'
    | 'append'
    | 'targets'
    | 'index'
    | 'summaries'
  >;
  /** Returns the checkpoints that are stored outside the audit store. */
  readonly evidence?: () => Promise<Evidence | undefined>;
  readonly metrics: Pick<Metrics, 'render' | 'signIn'>;
  /** Undefined without `http.oidc`. @throws AppError while the service starts */
  readonly signIn?: (() => SignIn) | undefined;
  /** If undefined, the server has no event routes. */
  readonly events?: HttpIntakes;
}

/** The service as one person may see and use it. */
export type ServiceView = Omit<Service, 'loops' | 'notReady'>;

/** The audit as one person may see it. */
export interface AuditView
  extends Pick<
    AuditStore,
    'list' | 'get' | 'storedRecords' | 'head' | 'base' | 'reviews' | 'append' | 'index' | 'summaries'
  > {
  /** Returns the position of a record in the chain. */
  position(sequence: number): Promise<ChainPosition>;
  /** Verifies the whole chain. @throws AppError FORBIDDEN without access to all namespaces. */
  verify(): Promise<VerifyReport>;
}

/** Everything that one person may see. Routes have no other way to the service and the audit. */
export interface View {
  readonly service: ServiceView;
  readonly audit: AuditView;
  readonly metrics: Pick<Metrics, 'render'>;
}

export interface HttpDeps {
  readonly backend: Backend;
  readonly auth: Authenticator;
  readonly config: HttpConfig;
  readonly version: string;
  readonly logger: Logger;
  /** Default: the system clock, with timers that do not keep the process alive. */
  readonly timers?: Timers;
}

/** Records, counts and logs the sign-ins of people. */
export interface SignInRecords {
  /** @throws AppError if the sign-in cannot be recorded. The person must not get a session then. */
  signedIn(request: FastifyRequest, person: Person): Promise<void>;
  /** @param sessionId The request id of the record. `isEnded` finds the record by it. */
  signedOut(request: FastifyRequest, person: Person, sessionId: string): Promise<void>;
  refused(request: FastifyRequest, error: AppError): Promise<void>;
  failed(): void;
  /** Records how many refusals have no record of their own. */
  close(): Promise<void>;
}

/**
 * The dependencies of route handlers, including defaults. A route gets the service and the audit only by `viewOf`, which
 * limits both to the namespaces of the caller.
 */
export interface RouteDeps
  extends Pick<Backend, 'metrics' | 'events' | 'signIn'>,
    Omit<HttpDeps, 'backend' | 'auth' | 'timers'> {
  readonly probes: Pick<Service, 'loops' | 'notReady'>;
  readonly signInRecords: SignInRecords;
  readonly clock: Clock;
  readonly wake: StartTimer;
  /** Aborted when the server starts to close. */
  readonly closing: AbortSignal;
}

/**
 * Specifies who may call a route. Every route must declare its access. `signed`: the request is authenticated by a
 * signature or a key.
 */
type Access = 'public' | 'signed' | Role;

/** The authenticated caller of a request. */
export interface Caller extends Person {
  readonly groups: readonly string[];
  /** When the session ends, in milliseconds since 1970. */
  readonly endsAt?: number;
  /** Returns the namespaces in which the caller has a role. Undefined: the caller has it nowhere. */
  namespaces(role: Role): Promise<Namespaces | undefined>;
}

/** A command as a request names it. */
export interface RequestedCommand {
  readonly verb: string;
  /** The name of a mapping. It may be any text. */
  readonly mapping?: string;
  /** An argument that cannot be a secret value. */
  readonly argument?: string | number;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access;
    /** Whether requests do not renew the session, because pages send them automatically. */
    keepsSession?: boolean;
    /** Returns the command in a request to this route. Undefined if the route changes nothing. */
    command?: (request: FastifyRequest) => RequestedCommand;
  }
  interface FastifyRequest {
    /** The authenticated caller. Undefined on public routes. */
    requester: Requester | undefined;
    /** The identity of the caller, for checking roles. Undefined on public routes. */
    identity: Caller | undefined;
    /** What the caller may see. Undefined on public routes. */
    view: View | undefined;
    /**
     * Identifies the caller a second time, for requests that take long. Returns undefined if the caller has lost the
     * role. @throws AppError, as for a new request.
     */
    identifyAgain: (() => Promise<View | undefined>) | undefined;
  }
}
