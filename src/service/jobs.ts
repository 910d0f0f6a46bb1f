import { randomUUID } from 'node:crypto';
import { toAppError } from '../core/errors.ts';
import { withMark } from '../core/request-id.ts';
import { noTracer } from '../core/tracer.ts';
import { type AddOptions, type Job, saysHealth } from '../queue/queue.ts';
import { formatSubject, parseSubject, type Subject } from '../queue/subject.ts';
import { type AuditDoubt, createAuditDoubt } from './audit-doubt.ts';
import type { Board } from './board.ts';
import { type Generation, wantedIn } from './generation.ts';
import { createDestroying } from './leaving/destroying.ts';
import type { Ledger } from './ledger.ts';
import { createAnswers, passesWithAnswers } from './liveness/answers.ts';
import type { Loop, Loops } from './liveness/loops.ts';
import type { ServiceParts } from './parts.ts';
import { createPins } from './pins.ts';
import { createDecided, type Decided } from './runs/decided.ts';
import { createLanes } from './runs/lanes.ts';
import { endingOrders } from './runs/orders.ts';
import type { Pass } from './runs/pass.ts';
import type { Passes } from './runs/passes.ts';
import { createWork, type WorkDeps } from './runs/work.ts';
import type { Ages } from './sweep/ages.ts';
import { createSweep } from './sweep/sweep.ts';
import { createSweepTally } from './sweep/tally.ts';
import { createStrangers } from './watching/strangers.ts';

export interface JobsDeps extends ServiceParts, Pick<WorkDeps, 'isNew'> {
  readonly board: Board;
  readonly ledger: Ledger;
  readonly passes: Passes<Pass>;
  readonly loops: Loops;
  readonly ages: Ages;
  readonly generation: () => Generation;
}

export interface Jobs {
  /** Works off a job; never throws. Gives when the same subject is to run again. */
  process(job: Job, signal: AbortSignal): Promise<number | undefined>;
  readonly decided: Decided;
  lookForLeft(): void;
  /** Asks again for the look at what left, where none of this process has been since it was asked for. */
  repeatLeft(): void;
  lookAtHeld(): void;
  lookForProposals(): void;
  destroySoon(): void;
  lookForRestarts(): void;
  /** One record for all the sweeps that found nothing new. */
  recordSweeps(): Promise<void>;
  readonly doubt: AuditDoubt;
}

/** Without the audit nothing is done, and it is asked again so soon. */
const AUDIT_WAIT_MS = 5_000;
/** It has waited for a minute already. */
const TURN_WAIT_MS = 5_000;
const BUG_WAIT_MS = 60_000;
const STUMBLED_MS = 15_000;
const CHANGED_MS = 100;
/** What is proposed together is decided together. */
const COLLECT_MS = 1_000;
/** A job that holds no connection and no lock should not take longer, beside its waits for stores that answer. */
const JOB_DEADLINE_MS = 300_000;
/** It reads each target that ever was, one after the other. */
const DESTROY_DEADLINE_MS = 3_600_000;

