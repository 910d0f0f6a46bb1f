import { type App, type AppDeps, credentialsOf, openApp } from '../../app/app.ts';
import { replacedStores } from '../../app/stores.ts';
import type { Config } from '../../config/config.ts';
import { type ConfigDiff, diffConfig } from '../../config/diff.ts';
import type { Problem } from '../../config/problem.ts';
import {
  type WatchedCredential,
  watchCredentials,
  watchedCredentialsIn,
} from '../../config/watch/credentials.ts';
import { AppError, toAppError } from '../../core/errors.ts';
import { instancesOf } from '../../core/target.ts';
import { systemSleep } from '../../providers/timing.ts';
import { storesOfMappings } from '../../service/config-snapshot.ts';
import type { Controller } from '../../service/controller.ts';
import { watchStalls } from '../../service/liveness/loops.ts';
import { watchEventLoop } from '../../service/liveness/watchdog.ts';
import { configDigest, Replicas } from '../../service/replicas.ts';
import { MAX_CONTEXT_AGE_MS } from '../../service/runs/sync-contexts.ts';
import { createMetrics, type Metrics } from '../../telemetry/metrics.ts';
import { runRetentionPeriodically } from '../retention.ts';
import { verifyChainPeriodically, waitForTrustedAudit } from './audit-trust.ts';
import { createConfigurationRecords, describeDiff, describeStart } from './configuration-records.ts';
import { type HttpFrontendDeps, openHttpFrontend } from './http-frontend.ts';
import { type Intakes, openIntakes } from './intakes.ts';
import { observerOf } from './observer.ts';
import { openQueue } from './queue.ts';
import { startService } from './service.ts';

export interface ServeDeps extends AppDeps, HttpFrontendDeps {
  readonly version: string;
  readonly random: () => number;
  /** The configuration that this process used last, if any. */
  readonly previousConfig?: Config | undefined;
  /** Aborts the start. */
  readonly signal: AbortSignal;
  /** Called when the server must be replaced because something has changed that is only read at the start. */
  readonly onOutdated: () => void;
  /** Called with the size of large values that a run has read. */
  readonly onLargeValue: (bytes: number) => void;
  /** Called with the error that forces the service to stop. */
  readonly onFatal: (error: AppError) => void;
}

export interface Server {
  /** Applies a new configuration. Sections in `diff.restart` need a new server. */
  apply(next: Config, diff: ConfigDiff): Promise<void>;
  /** Reports that the configuration files were checked, whether or not the check succeeded. */
  configurationChecked(): void;
  /** Reports that the files contain an invalid configuration, which is not applied. */
  refused(problems: readonly Problem[]): Promise<void>;
  /** Reports that the files contain the active configuration again, after an invalid one. */
  validAgain(): Promise<void>;
  /** Checks immediately whether credentials have changed. Called on SIGHUP. */
  checkCredentials(): Promise<void>;
  /** Stops accepting work, finishes running writes, and flushes the audit log. Never hangs. */
  close(graceMs: number): Promise<void>;
}

/**
 * The interval at which a replica announces itself. It is much shorter than the time after which other replicas
 * consider it gone.
 */
const PRESENCE_MS = 10_000;

/** The check of the configuration files counts as stalled after this time. The files are checked every few seconds. */
const CONFIGURATION_MS = 60_000;
/** How long running requests may take after the start was aborted. */
const FINAL_ANSWERS_MS = 2_000;
/** Retry interval while the audit store or the cluster is unreachable. */
const START_RETRY_MS = 3_000;

/**
 * Opens the complete service. It listens first, so that probes get an answer while the service waits for its
 * dependencies. Transient failures are retried.
 */
