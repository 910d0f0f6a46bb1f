import type { App } from '../../app/app.ts';
import { capabilitiesOf } from '../../app/stores.ts';
import { isPerson } from '../../audit/entry.ts';
import { smallest } from '../../core/lists.ts';
import { PROVIDERS } from '../../providers/registry.ts';
import { isUnresolved } from '../../reconcile/latest-records.ts';
import type { Outcome } from '../../reconcile/outcome.ts';
import { recoverIntents } from '../../reconcile/recover.ts';
import { createFailedRestarts, type FailedRestarts } from '../../restart/failed-restarts.ts';
import type { OnRestartFailure } from '../../restart/failures.ts';
import { createRestarts } from '../../restart/restarts.ts';
import { createStuckRollouts } from '../../restart/stuck-rollouts.ts';
import { type Controller, startController } from '../../service/controller.ts';
import type { Service } from '../../service/service.ts';
import type { ConfigParts, StoreParts } from '../../service/service-parts.ts';
import { destroyProposed } from '../destroy.ts';
import { overriddenBy } from '../override.ts';
import { isRestartConfigured } from '../restarts.ts';
import { createResume } from '../run-approved.ts';
import { createMappingHash } from './configuration-records.ts';
import { requireAgreement } from './presence.ts';
import { heldId, RunningService, type RunningServiceOptions } from './running-service.ts';

export interface ServiceOptions extends RunningServiceOptions {
  readonly random: () => number;
  readonly onOutcome: (outcome: Outcome, seconds: number) => void;
  /** Called with the size of large values that a run has read. */
  readonly onLargeValue?: ((bytes: number) => void) | undefined;
  /** Called when a sweep has ended. */
  readonly onCycle: () => void;
}

/** How long the service waits for a workload that is missing. It may be installed after the Secret. */
const MISSING_MS = 5 * 60_000;

/** Starts the service of an app: its controller, and the API of the service. */
export async function startService(
  app: App,
  options: ServiceOptions,
): Promise<{ readonly service: Service; readonly controller: Controller }> {
  const failedRestarts = createFailedRestarts({ ...app, isConfigured: isRestartConfigured(app) });
  await failedRestarts.refresh();
  const controller = await openController(app, options, failedRestarts);
  return { controller, service: new RunningService(app, controller, { ...options, failedRestarts }) };
}

async function openController(
  app: App,
  options: ServiceOptions,
  failedRestarts: FailedRestarts,
): Promise<Controller> {
  const { clock, logger, cluster, audit } = app;
  const { workloads } = cluster;
  const onFailure: OnRestartFailure = ({ workload: name, ...about }, isNew) => {
    if (isNew) logger.warn('a workload could not be restarted', { name, ...about });
  };
  const isWanted = isRestartConfigured(app);
  const restarts =
    workloads && createRestarts({ ...app, ...app.tracing, workloads, onFailure, isConfigured: isWanted });
  const stuckRollouts = workloads && createStuckRollouts({ ...app, workloads, isConfigured: isWanted });
  return startController({
    runtime: { clock, logger, tracer: app.tracing.tracer, random: options.random },
    ports: { queue: options.queue, cluster, audit, stores: storeParts(app) },
    config: configParts(app),
    steps: {
      async openContext(request) {
        const overridesWindow = isPerson(request.actor)
          ? await overriddenBy(app, request.requestId)
          : undefined;
        return app.createContext({ ...request, overridesWindow, reuseResolved: true, boundToRules: true });
      },
      destroy: (context, inputs) => destroyProposed(app, context, inputs),
      async restart(signal) {
        const done = await restarts?.run({ ...app.config.restarts, missingMs: MISSING_MS, signal });
        const checkMs = await stuckRollouts?.check(signal);
        await failedRestarts.refresh();
        const next = smallest([done?.nextMs, checkMs].filter((ms) => ms !== undefined));
        return Number.isFinite(next) ? next : undefined;
      },
      notify: async (channel, known, signal) =>
        options.notifications?.run(channel, { ...known, chain: options.chain }, signal),
      resumeApproved: createResume(app, () => requireAgreement(options)),
      recover: (onNotApplied = () => undefined) => recoverIntents({ ...app, onNotApplied }),
      hasOpenFailure: (mapping, target) => isUnresolved(audit, mapping, target, app.instances),
      heldId: (state) => heldId(app, state),
    },
    replicas: {
      replicasAgree: () => options.differing().length === 0,
      configHashOf: createMappingHash(app),
      isBehind: () =>
        options.configProblems().length > 0 ||
        app.config.includes.some((include) => include.state === 'outdated'),
    },
    metrics: {
      onOutcome: options.onOutcome,
      onLargeValues: options.onLargeValue,
      onCycle: options.onCycle,
    },
  });
}

function configParts(app: App): ConfigParts {
  return {
    instance: app.config.instance,
    scope: app.config.cluster.kind === 'kubernetes' ? app.config.cluster.scope : 'namespace',
    concurrency: app.config.engine.concurrency,
    restartWindowMs: () => app.config.restarts.windowMs,
    channels: () => app.config.notify.map(({ name }) => name),
    mappings: () => app.config.mappings,
    resolve: () => app.resolve(),
  };
}

function storeParts(app: App): StoreParts {
  const { stores } = app;
  return {
    definitions: () => stores.definitions,
    tellsVersions: (store) => capabilitiesOf(app.config, store)?.tellVersions ?? false,
    isDown: (store) => stores.state(store).state === 'down',
    onAnswer: (listener) => stores.onAnswer(listener),
    namesOf: (store, key) => {
      const kind = app.config.stores.find(({ name }) => name === store)?.kind;
      return (kind !== undefined && PROVIDERS[kind]?.keyNames?.(key)) || [key];
    },
  };
}
