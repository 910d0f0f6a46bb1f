/** Runs the work, and returns its result with the longest time for which it blocked the event loop, in milliseconds. */
export async function longestPause<T>(work: () => Promise<T>): Promise<{ result: T; pauseMs: number }> {
  let last = performance.now();
  let pauseMs = 0;
  const note = (): void => {
    const now = performance.now();
    pauseMs = Math.max(pauseMs, now - last);
    last = now;
  };
  const timer = setInterval(note, 5);
  try {
    const result = await work();
    note();
    return { result, pauseMs };
  } finally {
    clearInterval(timer);
  }
}
