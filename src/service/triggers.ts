import { randomBytes } from 'node:crypto';
import type { Clock } from '../core/clock.ts';
import { toAppError } from '../core/errors.ts';
import type { TargetId } from '../core/target.ts';
import { noTracer, type Tracer, withoutSuffix, withSuffix } from '../core/tracer.ts';
import { type AddOptions, isQueueOutage, type Job, type Queue, type Reason } from '../queue/queue.ts';
import { formatSubject } from '../queue/subject.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Asked, TargetInputs, TargetStates } from './target-states.ts';

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

  /** Adds jobs that the queue may have lost. The request id of each job gets a suffix, so that its records differ from those of the lost job. */
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
    const before = inputs.asked;
    const asked = this.#ask(trigger);
    try {
      await this.#deps.queue.add([jobOf(trigger)]);
    } catch (error) {
      // The caller receives the error and may retry.
      if (inputs.asked === asked) inputs.asked = before;
      throw error;
    }
  }

  /**
   * Returns the time of the last job for the target, in milliseconds since 1970. Values read before that time are too
   * old. Jobs with the id `exceptBy` are ignored.
   */
  askedAt(target: TargetId, exceptBy?: string): number | undefined {
    const { asked } = this.#deps.states.inputs(target);
    return asked?.requestId === exceptBy ? asked?.wallAtByOthers : asked?.wallAt;
  }

  /** Returns the targets that were asked for with this request id, in this order. */
  askedWith(requestId: string): readonly TargetInputs[] {
    const first = withoutSuffix(requestId);
    return [...this.#deps.states.allInputs()]
      .filter(({ asked }) => asked !== undefined && withoutSuffix(asked.requestId) === first)
      .toSorted((a, b) => (a.asked?.at ?? 0) - (b.asked?.at ?? 0));
  }

  #ask({ target, reason, requestId }: Trigger): Asked {
    const { states, clock, tracer = noTracer } = this.#deps;
    const inputs = states.inputs(target);
    const before = inputs.asked;
    const asked: Asked = {
      at: states.steadyClock.now(),
      wallAt: clock.now(),
      requestId,
      wallAtByOthers: before?.requestId === requestId ? before.wallAtByOthers : before?.wallAt,
      isAccepted: true,
    };
    inputs.asked = asked;
    tracer.recordTrigger(requestId, { reason });
    return asked;
  }

  async #addQuietly(triggers: readonly Trigger[], options?: AddOptions): Promise<void> {
    if (triggers.length === 0) return;
    const asked = triggers.map((trigger) => this.#ask(trigger));
    try {
      await this.#deps.queue.add(triggers.map(jobOf), options);
    } catch (thrown) {
      for (const one of asked) one.isAccepted = false;
      const error = toAppError(thrown);
      // Do not log an outage, because the queue's health reports it once.
      if (!isQueueOutage(error)) this.#deps.logger.error('jobs could not be queued', { error });
    }
  }
}

function jobOf({ target, reason, requestId }: Trigger): Job {
  return { subject: formatSubject({ kind: 'target', ...target }), reason, requestId };
}
