import type { Clock } from '../core/clock.ts';

/** More than come within ten minutes from an address that is at the server's limit. */
const MOST = 20_000;

/** What was signed and accepted, for as long as it would be accepted again. */
export interface Seen {
  has(mark: string): boolean;
  /** @param until Milliseconds since 1970. */
  add(mark: string, until: number): void;
}

/** Bounded: the oldest is forgotten first, and would be a hint too many, nothing worse. */
export function createSeen(clock: Clock, most = MOST): Seen {
  const marks = new Map<string, number>();
  return {
    has: (mark) => marks.has(mark),
    add(mark, until) {
      const now = clock.now();
      for (const [oldest, end] of marks) {
        if (end >= now && marks.size < most) break;
        marks.delete(oldest);
      }
      marks.set(mark, until);
    },
  };
}
