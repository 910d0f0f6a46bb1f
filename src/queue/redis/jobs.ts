import { randomUUID } from 'node:crypto';
import type { Job as BullJob, Queue as BullQueue } from 'bullmq';
import { rankOf, type Wish } from '../order.ts';
import type { JobCounts } from '../queue.ts';
import type { Timers } from '../timers.ts';
import type { RedisClients } from './clients.ts';

/**
 * BullMQ's list of jobs: one for a subject, which waits, is delayed or runs, and at most one that follows when it ends
 * (`deduplication` with `keepLastIfActive`).
 */
export interface JobList {
  /** Makes sure that a job stands for a wish: a new one, or the one that is there, brought forward to it. */
  place(wish: Wish): Promise<void>;
  counts(): Promise<JobCounts>;
  close(): Promise<void>;
}

export interface JobListOptions extends Pick<RedisClients, 'quick'> {
  readonly JobQueue: typeof BullQueue;
  readonly name: string;
  /** What all its keys begin with. */
  readonly prefix: string;
  readonly timers: Timers;
  readonly onTrouble: (thrown: unknown) => void;
}

const FAILED_KEPT = 20;
/** BullMQ's stream of events is of no use to us, and would hold thousands. */
const EVENTS_KEPT = 10;
/** A job that stands for so long is looked for, since Redis may have lost the list that it was in. */
const FOUND_MS = 30_000;

export function createJobList({ JobQueue, quick, name, prefix, timers, onTrouble }: JobListOptions): JobList {
  let opened: Promise<BullQueue> | undefined;

  // It writes its settings when it is made, and fails for good when it cannot.
  const open = async (): Promise<BullQueue> => {
    const queue = new JobQueue(name, {
      connection: quick,
      prefix,
      // The worker looks at it; and what is wrong with Redis is said by the health, not on the console.
      skipVersionCheck: true,
      streams: { events: { maxLen: EVENTS_KEPT } },
    });
    queue.on('error', onTrouble);
    try {
      await queue.waitUntilReady();
      return queue;
    } catch (thrown) {
      await queue.close();
      throw thrown;
    }
  };
  const jobs = async (): Promise<BullQueue> => {
    opened ??= open();
    const mine = opened;
    try {
      return await mine;
    } catch (thrown) {
      // On another connection it was made anew meanwhile.
      if (opened === mine) opened = undefined;
      throw thrown;
    }
  };
  quick.on('close', () => {
    const old = opened;
    opened = undefined;
    void old?.then((queue) => queue.close(), onTrouble);
  });

  const placeOnce = async ({ job, due }: Wish): Promise<'lost' | undefined> => {
    const queue = await jobs();
    const { subject, reason, requestId } = job;
    const jobId = randomUUID();
    const delay = Math.max(0, Math.round(due - timers.now()));
    const priority = rankOf(job) + 1;
    const { id } = await queue.add(
      'run',
      { subject, reason, requestId },
      {
        ...{ jobId, delay, priority, attempts: 1, stackTraceLimit: 0 },
        removeOnComplete: true,
        removeOnFail: { count: FAILED_KEPT },
        deduplication: { id: subject, keepLastIfActive: true },
      },
    );
    if (id === jobId || id === undefined) return undefined;
    const standing = await queue.getJob(id);
    if (standing === undefined) return undefined;
    // By distance: it may be of a clock that was set back since. One of which Redis has dropped a part has no time.
    const isYoung = Math.abs(timers.now() - standing.timestamp) <= FOUND_MS;
    if (!isYoung && (await removeLost(queue, standing))) return 'lost';
    // A change of priority puts it at the end of its kind, so only when it is one.
    if (standing.priority > priority) await ifItCan(standing.changePriority({ priority }));
    if (standing.delay === 0) return undefined;
    if (delay === 0) await ifItCan(standing.promote());
    else await ifItCan(standing.changeDelay(delay));
    return undefined;
  };

  return {
    async place(wish) {
      // What was removed stands in the way no more.
      if ((await placeOnce(wish)) === 'lost') await placeOnce(wish);
    },
    async counts() {
      const found = await (await jobs()).getJobCounts('wait', 'prioritized', 'active', 'delayed');
      const { wait = 0, prioritized = 0, active = 0, delayed = 0 } = found;
      return { waiting: wait + prioritized, active, delayed };
    },
    async close() {
      await opened?.then((queue) => queue.close(), onTrouble);
    },
  };
}

/** Of a job that nobody will run. */
const LOST_STATES: readonly string[] = ['unknown', 'completed', 'failed'];

/**
 * Removes a job that stands and is in no list from which it would be run, and says whether it has. A Redis that may drop
 * keys when its memory is full drops whole lists, or what a job was about: then it ends without giving up its place. One
 * that still runs has its lock, and stays.
 */
async function removeLost(queue: BullQueue, standing: BullJob): Promise<boolean> {
  const { id = '' } = standing;
  return LOST_STATES.includes(await standing.getState()) && (await queue.remove(id)) === 1;
}

/** A job that started meanwhile has taken the wish, or will. */
async function ifItCan(change: Promise<void>): Promise<void> {
  try {
    await change;
  } catch (thrown) {
    if (!isGoneOrStarted(thrown)) throw thrown;
  }
}

/** BullMQ's codes: -1 the job does not exist, -3 it is not in the state that the change is for. */
function isGoneOrStarted(thrown: unknown): boolean {
  return thrown instanceof Error && 'code' in thrown && (thrown.code === -1 || thrown.code === -3);
}