export async function openServer(config: Config, deps: ServeDeps): Promise<Server> {
  await using stack = new AsyncDisposableStack();
  const { logger, clock } = deps;
  const frontend = await openHttpFrontend(config, deps);
  stack.defer(() => frontend.close(0));
  const metrics = createMetrics({ version: deps.version, clock, observe: frontend.observe });
  frontend.use({ metrics });

  const opened = await openPartsWithRetry();
  const { app, queue, service, controller, intakes } = opened;
  frontend.use({
    service,
    audit: app.audit,
    queue,
    controller: { tell: (to) => reportAges(controller, to) },
    events: intakes.posted,
  });
  const configurationLoop = controller.loops.begin('configuration', CONFIGURATION_MS);
  const stalls = watchStalls(controller.loops, { logger });
  stack.use(watchEventLoop(controller.loops, { json: config.log.format === 'json' }));
  const owned = stack.move();
  const records = createConfigurationRecords(opened);
  await records.configured(
    describeStart(app.config, deps.previousConfig && diffConfig(deps.previousConfig, app.config)),
  );
  logger.info('the service is running', { address: frontend.url, count: app.targets.length });

  return {
    async apply(next, diff) {
      const replaced = replacedStores(app.config.stores, next.stores);
      const users = next.mappings.filter((mapping) =>
        storesOfMappings([mapping]).some((store) => replaced.has(store)),
      );
      const changed = new Set([
        ...diff.mappings.added,
        ...diff.mappings.changed,
        ...users.map(({ name }) => name),
      ]);
      await controller.applyConfigChange({ mappings: changed, all: diff.access }, async () => {
        await app.reconfigure(next);
        // Announce the new configuration before any replica looks for orphans.
        opened.presence.announce();
      });
      for (const store of [...diff.stores.added, ...diff.stores.changed]) controller.storeRecovered(store);
      await intakes.refresh();
      await records.configured(describeDiff(diff));
      logger.info('the new configuration is active', { count: app.targets.length });
    },
    configurationChecked() {
      configurationLoop.beat();
      void records
        .flush()
        .catch((error: unknown) => logger.error('a configuration change could not be recorded', { error }));
    },
    async refused(problems) {
      logger.error('the configuration is invalid; the last valid one stays active', {
        count: problems.length,
        error: new AppError('CONFIG_INVALID'),
      });
      await records.refused(problems.length);
    },
    async validAgain() {
      logger.info('the configuration is valid again');
      await records.configured('valid again');
    },
    checkCredentials: () => opened.credentials.check(),
    async close(graceMs) {
      // Announce the end of this replica while the queue still works.
      opened.presence[Symbol.dispose]();
      const started = clock.now();
      const remainingMs = () => Math.max(500, graceMs - (clock.now() - started));
      stalls[Symbol.dispose]();
      const http = frontend.close(Math.min(5_000, remainingMs()));
      const credentials = opened.credentials[Symbol.asyncDispose]();
      await intakes[Symbol.asyncDispose]();
      await controller.close(remainingMs());
      await Promise.all([http, credentials]);
      await app.tracing.flush(remainingMs());
      await owned.disposeAsync();
    },
  };

  async function openPartsWithRetry() {
    for (;;) {
      try {
        return await openParts();
      } catch (thrown) {
        const error = toAppError(thrown);
        if (!error.isTransient || error.code === 'INTERNAL') throw error;
        frontend.use({ waitingFor: error });
        logger.warn('the service cannot start yet; retrying', { error });
        await systemSleep(START_RETRY_MS, deps.signal);
      }
    }
  }

  async function openParts() {
    await using parts = new AsyncDisposableStack();
    let wake = (_: string): void => undefined;
    const app = parts.use(
      await openApp(config, {
        ...deps,
        maxReadAgeMs: MAX_CONTEXT_AGE_MS,
        onAuditLoss() {
          logger.error('signed audit records are missing, so no changes are made');
          // Open the service again. It then waits until a person accepts the loss.
          deps.onOutdated();
        },
        observe: observerOf(config, { ...deps, metrics, onBack: (store) => wake(store) }),
      }),
    );
    // Close HTTP before the audit log: a running request, such as an export, may have to record its end.
    parts.defer(() => (deps.signal.aborted ? frontend.close(FINAL_ANSWERS_MS) : undefined));
    const credential = credentialsOf(deps, (name, key) => app.cluster.ownSecret(name, key));
    await frontend.login(credential, app.cluster.identities);
    await waitForTrustedAudit(app, { ...deps, front: frontend, retryMs: START_RETRY_MS });
    const queue = parts.use(await openQueue(config, { credential, clock, logger }));
    const workHash = createWorkHash(app);
    const presence = new Replicas({
      broadcast: queue.broadcast,
      replica: deps.replica,
      clock,
      currentDigest: workHash,
      onOlderReplica(replica) {
        logger.info('another replica is running', { replica });
        if (config.audit.store.kind !== 'sqlite') return;
        const detail = 'several replicas need a shared audit store: `audit.store.kind: postgres`';
        deps.onFatal(new AppError('CONFIG_INVALID', { subject: 'audit.store', detail }));
      },
    });
    parts.use(presence);
    let openedIntakes: Pick<Intakes, 'states'> | undefined;
    const { service, controller } = await startService(app, {
      queue,
      replica: deps.replica,
      version: deps.version,
      random: deps.random,
      onLargeValue: deps.onLargeValue,
      configProblems: deps.configProblems,
      intakes: () => openedIntakes?.states() ?? [],
      onOutcome({ mapping, target: { namespace }, kind }, seconds) {
        metrics.syncDone({ mapping, namespace, outcome: kind, seconds });
      },
      onCycle: () => metrics.lastCycle(clock.now()),
      differing: () => presence.differing(),
    });
    wake = controller.storeRecovered;
    const { takeHints, loops } = controller;
    const intakes = await openIntakes(app, {
      take: takeHints,
      loops,
      metrics,
      credential,
      random: deps.random,
    });
    parts.use(intakes);
    openedIntakes = intakes;
    const announceTimer = setInterval(() => presence.announce(), PRESENCE_MS);
    parts.defer(() => clearInterval(announceTimer));
    const loop = controller.loops.begin('credentials', 120_000);
    const credentials = watchCredentials({
      references: () => referencesOf(app),
      resolve: credential,
      fingerprint: (value) => app.fingerprints.value(value),
      async onChange(owner) {
        if (owner === SERVICE_OWNER) {
          logger.info('credentials of the service have changed');
          return deps.onOutdated();
        }
        logger.info('the credentials of a store have changed', { store: owner });
        app.stores.reset(owner);
        controller.storeRecovered(owner);
        await intakes.reset(owner);
      },
      onProgress(error) {
        loop.beat();
        if (error !== undefined) logger.debug('credentials could not be checked', { error });
      },
    });
    parts.use(verifyChainPeriodically(app, frontend));
    parts.use(runRetentionPeriodically(app));
    const kept = parts.move();
    stack.defer(() => kept.disposeAsync());
    return { app, queue, service, controller, intakes, credentials, presence };
  }
}

