import { randomUUID } from 'node:crypto';
import type { Job as BullJob, JobsOptions } from 'bullmq';
import type { Timers } from '../core/timer.ts';
import { requestIdFrom } from '../core/tracer.ts';
import { type GroupOrder, MAX_PLACE } from './group-order.ts';
import { type AddOptions, FALLBACK_REASON, type Job, type JobCounts, REASONS, rankOf } from './queue.ts';
import type { BullQueue, Reopened } from './reopened.ts';

/**
 * Adds jobs to BullMQ. BullMQ's deduplication implements the rules:
 *
 * - A subject has at most one job that waits or runs, and at most one that follows a running job (`keepLastIfActive`).
 * - A wake-up is a job of its own, with an id of its own. When it is due, a worker adds the job of the subject. BullMQ
 *   would drop an add for a subject whose own job is delayed.
 * - `once` is a wake-up without a delay. Its deduplication id contains the id of the caller and outlives the job
 *   (`ttl`).
 *
 * If a job exists, BullMQ keeps its data and its priority. An add that is at least as urgent replaces the data. An add
 * that is more urgent also raises the priority.
 */
export interface Jobs {
  add(jobs: readonly Job[], options: AddOptions, signal: AbortSignal): Promise<void>;
  /** Removes the wake-up of a subject, because its run has started. */
  removeWakeUp(subject: string): Promise<void>;
  counts(): Promise<JobCounts>;
  /** Whether an admin tool has paused the queue. */
  isPaused(): Promise<boolean>;
}

/** The name of a job that runs its subject. */
const RUN = 'run';
/** The name of a job that adds the job of its subject. */
export const WAKE_UP = 'wake';

const MAX_GROUP_LENGTH = 1_000;
const MAX_FAILED_JOBS = 20;
/** Minimum age of an existing job before it is checked for loss. */
const LOST_CHECK_AFTER_MS = 30_000;
/** States of a job that no worker will run. */
const LOST_STATES: readonly string[] = ['unknown', 'completed', 'failed'];

interface NewJob {
  readonly name: string;
  readonly data: Job;
  readonly opts: JobsOptions & {
    readonly jobId: string;
    readonly priority: number;
    readonly delay: number;
    readonly deduplication: NonNullable<JobsOptions['deduplication']>;
  };
}

export function createJobs(queue: Reopened<BullQueue>, timers: Timers, groups: GroupOrder): Jobs {
  /**
   * Called when BullMQ has not added a job because the subject already has one. Merges the new job into the existing
   * one. Returns true if the existing job was lost, so the new job must be added again.
   */
  const merge = async ({ data, opts }: NewJob, existingId: string, repeat: boolean): Promise<boolean> => {
    const bullQueue = await queue.get();
    const existing = (await bullQueue.getJob(existingId)) as BullJob | undefined;
    // Nothing is left to merge: the existing job has started or ended since the add, or BullMQ has stored the new job
    // as the one that follows it.
    if (existing === undefined) return false;
    // Compare the absolute difference, because the clock may have been set back. A job without a timestamp has lost a
    // part of its data, so it is not young.
    const isYoung = Math.abs(timers.now() - existing.timestamp) <= LOST_CHECK_AFTER_MS;
    if (!isYoung && (await removeLost(bullQueue, existing))) return true;
    const { delay, priority } = opts;
    const isSooner = existing.delay > 0 && existing.timestamp + existing.delay > timers.now() + delay;
    if (isSooner) await ignoreGone(existing.changeDelay(delay));
    const rank = rankOf(data);
    const existingRank = rankOf(parseJob(existing.data) ?? data);
    if (repeat || existingRank < rank || (await existing.getState()) === 'active') return false;
    await ignoreGone(existing.updateData(data));
    // A new priority moves the job to the end of its priority class, so change it only to a more urgent one.
    if (existingRank > rank) await ignoreGone(existing.changePriority({ priority }));
    return false;
  };

  const add = async (jobs: readonly NewJob[], repeat: boolean, signal: AbortSignal): Promise<void> => {
    const added = await (await queue.get()).addBulk([...jobs]);
    const again = await Promise.all(
      added.map(async ({ id = '' }, index) => {
        const job = jobs[index];
        if (job?.name === RUN && id === job.opts.jobId) groups.added(job.data);
        if (job === undefined || id === job.opts.jobId || job.opts.deduplication.ttl !== undefined) return [];
        return !signal.aborted && (await merge(job, id, repeat)) ? [job] : [];
      }),
    );
    if (again.flat().length > 0 && !signal.aborted) await add(again.flat(), repeat, signal);
  };

  return {
    add(jobs, options, signal) {
      const places = groups.placesOf(jobs);
      const created = jobs.map((job, index) => newJob(job, options, places[index] ?? 0));
      return add(created, options.repeat === true, signal);
    },
    async removeWakeUp(subject) {
      const bullQueue = await queue.get();
      const id = await bullQueue.getDeduplicationJobId(wakeUpId(subject));
      if (id !== null) await bullQueue.remove(id);
    },
    async counts() {
      const found = await (await queue.get()).getJobCounts('wait', 'prioritized', 'active', 'delayed');
      const { wait = 0, prioritized = 0, active = 0, delayed = 0 } = found;
      return { waiting: wait + prioritized, active, delayed };
    },
    isPaused: async () => (await queue.get()).isPaused(),
  };
}

