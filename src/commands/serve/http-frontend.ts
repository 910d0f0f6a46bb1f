import type { AppDeps } from '../../app/deps.ts';
import type { Identities } from '../../cluster/cluster.ts';
import { brokenIncludes, type Config } from '../../config/config.ts';
import type { Problem } from '../../config/problem.ts';
import { AppError } from '../../core/errors.ts';
import { startBackgroundTimer, within } from '../../core/timer.ts';
import { type Authenticator, createAuthenticator } from '../../http/auth.ts';
import type { HttpDeps } from '../../http/deps.ts';
import { createOidcLogins } from '../../http/oidc-logins.ts';
import { buildMetricsServer, buildServer } from '../../http/server.ts';
import type { ReadCredential } from '../../providers/credentials.ts';
import { isQueueOutage, type JobCounts, type Queue } from '../../queue/queue.ts';
import type { Service } from '../../service/service.ts';
import type { SignIn } from '../../sign-in/sign-in.ts';
import { createMetrics, type Metrics, type ServiceSnapshot } from '../../telemetry/metrics.ts';
import { auditOf, OpenedParts, type Parts, serviceOf } from './opened-parts.ts';

/**
 * Serves HTTP from the start of the process. The routes use the other parts of the service as soon as these parts are
 * open.
 */
export interface HttpFrontend {
  readonly url: string;
  readonly metrics: Metrics;
  use(parts: Partial<Parts>): void;
  close(graceMs: number): Promise<void>;
}

export interface HttpFrontendDeps extends Pick<AppDeps, 'logger' | 'clock' | 'version'> {
  /** The problems of the current configuration files. Empty if the files are active. */
  readonly configProblems: () => readonly Problem[];
}

export async function openHttpFrontend(
  { http, instance, includes }: Pick<Config, 'http' | 'instance' | 'includes'>,
  { logger, clock, version, configProblems }: HttpFrontendDeps,
): Promise<HttpFrontend> {
  const opened = new OpenedParts();
  const metrics = createMetrics({
    version,
    clock,
    async observe() {
      const { controller } = opened.now;
      if (controller !== undefined) reportAges(controller, metrics);
      const isValid = configProblems().length === 0 && brokenIncludes({ includes }).length === 0;
      return snapshotOf(opened, isValid);
    },
  });
  const httpDeps: HttpDeps = {
    backend: {
      service: serviceOf(opened),
      audit: auditOf(opened),
      evidence: async () => opened.now.evidence?.(),
      signIn: http.oidc && (() => opened.require('signIn')),
      metrics,
      events: {
        webhook: (name) => opened.require('events').webhook(name),
        eventGrid: (name) => opened.require('events').eventGrid(name),
        onRefused: (origin, outcome) => opened.now.events?.onRefused?.(origin, outcome),
      },
    },
    auth: {
      identify(token) {
        const { auth } = opened.now;
        // Report only the code: the caller is not authenticated, and the subject of the error may be a file path.
        if (auth === undefined) throw new AppError(opened.startupError().code);
        return auth.identify(token);
      },
    },
    config: { ...http, instance },
    version,
    logger,
    timers: { now: () => clock.now(), wake: startBackgroundTimer },
  };
  const listening = await listen(httpDeps, http);
  return { ...listening, metrics, use: (parts) => opened.add(parts) };
}

/** Listens on the port of the API, and on the separate port for metrics, if any. */
async function listen(
  httpDeps: HttpDeps,
  http: Config['http'],
): Promise<Pick<HttpFrontend, 'url' | 'close'>> {
  await using servers = new AsyncDisposableStack();
  const server = servers.use(await buildServer(httpDeps));
  const metricsServer = http.metrics && servers.use(await buildMetricsServer(httpDeps));
  const url = await server.listen(http.listen);
  if (http.metrics !== undefined) await metricsServer?.listen(http.metrics.listen);
  servers.move();
  return {
    url,
    async close(graceMs) {
      await Promise.all([server.close(graceMs), metricsServer?.close(graceMs)]);
    },
  };
}

export interface AuthenticatorDeps extends Pick<AppDeps, 'logger' | 'clock'> {
  readonly credential: ReadCredential;
  readonly identities: Identities | undefined;
  readonly signIn: SignIn | undefined;
}

/** Reads the configured tokens and returns the authenticator. */
export async function openAuthenticator(
  { http }: Pick<Config, 'http'>,
  { logger, clock, credential, identities, signIn }: AuthenticatorDeps,
): Promise<Authenticator> {
  const tokens = await Promise.all(
    http.tokens.map(async ({ token, ...holder }) => ({ ...holder, token: await credential(token) })),
  );
  return createAuthenticator({
    tokens,
    clock,
    onSharedToken: (names) =>
      logger.error('several names in `http.tokens` have the same token, so the token is not accepted', {
        name: names.join(' '),
      }),
    oidc: signIn && http.oidc && createOidcLogins(signIn, http.oidc.issuer),
    ...(http.kubernetes && identities !== undefined ? { identities } : {}),
  });
}

function reportAges(controller: Parts['controller'], metrics: Metrics): void {
  const { mappings, targets } = controller.snapshot();
  // Look up each mapping once, because it can have thousands of targets.
  const { ages } = controller;
  const changed = new Map(mappings.map((mapping) => [mapping.name, ages.changedAt(mapping)]));
  const expiries = new Map(mappings.map((mapping) => [mapping.name, ages.expiresAt(mapping)]));
  for (const { mapping, id, error } of targets) {
    if (error !== undefined) continue;
    metrics.sourceChanged(mapping.name, id.namespace, changed.get(mapping.name));
    metrics.sourceExpiry(mapping.name, id.namespace, expiries.get(mapping.name));
    const state = controller.states.get(mapping.name, id);
    metrics.certificateExpiry(mapping.name, id.namespace, state?.certificateExpiresAt);
  }
}

async function snapshotOf(opened: OpenedParts, configValid: boolean): Promise<ServiceSnapshot> {
  const { service, startupStatus, waitingFor, queue, chain } = opened.now;
  const reporting = service ?? startupStatus;
  if (reporting === undefined) return { ...metricsBeforeStart(waitingFor), configValid };
  const status = await reporting.status();
  return {
    targets: status.targets,
    stores: status.stores,
    held: status.held.length,
    approvals: service && (await pendingApprovals(service)),
    queue: queue && (await countsOrUndefined(queue)),
    engineUp: status.engine.state === 'up',
    clusterUp: status.cluster.state === 'up',
    auditUp: status.audit.state !== 'down',
    chainOk: chain?.problem() === undefined && status.audit.code !== 'AUDIT_TRUNCATED',
    configValid: status.config.valid,
    loops: service?.loops() ?? [],
  };
}

const APPROVALS_TIMEOUT_MS = 2_000;

/** The audit may hang or be unavailable, and metrics without this number are better than none. */
async function pendingApprovals(service: Pick<Service, 'approvals'>): Promise<number | undefined> {
  try {
    const approvals = await within(service.approvals(), APPROVALS_TIMEOUT_MS);
    return approvals?.filter(({ state }) => state === 'pending').length;
  } catch (error) {
    if (error instanceof AppError) return undefined;
    throw error;
  }
}

/**
 * Returns the metrics of a service that has not started yet. If `waitingFor` is absent, the service is waiting for its
 * audit store.
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
