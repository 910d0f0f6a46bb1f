/** Lets so many work at a time: the more urgent first, and of equals in the order in which they came. */
export type Gate = <T>(work: () => Promise<T>, rank?: number) => Promise<T>;

/** @param ranks How many there are; 0 is the most urgent, and what is asked for without one. */
export function createGate(places: number, ranks = 1): Gate {
  const waiting: readonly (() => void)[][] = Array.from({ length: ranks }, () => []);
  let taken = 0;
  return async (work, rank = 0) => {
    if (taken < places) taken += 1;
    else await new Promise<void>((resolve) => waiting[Math.min(rank, ranks - 1)]?.push(resolve));
    try {
      return await work();
    } finally {
      // The place goes to the next one, or is free.
      const next = waiting.find((line) => line.length > 0)?.shift();
      if (next === undefined) taken -= 1;
      else next();
    }
  };
}
