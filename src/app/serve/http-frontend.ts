import type { AuditStore } from '../../audit/store.ts';
import type { ChainWatch } from '../../audit/verify/chain-watch.ts';
import type { Identities } from '../../cluster/identities.ts';
import type { Config } from '../../config/config.ts';
import type { Problem } from '../../config/problem.ts';
import { AppError } from '../../core/errors.ts';
import type { SecretValue } from '../../core/secret-value.ts';
import type { HttpIntakes } from '../../events/http-intakes.ts';
import { createAuthenticator } from '../../http/auth.ts';
import type { HttpDeps } from '../../http/deps.ts';
import type { Authenticator } from '../../http/identity.ts';
import { buildServer } from '../../http/server.ts';
import type { Metrics, ServiceSnapshot } from '../../metrics/metrics.ts';
import type { Reference } from '../../providers/credentials.ts';
import { type JobCounts, type Queue, isQueueOutage } from '../../queue/queue.ts';
import type { Service } from '../../service/service.ts';
import type { AppDeps } from '../app.ts';

/** What answers over HTTP from the first moment on, and takes up the rest as it is opened. */
export interface HttpFrontend {
  readonly url: string;
  use(parts: Partial<FrontendParts>): void;
  /** Takes up who may log in. */
  login(
    credential: (reference: Reference) => Promise<SecretValue>,
    identities: Identities | undefined,
  ): Promise<void>;
  observe(): Promise<ServiceSnapshot>;
  close(graceMs: number): Promise<void>;
}

export interface HttpFrontendDeps extends Pick<AppDeps, 'logger' | 'clock'> {
  readonly version: string;
  /** What is wrong with the files as they are now; nothing: they are in force. */
  readonly configProblems: () => readonly Problem[];
}

interface FrontendParts {
  readonly metrics: Metrics;
  readonly service: Service;
  /** Sets the gauges that only the controller knows. */
  readonly controller: { tell(metrics: Metrics): void };
  readonly audit: AuditStore;
  readonly queue: Queue;
  /** Why the rest is not open yet. */
  readonly waitingFor: AppError;
  /** What can be told meanwhile. */
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
  const need = <Name extends keyof FrontendParts>(name: Name): FrontendParts[Name] => {
    const part = parts[name];
    if (part === undefined) throw startupError();
    return part;
  };

  const service: Service = {
    status: async () => (parts.service ?? parts.startupStatus ?? need('service')).status(),
    mappings: () => need('service').mappings(),
    mapping: (name) => need('service').mapping(name),
    held: () => need('service').held(),
    sync: async (...args) => need('service').sync(...args),
    rollback: async (...args) => need('service').rollback(...args),
    unpin: async (...args) => need('service').unpin(...args),
    release: async (...args) => need('service').release(...args),
    orphans: async (...args) => need('service').orphans(...args),
    prune: async (...args) => need('service').prune(...args),
    loops: () => parts.service?.loops() ?? [],
    notReady: async () => (parts.service === undefined ? startupError() : parts.service.notReady()),
  };
  const audit: HttpDeps['audit'] = {
    list: async (...args) => need('audit').list(...args),
    get: async (...args) => need('audit').get(...args),
    storedRecords: (from) => need('audit').storedRecords(from),
    head: async () => need('audit').head(),
    reviews: async (...args) => need('audit').reviews(...args),
    append: async (...args) => need('audit').append(...args),
    base: async () => need('audit').base(),
  };
  const server = await buildServer({
    service,
    audit,
    evidence: async () => parts.evidence?.(),
    metrics: { render: async () => need('metrics').render() },
    events: {
      webhook: (name) => need('events').webhook(name),
      eventGrid: (name) => need('events').eventGrid(name),
      onRefused: (origin, outcome) => parts.events?.onRefused?.(origin, outcome),
    },
    auth: {
      identify(token) {
        // Whoever asks is not known yet, and what it is about may be the path of a file.
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
          deps.logger.error('several names of `http.tokens` have the same token, and it is taken for none', {
            name: names.join(' '),
          }),
        ...(http.kubernetes && identities !== undefined ? { identities } : {}),
      });
    },
    async observe() {
      const configValid = deps.configProblems().length === 0;
      if (parts.service === undefined && parts.startupStatus === undefined)
        return { ...metricsBeforeStart(parts.waitingFor), configValid };
      parts.controller?.tell(need('metrics'));
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

/** As long as the service cannot start, for want of its audit if of nothing else that is known. */
function metricsBeforeStart(waitingFor: AppError | undefined): Omit<ServiceSnapshot, 'configValid'> {
  const code = waitingFor?.code ?? 'AUDIT_UNAVAILABLE';
  return {
    ...{ targets: [], stores: [], held: 0, loops: [], engineUp: false, chainOk: true },
    clusterUp: !code.startsWith('CLUSTER_'),
    auditUp: !code.startsWith('AUDIT_'),
  };
}

/** While Redis is away its jobs cannot be counted, and all else is told nevertheless. */
async function countsOrUndefined(queue: Queue): Promise<JobCounts | undefined> {
  try {
    return await queue.counts();
  } catch (error) {
    if (error instanceof AppError && isQueueOutage(error)) return undefined;
    throw error;
  }
}
