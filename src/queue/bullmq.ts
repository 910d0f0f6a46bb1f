import { randomUUID } from 'node:crypto';
import type { Job as BullJob, Queue as BullQueue } from 'bullmq';
import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import type { Logger } from '../log/logger.ts';
import { createGate } from './gate.ts';
import { rankOf, type Wish } from './order.ts';
import {
  type AddOptions,
  type Job,
  type JobCounts,
  type Process,
  type Queue,
  type QueueHealth,
  REASONS,
} from './queue.ts';
import { COMMAND_MS, openClients, type RedisAddress } from './redis-clients.ts';
import { troubleOf, unavailable } from './redis-errors.ts';
import { watchHealth } from './redis-health.ts';
import { createRedisNotices } from './redis-notices.ts';
import { callOff, createWishes } from './redis-wishes.ts';
import { type RunningWorker, startWorker } from './redis-worker.ts';
import { pause, systemTimers, type Timers, within } from './timers.ts';

export interface RedisQueueOptions extends RedisAddress {
  readonly prefix: string;
  /** Two instances on one Redis never mix. */
  readonly instance: string;
  readonly concurrency: number;
  readonly clock?: Clock;
  /** Told of each change of health. */
  readonly logger?: Logger;
}

/** The name of the list of jobs, inside the instance's own names. */
const JOBS = 'jobs';
const IDLE_POLL_MS = 100;
const FAREWELL_MS = 500;
const DISPOSE_GRACE_MS = 10_000;
const FAILED_KEPT = 20;
/** BullMQ's stream of events is of no use to us, and would hold thousands. */
const EVENTS_KEPT = 10;
/** An add whose wish others overtake again and again has come through by them. */
const MOST_ROUNDS = 10;
/** A job that stands for so long is looked for, since Redis may have lost the list that it was in. */
const FOUND_MS = 30_000;
/** Thousands that come together would be late by their number alone. */
const MOST_AT_ONCE = 256;

/**
 * The queue on BullMQ: any number of processes share it. It gives its callers an answer within seconds, also
 * when Redis is down or frozen, and comes back by itself.
 *
 * BullMQ keeps one job for a subject, which waits, is delayed or runs, and at most one that follows when it
 * ends (`deduplication` with `keepLastIfActive`). What an add asked for is written first (`redis-wishes.ts`), and a
 * run begins by taking it: so an add is followed by a run that starts later, whatever it met.
 *
 * @throws AppError CONFIG_INVALID when the address is none; never because Redis is not there.
 */
export async function createRedisQueue(options: RedisQueueOptions): Promise<Queue> {
  const { prefix, instance, concurrency, clock = systemTimers, logger } = options;
  const timers: Timers = { now: () => clock.now(), wake: systemTimers.wake };
  // The braces make Redis Cluster keep all of it in one place.
  const names = `{${prefix}:${instance}}`;
  const { Queue: JobQueue, Worker } = await import('bullmq');
  const ending = new AbortController();
  let watch: ReturnType<typeof watchHealth> | undefined;
  const onTrouble = (thrown: unknown): void => watch?.trouble(thrown);
  const clients = await openClients(options, onTrouble);
  const { quick } = clients;
  const keys = { epoch: `${names}:epoch`, meta: `${names}:${JOBS}:meta` };
  const health = watchHealth(clients, keys, timers);
  watch = health;
  if (logger !== undefined) health.listen((now) => log(logger, now));
  const notices = createRedisNotices(clients, `${names}:notices`, { timers, onTrouble });
  const wishes = createWishes(quick, names);
  let worker: RunningWorker | undefined;
  let closed = false;
  let closing: Promise<void> | undefined;
  let opened: Promise<BullQueue> | undefined;

  // It writes its settings when it is made, and fails for good when it cannot.
  const open = async (): Promise<BullQueue> => {
    const queue = new JobQueue(JOBS, {
      connection: quick,
      prefix: names,
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

  // What a person waits for must not stand behind a thousand sweeps on its way to Redis either.
  const gate = createGate(MOST_AT_ONCE, REASONS.length);

  /** Within seconds, and with an error of ours. */
  const promptly = <T>(work: () => Promise<T>, rank?: number): Promise<T> => gate(() => attempt(work), rank);

  const attempt = async <T>(work: () => Promise<T>): Promise<T> => {
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
      onTrouble(thrown);
      throw unavailable(troubleOf(thrown).detail, thrown);
    }
    throw unavailable('Redis does not answer in time');
  };

  const place = async (wish: Wish): Promise<void> => {
    // What was removed stands in the way no more.
    if ((await placeOnce(wish)) === 'lost') await placeOnce(wish);
  };

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

  const addNow = async (
    job: Job,
    due: number,
    { once, signal }: { readonly once: AddOptions['once']; readonly signal: AbortSignal },
  ): Promise<void> => {
    const asked = await wishes.ask({ job, due }, once);
    if (asked === undefined) return;
    let added = false;
    try {
      // Redis answered when nobody waited for it any more.
      if (!signal.aborted) await placeUntilServed(asked);
      added = !signal.aborted;
    } finally {
      // It ends by itself after seconds when this fails too.
      if (once !== undefined) await wishes.settleOnce(job.subject, once, added);
    }
  };

  /** Others may have asked for more in between, and been first with their job: then ours took its place. */
  const placeUntilServed = async (asked: Wish): Promise<void> => {
    let wish: Wish | undefined = asked;
    for (let round = 0; wish !== undefined && round < MOST_ROUNDS; round += 1) {
      await place(wish);
      const now: Wish | undefined = await wishes.peek(wish.job.subject);
      wish = now !== undefined && isMoreUrgent(now, wish) ? now : undefined;
    }
  };

  const add: Queue['add'] = async (job, { delayMs = 0, once } = {}) => {
    const due = timers.now() + delayMs;
    const refused = new AbortController();
    try {
      await promptly(() => addNow(job, due, { once, signal: refused.signal }), rankOf(job));
    } catch (thrown) {
      refused.abort();
      if (job.reason === 'manual') void callOff(wishes, job, { timers, signal: ending.signal });
      throw thrown;
    }
  };

  const counts = (): Promise<JobCounts> =>
    promptly(async () => {
      const found = await (await jobs()).getJobCounts('wait', 'prioritized', 'active', 'delayed');
      const { wait = 0, prioritized = 0, active = 0, delayed = 0 } = found;
      return { waiting: wait + prioritized, active, delayed };
    });

  const shut = async (graceMs: number): Promise<void> => {
    // Until then what runs may add what is to follow it.
    await worker?.stop(graceMs);
    closed = true;
    ending.abort();
    health.close();
    notices.close();
    const open = opened?.then((queue) => queue.close(), onTrouble);
    if (open !== undefined) await within(open, FAREWELL_MS, timers);
    clients.close();
  };
  const close = (graceMs: number): Promise<void> => (closing ??= shut(graceMs));

  return {
    kind: 'redis',
    add,
    start(process: Process) {
      worker ??= startWorker({
        Worker,
        ...{ clients, name: JOBS, names, concurrency, timers, process, wishes, onTrouble },
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
    onHealth: health.listen,
    notices: { post: notices.post, subscribe: notices.subscribe },
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

function isMoreUrgent(one: Wish, other: Wish): boolean {
  return rankOf(one.job) < rankOf(other.job) || one.due < other.due;
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
