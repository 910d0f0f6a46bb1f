import type { Clock } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import { createSlots } from '../../core/slots.ts';
import type { Logger } from '../../log/logger.ts';
import { rankOf, type Wish } from '../order.ts';
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
import { COMMAND_MS, openClients, type RedisAddress } from './clients.ts';
import { troubleOf, unavailable } from './errors.ts';
import { watchHealth } from './health.ts';
import { createJobList } from './jobs.ts';
import { createRedisNotices } from './notices.ts';
import { callOff, createWishes } from './wishes.ts';
import { type RunningWorker, startWorker } from './worker.ts';

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
/** An add whose wish others overtake again and again has come through by them. */
const MOST_ROUNDS = 10;
/** Thousands that come together would be late by their number alone. */
const MOST_AT_ONCE = 256;

/**
 * The queue on BullMQ: any number of processes share it. It gives its callers an answer within seconds, also
 * when Redis is down or frozen, and comes back by itself.
 *
 * BullMQ keeps one job for a subject, which waits, is delayed or runs, and at most one that follows when it
 * ends (`jobs.ts`). What an add asked for is written first (`wishes.ts`), and a run begins by taking it
 * (`worker.ts`): so an add is followed by a run that starts later, whatever it met.
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
  const jobs = createJobList({ JobQueue, quick, name: JOBS, prefix: names, timers, onTrouble });
  let worker: RunningWorker | undefined;
  let closed = false;
  let closing: Promise<void> | undefined;

  // What a person waits for must not stand behind a thousand sweeps on its way to Redis either.
  const slots = createSlots(MOST_AT_ONCE, REASONS.length);

  /** Within seconds, and with an error of ours. */
  const promptly = <T>(work: () => Promise<T>, rank = 0): Promise<T> =>
    slots.hold(() => attempt(work), { rank });

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
      await jobs.place(wish);
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

  const counts = (): Promise<JobCounts> => promptly(() => jobs.counts());

  const shut = async (graceMs: number): Promise<void> => {
    // Until then what runs may add what is to follow it.
    await worker?.stop(graceMs);
    closed = true;
    ending.abort();
    health.close();
    notices.close();
    await within(jobs.close(), FAREWELL_MS, timers);
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
