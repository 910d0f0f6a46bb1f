import type { App } from '../../app/app.ts';
import { commandEntry, commandOf } from '../../audit/entry.ts';
import { brokenIncludes } from '../../config/config.ts';
import type { Problem } from '../../config/problem.ts';
import { AppError } from '../../core/errors.ts';
import { compareTargets, type TargetId } from '../../core/target.ts';
import { within } from '../../core/timer.ts';
import type { Queue } from '../../queue/queue.ts';
import { recordingCommand } from '../../reconcile/recorder.ts';
import type { DesiredTarget } from '../../reconcile/targets.ts';
import type { FailedRestarts } from '../../restart/failed-restarts.ts';
import type { WindowOverride } from '../../service/approvals.ts';
import type { Controller } from '../../service/controller.ts';
import type {
  HeldStatus,
  MappingStatus,
  OrphansAnswer,
  PruneAnswer,
  Requester,
  RollbackRequest,
  Service,
  Status,
  SyncAnswer,
} from '../../service/service.ts';
import { heldStatuses, mappingStatuses, targetStatuses, targetWarnings } from '../../service/status.ts';
import { requestSync } from '../../service/sync-request.ts';
import type { TargetState } from '../../service/target-state.ts';
import type { SignIn } from '../../sign-in/sign-in.ts';
import { includeStatuses, KeptTargets } from '../includes.ts';
import { recordOverride } from '../override.ts';
import { toHeld } from '../plan.ts';
import { findHeldOrphan, listOrphansForCommand, pruneOrphans } from '../prune.ts';
import { releaseCommand, releaseHeld } from '../release.ts';
import { pinTarget, selectOneTarget, selectTargetsToUnpin, unpinTargets } from '../rollback.ts';
import type { SyncReport } from '../sync.ts';
import { orphansAnswer, pruneAnswer, syncAnswer } from './answers.ts';
import { actorOf, commandContext, mayUse, ServiceApprovals } from './approvals.ts';
import { createAuditStatus, QUERY_TIMEOUT_MS } from './audit-trust.ts';
import { auditWarnings, type ChainState } from './audit-warnings.ts';
import { NamespacePlans } from './namespace-plans.ts';
import { type Notifications, notifyStatus } from './notifications.ts';
import { clusterState, stateOf, storeStatuses, unverifiableCount } from './part-states.ts';
import { requireAgreement } from './presence.ts';
import { signInWarnings } from './sign-in.ts';

export interface RunningServiceOptions {
  readonly queue: Queue;
  readonly replica: string;
  readonly version: string;
  /** The problems of the current configuration files. Empty if the files are active. */
  readonly configProblems: () => readonly Problem[];
  readonly intakes: () => Status['events'];
  /** The replicas that use a different configuration. */
  readonly differing: () => readonly string[];
  /** The verification of the audit log in the background. */
  readonly chain?: ChainState | undefined;
  /** Undefined without `http.oidc`. */
  readonly signIn?: Pick<SignIn, 'problem'> | undefined;
  /** Sends the messages of the channels in `notify`. */
  readonly notifications?: Notifications | undefined;
}

type RunningServiceDeps = RunningServiceOptions & { readonly failedRestarts: FailedRestarts };

/** What an approved request tells of a held change. After a restart, the target states do not contain it yet. */
type OfTarget = Pick<HeldStatus, 'mapping' | 'namespace'>;

/** Implements `Service` with the functions that the commands use. */
export class RunningService implements Service {
  readonly #app: App;
  readonly #controller: Controller;
  readonly #options: RunningServiceDeps;
  readonly #auditStatus: () => Promise<Status['audit']>;
  readonly #kept: KeptTargets;
  readonly #approvals: ServiceApprovals;
  readonly #plans: NamespacePlans;

  constructor(app: App, controller: Controller, options: RunningServiceDeps) {
    this.#app = app;
    this.#controller = controller;
    this.#options = options;
    this.#auditStatus = createAuditStatus(app, controller);
    this.#kept = new KeptTargets(app);
    this.#approvals = new ServiceApprovals(app, this);
    this.#plans = new NamespacePlans(app);
    // Start the search, so that the first answer contains its result.
    this.#kept.rows();
  }

