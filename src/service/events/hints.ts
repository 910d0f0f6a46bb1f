import { randomUUID } from 'node:crypto';
import type { Clock } from '../../core/clock.ts';
import { type Wake, wakeLater } from '../../core/wake.ts';
import type { Origin, TakeHints } from '../../events/hint.ts';
import type { Logger } from '../../log/logger.ts';
import type { Generation } from '../generation.ts';
import type { Ledger } from '../ledger.ts';
import { createInterests, type Interests, targetsOf } from './interests.ts';

export interface Hints extends Disposable {
  readonly take: TakeHints;
  /** The intake by which a request came; undefined for one that no intake made, or that another process took in. */
  intakeOf(requestId: string): string | undefined;
}

export interface HintsDeps {
  readonly generation: () => Generation;
  readonly ledger: Pick<Ledger, 'trigger'>;
  /** All the names by which an event may speak of a store's key. */
  readonly namesOf: (store: string, key: string) => readonly string[];
  readonly clock: Clock;
  readonly logger: Logger;
  readonly wake?: Wake;
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
const MOST_REQUESTS = 1_000;

interface Recent {
  readonly at: number;
  /** How long it is not looked at again. */
  readonly quietMs: number;
  /** A hint came since, by this intake. */
  again?: Origin;
}

/**
 * Has those targets looked at that hints may be about. The first hint about a key is taken up at once; those that come
 * in the half second after it are taken up together at its end, so that a look always follows the last one.
 *
 * A look that finds the old version is not repeated: a store that tells of a change before it shows it is left to the
 * sweep. Looking twice after each hint would double the reads for the sake of a case that is rare.
 */
export function createHints(deps: HintsDeps): Hints {
  const { generation, ledger, namesOf, clock, logger, wake = wakeLater } = deps;
  /** By interest. */
  const recent = new Map<string, Recent>();
  const requests = new Map<string, string>();
  let index: { readonly of: Generation; readonly interests: Interests } | undefined;
  let callOff: (() => void) | undefined;
  let closed = false;
  let unknownSince = 0;
  let loggedAt = Number.NEGATIVE_INFINITY;

  const interests = (): Interests => {
    const now = generation();
    if (index?.of !== now) index = { of: now, interests: createInterests(now.wanted, namesOf) };
    return index.interests;
  };
  // By distance: a clock that was set back must not silence a key for hours.
  const isQuiet = ({ at, quietMs }: Recent): boolean => Math.abs(clock.now() - at) < quietMs;
  const remember = (requestId: string, { name }: Origin): string => {
    requests.set(requestId, name);
    for (const id of requests.keys()) if (requests.size > MOST_REQUESTS) requests.delete(id);
    return requestId;
  };
  /** @param requestId One for all, so that they share what is read. */
  const look = (ids: readonly string[], requestId: string): number => {
    const now = clock.now();
    for (const id of ids) {
      const targets = interests().at(id)?.targets.length ?? 0;
      recent.set(id, { at: now, quietMs: Math.max(QUIET_MS, targets / TARGETS_PER_MS) });
    }
    const targets = targetsOf(ids.flatMap((id) => interests().at(id) ?? []));
    for (const target of targets.values()) ledger.trigger(target, 'event', requestId);
    return targets.size;
  };
  const schedule = (): void => {
    if (callOff !== undefined || closed || recent.size === 0) return;
    // Never longer than the shortest silence: what comes meanwhile may be due before all that is known now.
    let ms = QUIET_MS;
    for (const { at, quietMs } of recent.values()) ms = Math.min(ms, Math.max(0, at + quietMs - clock.now()));
    callOff = wake(() => {
      callOff = undefined;
      takeUp((it) => !isQuiet(it));
      schedule();
    }, ms);
  };
  const takeUp = (isDue: (it: Recent) => boolean): void => {
    const due: { readonly id: string; readonly origin: Origin }[] = [];
    for (const [id, it] of recent) {
      if (!isDue(it)) continue;
      recent.delete(id);
      if (it.again !== undefined) due.push({ id, origin: it.again });
    }
    for (const [name, its] of Map.groupBy(due, ({ origin }) => origin.name)) {
      const ids = its.map(({ id }) => id);
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
      const touched = new Map<string, number>();
      let unknown = 0;
      for (const hint of hints) {
        const its = interests().touchedBy(hint);
        if (its.length === 0) unknown += 1;
        for (const { id, targets } of its) touched.set(id, targets.length);
      }
      const now: string[] = [];
      let later = 0;
      for (const [id, targets] of touched) {
        const before = recent.get(id);
        if (before === undefined || !isQuiet(before)) now.push(id);
        else {
          before.again = origin;
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
      takeUp(() => true);
      callOff?.();
    },
  };
}

/** The name of the intake goes along, so that whichever process does the work can record it. */
function requestIdOf(name: string): string {
  return `${randomUUID()}@${name}`;
}
