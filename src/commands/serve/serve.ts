import { credentialsOf } from '../../app/cluster.ts';
import type { AppDeps } from '../../app/deps.ts';
import type { AuditRecord } from '../../audit/entry.ts';
import type { Config } from '../../config/config.ts';
import { type AppError, toAppError } from '../../core/errors.ts';
import { systemSleep } from '../../providers/timing.ts';
import { watchEventLoop } from '../../service/liveness/watchdog.ts';
import { runRetentionPeriodically } from '../retention.ts';
import { verifyChainPeriodically, waitForTrustedAudit } from './audit-trust.ts';
import { auditDoubts } from './audit-warnings.ts';
import {
  type HttpFrontend,
  type HttpFrontendDeps,
  openAuthenticator,
  openHttpFrontend,
} from './http-frontend.ts';
import { createIntakeHealth } from './intake-health.ts';
import { openIntakes } from './intakes.ts';
import { createNotifications } from './notifications.ts';
import { announcePresence } from './presence.ts';
import { openQueue } from './queue.ts';
import { Server, type ServerParts } from './server.ts';
import { startService } from './service.ts';
import { openServiceApp } from './service-app.ts';
import { openSignIn } from './sign-in.ts';
import { openTeamEvents, type TeamEvents } from './team-events.ts';
import { openTeamStatus } from './team-status.ts';
import { watchAppCredentials } from './watched-credentials.ts';

export interface ServeDeps extends AppDeps, HttpFrontendDeps {
  /** The configuration that this process used last, if any. */
  readonly previousConfig?: Config | undefined;
  /** Aborted when the service ends. */
  readonly signal: AbortSignal;
  /** Aborted when the configuration changes during the start. Ends only a wait for a dependency. */
  readonly superseded: AbortSignal;
  /** Called when the server must be replaced: something has changed that the server reads only at its start. */
  readonly onOutdated: () => void;
  /** Called with the size of large values that a run has read. */
  readonly onLargeValue: (bytes: number) => void;
  /** Called with the error that forces the service to stop. */
  readonly onFatal: (error: AppError) => void;
}

/** How long running requests may take after the start was aborted. */
const FINAL_ANSWERS_MS = 2_000;
/** Retry interval while the audit store or the cluster is unreachable. */
const START_RETRY_MS = 3_000;

/**
 * Opens the complete service. The HTTP server listens first, so that probes get an answer while the service waits for
 * its dependencies. Transient failures are retried.
 */
export async function openServer(config: Config, deps: ServeDeps): Promise<Server> {
  await using stack = new AsyncDisposableStack();
  const frontend = await openHttpFrontend(config, deps);
  stack.defer(() => frontend.close(0));
  const parts = stack.use(await openPartsWithRetry(config, deps, frontend));
  const { app, queue, service, controller, intakes } = parts;
  frontend.use({ service, audit: app.storedAudit, queue, controller, events: intakes.posted });
  stack.use(watchEventLoop(controller.loops, { json: config.log.format === 'json' }));
  const server = new Server(parts, frontend, stack.move());
  await server.started(deps.previousConfig);
  return server;
}

async function openPartsWithRetry(
  config: Config,
  deps: ServeDeps,
  frontend: HttpFrontend,
): Promise<ServerParts> {
  for (;;) {
    try {
      return await openParts(config, deps, frontend);
    } catch (thrown) {
      const error = toAppError(thrown);
      if (!error.isTransient || error.code === 'INTERNAL') throw error;
      frontend.use({ waitingFor: error });
      deps.logger.warn('the service cannot start yet; retrying', { error });
      await systemSleep(START_RETRY_MS, AbortSignal.any([deps.signal, deps.superseded]));
    }
  }
}

async function openParts(config: Config, deps: ServeDeps, frontend: HttpFrontend): Promise<ServerParts> {
  await using stack = new AsyncDisposableStack();
  const { metrics } = frontend;
  let teamEvents: TeamEvents | undefined;
  const onRecords = (records: readonly AuditRecord[]) => teamEvents?.recorded(records);
  const app = stack.use(await openServiceApp(config, { ...deps, metrics, onRecords }));
  teamEvents = openTeamEvents(app);
  // Close HTTP before the audit log: a running request, such as an export, may have to record its end.
  stack.defer(() => (deps.signal.aborted ? frontend.close(FINAL_ANSWERS_MS) : undefined));
  const credential = credentialsOf(deps, (name, key) => app.cluster.ownSecret(name, key));
  const { identities } = app.cluster;
  const signIn = openSignIn(config, { ...deps, app, credential });
  const auth = await openAuthenticator(config, { ...deps, credential, identities, signIn });
  frontend.use({ auth, ...(signIn && { signIn }) });
  for (const error of auditDoubts(config)) deps.logger.warn('the audit log needs attention', { error });
  const notifications = createNotifications(app, { credential, metrics });
  await waitForTrustedAudit(app, {
    ...{ ...deps, front: frontend, retryMs: START_RETRY_MS },
    signal: AbortSignal.any([deps.signal, deps.superseded]),
    onDoubt: (doubt) => notifications.doubt(doubt, deps.signal),
  });

  const queue = stack.use(await openQueue(config, { ...deps, credential }));
  const presence = stack.use(announcePresence(app, { ...deps, queue }));
  const health = createIntakeHealth(deps.clock);
  const chain = stack.use(verifyChainPeriodically(app, frontend));
  const { service, controller } = await startService(app, {
    ...deps,
    random: Math.random,
    queue,
    chain,
    signIn,
    notifications,
    intakes: () => health.states(),
    differing: () => presence.differing(),
    onOutcome: ({ mapping, target: { namespace }, kind }, seconds) =>
      metrics.syncDone({ mapping, namespace, outcome: kind, seconds }),
    onCycle: () => metrics.lastCycle(deps.clock.now()),
  });
  const teamStatus = stack.use(openTeamStatus(app, controller, service));
  app.stores.onRecovered((store) => controller.storeRecovered(store));
  const { loops, takeHints: take } = controller;
  const intakeDeps = { take, health, loops, metrics, credential, random: Math.random };
  const intakes = stack.use(await openIntakes(app, intakeDeps));

  const credentials = watchAppCredentials(app, { ...deps, credential, controller, intakes });
  stack.use(runRetentionPeriodically(app));
  const owned = stack.move();
  const { env } = deps;
  const parts = { env, app, queue, presence, service, controller, intakes, credentials };
  return { ...parts, teamEvents, teamStatus, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
