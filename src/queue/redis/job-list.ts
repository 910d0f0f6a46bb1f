import { randomUUID } from 'node:crypto';
import type { Job as BullJob, Queue as BullQueue } from 'bullmq';
import { type PendingTrigger, rankOf } from '../pending-trigger.ts';
import type { JobCounts } from '../queue.ts';
import type { Timers } from '../timers.ts';
import type { RedisClients } from './clients.ts';

/**
 * BullMQ's job list. Each subject has at most one job that waits, is delayed or runs, and at most one that follows a
 * running job (`deduplication` with `keepLastIfActive`).
 */
export interface JobList {
  /**
   * Ensures that a job exists for the trigger. If the trigger is more urgent than an existing job, raises the job's
   * priority or moves its due time forward.
   */
  place(trigger: PendingTrigger): Promise<void>;
  counts(): Promise<JobCounts>;
  close(): Promise<void>;
}

export interface JobListOptions extends Pick<RedisClients, 'quick'> {
  readonly JobQueue: typeof BullQueue;
  readonly name: string;
  /** The prefix of all Redis keys. */
  readonly prefix: string;
  readonly timers: Timers;
  readonly onError: (thrown: unknown) => void;
}

const MAX_FAILED_JOBS = 20;
/** BullMQ would keep thousands of events in its stream, and secretbridge does not read them. */
const MAX_EVENTS = 10;
/**
 * Minimum age of an existing job before it is checked for loss. Redis may have evicted the list that contained the job.
 */
const LOST_CHECK_AFTER_MS = 30_000;

export function createJobList({ JobQueue, quick, name, prefix, timers, onError }: JobListOptions): JobList {
  let opened: Promise<BullQueue> | undefined;

  // A new queue object writes its settings to Redis. If that write fails, the object stays unusable and is closed.
  const open = async (): Promise<BullQueue> => {
    const queue = new JobQueue(name, {
      connection: quick,
      prefix,
      // The worker checks the Redis version and the health check reports problems. BullMQ would print them to the
      // console.
      skipVersionCheck: true,
      streams: { events: { maxLen: MAX_EVENTS } },
    });
    queue.on('error', onError);
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
    const current = opened;
    try {
      return await current;
    } catch (thrown) {
      // The queue may have been reopened on another connection meanwhile.
      if (opened === current) opened = undefined;
      throw thrown;
    }
  };
  quick.on('close', () => {
    const old = opened;
    opened = undefined;
    void old?.then((queue) => queue.close(), onError);
  });

  const tryPlace = async ({ job, dueAt }: PendingTrigger): Promise<'lost' | undefined> => {
    const queue = await jobs();
    const { subject, reason, requestId } = job;
    const jobId = randomUUID();
    const delay = Math.max(0, Math.round(dueAt - timers.now()));
    const priority = rankOf(job) + 1;
    const { id } = await queue.add(
      'run',
      { subject, reason, requestId },
      {
        ...{ jobId, delay, priority, attempts: 1, stackTraceLimit: 0 },
        removeOnComplete: true,
        removeOnFail: { count: MAX_FAILED_JOBS },
        deduplication: { id: subject, keepLastIfActive: true },
      },
    );
    if (id === jobId || id === undefined) return undefined;
    const existing = await queue.getJob(id);
    if (existing === undefined) return undefined;
    // Compare the absolute difference, because the clock may have been set back. A job without a timestamp was partly
    // evicted, so it is not young.
    const isYoung = Math.abs(timers.now() - existing.timestamp) <= LOST_CHECK_AFTER_MS;
    if (!isYoung && (await removeLost(queue, existing))) return 'lost';
    // A new priority moves the job to the end of its priority class, so change it only to a more urgent one.
    if (existing.priority > priority) await ignoreMissingJob(existing.changePriority({ priority }));
    if (existing.delay === 0) return undefined;
    if (delay === 0) await ignoreMissingJob(existing.promote());
    else await ignoreMissingJob(existing.changeDelay(delay));
    return undefined;
  };

  return {
    async place(trigger) {
      // A lost job blocked the new one and has now been removed, so try again.
      if ((await tryPlace(trigger)) === 'lost') await tryPlace(trigger);
    },
    async counts() {
      const found = await (await jobs()).getJobCounts('wait', 'prioritized', 'active', 'delayed');
      const { wait = 0, prioritized = 0, active = 0, delayed = 0 } = found;
      return { waiting: wait + prioritized, active, delayed };
    },
    async close() {
      await opened?.then((queue) => queue.close(), onError);
    },
  };
}

/** States of a job that no worker will run. */
const LOST_STATES: readonly string[] = ['unknown', 'completed', 'failed'];

/**
 * Removes a job that exists but that is missing from every list that workers read. Returns whether the job was removed.
 * When Redis evicts keys, it may delete whole lists or the data of a job. Such a job never ends and blocks its subject.
 * A running job has a lock and is not removed.
 */
async function removeLost(queue: BullQueue, existing: BullJob): Promise<boolean> {
  const { id = '' } = existing;
  return LOST_STATES.includes(await existing.getState()) && (await queue.remove(id)) === 1;
}

/** Ignores the error if the job has started or ended meanwhile. A started run takes the stored trigger. */
async function ignoreMissingJob(change: Promise<void>): Promise<void> {
  try {
    await change;
  } catch (thrown) {
    if (!isGoneOrStarted(thrown)) throw thrown;
  }
}

/** BullMQ's error codes: -1 for a job that does not exist, -3 for a job in another state. */
function isGoneOrStarted(thrown: unknown): boolean {
  return thrown instanceof Error && 'code' in thrown && (thrown.code === -1 || thrown.code === -3);
}
