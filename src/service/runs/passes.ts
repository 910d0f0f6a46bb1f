import type { Clock } from '../../core/clock.ts';
import type { Job } from '../../queue/queue.ts';

/**
 * When something was asked for. A sweep asks for all targets of a key in one turn, and the first of them is worked on
 * before the last one is asked for: what is read for it is new enough for them all.
 */
export interface Asked {
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Counted, since many turns may be in one millisecond. */
  readonly turn: number;
}

export interface Passes<It> {
  /** The pass of a request; a new one if what it has read is not newer than a moment, and than what was asked for. */
  of(job: Pick<Job, 'requestId' | 'reason'>, notBefore: number, asked?: Asked): Promise<It>;
  /** Nobody else will ask for the pass of this request: lets go of the values in it. */
  end(job: Pick<Job, 'requestId' | 'reason'>): void;
  /** Lets go of those whose time is over, and of the values in them. */
  tidy(): void;
  /** Lets go of all: what was begun under another configuration is of no use. */
  clear(): void;
}

/** What was read longer ago is old: a pass reads it anew. A pass that nobody asks for is over after as long. */
export const PASS_MS = 15_000;
const MOST = 32;

interface Begun<It> {
  readonly beganAt: number;
  /** In which turn of what is asked for. */
  readonly turn: number;
  usedAt: number;
  readonly pass: Promise<It>;
}

/**
 * Jobs of one request share what was read for it: a key that two hundred targets hold is read once. A request may
 * have so many targets that it takes minutes; what was read ahead for the last of them is not lost in between.
 */
export function createPasses<It>(
  clock: Clock,
  begin: (job: Pick<Job, 'requestId' | 'reason'>) => Promise<It>,
  turnNow: () => number = () => 0,
): Passes<It> {
  const open = new Map<string, Begun<It>>();
  const tidy = (): void => {
    for (const [id, { usedAt }] of open)
      if (open.size > MOST || Math.abs(clock.now() - usedAt) > PASS_MS) open.delete(id);
  };
  return {
    tidy,
    clear: () => open.clear(),
    end: (job) => void open.delete(idOf(job)),
    of(job, notBefore, asked) {
      tidy();
      const id = idOf(job);
      const known = open.get(id);
      const now = clock.now();
      // Nothing in it is older than the one or the other.
      const readAt = Math.max(known?.beganAt ?? 0, now - PASS_MS);
      const isAfter = (it: Asked): boolean => readAt > it.at || (known?.turn ?? 0) >= it.turn;
      if (known !== undefined && readAt > notBefore && (asked === undefined || isAfter(asked))) {
        known.usedAt = now;
        // The one that was used last is let go of last.
        open.delete(id);
        open.set(id, known);
        return known.pass;
      }
      const entry = { beganAt: now, turn: turnNow(), usedAt: now, pass: begin(job) };
      open.set(id, entry);
      // What could not begin is begun anew by the next one who asks.
      const leave = (): void => void (open.get(id) === entry && open.delete(id));
      entry.pass.then(undefined, leave);
      return entry.pass;
    },
  };
}

function idOf({ requestId, reason }: Pick<Job, 'requestId' | 'reason'>): string {
  return `${requestId} ${reason}`;
}
