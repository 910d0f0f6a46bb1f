import type { App } from '../app/app.ts';
import { brokenIncludes } from '../config/config.ts';
import { undefinedIfStopped } from '../core/abort.ts';
import { AppError } from '../core/errors.ts';
import { compareTargets } from '../core/target.ts';
import { MAX_TIMER_MS, type StartTimer } from '../core/timer.ts';
import { createMemoryQueue } from '../queue/memory.ts';
import { formatSubject } from '../queue/subject.ts';
import type { Population } from '../reconcile/brake.ts';
import type { SyncContext } from '../reconcile/context.ts';
import { expectedReads } from '../reconcile/context.ts';
import { type DestroyDeps, destroy } from '../reconcile/destroy.ts';
import { isUnresolved } from '../reconcile/latest-records.ts';
import type { Unreadable } from '../reconcile/orphans.ts';
import { type Outcome, type Proposal, type Summary, summaryOf } from '../reconcile/outcome.ts';
import type { AwaitingReplacement } from '../reconcile/presence.ts';
import { reconcile, recordUndecidable } from '../reconcile/reconcile.ts';
import { recoverIntents } from '../reconcile/recover.ts';
import { byMapping, type DesiredTarget } from '../reconcile/targets.ts';
import type { FailedRestart } from '../restart/failures.ts';
import type { WindowOverride } from '../service/approvals.ts';
import { CallBudget, callsOf } from '../service/runs/call-budget.ts';
import { logOutcome } from '../service/runs/log-outcome.ts';
import type { Status } from '../service/service.ts';
import { SourceAges, type Unrotated } from '../service/sweep/source-ages.ts';
import { includeStatuses } from './includes.ts';
import { populationOf, presenceOf, proposeOrphanDeletions } from './orphans.ts';
import { acceptSync, openSyncContext } from './override.ts';
import { type Held, selectTargets, targetsOutside, toHeld } from './plan.ts';
import { type Preflight, preflight } from './preflight.ts';
import { runPendingRestarts } from './restarts.ts';
import { runRetentionOnce } from './retention.ts';
import type { PlanGuard } from './saved-plan.ts';

export interface SyncReport {
  readonly ok: boolean;
  readonly requestId: string;
  readonly summary: Summary;
  readonly targets: readonly Outcome[];
  readonly held: readonly Held[];
  /** Targets that may be orphaned, but could not be checked. */
  readonly unseen: readonly Unreadable[];
  /** Orphaned targets that are kept until their mapping has created its new target. */
  readonly waiting: readonly AwaitingReplacement[];
  /** Workloads that could not be restarted. */
  readonly unrestarted: readonly FailedRestart[];
  /** Sources that are older than `maxAge`. Undefined if there are none, or if they were not checked. */
  readonly unrotated?: readonly Unrotated[];
  /** The included files that are not in force. Undefined if there are none. */
  readonly includes?: Status['includes'];
  /** Whether the run was aborted before all targets were processed. */
  readonly interrupted: boolean;
}

export interface SyncOptions {
  readonly only?: string;
  /** Why changes are made outside of their windows. Default: they wait. */
  readonly override?: WindowOverride | undefined;
  /** Called after each target. */
  readonly onOutcome?: (outcome: Outcome, done: number, total: number) => void;
  /** When aborted, no further work starts, and running writes finish. */
  readonly signal?: AbortSignal;
  /** The context in which a plan was made for this run. Default: a new one. */
  readonly context?: SyncContext;
  /** Allows only the changes of a saved plan. Default: all changes. */
  readonly plan?: PlanGuard;
  /** Starts a timer. Default: system timers. */
  readonly wake?: StartTimer;
}

/** Syncs every target once, with the same code as the service. All deletions are decided together at the end. */
export async function syncTargets(app: App, options: SyncOptions = {}): Promise<SyncReport> {
  const { only, signal, plan } = options;
  await recoverIntents(app);
  const context = { ...(options.context ?? (await openSyncContext(app, options))), unplanned: plan?.refusal };
  const wanted = selectTargets(app, only);
  const { recorder } = context;
  await acceptSync(app, context, options);
  app.tracing.tracer.recordTrigger(recorder.requestId, { reason: 'manual' });
  const ages = new SourceAges(app);
  const outcomes = await runTargets(app, context, wanted, ages, options);

  const interrupted = outcomes.length < wanted.length;
  // An aborted run deletes nothing, because it has not processed all targets and so lacks some of the proposals.
  const { targets, ...passedOver } = interrupted
    ? { targets: outcomes.filter(({ proposal }) => proposal === undefined) }
    : await decideProposals(app, context, outcomes, { only, plan });
  const unrestarted = await runPendingRestarts(app, signal);
  for (const outcome of targets) logOutcome(app.logger, outcome, recorder.requestId);
  const selectedMappings = app.config.mappings.filter(({ name }) => only === undefined || name === only);
  const unrotated = ages.warn(selectedMappings);
  const warned = ages.addWarnings(targets, wanted);
  const done = await report(app, {
    targets: warned,
    ...passedOver,
    unrestarted,
    unrotated,
    interrupted,
    recorder,
  });
  if (!interrupted) await runRetentionOnce(app, signal);
  const includes = includeStatuses({ includes: brokenIncludes(app.config) });
  return includes.length === 0 ? done : { ...done, ok: false, includes };
}

