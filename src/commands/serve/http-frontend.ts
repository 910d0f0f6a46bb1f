import type { AppDeps } from '../../app/app.ts';
import type { AuditStore } from '../../audit/store.ts';
import type { ChainWatch } from '../../audit/verify/chain-watch.ts';
import type { Identities } from '../../cluster/cluster.ts';
import type { Config } from '../../config/config.ts';
import type { Problem } from '../../config/problem.ts';
import { AppError } from '../../core/errors.ts';
import type { SecretValue } from '../../core/secret-value.ts';
import type { HttpIntakes } from '../../events/hint.ts';
import { type Authenticator, createAuthenticator } from '../../http/auth.ts';
import type { HttpDeps } from '../../http/deps.ts';
import { buildServer } from '../../http/server.ts';
import type { Reference } from '../../providers/credentials.ts';
import { isQueueOutage, type JobCounts, type Queue } from '../../queue/queue.ts';
import type { Service } from '../../service/service.ts';
import type { Metrics, ServiceSnapshot } from '../../telemetry/metrics.ts';

/** Serves HTTP from the start of the process. Routes use other parts as soon as they are open. */
export interface HttpFrontend {
  readonly url: string;
  use(parts: Partial<FrontendParts>): void;
  /** Sets up authentication. */
  login(
    credential: (reference: Reference) => Promise<SecretValue>,
    identities: Identities | undefined,
  ): Promise<void>;
  observe(): Promise<ServiceSnapshot>;
  close(graceMs: number): Promise<void>;
}

export interface HttpFrontendDeps extends Pick<AppDeps, 'logger' | 'clock'> {
  readonly version: string;
  /** The problems of the current configuration files. Empty if the files are active. */
  readonly configProblems: () => readonly Problem[];
}

interface FrontendParts {
  readonly metrics: Metrics;
  readonly service: Service;
  /** Sets the gauges whose values only the controller knows. */
  readonly controller: { tell(metrics: Metrics): void };
  readonly audit: AuditStore;
  readonly queue: Queue;
  /** The reason why the service has not started yet. */
  readonly waitingFor: AppError;
  /** The status to report before the service has started. */
  readonly startupStatus: Pick<Service, 'status'>;
  readonly evidence: NonNullable<HttpDeps['evidence']>;
  readonly chain: ChainWatch;
  readonly events: HttpIntakes;
}

export async function openHttpFrontend(
  { http }: Pick<Config, 'http'>,
  deps: HttpFrontendDeps,
): Promise<HttpFrontend> {
  let parts: Partial<FrontendParts> = {};
  let auth: Authenticator | undefined;
  const startupError = (): AppError => parts.waitingFor ?? new AppError('STARTING');
  const requirePart = <Name extends keyof FrontendParts>(name: Name): FrontendParts[Name] => {
    const part = parts[name];
    if (part === undefined) throw startupError();
    return part;
  };

  const service: Service = {
    status: async () => (parts.service ?? parts.startupStatus ?? requirePart('service')).status(),
    mappings: () => requirePart('service').mappings(),
    mapping: (name) => requirePart('service').mapping(name),
    held: () => requirePart('service').held(),
    sync: async (...args) => requirePart('service').sync(...args),
    rollback: async (...args) => requirePart('service').rollback(...args),
    unpin: async (...args) => requirePart('service').unpin(...args),
    release: async (...args) => requirePart('service').release(...args),
    orphans: async (...args) => requirePart('service').orphans(...args),
    prune: async (...args) => requirePart('service').prune(...args),
    loops: () => parts.service?.loops() ?? [],
    notReady: async () => (parts.service === undefined ? startupError() : parts.service.notReady()),
  };
  const audit: HttpDeps['audit'] = {
    list: async (...args) => requirePart('audit').list(...args),
    get: async (...args) => requirePart('audit').get(...args),
    storedRecords: (from) => requirePart('audit').storedRecords(from),
    head: async () => requirePart('audit').head(),
    reviews: async (...args) => requirePart('audit').reviews(...args),
    append: async (...args) => requirePart('audit').append(...args),
    base: async () => requirePart('audit').base(),
  };
  const server = await buildServer({
    service,
    audit,
    evidence: async () => parts.evidence?.(),
    metrics: { render: async () => requirePart('metrics').render() },
    events: {
      webhook: (name) => requirePart('events').webhook(name),
      eventGrid: (name) => requirePart('events').eventGrid(name),
      onRefused: (origin, outcome) => parts.events?.onRefused?.(origin, outcome),
    },
    auth: {
      identify(token) {
        // Report only the code: the caller is not authenticated, and the subject of the error may be a file path.
        if (auth === undefined) throw new AppError(startupError().code);
        return auth.identify(token);
      },
    },
    config: http,
    version: deps.version,
    logger: deps.logger,
    clock: deps.clock,
  });
  const url = await server.listen(http.listen);

  return {
    url,
    use(more) {
      parts = { ...parts, ...more };
    },
    async login(credential, identities) {
      const tokens = await Promise.all(
        http.tokens.map(async ({ name, role, token }) => ({ name, role, token: await credential(token) })),
      );
      auth = createAuthenticator({
        tokens,
        clock: deps.clock,
        onSharedToken: (names) =>
          deps.logger.error(
            'several names in `http.tokens` have the same token, so the token is not accepted',
            {
              name: names.join(' '),
            },
          ),
        ...(http.kubernetes && identities !== undefined ? { identities } : {}),
      });
    },
    async observe() {
      const configValid = deps.configProblems().length === 0;
      if (parts.service === undefined && parts.startupStatus === undefined)
        return { ...metricsBeforeStart(parts.waitingFor), configValid };
      parts.controller?.tell(requirePart('metrics'));
      const status = await service.status();
      return {
        targets: status.targets,
        stores: status.stores,
        held: status.held.length,
        queue: parts.queue && (await countsOrUndefined(parts.queue)),
        engineUp: status.engine.state === 'up',
        clusterUp: status.cluster.state === 'up',
        auditUp: status.audit.state !== 'down',
        chainOk: parts.chain?.problem() === undefined && status.audit.code !== 'AUDIT_TRUNCATED',
        configValid: status.config.valid,
        loops: service.loops(),
      };
    },
    close: (graceMs) => server.close(graceMs),
  };
}

/**
 * Returns the metrics before the service has started. If the reason is unknown, the service is waiting for its audit
 * store.
 */
function metricsBeforeStart(waitingFor: AppError | undefined): Omit<ServiceSnapshot, 'configValid'> {
  const code = waitingFor?.code ?? 'AUDIT_UNAVAILABLE';
  return {
    ...{ targets: [], stores: [], held: 0, loops: [], engineUp: false, chainOk: true },
    clusterUp: !code.startsWith('CLUSTER_'),
    auditUp: !code.startsWith('AUDIT_'),
  };
}

/** While Redis is down, report all metrics except the number of jobs. */
async function countsOrUndefined(queue: Queue): Promise<JobCounts | undefined> {
  try {
    return await queue.counts();
  } catch (error) {
    if (error instanceof AppError && isQueueOutage(error)) return undefined;
    throw error;
  }
}
