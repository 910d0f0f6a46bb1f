import type { Clock } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import { createSemaphore } from '../../core/semaphore.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { type PendingTrigger, rankOf } from '../pending-trigger.ts';
import {
  type AddOptions,
  type Job,
  type JobCounts,
  type Process,
  type Queue,
  type QueueHealth,
  REASONS,
} from '../queue.ts';
import { pause, systemTimers, type Timers, within } from '../timers.ts';
import { createRedisBroadcast } from './broadcast.ts';
import { COMMAND_MS, openClients, type RedisAddress } from './clients.ts';
import { failureOf, unavailable } from './errors.ts';
import { watchHealth } from './health.ts';
import { createJobList } from './job-list.ts';
import { cancelTrigger, createPendingTriggers } from './pending-triggers.ts';
import { type RunningWorker, startWorker } from './worker.ts';

export interface RedisQueueOptions extends RedisAddress {
  readonly prefix: string;
  /** Part of the key prefix, so that several instances can share one Redis. */
  readonly instance: string;
  readonly concurrency: number;
  readonly clock?: Clock;
  /** Logs each change of health. */
  readonly logger?: Logger;
}

/** BullMQ's name of the queue. The key prefix contains the instance. */
const JOBS = 'jobs';
const IDLE_POLL_MS = 100;
const CLOSE_TIMEOUT_MS = 500;
const DISPOSE_GRACE_MS = 10_000;
/**
 * Maximum number of attempts to place a job for a trigger. If concurrent adds keep changing the trigger, those adds
 * place the job.
 */
const MAX_PLACE_ROUNDS = 10;
/** Maximum number of concurrent commands. With thousands at once, commands would time out. */
const MAX_CONCURRENT_COMMANDS = 256;

/**
 * A BullMQ queue that any number of processes can share. Calls succeed or fail within seconds, even when Redis is down
 * or does not respond. The queue reconnects automatically.
 *
 * BullMQ keeps one job for each subject, and at most one that follows a running job (`job-list.ts`). An add first
 * stores its trigger (`pending-triggers.ts`), then ensures that a job exists. Each run begins by taking the stored
 * trigger (`worker.ts`), so every add is followed by a run that starts after it.
 *
 * @throws AppError CONFIG_INVALID if the address is invalid. Never throws because Redis is down.
 */
