/** Runs one piece of work after the other, in the order in which they were asked for; one that fails holds up none. */
export function createInTurn(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const result = last.then(work);
    last = Promise.allSettled([result]);
    return result;
  };
}
