import { Cron } from 'croner';
import { LRUCache } from 'lru-cache';
import { matches } from './glob.ts';
import { smallest } from './lists.ts';

// Decides whether a target may change now, and when its next window opens.

/** An entry of `windows` in the configuration: when the targets that it matches may change. */
export interface ChangeWindow {
  /** Globs. */
  readonly namespaces: readonly string[];
  /** Globs for names of mappings. Undefined: all mappings. */
  readonly mappings?: readonly string[] | undefined;
  /** A cron pattern with five fields. The window opens at each time that matches. */
  readonly allow: string;
  /** How long the window stays open, in milliseconds. */
  readonly forMs: number;
  /** An IANA name, in which `allow` is read. */
  readonly timeZone: string;
  /** Whether the window also limits repairs, first syncs and rollbacks. */
  readonly all: boolean;
}

/** What a change is, as far as windows treat it differently. */
export interface ChangeKind {
  readonly mapping: string;
  readonly namespace: string;
  /** Whether the change is a repair, a first sync or a rollback. Only windows with `all` limit these. */
  readonly isExempt: boolean;
}

/** Returns when a closed target may change, in milliseconds since 1970. Undefined: it may change now. */
export function waitsUntil(
  windows: readonly ChangeWindow[],
  { mapping, namespace, isExempt }: ChangeKind,
  now: number,
): number | undefined {
  const limiting = windows.filter(
    (window) =>
      (window.all || !isExempt) &&
      window.namespaces.some((glob) => matches(glob, namespace)) &&
      (window.mappings === undefined || window.mappings.some((glob) => matches(glob, mapping))),
  );
  if (limiting.length === 0 || limiting.some((window) => isOpen(window, now))) return undefined;
  // A valid pattern always matches again. If the library finds no time, look again within a day.
  const openings = limiting.map((window) => nextOpening(window, now) ?? now + DAY_MS);
  return smallest(openings);
}

const DAY_MS = 86_400_000;

/** A window that opened at `start` is open until just before `start` plus its duration. */
export function isOpen({ forMs, ...window }: ChangeWindow, now: number): boolean {
  const start = nextOpening(window, now - forMs);
  return start !== undefined && start <= now;
}

/**
 * Returns the first time after `now` at which a window opens, in milliseconds since 1970. Undefined if the pattern is
 * invalid or never matches.
 */
export function nextOpening(
  { allow, timeZone }: Pick<ChangeWindow, 'allow' | 'timeZone'>,
  now: number,
): number | undefined {
  return cronOf(allow, timeZone)?.nextRun(new Date(now))?.getTime();
}

const crons = new LRUCache<string, { readonly cron: Cron | undefined }>({ max: 1_000 });

function cronOf(pattern: string, timezone: string): Cron | undefined {
  const key = `${timezone} ${pattern}`;
  const known = crons.get(key);
  if (known !== undefined) return known.cron;
  const cron = parse(pattern, timezone);
  crons.set(key, { cron });
  return cron;
}

/** The library also accepts seconds, years and nicknames, which other programs read differently. */
const FIVE_FIELDS = /^\S+(?: +\S+){4}$/;

function parse(pattern: string, timezone: string): Cron | undefined {
  if (!FIVE_FIELDS.test(pattern)) return undefined;
  try {
    return new Cron(pattern, { timezone, mode: '5-part' });
  } catch (error) {
    // The library reports an invalid pattern by these two types.
    if (error instanceof TypeError || error instanceof RangeError) return undefined;
    throw error;
  }
}

/** Whether this is the name of a time zone that this process knows. */
export function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }) !== undefined;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}