/** Syncs the targets. Returns fewer outcomes than targets if the run was aborted. */
async function runTargets(
  app: App,
  context: SyncContext,
  wanted: readonly DesiredTarget[],
  ages: SourceAges,
  { only, onOutcome, signal }: SyncOptions,
): Promise<readonly Outcome[]> {
  // If several mappings merge into the same Secret, they run one after the other.
  const bySubject = Map.groupBy(byMapping(wanted), ({ id }) => formatSubject({ kind: 'target', ...id }));
  const { concurrency } = app.config.engine;
  await using queue = createMemoryQueue({ concurrency, stopOnFailure: true });
  // Skip the preflight for a single mapping. A user has probably just changed a secret of this mapping, and a list may
  // show the change only minutes later.
  const checked = only === undefined ? wanted : [];
  const { inSync, isMissing } =
    (await undefinedIfStopped(() => preflight(app, context, checked, ages), signal)) ?? EMPTY_PREFLIGHT;
  const runContext = { ...context, isMissing };
  // Announce the expected reads in the order in which the queue will process the targets.
  const undecided = [...bySubject.values()].flat().filter((desiredTarget) => !inSync.has(desiredTarget));
  context.expect(expectedReads(undecided, context));
  const { requestId } = context.recorder;
  await queue.add(
    [...bySubject].map(([subject, [first]]) => {
      const group = first?.mapping.include?.path;
      return { subject, reason: 'manual', requestId, ...(group === undefined ? {} : { group }) };
    }),
  );
  // The jobs that wait for the limit of an `include` are dropped, so that the run ends soon.
  signal?.addEventListener('abort', () => void queue.close(MAX_TIMER_MS), { once: true });
  const budget = new CallBudget({ now: () => performance.now() });
  const outcomes: Outcome[] = [];
  queue.start(async (job) => {
    const desiredTargets = bySubject.get(job.subject) ?? [];
    const waitMs = takeCalls(
      budget,
      desiredTargets.filter((desired) => !inSync.has(desired)),
    );
    if (waitMs > 0) return queue.add([job], { delayMs: waitMs });
    for (const desiredTarget of desiredTargets) {
      if (signal?.aborted) break;
      const run = () => runTraced(desiredTarget, runContext, inSync.get(desiredTarget), app, signal);
      const outcome = await undefinedIfStopped(run, signal);
      if (outcome === undefined) break;
      outcomes.push(outcome);
      // Skip pinned targets: a pinned version does not show the age of the current secret.
      if (outcome.pinned === undefined && outcome.sources !== undefined)
        ages.noteRun(desiredTarget.mapping, outcome.sources);
      onOutcome?.(outcome, outcomes.length, wanted.length);
    }
  });
  await queue.idle();
  return outcomes;
}

/** Returns how long these targets must wait for the limit of their `include` on calls to stores. */
function takeCalls(budget: CallBudget, targets: readonly DesiredTarget[]): number {
  const include = targets.find(({ mapping }) => mapping.include !== undefined)?.mapping.include;
  if (include === undefined) return 0;
  return budget.take(
    include,
    targets.reduce((sum, { mapping }) => sum + callsOf(mapping), 0),
    'sweep',
  );
}

const EMPTY_PREFLIGHT: Preflight = { inSync: new Map(), isMissing: () => false };

function runTraced(
  desiredTarget: DesiredTarget,
  context: SyncContext,
  inSync: Outcome | undefined,
  app: App,
  signal: AbortSignal | undefined,
): Promise<Outcome> {
  const { mapping, id } = desiredTarget;
  return app.tracing.tracer.span(
    'job',
    { mapping: mapping.name, ...id, reason: 'manual' },
    () => runOne(desiredTarget, context, inSync, app, signal),
    {
      requestId: context.recorder.requestId,
      resultAttributes: ({ kind, error }) => ({ outcome: kind, ...(error && { code: error.code }) }),
    },
  );
}

