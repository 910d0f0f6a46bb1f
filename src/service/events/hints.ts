import { randomBytes } from 'node:crypto';
import type { Clock } from '../../core/clock.ts';
import { type StartTimer, startBackgroundTimer } from '../../core/timer.ts';
import type { Origin, SubmitHints } from '../../events/hint.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { ConfigSnapshot } from '../config-snapshot.ts';
import type { Resync } from '../resync.ts';
import type { TargetStates } from '../target-states.ts';
import { Interests, targetsOf } from './interests.ts';

export interface HintsDeps {
  readonly snapshot: () => ConfigSnapshot;
  readonly states: Pick<TargetStates, 'inputs' | 'steadyClock'>;
  readonly resync: Pick<Resync, 'check'>;
  /** Returns all names that an event may use for a key of a store. */
  readonly namesOf: (store: string, key: string) => readonly string[];
  readonly clock: Clock;
  readonly logger: Logger;
  readonly wake?: StartTimer;
}

/**
 * Minimum time between two checks of a key or search, regardless of the number of hints. It is short, because a
 * rotation causes up to four hints, and the new value may be readable only with the last one.
 */
export const QUIET_MS = 500;
/**
 * Keys with very many targets are checked less often, so that a flood of hints cannot fill the queue faster than it
 * drains. The first hint is always processed immediately.
 */
const TARGETS_PER_MS = 2;
const LOG_EVERY_MS = 60_000;
/** Maximum number of requests whose event source is remembered. */
const MAX_REQUESTS = 1_000;

interface Recent {
  readonly at: number;
  /** Minimum time until the next check. */
  readonly quietMs: number;
  /**
   * The event source that sent the last hint within the quiet time. If set, the key is checked again when the quiet
   * time ends.
   */
  repeatFor?: Origin;
}

/**
 * Queues the targets that a hint may concern. The first hint for a key queues these targets immediately. Further hints
 * within the quiet time cause one check when the quiet time ends, so a check always follows the last hint.
 *
 * A check that finds the old version is not repeated. A store may send an event before the new value is readable. In
 * this rare case, the next sweep finds the new value. A second check after each hint would double the reads.
 */
export class Hints implements Disposable {
  readonly #deps: HintsDeps;
  /** Keyed by the id of the key or search. */
  readonly #recent = new Map<string, Recent>();
  /** Maps request ids to the names of the event sources. */
  readonly #requests = new Map<string, string>();
  #index: { readonly of: ConfigSnapshot; readonly interests: Interests } | undefined;
  #cancelTimer: (() => void) | undefined;
  #closed = false;
  #unknownSince = 0;
  #loggedAt = Number.NEGATIVE_INFINITY;

  constructor(deps: HintsDeps) {
    this.#deps = deps;
  }

  readonly take: SubmitHints = (hints, origin, requestId) => {
    const matches = hints.map((hint) => this.#interests().matching(hint));
    const targetCounts = new Map(matches.flat().map(({ id, targets }) => [id, targets.length]));
    const due: string[] = [];
    let later = 0;
    for (const [id, count] of targetCounts) {
      const before = this.#recent.get(id);
      if (before === undefined || !this.#isQuiet(before)) due.push(id);
      else {
        before.repeatFor = origin;
        later += count;
      }
    }
    if (requestId !== undefined) this.#remember(requestId, origin);
    const queued = due.length === 0 ? 0 : this.#check(due, requestId ?? requestIdOf(origin.name));
    this.#schedule();
    const unknown = matches.filter(({ length }) => length === 0).length;
    this.#noteUnknown(unknown, origin);
    return { targets: queued + later, unknown };
  };

  /**
   * Returns the name of the event source that sent the event of a request. `undefined` if this process does not know
   * it.
   */
  readonly intakeOf = (requestId: string): string | undefined =>
    this.#requests.get(requestId) ?? /^[0-9a-f]{16}\.([-a-z0-9.]+)$/.exec(requestId)?.[1];

  [Symbol.dispose](): void {
    this.#closed = true;
    // Queue the targets of the waiting hints now, because the events are already acknowledged. Other replicas share the
    // queue and run these jobs.
    this.#checkDue(() => true);
    this.#cancelTimer?.();
  }

  #interests(): Interests {
    const snapshot = this.#deps.snapshot();
    if (this.#index?.of !== snapshot)
      this.#index = { of: snapshot, interests: new Interests(snapshot.targets, this.#deps.namesOf) };
    return this.#index.interests;
  }

  /** Compares the absolute difference, so that a clock set back does not suppress hints for hours. */
  #isQuiet({ at, quietMs }: Recent): boolean {
    return Math.abs(this.#deps.clock.now() - at) < quietMs;
  }

  #remember(requestId: string, { name }: Origin): void {
    this.#requests.set(requestId, name);
    for (const id of this.#requests.keys()) if (this.#requests.size > MAX_REQUESTS) this.#requests.delete(id);
  }

  /**
   * Queues the targets of keys and searches. Returns their number.
   *
   * @param requestId All targets use the same id, so that they share reads.
   */
  #check(ids: readonly string[], requestId: string): number {
    const interests = ids.map((id) => ({ id, targets: this.#interests().get(id)?.targets ?? [] }));
    const at = this.#deps.clock.now();
    for (const { id, targets } of interests)
      this.#recent.set(id, { at, quietMs: Math.max(QUIET_MS, targets.length / TARGETS_PER_MS) });
    const targets = targetsOf(interests);
    const { states, resync } = this.#deps;
    for (const target of targets.values())
      states.inputs(target).hint = { at: states.steadyClock.now(), requestId };
    resync.check(targets.values(), requestId);
    return targets.size;
  }

  #schedule(): void {
    if (this.#cancelTimer !== undefined || this.#closed || this.#recent.size === 0) return;
    const { clock, wake = startBackgroundTimer } = this.#deps;
    // Wait at most the shortest quiet time, because a hint that arrives later may be due first.
    let ms = QUIET_MS;
    for (const { at, quietMs } of this.#recent.values())
      ms = Math.min(ms, Math.max(0, at + quietMs - clock.now()));
    this.#cancelTimer = wake(() => {
      this.#cancelTimer = undefined;
      this.#checkDue((entry) => !this.#isQuiet(entry));
      this.#schedule();
    }, ms);
  }

  #checkDue(isDue: (entry: Recent) => boolean): void {
    const due = [...this.#recent].filter(([, entry]) => isDue(entry));
    for (const [id] of due) this.#recent.delete(id);
    for (const [name, entries] of Map.groupBy(due, ([, { repeatFor }]) => repeatFor?.name))
      if (name !== undefined)
        this.#check(
          entries.map(([id]) => id),
          requestIdOf(name),
        );
  }

  #noteUnknown(count: number, { name }: Origin): void {
    const { clock, logger } = this.#deps;
    this.#unknownSince += count;
    if (this.#unknownSince === 0 || Math.abs(clock.now() - this.#loggedAt) < LOG_EVERY_MS) return;
    // The log omits the key, because the sender of the hint controls its text.
    logger.debug('received hints for keys that no target uses', { name, count: this.#unknownSince });
    this.#loggedAt = clock.now();
    this.#unknownSince = 0;
  }
}

/**
 * Returns a request id that contains the name of the event source. From this id, any process can record which event
 * source caused the run.
 */
function requestIdOf(name: string): string {
  return `${randomBytes(8).toString('hex')}.${name}`;
}
