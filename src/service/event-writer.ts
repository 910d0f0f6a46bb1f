import { LRUCache } from 'lru-cache';
import type { ObjectEvent, ObjectEvents, WrittenEvent } from '../cluster/team-ports.ts';
import type { Clock } from '../core/clock.ts';
import { toAppError } from '../core/errors.ts';
import { createSemaphore } from '../core/semaphore.ts';
import type { Logger } from '../telemetry/logger.ts';

export interface EventWriterDeps {
  readonly events: ObjectEvents;
  readonly clock: Clock;
  readonly logger: Pick<Logger, 'warn'>;
}

/** The number of events that are remembered, to count repetitions. */
const MAX_KNOWN = 5_000;
/** An event that is repeated within this time is counted instead of written again. */
const REPEAT_MS = 10 * 60_000;
/** Events of one object beyond this number within the time are dropped. */
const MAX_OF_OBJECT = 25;
const OBJECT_MS = 60 * 60_000;
const CONCURRENCY = 4;
/** Events that wait beyond this number are dropped. */
const MAX_WAITING = 1_000;
/** After a failure, nothing is written for this time. */
const PAUSE_MS = 60_000;

interface Known {
  readonly written: Promise<WrittenEvent | undefined>;
  readonly since: number;
  count: number;
}

/**
 * Writes Kubernetes events. Repetitions are counted, and the number for each object is limited. An event is a hint for
 * people: if it cannot be written, it is dropped, and the audit still has everything.
 */
export class EventWriter {
  readonly #deps: EventWriterDeps;
  readonly #known = new LRUCache<string, Known>({ max: MAX_KNOWN });
  readonly #ofObject = new LRUCache<string, number[]>({ max: MAX_KNOWN });
  readonly #semaphore = createSemaphore(CONCURRENCY);
  readonly #running = new Set<Promise<void>>();
  #pausedUntil = Number.NEGATIVE_INFINITY;

  constructor(deps: EventWriterDeps) {
    this.#deps = deps;
  }

  write(event: ObjectEvent): void {
    const now = this.#deps.clock.now();
    if (this.#running.size >= MAX_WAITING || now < this.#pausedUntil) return;
    const key = JSON.stringify(event);
    const last = this.#known.get(key);
    const known = last !== undefined && now - last.since < REPEAT_MS ? last : undefined;
    if (known === undefined && !this.#takeTurn(event, now)) return;
    this.#begin(known === undefined ? this.#create(key, event, now) : this.#repeat(key, event, known, now));
  }

  /** Waits for the events that are being written. */
  async flush(): Promise<void> {
    await Promise.all(this.#running);
  }

  #begin(work: Promise<void>): void {
    const running = work
      .catch((error: unknown) => this.#failed(error))
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  async #create(key: string, event: ObjectEvent, now: number): Promise<void> {
    const written = this.#semaphore.run(() => this.#deps.events.create(event, now));
    this.#known.set(key, { written, since: now, count: 1 });
    await written;
  }

  async #repeat(key: string, event: ObjectEvent, known: Known, now: number): Promise<void> {
    known.count += 1;
    const written = await known.written;
    const isCounted =
      written !== undefined &&
      (await this.#semaphore.run(() => this.#deps.events.repeat(written, known.count, now)));
    // The object or the event was deleted since then.
    if (!isCounted && this.#known.get(key) === known) {
      this.#known.delete(key);
      await this.#create(key, event, now);
    }
  }

  #takeTurn({ object }: ObjectEvent, now: number): boolean {
    const id = JSON.stringify(object);
    const times = (this.#ofObject.get(id) ?? []).filter((time) => now - time < OBJECT_MS);
    if (times.length >= MAX_OF_OBJECT) return false;
    this.#ofObject.set(id, [...times, now]);
    return true;
  }

  #failed(thrown: unknown): void {
    const now = this.#deps.clock.now();
    const error = toAppError(thrown);
    if (now >= this.#pausedUntil) this.#deps.logger.warn('Kubernetes events could not be written', { error });
    this.#pausedUntil = now + PAUSE_MS;
    this.#known.clear();
  }
}
