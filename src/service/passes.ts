import type { Clock } from '../core/clock.ts';
import type { Job } from '../queue/queue.ts';

export interface Passes<Pass> {
  /** The pass of a request; a new one if what it has read is not newer than a moment. */
  of(job: Pick<Job, 'requestId' | 'reason'>, notBefore: number): Promise<Pass>;
  /** Lets go of those whose time is over, and of the values in them. */
  tidy(): void;
}

/** Whoever belongs to one request comes within this time; later, what was read then is old. */
const LIFE_MS = 15_000;
const MOST = 32;

/**
 * Jobs of one request share what was read for it: a key that two hundred targets hold is read once. A pass keeps
 * values for as long as it lives, so it does not live long.
 */
export function createPasses<Pass>(
  clock: Clock,
  begin: (job: Pick<Job, 'requestId' | 'reason'>) => Promise<Pass>,
): Passes<Pass> {
  const open = new Map<string, { readonly beganAt: number; readonly pass: Promise<Pass> }>();
  const tidy = (): void => {
    for (const [id, { beganAt }] of open)
      if (open.size > MOST || Math.abs(clock.now() - beganAt) > LIFE_MS) open.delete(id);
  };
  return {
    tidy,
    of(job, notBefore) {
      tidy();
      const id = `${job.requestId} ${job.reason}`;
      const known = open.get(id);
      if (known !== undefined && known.beganAt > notBefore) return known.pass;
      const entry = { beganAt: clock.now(), pass: begin(job) };
      open.set(id, entry);
      // What could not begin is begun anew by the next one who asks.
      const leave = (): void => void (open.get(id) === entry && open.delete(id));
      entry.pass.then(undefined, leave);
      return entry.pass;
    },
  };
}