/** Returns a function that computes the hash once per configuration, because there can be thousands of mappings. */
function createWorkHash(app: App): () => string {
  let last: { readonly of: Config; readonly text: string } | undefined;
  return () => {
    const { config } = app;
    if (last?.of !== config) last = { of: config, text: configDigest(instancesOf(config), config.mappings) };
    return last.text;
  };
}

function reportAges({ snapshot, ages, states }: Controller, metrics: Metrics): void {
  // Look up each mapping once, because it can have thousands of targets.
  const changed = new Map(snapshot().mappings.map((mapping) => [mapping.name, ages.changedAt(mapping)]));
  for (const { mapping, id, error } of snapshot().targets) {
    if (error !== undefined) continue;
    metrics.sourceChanged(mapping.name, id.namespace, changed.get(mapping.name));
    const state = states.get(mapping.name, id);
    metrics.certificateExpiry(mapping.name, id.namespace, state?.certificateExpiresAt);
  }
}

/** The owner of the service's own credentials. It is not a valid store name. */
const SERVICE_OWNER = '';

/**
 * Returns the credentials to watch, by owner. The certificate and the URL of the audit store are not watched. The HTTP
 * server reloads its certificate, and the audit store resolves its URL for each connection.
 */
function referencesOf({ config }: App): ReadonlyMap<string, readonly WatchedCredential[]> {
  const own = [config.engine, config.http.tokens].flatMap(watchedCredentialsIn);
  return new Map([
    [SERVICE_OWNER, own],
    ...config.stores.map((store) => [store.name, watchedCredentialsIn(store)] as const),
  ]);
}
