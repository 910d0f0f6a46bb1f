import { randomUUID } from 'node:crypto';
import type { Clock } from '../../core/clock.ts';
import { type StartTimer, startBackgroundTimer } from '../../core/timer.ts';
import type { Origin, SubmitHints } from '../../events/hint.ts';
import type { Logger } from '../../log/logger.ts';
import type { ConfigSnapshot } from '../config-snapshot.ts';
import type { Outbox } from '../outbox.ts';
import { createInterests, type Interests, targetsOf } from './interests.ts';

export interface Hints extends Disposable {
  readonly take: SubmitHints;
  /** The intake by which a request came; undefined for one that no intake made, or that another process took in. */
  intakeOf(requestId: string): string | undefined;
}

export interface HintsDeps {
  readonly snapshot: () => ConfigSnapshot;
  readonly outbox: Pick<Outbox, 'trigger'>;
  /** All the names by which an event may speak of a store's key. */
  readonly namesOf: (store: string, key: string) => readonly string[];
  readonly clock: Clock;
  readonly logger: Logger;
  readonly wake?: StartTimer;
}

/**
 * One key, or one search, is looked at so often at most, however many hints there are about it. One rotation gives up
 * to four of them, and the last may be the one after which the new value is there: so not much longer.
 */
export const QUIET_MS = 500;
/**
 * A key that very many targets are made from is looked at more seldom: a flood about one with ten thousand must not
 * fill the queue faster than it can be emptied. The first hint is taken up at once in any case.
 */
const TARGETS_PER_MS = 2;
const LOG_EVERY_MS = 60_000;
/** Requests that brought hints, whose intake is remembered. */
const MAX_REQUESTS = 1_000;

interface Recent {
  readonly at: number;
  /** How long it is not looked at again. */
  readonly quietMs: number;
  /** A hint came since, by this intake. */
  repeatFor?: Origin;
}

/**
 * Has those targets looked at that hints may be about. The first hint about a key is taken up at once; those that come
 * in the half second after it are taken up together at its end, so that a look always follows the last one.
 *
 * A look that finds the old version is not repeated: a store that tells of a change before it shows it is left to the
 * sweep. Looking twice after each hint would double the reads for the sake of a case that is rare.
 */
export function createHints(deps: HintsDeps): Hints {
  const { snapshot, outbox, namesOf, clock, logger, wake = startBackgroundTimer } = deps;
  /** By interest. */
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
  // By distance: a clock that was set back must not silence a key for hours.
  const isQuiet = ({ at, quietMs }: Recent): boolean => Math.abs(clock.now() - at) < quietMs;
  const remember = (requestId: string, { name }: Origin): string => {
    requests.set(requestId, name);
    for (const id of requests.keys()) if (requests.size > MAX_REQUESTS) requests.delete(id);
    return requestId;
  };
  /** @param requestId One for all, so that they share what is read. */
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
    // Never longer than the shortest silence: what comes meanwhile may be due before all that is known now.
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
    // Without the key: whoever sent it may have put anything there.
    logger.debug('hints about keys that nothing is made from', { name, count: unknownSince });
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
      // What was acknowledged goes into the queue that other replicas share, before its time.
      lookAtDue(() => true);
      cancelTimer?.();
    },
  };
}

/** The name of the intake goes along, so that whichever process does the work can record it. */
function requestIdOf(name: string): string {
  return `${randomUUID()}@${name}`;
}
