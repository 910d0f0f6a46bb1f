import { soonAfter } from '../core/abort.ts';
import { AppError } from '../core/errors.ts';
import { compareTargets } from '../core/target.ts';
import type { Wake } from '../core/wake.ts';
import { createMemoryQueue } from '../queue/memory.ts';
import { formatSubject } from '../queue/subject.ts';
import { expectedReads } from '../reconcile/ahead.ts';
import type { Population } from '../reconcile/brake.ts';
import { commandOf } from '../reconcile/commands.ts';
import { destroy } from '../reconcile/destroy.ts';
import { isUnended } from '../reconcile/last-word.ts';
import type { Unseen } from '../reconcile/left.ts';
import { OUTCOMES, type Outcome, type OutcomeKind, type Proposal } from '../reconcile/outcome.ts';
import { reconcile, undecidable } from '../reconcile/reconcile.ts';
import { recoverIntents } from '../reconcile/recover.ts';
import type { Waiting } from '../reconcile/standing.ts';
import { byMapping, type Wanted } from '../reconcile/targets.ts';
import type { FailedRestart } from '../restart/failures.ts';
import { logOutcome } from '../service/runs/log-outcome.ts';
import type { Pass } from '../service/runs/pass.ts';
import { createAges, type Unrotated } from '../service/sweep/ages.ts';
import type { App } from './app.ts';
import { type Held, toHeld } from './held.ts';
import { leftProposals, populationOf, sightOf } from './left.ts';
import { othersThan, selectTargets } from './plan.ts';
import { finishRestarts } from './restarts.ts';
import { retainOnce } from './retention.ts';
import { type Survey, survey } from './survey.ts';

export type Summary = Readonly<Record<OutcomeKind, number>>;

export interface SyncReport {
  readonly ok: boolean;
  readonly requestId: string;
  readonly summary: Summary;
  readonly targets: readonly Outcome[];
  readonly held: readonly Held[];
  /** Targets that left the configuration and could not be looked at. */
  readonly unseen: readonly Unseen[];
  /** Targets that left it, and stay until their mapping has made the new one. */
  readonly waiting: readonly Waiting[];
  /** Workloads that the changes wanted restarted, and could not be. */
  readonly unrestarted: readonly FailedRestart[];
  /** Sources that are older than `maxAge`. Left out: there are none, or it was none of the question. */
  readonly unrotated?: readonly Unrotated[];
  /** Ended by its signal: some targets were not looked at. */
  readonly interrupted: boolean;
}

export interface SyncOptions {
  readonly only?: string;
  /** Told of each target as it is done. */
  readonly onOutcome?: (outcome: Outcome, done: number, total: number) => void;
  /** Stops taking work; what is being written is finished. */
  readonly signal?: AbortSignal;
  /** Left out: by the system's timers. */
  readonly wake?: Wake;
}

/** Brings every target into step, once, through the same code as the service; then the one destroying step. */
export async function syncTargets(
  app: App,
  { only, onOutcome, signal, wake }: SyncOptions = {},
): Promise<SyncReport> {
  await recoverIntents(app);
  // What is being written goes on to its end; what is only read, a store that hangs may hold for minutes.
  const pass = await app.pass({ signal: soonAfter(signal, wake) });
  const wanted = selectTargets(app, only);
  const { recorder } = pass;
  await recorder.command(commandOf('sync', only));

  // Several mappings may merge into one Secret: they take turns.
  const bySubject = Map.groupBy(byMapping(wanted), ({ id }) => formatSubject({ kind: 'target', ...id }));
  const outcomes: Outcome[] = [];
  await using queue = createMemoryQueue({
    concurrency: app.config.engine.concurrency,
    stopOnFailure: true,
  });
  const { requestId } = recorder;
  const { tracer } = app.tracing;
  tracer.trigger(requestId, { reason: 'manual' });
  const ages = createAges(app);
  // Who names a mapping has just changed something, which a list may not show for minutes.
  const surveyed = await unlessStopped(
    () => survey(app, pass, only === undefined ? wanted : [], ages),
    signal,
  );
  const { inStep: told, isMissing } = surveyed ?? NOTHING_TOLD;
  const looked = { ...pass, isMissing };
  // In the order in which they are queued.
  const unclear = [...bySubject.values()].flat().filter((it) => !told.has(it));
  pass.expect(expectedReads(unclear, pass));
  for (const subject of bySubject.keys()) await queue.add({ subject, reason: 'manual', requestId });
  queue.start(async ({ subject }) => {
    for (const it of bySubject.get(subject) ?? []) {
      if (signal?.aborted) break;
      const run = () =>
        tracer.span(
          'job',
          { mapping: it.mapping.name, ...it.id, reason: 'manual' },
          () => runOne(it, looked, told.get(it), app),
          { requestId, ends: ({ kind, error: its }) => ({ outcome: kind, ...(its && { code: its.code }) }) },
        );
      const outcome = await unlessStopped(run, signal);
      if (outcome === undefined) break;
      outcomes.push(outcome);
      // An old version says nothing of how old the secret is.
      if (outcome.pinned === undefined && outcome.sources !== undefined)
        ages.decided(it.mapping, outcome.sources);
      onOutcome?.(outcome, outcomes.length, wanted.length);
    }
    return undefined;
  });
  await queue.idle();

  const interrupted = outcomes.length < wanted.length;
  // A run that was stopped destroys nothing, and what it would have proposed is not decided.
  const { targets, ...passedOver } = interrupted
    ? { targets: outcomes.filter(({ proposal }) => proposal === undefined) }
    : await decideProposals(app, pass, outcomes, only);
  const unrestarted = await finishRestarts(app, signal);
  for (const outcome of targets) logOutcome(app.logger, outcome, recorder.requestId);
  const asked = app.config.mappings.filter(({ name }) => only === undefined || name === only);
  const unrotated = ages.warn(asked);
  const done = await report(app, { targets, ...passedOver, unrestarted, unrotated, interrupted, recorder });
  if (!interrupted) await retainOnce(app, signal);
  return done;
}

