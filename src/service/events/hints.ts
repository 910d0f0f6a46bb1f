import { randomUUID } from 'node:crypto';
import type { Clock } from '../../core/clock.ts';
import { type StartTimer, startBackgroundTimer } from '../../core/timer.ts';
import type { Origin, SubmitHints } from '../../events/hint.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { ConfigSnapshot } from '../config-snapshot.ts';
import type { Outbox } from '../outbox.ts';
import { createInterests, type Interests, targetsOf } from './interests.ts';

export interface Hints extends Disposable {
  readonly take: SubmitHints;
  /**
   * Returns the name of the event source that sent the event of a request. `undefined` if this process does not know
   * it.
   */
  intakeOf(requestId: string): string | undefined;
}

export interface HintsDeps {
  readonly snapshot: () => ConfigSnapshot;
  readonly outbox: Pick<Outbox, 'trigger'>;
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
/** Maximum number of requests for which the event source is remembered. */
const MAX_REQUESTS = 1_000;

interface Recent {
  readonly at: number;
  /** Minimum time until the next check. */
  readonly quietMs: number;
  /**
   * The event source of the last hint within the quiet time. If set, the key is checked again at the end of that time.
   */
  repeatFor?: Origin;
}

/**
 * Queues the targets that a hint may concern. The first hint for a key queues them immediately. Further hints within
 * the quiet time cause one check at its end, so a check always follows the last hint.
 *
 * If a check finds the old version, it is not repeated. A store may send an event before the new value is readable; the
 * next sweep then finds the value. A second check for each hint would double the reads for a rare case.
 */
export function createHints(deps: HintsDeps): Hints {
  const { snapshot, outbox, namesOf, clock, logger, wake = startBackgroundTimer } = deps;
  /** Keyed by the id of the key or search. */
  const recent = new Map<string, Recent>();
  const requests = new Map<string, string>();
  let index: { readonly of: ConfigSnapshot; readonly interests: Interests } | undefined;
  let cancelTimer: (() => void) | undefined;
  let closed = false;
  let unknownSince = 0;
  let loggedAt = Number.NEGATIVE_INFINITY;

  const interests = (): Interests => {
    const now = snapshot();
    if (index?.of !== now) index = { of: now, interests: createInterests(now.targets, namesOf) };
    return index.interests;
  };
  // Compare the absolute difference, so that a clock set back does not suppress hints for hours.
  const isQuiet = ({ at, quietMs }: Recent): boolean => Math.abs(clock.now() - at) < quietMs;
  const remember = (requestId: string, { name }: Origin): string => {
    requests.set(requestId, name);
    for (const id of requests.keys()) if (requests.size > MAX_REQUESTS) requests.delete(id);
    return requestId;
  };
  /** @param requestId All targets use the same id, so that they share reads. */
  const look = (ids: readonly string[], requestId: string): number => {
    const now = clock.now();
    for (const id of ids) {
      const targets = interests().get(id)?.targets.length ?? 0;
      recent.set(id, { at: now, quietMs: Math.max(QUIET_MS, targets / TARGETS_PER_MS) });
    }
    const targets = targetsOf(ids.flatMap((id) => interests().get(id) ?? []));
    for (const target of targets.values()) outbox.trigger(target, 'event', requestId);
    return targets.size;
  };
  const schedule = (): void => {
    if (cancelTimer !== undefined || closed || recent.size === 0) return;
    // Wait at most the shortest quiet time, because a hint that arrives later may be due first.
    let ms = QUIET_MS;
    for (const { at, quietMs } of recent.values()) ms = Math.min(ms, Math.max(0, at + quietMs - clock.now()));
    cancelTimer = wake(() => {
      cancelTimer = undefined;
      lookAtDue((entry) => !isQuiet(entry));
      schedule();
    }, ms);
  };
  const lookAtDue = (isDue: (entry: Recent) => boolean): void => {
    const due: { readonly id: string; readonly origin: Origin }[] = [];
    for (const [id, entry] of recent) {
      if (!isDue(entry)) continue;
      recent.delete(id);
      if (entry.repeatFor !== undefined) due.push({ id, origin: entry.repeatFor });
    }
    for (const [name, dueInterests] of Map.groupBy(due, ({ origin }) => origin.name)) {
      const ids = dueInterests.map(({ id }) => id);
      look(ids, requestIdOf(name));
    }
  };
  const noteUnknown = (count: number, { name }: Origin): void => {
    unknownSince += count;
    if (unknownSince === 0 || Math.abs(clock.now() - loggedAt) < LOG_EVERY_MS) return;
    // The log omits the key, because the sender of the hint controls its text.
    logger.debug('received hints for keys that no target uses', { name, count: unknownSince });
    loggedAt = clock.now();
    unknownSince = 0;
  };

  return {
    take(hints, origin, requestId) {
      const interestTargets = new Map<string, number>();
      let unknown = 0;
      for (const hint of hints) {
        const dueInterests = interests().matching(hint);
        if (dueInterests.length === 0) unknown += 1;
        for (const { id, targets } of dueInterests) interestTargets.set(id, targets.length);
      }
      const now: string[] = [];
      let later = 0;
      for (const [id, targets] of interestTargets) {
        const before = recent.get(id);
        if (before === undefined || !isQuiet(before)) now.push(id);
        else {
          before.repeatFor = origin;
          later += targets;
        }
      }
      const id = requestId === undefined ? requestIdOf(origin.name) : remember(requestId, origin);
      const targets = (now.length === 0 ? 0 : look(now, id)) + later;
      schedule();
      noteUnknown(unknown, origin);
      return { targets, unknown };
    },
    intakeOf: (requestId) => requests.get(requestId) ?? /@([-a-z0-9.]+)$/.exec(requestId)?.[1],
    [Symbol.dispose]() {
      closed = true;
      // Queue acknowledged hints now. The queue is shared, so other replicas run them.
      lookAtDue(() => true);
      cancelTimer?.();
    },
  };
}

/**
 * Returns a request id that contains the name of the event source. From this id, any process can record which event
 * source caused the run.
 */
function requestIdOf(name: string): string {
  return `${randomUUID()}@${name}`;
}
