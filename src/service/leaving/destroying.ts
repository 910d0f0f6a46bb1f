import type { Cluster, SecretMeta } from '../../cluster/cluster.ts';
import type { Clock } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import { createInTurn } from '../../core/in-turn.ts';
import type { TargetId } from '../../core/target.ts';
import type { Tracer } from '../../core/tracer.ts';
import type { Logger } from '../../log/logger.ts';
import type { Job } from '../../queue/queue.ts';
import type { Unseen } from '../../reconcile/left.ts';
import type { Outcome } from '../../reconcile/outcome.ts';
import type { Waiting } from '../../reconcile/standing.ts';
import type { Wanted } from '../../reconcile/targets.ts';
import type { Board } from '../board.ts';
import { nameOf } from '../generation.ts';
import type { Known } from '../known.ts';
import type { Pass } from '../runs/pass.ts';
import type { Passes } from '../runs/passes.ts';
import { createOneAtATime } from '../turns.ts';
import { createMissed } from './missed.ts';
import { createPutOff } from './put-off.ts';

/** What the service knows for its destroying step. */
export interface Destroying {
  /** Whether also what left the configuration is looked for, which reads each target that ever was. */
  readonly withLeft: boolean;
  /** Otherwise: how many of what left are held, and count. */
  readonly heldLeft: number;
  readonly proposed: (it: Wanted) => boolean;
  /** No run has decided on it since this process began. */
  readonly unknown: (it: Wanted) => boolean;
  /** Told of one that has proposed its end, or is held, and is to go no more. */
  readonly onOver: (it: Wanted) => void;
  /** As the watch has it. */
  readonly meta: (id: TargetId) => SecretMeta | undefined;
  /** Whether all replicas work by the same configuration, now. */
  readonly agrees: () => boolean;
  /** Told after each look at a target that may have left, well or not. */
  readonly onProgress: () => void;
  /** Told which of what left stays for now. */
  readonly onWaiting: (waiting: readonly Waiting[]) => void;
  /** Told what may have left, and could not be looked at. */
  readonly onUnseen: (unseen: readonly Unseen[]) => void;
}

export interface DestroyingDeps {
  readonly cluster: Pick<Cluster, 'read'>;
  /** Gives nothing where it has decided nothing, since the configuration has changed meanwhile. */
  readonly destroy: (pass: Pass, see: Destroying) => Promise<readonly Outcome[] | undefined>;
  readonly passes: Passes<Pass>;
  readonly board: Board;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tracer: Tracer;
  readonly isWanted: (known: Pick<Known, 'mapping' | 'target'>) => boolean;
  /** Told what became of each. */
  readonly onOutcome: (outcome: Outcome, requestId: string, startedAt: number) => void;
  /** Adds the job that looks for what left, once for what comes together. */
  readonly addLeft: () => void;
  /** Whether all replicas work by the same configuration. */
  readonly agrees: () => boolean;
  /** Has a target looked at. */
  readonly lookAt: (target: TargetId, requestId: string) => void;
}

export interface DestroyingJobs {
  lookForLeft(): void;
  /** Adds the job again where what left was not looked for since it was asked for: the queue may have lost it. */
  repeatLeft(): void;
  /** A namespace has changed, which may have taken along what is held. */
  lookAtHeld(): void;
  /** Works off one of both jobs; gives when it is to run again. */
  run(job: Job, kind: 'destroy' | 'left', onProgress: () => void): Promise<number | undefined>;
}

/** What waits for a target that has not come is looked at when it comes, and so soon if nobody was told. */
const PUT_OFF_MS = 300_000;
/** How soon what could not be deleted is looked at again: later and later. */
export function undoneWait(times: number): number {
  return Math.min(3_600_000, 60_000 * 2 ** times);
}

/** A configuration reaches all replicas within a minute or two. */
const DISAGREED_MS = 15_000;

/**
 * The jobs that destroy: for what was proposed, and for what left the configuration. Every target that ever was is
 * looked at for the latter, so that is not done for each proposal; but the brake sums all of it, so what left must have
 * been looked for once, and what is held of it counts.
 */