const NOTHING_TOLD: Survey = { inStep: new Map(), isMissing: () => false };

/** `undefined`: it was told to stop before it had decided anything. */
async function unlessStopped<T>(
  work: () => Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T | undefined> {
  try {
    return await work();
  } catch (thrown) {
    if (signal?.aborted && thrown instanceof AppError && thrown.code === 'INTERRUPTED') return undefined;
    throw thrown;
  }
}

async function runOne(
  { mapping, id, error }: Wanted,
  pass: Pass,
  told: Outcome | undefined,
  { audit, instances }: App,
): Promise<Outcome> {
  if (error !== undefined) return undecidable(mapping, id, error, pass);
  // What a pinned target is compared with is not what its store has now. And how a failure has ended is to be seen.
  const isPlain = async () =>
    (await pass.pin(mapping.name, id)) === undefined &&
    !(await isUnended(audit, mapping.name, id, instances));
  return told !== undefined && (await isPlain()) ? told : reconcile(mapping, id, pass);
}

/** Replaces what was proposed by what became of it. */
async function decideProposals(
  app: App,
  pass: Pass,
  outcomes: readonly Outcome[],
  only: string | undefined,
): Promise<Pick<SyncReport, 'targets' | 'unseen' | 'waiting'>> {
  const sight = sightOf(outcomes);
  const left = await leftProposals(app, only, sight);
  const proposals = [...outcomes.flatMap(({ proposal }) => proposal ?? []), ...left.proposals];
  const others = { targets: othersThan(app, only), leaving: left.endedOfOthers };
  const population = await populationOf(app, { sight, left: left.count, proposals, others });
  const decided = await destroyOrLeave(proposals, population, app, pass);
  const targets = [...outcomes.filter(({ proposal }) => proposal === undefined), ...decided];
  return { targets, unseen: left.unseen, waiting: left.waiting };
}

/** What another process keeps from being decided on fails for that, and is proposed again; all else that was done is told. */
async function destroyOrLeave(
  proposals: readonly Proposal[],
  population: Population,
  app: App,
  pass: Pass,
): Promise<readonly Outcome[]> {
  try {
    return await destroy(proposals, population, { ...app, ...pass, brake: app.config.brake });
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

/** The end of a run: its one record, and what people and programs read. */
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
    unseen?: readonly Unseen[];
    waiting?: readonly Waiting[];
    unrestarted?: readonly FailedRestart[];
    unrotated?: readonly Unrotated[];
    interrupted?: boolean;
    recorder: Pass['recorder'];
  },
): Promise<SyncReport> {
  const ordered = targets.toSorted((a, b) => compareTargets(a.target, b.target));
  const summary = summarise(targets);
  const ok = !interrupted && summary.refused + summary.held + summary.failed === 0;
  await recorder.sweep({ targets: targets.length, ...summary }, ok);
  return {
    ok,
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

function summarise(outcomes: readonly Outcome[]): Summary {
  const count = (kind: OutcomeKind): number => outcomes.filter((outcome) => outcome.kind === kind).length;
  return Object.fromEntries(OUTCOMES.map((kind) => [kind, count(kind)])) as Record<OutcomeKind, number>;
}
