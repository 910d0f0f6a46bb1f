import type { Clock } from '../core/clock.ts';
import type { Job } from '../queue/queue.ts';

export interface Passes<It> {
  /** The pass of a request; a new one if what it has read is not newer than a moment. */
  of(job: Pick<Job, 'requestId' | 'reason'>, notBefore: number): Promise<It>;
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

/**
 * Jobs of one request share what was read for it: a key that two hundred targets hold is read once. A request may
 * have so many targets that it takes minutes; what was read ahead for the last of them is not lost in between.
 */
export function createPasses<It>(
  clock: Clock,
  begin: (job: Pick<Job, 'requestId' | 'reason'>) => Promise<It>,
): Passes<It> {
  const open = new Map<string, { readonly beganAt: number; usedAt: number; readonly pass: Promise<It> }>();
  const tidy = (): void => {
    for (const [id, { usedAt }] of open)
      if (open.size > MOST || Math.abs(clock.now() - usedAt) > PASS_MS) open.delete(id);
  };
  return {
    tidy,
    clear: () => open.clear(),
    end: (job) => void open.delete(idOf(job)),
    of(job, notBefore) {
      tidy();
      const id = idOf(job);
      const known = open.get(id);
      const now = clock.now();
      // Nothing in it is older than the one or the other.
      if (known !== undefined && Math.max(known.beganAt, now - PASS_MS) > notBefore) {
        known.usedAt = now;
        // The one that was used last is let go of last.
        open.delete(id);
        open.set(id, known);
        return known.pass;
      }
      const entry = { beganAt: now, usedAt: now, pass: begin(job) };
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
