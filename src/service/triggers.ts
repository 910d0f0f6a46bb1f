import { randomBytes } from 'node:crypto';
import type { Clock } from '../core/clock.ts';
import type { TargetId } from '../core/target.ts';
import { noTracer, type Tracer, withoutSuffix, withSuffix } from '../core/tracer.ts';
import { type AddOptions, errorToLog, type Job, type Queue, type Reason } from '../queue/queue.ts';
import { formatSubject } from '../queue/subject.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { LastRequest, TargetInputs } from './due-input.ts';
import type { TargetStates } from './target-states.ts';

export interface TriggersDeps {
  readonly queue: Pick<Queue, 'add'>;
  readonly states: Pick<TargetStates, 'inputs' | 'allInputs' | 'steadyClock'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tracer?: Tracer | undefined;
}

/** A target that needs a run. */
export interface Trigger {
  readonly target: TargetId;
  readonly reason: Reason;
  readonly requestId: string;
  /** The `include` of the target's mapping. */
  readonly group?: string | undefined;
}

/**
 * Adds the jobs of targets to the queue. A job that the queue does not accept, or loses, is not remembered here: the
 * resync finds again that its target is due.
 */
export class Triggers {
  readonly #deps: TriggersDeps;

  constructor(deps: TriggersDeps) {
    this.#deps = deps;
  }

  /** Adds a job. Never throws. */
  trigger(target: TargetId, reason: Reason, requestId: string): void {
    this.triggerAll([{ target, reason, requestId }]);
  }

  /** Adds jobs. Never throws. */
  triggerAll(triggers: readonly Trigger[]): void {
    void this.#addQuietly(triggers);
  }

  /**
   * Adds jobs that the queue may have lost. The request id of each job gets a suffix, so that the records of the job
   * differ from those of the lost job.
   */
  repeat(triggers: readonly Trigger[]): void {
    const mark = randomBytes(3).toString('hex');
    const repeated = triggers.map((trigger) => ({
      ...trigger,
      requestId: withSuffix(withoutSuffix(trigger.requestId), mark),
    }));
    void this.#addQuietly(repeated, { repeat: true });
  }

  /** Adds a job. Resolves when the queue has accepted it. @throws AppError QUEUE_UNAVAILABLE */
  async request(trigger: Trigger): Promise<void> {
    const inputs = this.#deps.states.inputs(trigger.target);
    const before = inputs.lastRequest;
    const lastRequest = this.#noteRequest(trigger);
    try {
      await this.#deps.queue.add([jobOf(trigger)]);
    } catch (error) {
      // The caller receives the error and may retry.
      if (inputs.lastRequest === lastRequest) inputs.lastRequest = before;
      throw error;
    }
  }

  /**
   * Returns when a job was last added for the target, in milliseconds since 1970. Values read before that time are too
   * old. Jobs with the request id `exceptBy` are ignored.
   */
  requestedAt(target: TargetId, exceptBy?: string): number | undefined {
    const { lastRequest } = this.#deps.states.inputs(target);
    return lastRequest?.requestId === exceptBy ? lastRequest?.wallAtByOthers : lastRequest?.wallAt;
  }

  /** Returns the targets whose last job was added with this request id, in the order of these adds. */
  requestedWith(requestId: string): readonly TargetInputs[] {
    const first = withoutSuffix(requestId);
    return this.#deps.states
      .allInputs()
      .filter(
        ({ lastRequest: last }) =>
          last?.requestId.startsWith(first) && withoutSuffix(last.requestId) === first,
      )
      .toSorted((a, b) => (a.lastRequest?.at ?? 0) - (b.lastRequest?.at ?? 0));
  }

  #noteRequest({ target, reason, requestId }: Trigger): LastRequest {
    const { states, clock, tracer = noTracer } = this.#deps;
    const inputs = states.inputs(target);
    const before = inputs.lastRequest;
    const lastRequest: LastRequest = {
      at: states.steadyClock.now(),
      wallAt: clock.now(),
      requestId,
      wallAtByOthers: before?.requestId === requestId ? before.wallAtByOthers : before?.wallAt,
      isAccepted: true,
    };
    inputs.lastRequest = lastRequest;
    tracer.recordTrigger(requestId, { reason });
    return lastRequest;
  }

  async #addQuietly(triggers: readonly Trigger[], options?: AddOptions): Promise<void> {
    if (triggers.length === 0) return;
    const requests = triggers.map((trigger) => this.#noteRequest(trigger));
    try {
      await this.#deps.queue.add(triggers.map(jobOf), options);
    } catch (thrown) {
      for (const request of requests) request.isAccepted = false;
      const error = errorToLog(thrown);
      if (error !== undefined) this.#deps.logger.error('jobs could not be queued', { error });
    }
  }
}

function jobOf({ target, reason, requestId, group }: Trigger): Job {
  const subject = formatSubject({ kind: 'target', ...target });
  return { subject, reason, requestId, ...(group === undefined ? {} : { group }) };
}