/** What the queue's jobs do, by their subject. */
export function createJobs(deps: JobsDeps): Jobs {
  const { board, ledger, passes, generation, logger, clock, queue, random, loops, tracer = noTracer } = deps;
  const lanes = createLanes({
    places: deps.concurrency,
    queue: deps.concurrency * 2,
    // A wall clock that jumps would make jobs wait.
    now: () => performance.now(),
  });
  const answers = createAnswers(() => performance.now());
  deps.stores.onAnswer(answers.tell);
  /** How a job begins to wait for its stores. */
  const waits = new WeakMap<object, () => () => void>();
  const waitingPasses = passesWithAnswers(passes, (job) => waits.get(job));
  /** Whoever waits for a place waits for the stores as well. */
  const inLane = (
    lane: string,
    job: Job,
    wait: () => () => void,
    work: () => Promise<number | undefined>,
  ): Promise<number | undefined> => {
    waits.set(job, wait);
    const end = wait();
    const begun = () => {
      end();
      return work();
    };
    return lanes.run(lane, job.reason, begun).finally(end);
  };
  const sweep = createSweep({
    generation,
    board,
    ledger,
    clock,
    ages: deps.ages,
    lookForPins: createPins({ audit: deps.audit, generation, board, ledger, clock }),
    tellsVersions: deps.stores.tellsVersions,
    isDown: deps.stores.isDown,
  });
  const looks = createWork({
    ...{ generation, board, ledger, clock, logger, tracer, random },
    passes: waitingPasses,
    audit: deps.audit,
    ages: deps.ages,
    onProposal: () => destroySoon(),
    onRestart: () => restartSoon(),
    onOrphan: () => destroying.lookForLeft(),
    onOutcome: deps.onOutcome,
    onLarge: deps.onLarge,
    isNew: deps.isNew,
    isBehind: deps.isBehind,
  });
  const work = endingOrders(looks, queue);
  const strangers = createStrangers({ clock, random });
  const doubt = createAuditDoubt({ clock, logger });
  const tally = createSweepTally({ beginPass: deps.beginPass, doubt });

  const add = async (subject: Subject, options?: AddOptions): Promise<void> => {
    try {
      await queue.add({ subject: formatSubject(subject), reason: 'event', requestId: randomUUID() }, options);
    } catch (thrown) {
      const error = toAppError(thrown);
      // It is looked for again soon.
      if (!saysHealth(error)) logger.error('a job could not be queued', { error });
    }
  };
  /** Whether any mapping names a workload. What an earlier one named may wait still, and is dropped by one more look. */
  let isAnyNamed = true;
  const restartSoon = (): void => void add({ kind: 'restart' }, { delayMs: deps.restartWindowMs() });
  const destroySoon = (): void => void add({ kind: 'destroy' }, { delayMs: COLLECT_MS });
  const decided = createDecided({
    ...{ board, ledger, clock, logger, generation, restartSoon },
    lookLater: (target, delayMs) => void add({ kind: 'target', ...target }, { delayMs }),
  });
  const destroying = createDestroying({
    ...{ board, clock, cluster: deps.cluster, logger, passes, tracer },
    isWanted: (known) => wantedIn(generation(), known) !== undefined,
    destroy: deps.destroy,
    agrees: deps.agrees,
    lookAt: (target, requestId) => ledger.trigger(target, 'event', withMark(requestId, '')),
    onOutcome: decided,
    addLeft: () => void add({ kind: 'left' }, { delayMs: COLLECT_MS }),
  });

  const runSweep = async (name: string, job: Job, loop: Loop): Promise<number | undefined> => {
    const pass = await waitingPasses.of(job, 0);
    const slot = generation().slots.get(name);
    if (slot === undefined) return undefined;
    const { requestId } = job;
    const result = await tracer.span(
      'sweep',
      { store: slot.sweep.store, reason: job.reason },
      () => sweep(slot, name, job, pass, loop.beat),
      { requestId, first: true, ends: ({ code }) => (code === undefined ? {} : { code }) },
    );
    // No target's job is to follow that would want what was read for it.
    if (result.due === 0) passes.end(job);
    deps.onCycle();
    tally.add(result);
    // A store that is down says when it is back; one that stumbled is asked again soon.
    const stumbled = result.code !== undefined && !deps.stores.isDown(slot.sweep.store);
    return stumbled ? STUMBLED_MS * (1 + random()) : undefined;
  };

  const isKnown = (subject: Subject, name: string): boolean => {
    if (subject.kind === 'target') return generation().at(subject).length > 0;
    return subject.kind !== 'sweep' || generation().slots.has(name);
  };

  const runSubject = async (
    subject: Subject,
    job: Job,
    { signal, loop }: { readonly signal: AbortSignal; readonly loop: Loop },
  ): Promise<number | undefined> => {
    if (!isKnown(subject, job.subject)) return strangers.handBack(job.subject);
    strangers.forget(job.subject);
    switch (subject.kind) {
      case 'target': {
        const stores = generation().storesOf(subject);
        const wait = () => answers.awaitedBy(loop, stores);
        return inLane(stores.join(' '), job, wait, () => work(subject, job, signal));
      }
      case 'sweep': {
        const wait = () => answers.awaitedBy(loop, [subject.store]);
        return inLane(`sweep ${subject.store}`, job, wait, () => runSweep(job.subject, job, loop));
      }
      case 'destroy':
      case 'left':
        return destroying.run(job, subject.kind, loop.beat);
      default:
        return deps.restart();
    }
  };

  return {
    async process(job, signal) {
      const subject = parseSubject(job.subject);
      if (subject === undefined) return strangers.handBack(job.subject);
      // Left to whoever still works.
      if (signal.aborted) return 0;
      const isDestroying = subject.kind === 'left' || subject.kind === 'destroy';
      const deadlineMs = isDestroying ? DESTROY_DEADLINE_MS : JOB_DEADLINE_MS;
      const loop = loops.begin(`job ${job.subject}`, deadlineMs);
      try {
        const wait = await runSubject(subject, job, { signal, loop });
        doubt.recorded(job.subject);
        return wait;
      } catch (thrown) {
        // Left behind at the end, when the audit was closed: as if it had not begun.
        if (signal.aborted) return 0;
        const error = toAppError(thrown);
        // By another configuration it is another piece of work.
        if (error.code === 'INTERRUPTED') return CHANGED_MS;
        if (error.code === 'BUSY_ELSEWHERE') {
          logger.warn('a job waits for somebody else who shares the audit', {
            requestId: job.requestId,
            error,
          });
          return TURN_WAIT_MS * (1 + random());
        }
        if (error.code !== 'AUDIT_UNAVAILABLE') {
          logger.error('a job failed in a way that nobody expected', { requestId: job.requestId, error });
          return BUG_WAIT_MS;
        }
        doubt.failed(error, job.subject);
        return AUDIT_WAIT_MS * (1 + random());
      } finally {
        loop.end();
      }
    },
    decided,
    lookForLeft: destroying.lookForLeft,
    repeatLeft: destroying.repeatLeft,
    lookAtHeld: destroying.lookAtHeld,
    destroySoon,
    lookForProposals() {
      for (const { proposed } of board.all()) if (proposed) return destroySoon();
    },
    lookForRestarts() {
      const wasAnyNamed = isAnyNamed;
      isAnyNamed = generation().mappings.some(({ restart }) => restart.length > 0);
      if (isAnyNamed || wasAnyNamed) void add({ kind: 'restart' });
    },
    recordSweeps: tally.record,
    doubt,
  };
}
