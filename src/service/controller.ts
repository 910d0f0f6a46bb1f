import { randomUUID } from 'node:crypto';
import { type AppError, toAppError } from '../core/errors.ts';
import { createInTurn } from '../core/in-turn.ts';
import { formatTarget } from '../core/target.ts';
import type { TakeHints } from '../events/hint.ts';
import type { Job } from '../queue/queue.ts';
import type { Outcome } from '../reconcile/outcome.ts';
import type { Wanted } from '../reconcile/targets.ts';
import type { AuditDoubt } from './audit-doubt.ts';
import { type Board, createBoard } from './board.ts';
import { createHints } from './events/hints.ts';
import {
  type Change,
  createGeneration,
  type Generation,
  losesTargets,
  newsIn,
  withUnseen,
} from './generation.ts';
import { createJobs } from './jobs.ts';
import { createLate } from './leaving/late.ts';
import { createLedger } from './ledger.ts';
import { createLoops, type Loops } from './liveness/loops.ts';
import { createNewcomers } from './newcomers.ts';
import type { ServiceParts } from './parts.ts';
import { createRecovery } from './recovery.ts';
import { createActors } from './runs/actors.ts';
import { withAhead } from './runs/ahead.ts';
import { ACTOR_OF } from './runs/pass.ts';
import { createPasses } from './runs/passes.ts';
import { succeed } from './succession.ts';
import { type Ages, createAges } from './sweep/ages.ts';
import { createTimetable } from './sweep/timetable.ts';
import { createOneAtATime, createTurns } from './turns.ts';
import { createUnended } from './unended.ts';
import { createClusterTrouble } from './watching/cluster-trouble.ts';
import { createObserver } from './watching/observe.ts';
import { createWatches, isSelected } from './watching/watches.ts';

/** The inside of a running service, for those who steer it and show it. */
export interface Controller {
  readonly board: Board;
  readonly loops: Loops;
  readonly ages: Ages;
  readonly generation: () => Generation;
  /** Why a part of the cluster cannot be watched. */
  readonly clusterTrouble: () => AppError | undefined;
  readonly auditDoubt: AuditDoubt;
  /** Where events go. */
  readonly take: TakeHints;
  /** Queues a run of one target for somebody who waits. @throws AppError QUEUE_UNAVAILABLE */
  request(it: Wanted, requestId: string): Promise<void>;
  /** What became of a target outside of its own job. */
  decided(outcome: Outcome, requestId: string): void;
  /** The configuration has changed, or does so now: mappings to look at again, by name. */
  reconfigured(change: Change, putInForce?: () => Promise<void>): Promise<void>;
  /** A store answers again, or its credentials or definition changed: what waited for it is woken. */
  wake(store: string): void;
  close(graceMs: number): Promise<void>;
}

/** What it adds to an interval, beside the work: little of one that is short. */
const TICK_MS = 250;
const LEDGER_MS = 20_000;
/** A job may wait behind many others; only then is it taken for lost. */
const LOST_MS = 60_000;
/** Targets that left the configuration are looked for so often; a change of it does so at once. */
const HOUR_MS = 3_600_000;
/** A question of one query; a process that was killed is known to have ended only after a while. */
const CRASHED_MS = 10_000;
/** Whoever asks whether we are ready is to know soon that nothing could be recorded. */
const AUDIT_MS = 10_000;

