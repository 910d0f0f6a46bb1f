import type { App } from '../../app/app.ts';
import { capabilitiesOf } from '../../app/stores.ts';
import type { Problem } from '../../config/problem.ts';
import { AppError } from '../../core/errors.ts';
import { compareText } from '../../core/target.ts';
import { PROVIDERS } from '../../providers/registry.ts';
import type { Queue } from '../../queue/queue.ts';
import type { SyncContext } from '../../reconcile/context.ts';
import { isUnresolved } from '../../reconcile/latest-records.ts';
import type { Outcome } from '../../reconcile/outcome.ts';
import { type Command, commandEntry, commandOf } from '../../reconcile/recorder.ts';
import { recoverIntents } from '../../reconcile/recover.ts';
import type { OnRestartFailure } from '../../restart/failures.ts';
import { createRestarts } from '../../restart/restarts.ts';
import { type Controller, startController } from '../../service/controller.ts';
import type {
  Health,
  MappingStatus,
  PruneAnswer,
  Requester,
  Service,
  Status,
  StoreStatus,
  SyncAnswer,
} from '../../service/service.ts';
import { heldStatuses, sourcesAndSearches, targetStatuses } from '../../service/status.ts';
import { requestSync } from '../../service/sync-request.ts';
import type { TargetState } from '../../service/target-state.ts';
import { destroyProposed } from '../destroy.ts';
import { expectedCalls, type StoreCalls } from '../expected-calls.ts';
import { toHeld } from '../plan.ts';
import { findHeldOrphan, listOrphansForCommand, pruneOrphans } from '../prune.ts';
import { releaseCommand, releaseHeld } from '../release.ts';
import { isRestartConfigured } from '../restarts.ts';
import { pinTarget, selectOneTarget, selectTargetsToUnpin, unpinTargets } from '../rollback.ts';
import { orphansAnswer, pruneAnswer, syncAnswer } from './answers.ts';
import { createAuditStatus } from './audit-trust.ts';
import { createMappingHash } from './configuration-records.ts';

export interface ServiceOptions {
  readonly queue: Queue;
  readonly replica: string;
  readonly version: string;
  readonly random: () => number;
  readonly onOutcome: (outcome: Outcome, seconds: number) => void;
  /** Called with the size of large values that a run has read. */
  readonly onLargeValue?: ((bytes: number) => void) | undefined;
  /** Called when a sweep has ended. */
  readonly onCycle: () => void;
  /** The problems of the current configuration files. Empty if the files are active. */
  readonly configProblems: () => readonly Problem[];
  readonly intakes: () => Status['events'];
  /** The replicas that use a different configuration. */
  readonly differing: () => readonly string[];
}

/** Starts the service of an app: its controller, and the API of the service. */
export async function startService(
  app: App,
  options: ServiceOptions,
): Promise<{ readonly service: Service; readonly controller: Controller }> {
  const controller = await openController(app, options);
  return { controller, service: serviceOf(app, controller, options) };
}

async function openController(app: App, options: ServiceOptions): Promise<Controller> {
  const { clock, logger, cluster, audit, stores } = app;
  const { workloads } = cluster;
  const onFailure: OnRestartFailure = ({ workload: name, ...about }, isNew) => {
    if (isNew) logger.warn('a workload could not be restarted', { name, ...about });
  };
  const isWanted = isRestartConfigured(app);
  const restarts =
    workloads && createRestarts({ ...app, ...app.tracing, workloads, onFailure, isConfigured: isWanted });
  return startController({
    clock,
    logger,
    tracer: app.tracing.tracer,
    random: options.random,
    instance: app.config.instance,
    queue: options.queue,
    cluster,
    audit,
    scope: app.config.cluster.kind === 'kubernetes' ? app.config.cluster.scope : 'namespace',
    concurrency: app.config.engine.concurrency,
    restartWindowMs: () => app.config.restarts.windowMs,
    mappings: () => app.config.mappings,
    resolve: () => app.resolve(),
    stores: {
      definitions: () => stores.definitions,
      tellsVersions: (store) => capabilitiesOf(app.config, store)?.tellVersions ?? false,
      isDown: (store) => stores.state(store).state === 'down',
      onAnswer: (listener) => stores.onAnswer(listener),
      namesOf: (store, key) => {
        const kind = app.config.stores.find(({ name }) => name === store)?.kind;
        return (kind !== undefined && PROVIDERS[kind]?.keyNames?.(key)) || [key];
      },
    },
    openContext: (request) =>
      app.createContext({
        ...request,
        reuseResolved: true,
        boundToConfig: true,
      }),
    destroy: (context, see) => destroyProposed(app, context, see),
    restart: async () => (await restarts?.run(app.config.restarts))?.nextMs,
    recover: (onNotMade = () => undefined) => recoverIntents({ ...app, onNotApplied: onNotMade }),
    configHashOf: createMappingHash(app),
    isBehind: () => options.configProblems().length > 0,
    heldId: (known) => heldId(app, known),
    onOutcome: options.onOutcome,
    hasOpenFailure: (mapping, target) => isUnresolved(audit, mapping, target, app.instances),
    onLargeValues: options.onLargeValue,
    onCycle: options.onCycle,
    replicasAgree: () => options.differing().length === 0,
  });
}