function wakeUpId(subject: string): string {
  return `wake/${subject}`;
}

/** @param place The number of jobs of the same group that wait. */
function newJob(job: Job, { delayMs = 0, once }: AddOptions, place: number): NewJob {
  const { subject, reason, requestId, group } = job;
  const isWakeUp = delayMs > 0 || once !== undefined;
  return {
    name: isWakeUp ? WAKE_UP : RUN,
    data: { subject, reason, requestId, ...(group === undefined ? {} : { group }) },
    opts: {
      jobId: randomUUID(),
      // A wake-up only adds the job, which then gets its place.
      priority: rankOf({ reason }) * (MAX_PLACE + 1) + (isWakeUp ? 0 : place) + 1,
      delay: Math.round(delayMs),
      ...{ attempts: 1, stackTraceLimit: 0 },
      removeOnComplete: true,
      removeOnFail: { count: MAX_FAILED_JOBS },
      deduplication:
        once === undefined
          ? { id: isWakeUp ? wakeUpId(subject) : subject, keepLastIfActive: true }
          : { id: `${subject}/${once.id}`, ttl: once.ttlMs },
    },
  };
}

/**
 * Removes a job that is missing from every list that workers read. Returns whether the job was removed. When Redis
 * evicts keys, it may delete whole lists or the data of a job. A job without a list or data never ends and blocks its
 * subject. A running job has a lock and is not removed.
 */
async function removeLost(queue: BullQueue, existing: BullJob): Promise<boolean> {
  const { id = '' } = existing;
  return LOST_STATES.includes(await existing.getState()) && (await queue.remove(id)) === 1;
}

/** Ignores the error if the job has started or ended meanwhile. */
async function ignoreGone(change: Promise<void>): Promise<void> {
  try {
    await change;
  } catch (thrown) {
    // BullMQ's error codes: -1 for a job that does not exist, -3 for a job in another state.
    const isGone = thrown instanceof Error && 'code' in thrown && (thrown.code === -1 || thrown.code === -3);
    if (!isGone) throw thrown;
  }
}

/** The names in a subject have at most 63 and 253 characters. */
const SUBJECT = /^[-./\w]{1,512}$/;

/**
 * Parses the data of a job, which anybody with access to Redis can write. Returns `undefined` for data of another
 * format. Replaces a request id of another form.
 */
export function parseJob(data: unknown): Job | undefined {
  if (typeof data !== 'object' || data === null) return undefined;
  const { subject, reason, requestId, group } = data as { readonly [name: string]: unknown };
  if (typeof subject !== 'string' || !SUBJECT.test(subject) || typeof reason !== 'string') return undefined;
  return {
    subject,
    reason: REASONS.find((known) => known === reason) ?? FALLBACK_REASON,
    requestId: requestIdFrom(requestId),
    ...(typeof group === 'string' && group.length <= MAX_GROUP_LENGTH ? { group } : {}),
  };
}
