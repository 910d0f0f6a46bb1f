import { randomUUID } from 'node:crypto';
import { toAppError } from '../core/errors.ts';
import type { TargetId } from '../core/target.ts';
import { isQueueOutage, type Queue } from '../queue/queue.ts';
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

  /** The deletion step decides on proposed deletions. */
  addDeletion(): void {
    this.#add({ kind: 'destroy' }, DEBOUNCE_MS);
  }

  /** The deletion step also looks for orphans. */
  addOrphanCheck(): void {
    this.#add({ kind: 'left' }, DEBOUNCE_MS);
  }

  /** Restarts workloads after the time in which further changes share one restart. */
  addRestart(): void {
    this.#add({ kind: 'restart' }, this.#deps.restartWindowMs());
  }

  /** Restarts the workloads that are pending. */
  addRestartNow(): void {
    this.#add({ kind: 'restart' });
  }

  /** Runs a target after a delay. */
  addTarget(target: TargetId, delayMs: number): void {
    this.#add({ kind: 'target', ...target }, delayMs);
  }

  #add(subject: Subject, delayMs?: number): void {
    const job = { subject: formatSubject(subject), reason: 'event', requestId: randomUUID() } as const;
    this.#deps.queue.add([job], delayMs === undefined ? {} : { delayMs }).catch((thrown: unknown) => {
      const error = toAppError(thrown);
      // A periodic task adds the job again, and the queue's health reports the outage.
      if (!isQueueOutage(error)) this.#deps.logger.error('a job could not be queued', { error });
    });
  }
}
