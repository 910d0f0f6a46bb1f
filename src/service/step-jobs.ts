import { randomUUID } from 'node:crypto';
import type { TargetId } from '../core/target.ts';
import { type AddOptions, errorToLog, type Queue } from '../queue/queue.ts';
import { formatSubject, type Subject } from '../queue/subject.ts';
import type { Logger } from '../telemetry/logger.ts';

/** Delay before the deletion step, so that proposals that arrive together are decided together. */
const DEBOUNCE_MS = 1_000;

export interface StepJobsDeps {
  readonly queue: Pick<Queue, 'add'>;
  readonly logger: Logger;
  readonly restartWindowMs: () => number;
}

/** Adds the jobs of the deletion step and of the restarts. Its methods never throw. */
export class StepJobs {
  readonly #deps: StepJobsDeps;

  constructor(deps: StepJobsDeps) {
    this.#deps = deps;
  }

  /** Adds the job that decides on proposed deletions. */
  addDeletion(): void {
    this.#add({ kind: 'destroy' }, { delayMs: DEBOUNCE_MS });
  }

  /** Adds the job that looks for orphans and decides on all deletions. */
  addOrphanCheck(): void {
    this.#add({ kind: 'left' }, { delayMs: DEBOUNCE_MS });
  }

  /**
   * Adds the job that restarts workloads. It runs after a delay, so that further changes within this delay share one
   * restart.
   */
  addRestart(): void {
    this.#add({ kind: 'restart' }, { delayMs: this.#deps.restartWindowMs() });
  }

  /** Adds the job that restarts pending workloads, without a delay. */
  addRestartNow(): void {
    this.#add({ kind: 'restart' });
  }

  /** Adds the jobs that send the messages of these channels. `round` numbers the rounds of all replicas. */
  addNotifications(channels: readonly string[], round: number, ttlMs: number): void {
    for (const channel of channels)
      this.#add({ kind: 'notify', channel }, { once: { id: String(round), ttlMs } });
  }

  /** Adds the job of a target, with a delay. */
  addTarget(target: TargetId, delayMs: number): void {
    this.#add({ kind: 'target', ...target }, { delayMs });
  }

  #add(subject: Subject, options: AddOptions = {}): void {
    const job = { subject: formatSubject(subject), reason: 'event', requestId: randomUUID() } as const;
    this.#deps.queue.add([job], options).catch((thrown: unknown) => {
      // Do not log an outage, because the queue's health reports it. A periodic task adds the job again.
      const error = errorToLog(thrown);
      if (error !== undefined) this.#deps.logger.error('a job could not be queued', { error });
    });
  }
}