async function runOne(
  { mapping, id, error }: DesiredTarget,
  context: SyncContext,
  inSync: Outcome | undefined,
  { audit, instances }: App,
  signal: AbortSignal | undefined,
): Promise<Outcome> {
  if (error !== undefined) return recordUndecidable(mapping, id, error, context);
  // Run a pinned target in full, because the preflight compares only current versions. Also run a target whose last
  // recorded result is a failure, so that its recovery is recorded.
  const isPlain = async () =>
    (await context.records.readPin(mapping.name, id)) === undefined &&
    !(await isUnresolved(audit, mapping.name, id, instances));
  if (inSync !== undefined && (await isPlain())) return inSync;
  const isStillDesired = (): boolean => {
    // No write begins after the command was told to end.
    if (signal?.aborted) throw new AppError('INTERRUPTED');
    return true;
  };
  return reconcile(mapping, id, context, { isStillDesired });
}

/** Returns the outcomes. Replaces each proposal by the outcome that was decided for it. */
async function decideProposals(
  app: App,
  context: SyncContext,
  outcomes: readonly Outcome[],
  { only, plan }: { readonly only: string | undefined; readonly plan: PlanGuard | undefined },
): Promise<Pick<SyncReport, 'targets' | 'unseen' | 'waiting'>> {
  const presence = presenceOf(outcomes);
  const orphaned = await proposeOrphanDeletions(app, only, presence);
  const proposals = [...outcomes.flatMap(({ proposal }) => proposal ?? []), ...orphaned.proposals];
  const others = { targets: targetsOutside(app, only), leaving: orphaned.endedOfOthers };
  const population = await populationOf(app, {
    presence,
    orphanCount: orphaned.count,
    proposals,
    others,
  });
  const isStillWanted = plan && ((proposal: Proposal) => plan.allows(proposal));
  const decided = await destroyOrFail(proposals, population, app, { ...context, isStillWanted });
  const targets = [...outcomes.filter(({ proposal }) => proposal === undefined), ...decided];
  return { targets, unseen: orphaned.unseen, waiting: orphaned.waiting };
}

/**
 * Decides about the proposals, and carries out the allowed deletions. If another process holds the lock for deletions,
 * the proposals fail, and the next run proposes them again. The outcomes of all other targets are still reported.
 */
async function destroyOrFail(
  proposals: readonly Proposal[],
  population: Population,
  app: App,
  context: SyncContext & Pick<DestroyDeps, 'isStillWanted'>,
): Promise<readonly Outcome[]> {
  try {
    return await destroy(proposals, population, { ...app, ...context, brake: app.config.brake });
  } catch (thrown) {
    if (!(thrown instanceof AppError) || thrown.code !== 'BUSY_ELSEWHERE') throw thrown;
    return proposals.map(({ mapping, live, keys }) => ({
      kind: 'failed',
      mapping,
      target: live.id,
      keys,
      alive: true,
      error: thrown,
    }));
  }
}

/** Ends a run: writes the record of the run and returns the report. */
export async function report(
  { config: { instance } }: App,
  {
    targets,
    unseen = [],
    waiting = [],
    unrestarted = [],
    unrotated,
    interrupted = false,
    recorder,
  }: {
    targets: readonly Outcome[];
    unseen?: readonly Unreadable[];
    waiting?: readonly AwaitingReplacement[];
    unrestarted?: readonly FailedRestart[];
    unrotated?: readonly Unrotated[];
    interrupted?: boolean;
    recorder: SyncContext['recorder'];
  },
): Promise<SyncReport> {
  const ordered = targets.toSorted((a, b) => compareTargets(a.target, b.target));
  const summary = summaryOf((kind) => targets.filter((outcome) => outcome.kind === kind).length);
  const ok = !interrupted && summary.refused + summary.held + summary.failed === 0;
  await recorder.sweep({ targets: targets.length, ...summary }, ok);
  return {
    ok: ok && unrestarted.length === 0,
    requestId: recorder.requestId,
    summary,
    targets: ordered,
    held: ordered.filter(({ kind }) => kind === 'held').map((outcome) => toHeld(instance, outcome)),
    unseen,
    waiting,
    unrestarted,
    ...(unrotated === undefined ? {} : { unrotated }),
    interrupted,
  };
}