function serviceOf(app: App, controller: Controller, options: ServiceOptions): Service {
  const { audit, clock, config } = app;
  const { states } = controller;
  const auditStatus = createAuditStatus(app, controller);
  const idOf = (state: TargetState) => heldId(app, state);
  const held = () => heldStatuses({ states, idOf });
  const targets = () => targetStatuses({ snapshot: controller.snapshot(), states, clock });
  const operator = ({ name, address }: Requester) =>
    ({ kind: 'operator', name, ...(address === undefined ? {} : { address }) }) as const;

  const callsOf = (): ((store: string) => Partial<StoreStatus>) => {
    const taken = (store: string) => app.stores.usage(store)?.ways ?? [];
    const all = expectedCalls(app.config, controller.snapshot().targets, { taken });
    const byStore = new Map(all.map((storeCalls) => [storeCalls.store, storeCalls]));
    return (name) => callsStatus(byStore.get(name), app.stores.usage(name)?.lastHour);
  };

  const isMapping = (name: string): boolean => app.config.mappings.some((mapping) => mapping.name === name);
  const beginCommand = async (command: Command, by: Requester, requestId: string): Promise<SyncContext> => {
    const context = await app.createContext({ requestId, actor: operator(by), reuseResolved: true });
    await context.recorder.command(command);
    return context;
  };

  const mappings = (): readonly MappingStatus[] => {
    const byMapping = Map.groupBy(targets(), ({ mapping }) => mapping);
    return app.config.mappings.map((mapping) => ({
      mapping: mapping.name,
      refreshSeconds: mapping.refreshMs / 1_000,
      ...sourcesAndSearches(mapping),
      targets: byMapping.get(mapping.name) ?? [],
    }));
  };

  return {
    async status(): Promise<Status> {
      const problems = options.configProblems();
      const calls = callsOf();
      return {
        instance: config.instance,
        version: options.version,
        replica: options.replica,
        engine: { kind: options.queue.kind, ...stateOf(options.queue.health()) },
        audit: await auditStatus(),
        cluster: { kind: app.config.cluster.kind, ...clusterState(controller) },
        config: { valid: problems.length === 0, problems, differing: options.differing() },
        stores: app.config.stores
          .toSorted((a, b) => compareText(a.name, b.name))
          .map(({ name, kind }) => {
            const { state, lastSuccess, error, breakerOpen } = app.stores.state(name);
            return {
              name,
              kind,
              state,
              lastSuccess: lastSuccess === undefined ? null : new Date(lastSuccess).toISOString(),
              ...(error === undefined ? {} : { code: error.code }),
              breakerOpen,
              ...calls(name),
            };
          }),
        events: options.intakes(),
        targets: targets(),
        held: held(),
      };
    },
    mappings,
    mapping: (name) => mappings().find(({ mapping }) => mapping === name),
    held,
    async sync(name, by, requestId): Promise<SyncAnswer | undefined> {
      if (!isMapping(name)) return undefined;
      const all = controller.snapshot().targets.filter(({ mapping }) => mapping.name === name);
      const wanted = all.filter(({ error }) => error === undefined);
      await audit.append([commandEntry(commandOf('sync', name), operator(by), requestId)]);
      const answer = await requestSync(controller, wanted, { requestId, clock, held, wholeMapping: name });
      // Report each failed selector as one failed target, because its number of targets is unknown.
      const unknown = all.flatMap(({ id, error }) =>
        error === undefined ? [] : [{ mapping: name, ...id, outcome: 'failed', ...error.toJSON(), keys: [] }],
      );
      if (unknown.length === 0) return answer;
      const summary = { ...answer.summary, failed: (answer.summary.failed ?? 0) + unknown.length };
      return { ...answer, ok: false, summary, targets: [...answer.targets, ...unknown] };
    },
    async rollback(name, { to, namespace }, by, requestId): Promise<SyncAnswer | undefined> {
      if (!isMapping(name)) return undefined;
      const target = selectOneTarget(app, { mapping: name, namespace });
      if (typeof target === 'string') throw new AppError('INVALID_REQUEST', { detail: target });
      const context = await beginCommand(commandOf('rollback', name, '--to', to), by, requestId);
      await pinTarget(app, context, target, to);
      return requestSync(controller, [target], { requestId, clock, held });
    },
    async unpin(name, { namespace }, by, requestId): Promise<SyncAnswer | undefined> {
      if (!isMapping(name)) return undefined;
      const which = { mapping: name, namespace };
      const targets = selectTargetsToUnpin(app, which);
      if (typeof targets === 'string') throw new AppError('INVALID_REQUEST', { detail: targets });
      const context = await beginCommand(commandOf('unpin', name), by, requestId);
      const pinned = await unpinTargets(context, targets, which);
      return requestSync(controller, pinned, { requestId, clock, held });
    },
    async release(id, by, requestId): Promise<SyncAnswer> {
      await audit.append([commandEntry(releaseCommand(id), operator(by), requestId)]);
      // No job proposes the changes that `prune` holds, so search for them on each request.
      const heldChange =
        held().find((heldStatus) => heldStatus.id === id) ??
        (await findHeldOrphan(app, id, { reuseResolved: true }));
      // Do not include the id in the error, because it may be any text.
      if (heldChange === undefined) throw new AppError('NOT_HELD');
      const { mapping } = heldChange;
      const only = app.config.mappings.some(({ name }) => name === mapping) ? { only: mapping } : {};
      const report = await releaseHeld(app, id, {
        ...only,
        skipRestarts: true,
        isRecorded: true,
        requestId,
        actor: operator(by),
        reuseResolved: true,
      });
      for (const outcome of report.targets) controller.noteDeletion(outcome, requestId);
      return syncAnswer(report, held());
    },
    // Use the namespaces of the watch. A separate list could return older data and replace them.
    orphans: async (by, requestId) =>
      orphansAnswer(
        await listOrphansForCommand(app, { requestId, actor: operator(by), reuseResolved: true }),
      ),
    async prune(by, requestId): Promise<PruneAnswer> {
      const check = () => {
        const [other] = options.differing();
        if (other !== undefined) throw new AppError('REPLICAS_DIFFER', { subject: `replica ${other}` });
      };
      const report = await pruneOrphans(app, { requestId, actor: operator(by), reuseResolved: true, check });
      for (const outcome of report.targets) controller.noteDeletion(outcome, requestId);
      return pruneAnswer(report);
    },
    loops: () => controller.loops.states(),
    async notReady() {
      const { state } = await auditStatus();
      return state !== 'down'
        ? undefined
        : (controller.auditHealth.error() ?? new AppError('AUDIT_UNAVAILABLE', { subject: audit.address }));
    },
  };
}

function callsStatus(expected: StoreCalls | undefined, lastHour: number | undefined): Partial<StoreStatus> {
  return {
    ...(expected?.way === undefined ? {} : { way: expected.way }),
    ...(lastHour === undefined ? {} : { callsPerHour: lastHour }),
    ...(expected === undefined ? {} : { expectedCallsPerHour: expected.perHour }),
  };
}

function heldId({ config }: App, { mapping, target, keys }: TargetState): string {
  return toHeld(config.instance, { mapping, target, keys }).id;
}

function stateOf({ state, error }: ReturnType<Queue['health']>): { state: Health; code?: string } {
  return { state, ...(error === undefined ? {} : { code: error.code }) };
}

function clusterState({ clusterError }: Controller): { state: Health; code?: string } {
  const error = clusterError();
  return error === undefined ? { state: 'up' } : { state: 'degraded', code: error.code };
}
