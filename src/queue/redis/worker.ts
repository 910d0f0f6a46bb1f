import type { Job as BullJob, Worker as BullWorker } from 'bullmq';
import { AppError, toAppError } from '../../core/errors.ts';
import { withMark } from '../../core/request-id.ts';
import { merged } from '../order.ts';
import { type Job, OF_NEWER, type Process, type Queue, REASONS } from '../queue.ts';
import { pause, type Timers, within } from '../timers.ts';
import { COMMAND_MS, type RedisClients } from './clients.ts';
import type { Wishes } from './wishes.ts';

export interface WorkerOptions {
  readonly Worker: typeof BullWorker;
  readonly clients: RedisClients;
  readonly name: string;
  readonly names: string;
  readonly concurrency: number;
  readonly timers: Timers;
  readonly process: Process;
  readonly wishes: Wishes;
  readonly add: Queue['add'];
  readonly signal: AbortSignal;
  readonly onTrouble: (thrown: unknown) => void;
}

export interface RunningWorker {
  /** Takes no more; resolves when what runs has ended, and at the latest after the time. */
  stop(graceMs: number): Promise<void>;
}

/** A process that was killed is found by its locks: they end after this, and are looked for twice as often. */
const LOCK_MS = 15_000;
const RETRY_MS = 1_000;
const FAREWELL_MS = 1_000;

export function startWorker(options: WorkerOptions): RunningWorker {
  const { clients, timers, concurrency, names, onTrouble, signal } = options;
  const running = new Map<string, Promise<void>>();
  /** Its own end waits for Redis first, and renews the locks until then: that would keep the process for ever. */
  class OurWorker extends options.Worker {
    letGo(): Promise<void> {
      return this.lockManager.close();
    }
  }
  let stopping = false;
  let current: OurWorker | undefined;

  /** As BullMQ holds it together with what was asked for since; the latter may be out of reach. */
  const take = async (given: Job): Promise<Job> => {
    try {
      const wish = await options.wishes.take(given.subject);
      return wish === undefined ? given : merged({ job: given, due: 0 }, wish).job;
    } catch (thrown) {
      if (!(thrown instanceof Error)) throw thrown;
      onTrouble(thrown);
      return given;
    }
  };

  /** While the job still counts as running, so that what is to follow cannot get lost in between. */
  const runAgain = async (job: Job, delayMs: number): Promise<void> => {
    while (!signal.aborted) {
      try {
        return await options.add(job, { delayMs });
      } catch (thrown) {
        if (!(thrown instanceof AppError)) throw thrown;
        await pause(RETRY_MS, timers);
      }
    }
  };

  /** What was asked for since must not end with this process, when that is killed. */
  const keep = async (running: BullJob, { subject, reason, requestId }: Job): Promise<void> => {
    try {
      // Its connection waits for Redis for as long as that takes, and the work does not.
      await within(running.updateData({ subject, reason, requestId }), COMMAND_MS, timers);
    } catch (thrown) {
      if (!(thrown instanceof Error)) throw thrown;
      onTrouble(thrown);
    }
  };

  const run = async (given: Job, bullJob: BullJob): Promise<void> => {
    const job = await take(given);
    if (job.requestId !== given.requestId || job.reason !== given.reason) await keep(bullJob, job);
    try {
      const afterMs = await options.process(job, signal);
      if (afterMs !== undefined) await runAgain(job, afterMs);
    } catch (thrown) {
      // BullMQ stores the message: a code of ours, and nothing that others said.
      throw new Error(toAppError(thrown).code);
    }
  };

  const work = async (bullJob: BullJob): Promise<void> => {
    const { data, stalledCounter } = bullJob;
    const asked = jobFrom(data);
    if (asked === undefined) return;
    // The process that lost it may have begun it.
    const isRepeated = stalledCounter > 0;
    const job = isRepeated ? { ...asked, requestId: withMark(asked.requestId, `${stalledCounter}`) } : asked;
    // One whose lock ran out while this process was blocked comes again.
    while (running.has(job.subject)) await running.get(job.subject)?.then(undefined, () => undefined);
    const turn = run(job, bullJob);
    running.set(job.subject, turn);
    try {
      await turn;
    } finally {
      running.delete(job.subject);
    }
  };

  const connection = clients.patient();
  const create = (): OurWorker => {
    const worker = new OurWorker(options.name, work, {
      ...{ connection, prefix: names, concurrency, autorun: false },
      lockDuration: LOCK_MS,
      stalledInterval: LOCK_MS / 2,
      // Never given up: what a job does to a process is for its own guards to bound.
      maxStalledCount: Number.MAX_SAFE_INTEGER,
      runRetryDelay: RETRY_MS,
    });
    worker.on('error', onTrouble);
    return worker;
  };

  // BullMQ's worker ends for good when it cannot set itself up: then there is another one.
  const supervise = async (): Promise<void> => {
    while (!stopping) {
      const worker = create();
      current = worker;
      try {
        await worker.waitUntilReady();
        await worker.run();
      } catch (thrown) {
        onTrouble(thrown);
      }
      if (stopping) return;
      await within(worker.close(true), FAREWELL_MS, timers);
      await pause(RETRY_MS, timers);
    }
  };
  void supervise();

  return {
    async stop(graceMs) {
      stopping = true;
      const closing = current?.close() ?? Promise.resolve();
      const ended = async (): Promise<void> => {
        while (running.size > 0) await Promise.allSettled(running.values());
        // It tells Redis what ended; without Redis it would wait for as long as that takes.
        await within(closing, FAREWELL_MS, timers);
      };
      await within(ended(), graceMs, timers);
      await current?.letGo();
    },
  };
}

/** `undefined`: nothing of ours. */
function jobFrom(data: unknown): Job | undefined {
  if (typeof data !== 'object' || data === null) return undefined;
  const { subject, reason, requestId } = data as { readonly [name: string]: unknown };
  if (typeof subject !== 'string' || typeof reason !== 'string' || typeof requestId !== 'string')
    return undefined;
  return { subject, reason: REASONS.find((it) => it === reason) ?? OF_NEWER, requestId };
}