export function createDestroying(deps: DestroyingDeps): DestroyingJobs {
  const { board, clock, passes, tracer, isWanted } = deps;
  /** How often what left was to be looked for, and which of these times has been. */
  const lefts = { asked: 1, seen: 0 };
  const lookForLeft = (): void => {
    lefts.asked += 1;
    deps.addLeft();
  };
  const putOff = createPutOff({ board, logger: deps.logger, onCome: lookForLeft });
  const missed = createMissed(deps.logger);
  // Both decide on the same, and what one has destroyed is nothing for the other to hold.
  const inTurn = createInTurn();
  /** Of the one that runs, and of the one that waits for it: its progress is that of both. */
  const beats = new Set<{ readonly beat: () => void }>();
  const beatAll = (): void => {
    for (const { beat } of beats) beat();
  };
  let disagreed = false;
  /** How many times in a row something could not be deleted. */
  let undone = 0;

  const leftAndHeld = (): readonly Known[] =>
    [...board.all()].filter((known) => known.kind === 'held' && !isWanted(known));

  /** What is held no longer, although nobody wants its target. */
  const forgetReleased = (outcomes: readonly Outcome[]): void => {
    const held = new Set(outcomes.map(({ mapping, target }) => nameOf(mapping, target)));
    for (const { mapping, target } of leftAndHeld())
      if (!held.has(nameOf(mapping, target))) board.forget(mapping, target);
  };

  const isGone = async (target: TargetId): Promise<boolean> => {
    try {
      return (await deps.cluster.read(target)) === undefined;
    } catch (error) {
      if (error instanceof AppError) return false;
      throw error;
    }
  };
  /** No watch tells of what left. What is gone counts no more for the brake, so that all of it is decided anew. */
  const lookAtHeld = createOneAtATime(
    async () => {
      for (const { target } of leftAndHeld()) if (await isGone(target)) return lookForLeft();
    },
    (error) => deps.logger.error('what is held could not be looked at', { error }),
  );

  /** Gives how soon to look again for what left, if not only when it is asked for; or that it decided nothing. */
  const run = async (
    job: Job,
    withLeft: boolean,
    onProgress: () => void,
  ): Promise<number | 'undecided' | undefined> => {
    const { asked } = lefts;
    const pass = await passes.of(job, clock.now());
    const startedAt = clock.now();
    const again: number[] = [];
    const destroy = () =>
      deps.destroy(pass, {
        withLeft,
        heldLeft: leftAndHeld().length,
        proposed({ mapping, id }) {
          const known = board.known(mapping.name, id);
          return known?.proposed === true || known?.kind === 'held';
        },
        unknown({ mapping, id }) {
          const known = board.known(mapping.name, id);
          return known === undefined || known.undecided === true;
        },
        // It may be gone already, and be made anew by its own job alone: when we were cut short between the two.
        onOver: ({ id }) => deps.lookAt(id, job.requestId),
        meta: (id) => board.meta(id),
        agrees: deps.agrees,
        onProgress,
        onWaiting(waiting) {
          if (putOff.note(waiting, startedAt)) again.push(PUT_OFF_MS);
        },
        onUnseen(unseen) {
          const wait = missed.note(unseen);
          if (wait !== undefined) again.push(wait);
        },
      });
    const { requestId } = job;
    const what = { operation: withLeft ? 'left' : 'destroy' };
    const outcomes = await tracer.span('job', what, destroy, { requestId, first: true });
    if (outcomes === undefined) return 'undecided';
    for (const outcome of outcomes) deps.onOutcome(outcome, requestId, startedAt);
    if (!withLeft) return undefined;
    lefts.seen = asked;
    forgetReleased(outcomes);
    // Of what nobody wants no job of its own comes back.
    undone = outcomes.some((it) => it.error?.heals === true && !isWanted(it)) ? undone + 1 : 0;
    if (undone > 0) again.push(undoneWait(undone - 1));
    // Some may have been passed over for it.
    if (!deps.agrees()) again.push(DISAGREED_MS);
    return again.length === 0 ? undefined : Math.min(...again);
  };

  return {
    lookForLeft,
    repeatLeft() {
      if (lefts.seen < lefts.asked) deps.addLeft();
    },
    lookAtHeld: () => void lookAtHeld(),
    async run(job, kind, onProgress) {
      const withLeft = () => kind === 'left' || lefts.seen < lefts.asked;
      // What one of them does not know may be new to it and wanted by another. Without it nothing else is decided
      // either, since the brake sums all of it.
      const disagrees = !deps.agrees();
      if (disagrees && !disagreed)
        deps.logger.warn('what left the configuration stays while replicas have different ones');
      disagreed = disagrees;
      if (disagrees && withLeft()) return DISAGREED_MS;
      const own = { beat: onProgress };
      beats.add(own);
      try {
        const again = await inTurn(() => run(job, withLeft(), beatAll));
        if (again === 'undecided') return DISAGREED_MS;
        return kind === 'left' ? again : undefined;
      } finally {
        beats.delete(own);
      }
    },
  };
}