export async function createRedisQueue(options: RedisQueueOptions): Promise<Queue> {
  const { prefix, instance, concurrency, clock = systemTimers, logger } = options;
  const timers: Timers = { now: () => clock.now(), wake: systemTimers.wake };
  // The braces make Redis Cluster store all keys in one hash slot.
  const names = `{${prefix}:${instance}}`;
  const { Queue: JobQueue, Worker } = await import('bullmq');
  const ending = new AbortController();
  let watch: ReturnType<typeof watchHealth> | undefined;
  const onError = (thrown: unknown): void => watch?.reportError(thrown);
  const clients = await openClients(options, onError);
  const { quick } = clients;
  const keys = { epoch: `${names}:epoch`, meta: `${names}:${JOBS}:meta` };
  const health = watchHealth(clients, keys, timers);
  watch = health;
  if (logger !== undefined) health.onChange((now) => log(logger, now));
  const broadcast = createRedisBroadcast(clients, `${names}:notices`, { timers, onError });
  const triggers = createPendingTriggers(quick, names);
  const jobs = createJobList({ JobQueue, quick, name: JOBS, prefix: names, timers, onError });
  let worker: RunningWorker | undefined;
  let closed = false;
  let closing: Promise<void> | undefined;

  // Commands of urgent jobs run first, so that a manual request does not wait for thousands of sweeps.
  const semaphore = createSemaphore(MAX_CONCURRENT_COMMANDS, REASONS.length);

  /** Applies the concurrency limit and the timeout, and converts errors to `AppError`. */
  const withLimits = <T>(work: () => Promise<T>, rank = 0): Promise<T> =>
    semaphore.run(() => withTimeout(work), { priority: rank });

  const withTimeout = async <T>(work: () => Promise<T>): Promise<T> => {
    if (closed) throw unavailable('it is closed');
    if (quick.status !== 'ready') throw health.get().error ?? unavailable('it is not connected');
    try {
      const answer = await within(
        work().then((value) => ({ value })),
        COMMAND_MS,
        timers,
      );
      if (answer !== undefined) return answer.value;
    } catch (thrown) {
      if (thrown instanceof AppError) throw thrown;
      onError(thrown);
      throw unavailable(failureOf(thrown).detail, thrown);
    }
    throw unavailable('Redis does not answer in time');
  };

  const addNow = async (
    job: Job,
    dueAt: number,
    { once, signal }: { readonly once: AddOptions['once']; readonly signal: AbortSignal },
  ): Promise<void> => {
    const trigger = await triggers.record({ job, dueAt }, once);
    if (trigger === undefined) return;
    let added = false;
    try {
      // Redis may have replied only after the caller's timeout. The caller has received an error, so do not add the
      // job.
      if (!signal.aborted) await placeUntilServed(trigger);
      added = !signal.aborted;
    } finally {
      // If this command fails too, the id expires within seconds.
      if (once !== undefined) await triggers.settleOnce(job.subject, once, added);
    }
  };

  /**
   * Places a job for the trigger. If a concurrent add has stored a more urgent trigger meanwhile, places a job for that
   * trigger too.
   */
  const placeUntilServed = async (recorded: PendingTrigger): Promise<void> => {
    let trigger: PendingTrigger | undefined = recorded;
    for (let round = 0; trigger !== undefined && round < MAX_PLACE_ROUNDS; round += 1) {
      await jobs.place(trigger);
      const now: PendingTrigger | undefined = await triggers.markQueued(trigger.job.subject);
      trigger = now !== undefined && isMoreUrgent(now, trigger) ? now : undefined;
    }
  };

  const add: Queue['add'] = async (job, { delayMs = 0, once } = {}) => {
    const dueAt = timers.now() + delayMs;
    const refused = new AbortController();
    try {
      await withLimits(() => addNow(job, dueAt, { once, signal: refused.signal }), rankOf(job));
    } catch (thrown) {
      refused.abort();
      if (job.reason === 'manual') void cancelTrigger(triggers, job, { timers, signal: ending.signal });
      throw thrown;
    }
  };

  const counts = (): Promise<JobCounts> => withLimits(() => jobs.counts());

  const shut = async (graceMs: number): Promise<void> => {
    // Close only after this wait, because running jobs may still add follow-up runs.
    await worker?.stop(graceMs);
    closed = true;
    ending.abort();
    health.close();
    broadcast.close();
    await within(jobs.close(), CLOSE_TIMEOUT_MS, timers);
    clients.close();
  };
  const close = (graceMs: number): Promise<void> => (closing ??= shut(graceMs));

  return {
    kind: 'redis',
    add,
    start(process: Process) {
      worker ??= startWorker({
        Worker,
        ...{ clients, name: JOBS, names, concurrency, timers, process, triggers, onError },
        signal: ending.signal,
        add,
      });
    },
    async idle() {
      for (;;) {
        const { waiting, active, delayed } = await counts();
        if (waiting + active + delayed === 0 || closed) return;
        await pause(IDLE_POLL_MS, timers);
      }
    },
    counts,
    health: health.get,
    onHealth: health.onChange,
    broadcast: { publish: broadcast.publish, subscribe: broadcast.subscribe },
    close,
    [Symbol.asyncDispose]: () => close(DISPOSE_GRACE_MS),
  };
}

function log(logger: Logger, { state, error }: QueueHealth): void {
  const fields = { kind: 'redis', state, error };
  if (error === undefined) logger.info('queue is available', fields);
  else if (state === 'degraded' || error.code === 'QUEUE_MISCONFIGURED')
    logger.error('queue needs attention', fields);
  else logger.warn('queue is not available', fields);
}

function isMoreUrgent(one: PendingTrigger, other: PendingTrigger): boolean {
  return rankOf(one.job) < rankOf(other.job) || one.dueAt < other.dueAt;
}
