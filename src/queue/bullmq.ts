import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import { createSemaphore } from '../core/semaphore.ts';
import { pause, systemTimers, type Timers, within } from '../core/timer.ts';
import type { Logger } from '../telemetry/logger.ts';
import { createBullBroadcast } from './broadcast.ts';
import { unavailable, watchHealth } from './health.ts';
import { createJobs } from './jobs.ts';
import { type AddOptions, type Job, type Queue, type QueueHealth, REASONS, rankOf } from './queue.ts';
import { type BullQueue, createReopened, type QueueServer } from './server.ts';
import { type RunningWorker, startWorker } from './worker.ts';

export interface BullQueueOptions {
  readonly concurrency: number;
  readonly clock?: Clock;
  /** Logs each change of health. */
  readonly logger?: Logger;
}

/** BullMQ's names of the queues. The key prefix contains the instance. */
const JOBS = 'jobs';
const BROADCAST = 'broadcast';
/** BullMQ would keep thousands of events of jobs, and secretbridge does not read them. */
const MAX_JOB_EVENTS = 10;
const COMMAND_MS = 2_000;
const IDLE_POLL_MS = 100;
const CLOSE_TIMEOUT_MS = 500;
const DISPOSE_GRACE_MS = 10_000;
/** Maximum number of concurrent commands. If thousands ran concurrently, they would time out. */
const MAX_CONCURRENT_COMMANDS = 256;
/** Maximum number of jobs in one command. */
const BULK = 500;

/**
 * Creates a BullMQ queue that any number of processes can share. Calls succeed or fail within seconds, even when the
 * server is down or does not respond. The rules of the jobs are in `jobs.ts`.
 */
export async function createBullQueue(server: QueueServer, options: BullQueueOptions): Promise<Queue> {
  const { concurrency, clock = systemTimers, logger } = options;
  const timers: Timers = { now: () => clock.now(), wake: systemTimers.wake };
  let watch: ReturnType<typeof watchHealth> | undefined;
  const onError = (thrown: unknown): void => watch?.reportError(thrown);
  server.onError(onError);
  const bullMq = await import('bullmq');
  const bullQueue = createReopened<BullQueue>(
    server,
    () =>
      new bullMq.Queue(
        JOBS,
        {
          connection: server.connection,
          prefix: server.prefix,
          // The health check reports problems. BullMQ would print them to the console.
          skipVersionCheck: true,
          streams: { events: { maxLen: MAX_JOB_EVENTS } },
        },
        server.backend,
      ).on('error', onError),
    onError,
  );
  const jobs = createJobs(bullQueue, timers);
  const health = watchHealth(server, jobs.isPaused, timers);
  watch = health;
  if (logger !== undefined) health.onChange((now) => log(logger, server.kind, now));
  const broadcast = createBullBroadcast(bullMq, server, {
    name: BROADCAST,
    timers,
    onError,
  });
  let worker: RunningWorker | undefined;
  let closed = false;
  let closing: Promise<void> | undefined;

  // Commands of urgent jobs run first, so that a manual request does not wait for thousands of sweeps.
  const semaphore = createSemaphore(MAX_CONCURRENT_COMMANDS, REASONS.length);

  /** Applies the concurrency limit and the timeout, and converts errors to `AppError`. */
  const withLimits = <T>(work: (signal: AbortSignal) => Promise<T>, rank = 0): Promise<T> =>
    semaphore.run(() => withTimeout(work), { priority: rank });

  const withTimeout = async <T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> => {
    if (closed) throw unavailable('it is closed');
    if (!server.isReady()) throw health.get().error ?? unavailable('it is not connected');
    const late = new AbortController();
    try {
      const answer = await within(
        work(late.signal).then((value) => ({ value })),
        COMMAND_MS,
        timers,
      );
      if (answer !== undefined) return answer.value;
    } catch (thrown) {
      if (thrown instanceof AppError) throw thrown;
      onError(thrown);
      throw unavailable(server.failureOf(thrown).detail, thrown);
    } finally {
      late.abort();
    }
    throw unavailable(`${server.name} does not answer in time`);
  };

  const addBulk = async (
    bulk: readonly Job[],
    addOptions: AddOptions,
    signal: AbortSignal,
  ): Promise<void> => {
    // The server may carry out a command after its caller has received an error. A job that a person requested must not
    // run after such an error, so check first that the server answers.
    if (bulk.some(({ reason }) => reason === 'manual')) await jobs.isPaused();
    if (!signal.aborted) await jobs.add(bulk, addOptions, signal);
  };

  const add: Queue['add'] = async (added, addOptions = {}) => {
    for (let first = 0; first < added.length; first += BULK) {
      const bulk = added.slice(first, first + BULK);
      await withLimits((signal) => addBulk(bulk, addOptions, signal), Math.min(...bulk.map(rankOf)));
    }
  };

  const counts = () => withLimits(() => jobs.counts());

  const shut = async (graceMs: number): Promise<void> => {
    // Close only after this wait, because running jobs may still add jobs.
    await worker?.stop(graceMs);
    closed = true;
    health.close();
    broadcast.close();
    await within(bullQueue.close(), CLOSE_TIMEOUT_MS, timers);
    server.close();
  };
  const close = (graceMs: number): Promise<void> => (closing ??= shut(graceMs));

  return {
    kind: server.kind,
    add,
    start(process) {
      worker ??= startWorker(bullMq, server, {
        ...{ name: JOBS, concurrency, timers, process, onError },
        add: (job) => add([job]),
        removeWakeUp: (subject) => withLimits(() => jobs.removeWakeUp(subject)),
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
    broadcast: { send: broadcast.send, subscribe: broadcast.subscribe },
    close,
    [Symbol.asyncDispose]: () => close(DISPOSE_GRACE_MS),
  };
}

function log(logger: Logger, kind: Queue['kind'], { state, error }: QueueHealth): void {
  const fields = { kind, state, error };
  if (error === undefined) logger.info('queue is available', fields);
  else if (state === 'degraded' || error.code === 'QUEUE_MISCONFIGURED')
    logger.error('queue needs attention', fields);
  else logger.warn('queue is not available', fields);
}
