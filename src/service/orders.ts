import type { Clock } from '../core/clock.ts';
import type { TargetId } from '../core/target.ts';
import { withoutSuffix } from '../core/tracer.ts';
import { formatSubject } from '../queue/subject.ts';
import type { Triggers } from './triggers.ts';

/** An order is forgotten after this time, for example if its target is no longer desired. */
const MAX_AGE_MS = 600_000;

interface Order {
  readonly target: TargetId;
  readonly requestId: string;
  readonly at: number;
}

/**
 * The requests of persons that this process has queued and that have no result yet. During a run, the queue keeps at
 * most one further job for the same target. A newer add may replace the reason and the request id of that further job.
 * So an order is queued again after each run that another request caused. It is also queued again after an outage of
 * the queue, which may have lost its job.
 */
export class Orders {
  readonly #triggers: Pick<Triggers, 'request' | 'trigger' | 'repeat'>;
  readonly #clock: Clock;
  readonly #orders = new Map<string, Order>();

  constructor({
    triggers,
    clock,
  }: { readonly triggers: Pick<Triggers, 'request' | 'trigger' | 'repeat'>; readonly clock: Clock }) {
    this.#triggers = triggers;
    this.#clock = clock;
  }

  /** @throws AppError QUEUE_UNAVAILABLE. The order is then forgotten. */
  async place(target: TargetId, requestId: string): Promise<void> {
    const subject = formatSubject({ kind: 'target', ...target });
    const order = { target, requestId, at: this.#clock.now() };
    // Remember the order before the add, because the run may end before the add returns.
    this.#orders.set(subject, order);
    try {
      await this.#triggers.request({ target, reason: 'manual', requestId });
    } catch (thrown) {
      if (this.#orders.get(subject) === order) this.#orders.delete(subject);
      throw thrown;
    }
  }

  /** Whether a person has ordered a run of this target with this request id, and the run has no result yet. */
  has(target: TargetId, requestId: string): boolean {
    const order = this.#orders.get(formatSubject({ kind: 'target', ...target }));
    return order !== undefined && order.requestId === withoutSuffix(requestId) && !this.#isOld(order);
  }

  /** Called with the result of a run, whichever process ran it. */
  noteRun(target: TargetId, requestId: string): void {
    const subject = formatSubject({ kind: 'target', ...target });
    const order = this.#orders.get(subject);
    if (order === undefined) return;
    if (withoutSuffix(requestId) === order.requestId || this.#isOld(order)) this.#orders.delete(subject);
    else this.#triggers.trigger(target, 'manual', order.requestId);
  }

  /** Queues all orders again, because the queue may have lost their jobs. */
  repeatAll(): void {
    for (const [subject, order] of this.#orders) if (this.#isOld(order)) this.#orders.delete(subject);
    const manual = { reason: 'manual' } as const;
    this.#triggers.repeat([...this.#orders.values()].map((order) => ({ ...manual, ...order })));
  }

  #isOld({ at }: Order): boolean {
    return Math.abs(this.#clock.now() - at) > MAX_AGE_MS;
  }
}
