/**
 * Runs the work, and returns its result with the longest time for which it blocked the event loop, in milliseconds. Only
 * the processor time of this thread counts, because the machine may be busy.
 */
export async function longestPause<T>(work: () => Promise<T>): Promise<{ result: T; pauseMs: number }> {
  let last = processorMs();
  let pauseMs = 0;
  const note = (): void => {
    const now = processorMs();
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

function processorMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}
