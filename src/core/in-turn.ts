/** Runs one piece of work after the other, in the order in which they were asked for; one that fails holds up none. */
export function createInTurn(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const result = last.then(work);
    last = Promise.allSettled([result]);
    return result;
  };
}

/** Runs the work once for all who ask before it begins; whoever asks later gets the next run, when that one has ended. */
export function createShared<T>(work: () => Promise<T>): () => Promise<T> {
  const inTurn = createInTurn();
  let next: Promise<T> | undefined;
  const begin = (): Promise<T> => {
    next = undefined;
    return work();
  };
  return () => {
    next ??= inTurn(begin);
    return next;
  };
}