  async status(): Promise<Status> {
    // Both query the audit, which may hang. A status with older restarts is better than none.
    const [audit] = await Promise.all([
      this.#auditStatus(),
      within(this.#options.failedRestarts.refresh(), QUERY_TIMEOUT_MS),
    ]);
    const { configProblems, version, replica, queue, differing, intakes, chain, signIn } = this.#options;
    const { config } = this.#app;
    const problems = [...configProblems(), ...brokenIncludes(config).flatMap((include) => include.problems)];
    return {
      instance: config.instance,
      version,
      replica,
      engine: { kind: queue.kind, ...stateOf(queue.health()) },
      audit: { ...audit, ...unverifiableCount(chain) },
      warnings: [
        ...[...auditWarnings(config, chain), ...signInWarnings(signIn)],
        ...targetWarnings(this.#controller, this.#app.clock.now()),
      ],
      cluster: { kind: config.cluster.kind, ...clusterState(this.#controller) },
      config: { valid: problems.length === 0, problems, differing: differing() },
      includes: includeStatuses(config),
      stores: storeStatuses(this.#app, this.#controller.snapshot().targets),
      events: intakes(),
      ...notifyStatus(this.#options.notifications),
      targets: this.#targets(),
      held: this.held(),
    };
  }

  mappings(): readonly MappingStatus[] {
    // The next answer contains what this finds.
    void this.#options.failedRestarts.refresh();
    return mappingStatuses(this.#app.config.mappings, this.#targets());
  }

  mapping(name: string): MappingStatus | undefined {
    return this.mappings().find(({ mapping }) => mapping === name);
  }

  readonly plan: Service['plan'] = (...request) => this.#plans.plan(...request);

  held(): readonly HeldStatus[] {
    return heldStatuses({ states: this.#controller.states, idOf: (state) => heldId(this.#app, state) });
  }

  async sync(
    name: string,
    by: Requester,
    requestId: string,
    override?: WindowOverride,
  ): Promise<SyncAnswer | undefined> {
    if (!this.#isInForce(name)) return undefined;
    const all = this.#controller
      .snapshot()
      .targets.filter(({ mapping, id }) => mapping.name === name && mayUse(by, id));
    const wanted = all.filter(({ error }) => error === undefined);
    const actor = actorOf(by);
    if (override === undefined)
      await this.#app.audit.append([commandEntry(commandOf('sync', name), actor, requestId)]);
    else {
      const namespaces = by.mayUse && [...new Set(wanted.map(({ id }) => id.namespace))];
      const { reason } = override;
      await recordOverride(this.#app, { actor, requestId, mapping: name, namespaces, reason });
    }
    const answer = await this.#request(wanted, by, requestId, { wholeMapping: name });
    // Report each failed selector as one failed target, because its number of targets is unknown.
    const unknown = all.flatMap(({ id, error }) =>
      error === undefined ? [] : [{ mapping: name, ...id, outcome: 'failed', ...error.toJSON(), keys: [] }],
    );
    if (unknown.length === 0) return answer;
    const summary = { ...answer.summary, failed: (answer.summary.failed ?? 0) + unknown.length };
    return { ...answer, ok: false, summary, targets: [...answer.targets, ...unknown] };
  }

  async rollback(
    name: string,
    { to, namespace }: RollbackRequest,
    by: Requester,
    requestId: string,
  ): Promise<SyncAnswer | undefined> {
    if (!this.#isInForce(name)) return undefined;
    const target = selectOneTarget(this.#app, { mapping: name, namespace, mayUse: by.mayUse });
    if (typeof target === 'string') throw new AppError('INVALID_REQUEST', { detail: target });
    const context = await this.#app.createContext(commandContext(by, requestId));
    await recordingCommand(context.recorder, commandOf('rollback', name, '--to', to), (accept) =>
      pinTarget(this.#app, context, target, to, accept),
    );
    return this.#request([target], by, requestId);
  }

  async unpin(
    name: string,
    { namespace }: Pick<RollbackRequest, 'namespace'>,
    by: Requester,
    requestId: string,
  ): Promise<SyncAnswer | undefined> {
    if (!this.#isInForce(name)) return undefined;
    const which = { mapping: name, namespace, mayUse: by.mayUse };
    const targets = selectTargetsToUnpin(this.#app, which);
    if (typeof targets === 'string') throw new AppError('INVALID_REQUEST', { detail: targets });
    const context = await this.#app.createContext(commandContext(by, requestId));
    const unpinned = await recordingCommand(context.recorder, commandOf('unpin', name), (accept) =>
      unpinTargets(context, targets, which, accept),
    );
    return this.#request(unpinned, by, requestId);
  }

  async release(id: string, by: Requester, requestId: string, held?: OfTarget): Promise<SyncAnswer> {
    // If no target state contains the change, `prune` may have held it. No job proposes such changes, so search for
    // them on each request.
    const heldChange =
      held ??
      this.held().find((heldStatus) => heldStatus.id === id) ??
      (await findHeldOrphan(this.#app, id, { reuseResolved: true }));
    // Do not include the id in the error, because it may be any text.
    if (heldChange === undefined || !mayUse(by, heldChange)) {
      const refusal = new AppError('NOT_HELD');
      await this.#app.audit.append([commandEntry(releaseCommand(id), actorOf(by), requestId, refusal)]);
      throw refusal;
    }
    const { mapping } = heldChange;
    const report = await releaseHeld(this.#app, id, {
      ...(this.#isMapping(mapping) ? { only: mapping } : {}),
      skipRestarts: true,
      ...commandContext(by, requestId),
    });
    this.#noteDeletions(report, requestId);
    return syncAnswer(report, this.held());
  }

  approvals(): ReturnType<Service['approvals']> {
    return this.#approvals.list();
  }

  approve(...args: Parameters<Service['approve']>): ReturnType<Service['approve']> {
    return this.#approvals.approve(...args);
  }

  reject(...args: Parameters<Service['reject']>): ReturnType<Service['reject']> {
    return this.#approvals.reject(...args);
  }

  async orphans(by: Requester, requestId: string): Promise<OrphansAnswer> {
    return orphansAnswer(await listOrphansForCommand(this.#app, commandContext(by, requestId)));
  }

  async prune(by: Requester, requestId: string, only?: TargetId): Promise<PruneAnswer> {
    const report = await pruneOrphans(this.#app, {
      ...commandContext(by, requestId),
      check: () => requireAgreement(this.#options),
      mayUse: by.mayUse,
      only,
    });
    this.#noteDeletions(report, requestId);
    return pruneAnswer(report);
  }

  loops(): ReturnType<Service['loops']> {
    return this.#controller.loops.states();
  }

  async notReady(): Promise<AppError | undefined> {
    const { state } = await this.#auditStatus();
    if (state !== 'down') return undefined;
    const { address } = this.#app.audit;
    return this.#controller.auditHealth.error() ?? new AppError('AUDIT_UNAVAILABLE', { subject: address });
  }

  #targets(): Status['targets'] {
    const { states, ages } = this.#controller;
    const snapshot = this.#controller.snapshot();
    const kept = this.#kept.rows();
    const failedRestarts = this.#options.failedRestarts.current();
    const rows = targetStatuses({ snapshot, states, ages, clock: this.#app.clock, failedRestarts });
    return kept.length === 0 ? rows : [...rows, ...kept].toSorted(compareTargets);
  }

  #isMapping(name: string): boolean {
    return this.#app.config.mappings.some((mapping) => mapping.name === name);
  }

  /** @throws AppError CONFIG_INVALID if the file of the mapping is disabled. */
  #isInForce(name: string): boolean {
    if (this.#isMapping(name)) return true;
    this.#kept.refuse(name);
    return false;
  }

  /** Requests a run of the targets and waits for the outcomes. */
  #request(
    targets: readonly DesiredTarget[],
    by: Requester,
    requestId: string,
    whole: { readonly wholeMapping?: string } = {},
  ): Promise<SyncAnswer> {
    const held = () => this.held().filter((heldStatus) => mayUse(by, heldStatus));
    return requestSync(this.#controller, targets, { requestId, clock: this.#app.clock, held, ...whole });
  }

  #noteDeletions({ targets }: SyncReport, requestId: string): void {
    for (const outcome of targets) this.#controller.noteDeletion(outcome, requestId);
  }
}

/** Returns the id with which a person releases a held change of this target. */
export function heldId({ config }: App, { mapping, target, keys }: TargetState): string {
  return toHeld(config.instance, { mapping, target, keys }).id;
}