/** Starts to watch, to sweep and to work; goes on until it is closed, whatever fails. */
export async function startController(parts: ServiceParts): Promise<Controller> {
  const { clock, logger, queue, cluster, audit, random } = parts;
  // First: it fails when the audit does, and then nothing was begun.
  await parts.recover();
  // A wall clock that jumps is no stall.
  const loops = createLoops({ now: () => performance.now() });
  // Of one process nobody else has to hear, and a copy of each outcome as text takes room.
  const heard = queue.kind === 'memory' ? undefined : queue.notices;
  const board = createBoard(heard, clock, parts.heldId, parts.runsBy);
  let generation = createGeneration([], [], parts.stores.tellsVersions);
  const current = () => generation;
  const ledger = createLedger(queue, parts);
  const timetable = createTimetable({ queue, generation: current, clock, logger });
  const trouble = createClusterTrouble({ board, ledger, logger, generation: current });
  const hints = createHints({ ...parts, namesOf: parts.stores.namesOf, ledger, generation: current });
  const actorOf = createActors(audit, hints.intakeOf);
  const beginPass = async ({ requestId, reason }: Pick<Job, 'requestId' | 'reason'>) => {
    const actor = await actorOf(requestId, ACTOR_OF[reason]);
    // Under a new configuration nobody works off what the one before asked for.
    if (generation.mappings !== parts.mappings()) await inTurn(async () => undefined);
    const pass = await parts.beginPass({ requestId, actor });
    return withAhead(pass, { ledger, generation: current, board, isListed: (id) => watches.isListed(id) });
  };
  const passes = createPasses(clock, beginPass, () => ledger.turn);
  const unended = createUnended({ board, ledger, isUnended: parts.isUnended ?? (async () => false) });
  const observer = createObserver({
    ...parts,
    ...{ generation: current, board, ledger, stores: parts.stores.definitions, onQuiet: unended.ask },
    onHeldGone: () => jobs.destroySoon(),
  });
  const ages = createAges({ clock, logger });
  const newcomers = createNewcomers(board, clock);
  const { has: isNew } = newcomers;
  const jobs = createJobs({ ...parts, ages, board, ledger, passes, loops, generation: current, isNew });

  /** @param ask Has targets looked at, and says which: before all others are judged, which takes a while. */
  const resolveOnce = async (ask?: () => ReadonlySet<string>): Promise<void> => {
    const before = generation;
    const wanted = withUnseen(await parts.resolve(), before.wanted);
    generation = createGeneration(parts.mappings(), wanted, parts.stores.tellsVersions);
    succeed({ board, ledger }, before, generation);
    newcomers.note(before, generation);
    const selects = generation.mappings.some((mapping) => isSelected({ mapping }));
    watches.follow(generation.wanted, selects);
    if (losesTargets(before, generation)) jobs.lookForLeft();
    const asked = ask?.();
    observer.all((id) => watches.isListed(id) && !asked?.has(formatTarget(id)));
  };
  // One after the other: an answer to an older question must not replace a newer one.
  const inTurn = createInTurn();
  const resolveAgain = (): Promise<void> => inTurn(() => resolveOnce());
  const resolveSoon = createOneAtATime(resolveAgain, (error) =>
    logger.error('the targets could not be resolved', { error }),
  );
  const watches = createWatches({
    cluster,
    scope: parts.scope,
    loops,
    onMeta(meta) {
      newcomers.seen(meta);
      observer.meta(meta);
    },
    onGone: observer.gone,
    onListed: observer.listed,
    wake: parts.wake,
    onNamespaces() {
      void resolveSoon();
      jobs.lookAtHeld();
    },
    onTrouble: trouble.note,
    onEnd: trouble.forget,
  });

  /** Outcomes of other replicas end what was asked for here as well. */
  const stopListening = board.onKnown(({ target, requestId }) => {
    // Of several mappings that merge into it, each has had its run since.
    const starts = generation
      .at(target)
      .map(({ mapping }) => board.known(mapping.name, target)?.startedAt ?? 0);
    ledger.done(target, Math.min(...starts), requestId);
  });
  // Whatever was in Redis may be gone. One that may drop jobs is never up, and takes them.
  const stopHealth = queue.onHealth(({ state, asOf }) => {
    if (state === 'down') return;
    // Of a start, most was asked for while the first question about its health was on its way.
    ledger.repeatUntil(asOf ?? clock.now());
    timetable.repeat((slot) => board.swept(slot)?.at);
    jobs.repeatLeft();
  });
  const repeatLate = createLate({ board, ledger, clock, generation: current, lostMs: LOST_MS });

  const recoverQuietly = createRecovery({
    logger,
    onClosed: () => jobs.lookForRestarts(),
    recover() {
      const requestId = randomUUID();
      return parts.recover((mapping, id) => {
        const isWanted = generation.at(id).some((it) => it.mapping.name === mapping);
        if (isWanted) ledger.trigger(id, 'sweep', requestId);
      });
    },
  });
  const lookAtAudit = async (): Promise<void> => {
    try {
      await audit.touch();
      jobs.doubt.looked();
    } catch (thrown) {
      jobs.doubt.looked(toAppError(thrown));
    }
  };
  await resolveAgain();
  const beat = loops.begin('timetable', 30_000);
  const turns = createTurns({ logger, random });
  turns.every(TICK_MS, () => {
    timetable.tick();
    observer.freed();
    passes.tidy();
    beat.beat();
  });
  turns.every(TICK_MS, unended.look);
  turns.every(LEDGER_MS, () => {
    ledger.repeat(LOST_MS);
    repeatLate(randomUUID());
    jobs.lookForRestarts();
    jobs.lookForProposals();
    ages.warn(generation.mappings);
    if (jobs.doubt.trouble() !== undefined) void jobs.recordSweeps();
    // A selector that could not be resolved has no watch that would tell.
    if (generation.wanted.some(({ error }) => error !== undefined)) void resolveSoon();
  });
  turns.every(CRASHED_MS, recoverQuietly);
  turns.every(AUDIT_MS, lookAtAudit);
  turns.every(HOUR_MS, () => {
    jobs.lookForLeft();
    void jobs.recordSweeps();
  });

  queue.start(jobs.process);
  jobs.lookForLeft();
  jobs.lookForRestarts();

  return {
    board,
    loops,
    ages,
    generation: current,
    clusterTrouble: trouble.first,
    auditDoubt: jobs.doubt,
    take: hints.take,
    decided: (outcome, requestId) => jobs.decided(outcome, requestId, clock.now()),
    request: ({ id }, requestId) => ledger.request(id, 'manual', requestId),
    async reconfigured(change, putInForce) {
      const before = generation;
      const requestId = randomUUID();
      await inTurn(async () => {
        await putInForce?.();
        passes.clear();
        await resolveOnce(() => {
          const news = newsIn(before, generation, change);
          for (const { id, isNew } of news) ledger.trigger(id, isNew ? 'first' : 'event', requestId);
          return new Set(news.map(({ id }) => formatTarget(id)));
        });
      });
      jobs.lookForLeft();
    },
    wake(store) {
      const requestId = randomUUID();
      for (const { id, mapping } of generation.wanted) {
        const known = board.known(mapping.name, id);
        if (known?.error !== undefined && generation.storesOf(id).includes(store))
          ledger.trigger(id, 'event', requestId);
      }
      const late = [...generation.slots].filter(
        ([name, { sweep }]) => sweep.store === store && board.swept(name)?.code !== undefined,
      );
      timetable.now(late.map(([name]) => name));
    },
    async close(graceMs) {
      hints[Symbol.dispose]();
      turns[Symbol.dispose]();
      stopHealth();
      stopListening();
      newcomers[Symbol.dispose]();
      await watches[Symbol.asyncDispose]();
      await queue.close(graceMs);
      await jobs.recordSweeps();
      beat.end();
      board[Symbol.dispose]();
    },
  };
}
