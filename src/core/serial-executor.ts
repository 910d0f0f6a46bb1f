/** Runs pieces of work one at a time, in call order. A failure does not stop the next piece. */
export function createSerialExecutor(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const result = last.then(work);
    last = Promise.allSettled([result]);
    return result;
  };
}

/** Shares a run in progress among its callers. A call after the end of the run starts another run. */
export function createSharedRun<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined;
  return () => {
    running ??= work().finally(() => {
      running = undefined;
    });
    return running;
  };
}

/**
 * Shares one run among all callers that arrive before it starts. Later callers share the next run, which starts when
 * the current one has ended.
 */
export function createCoalescer<T>(work: () => Promise<T>): () => Promise<T> {
  const runSerially = createSerialExecutor();
  let next: Promise<T> | undefined;
  const begin = (): Promise<T> => {
    next = undefined;
    return work();
  };
  return () => {
    next ??= runSerially(begin);
    return next;
  };
}
