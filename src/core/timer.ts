/** Calls back after the time. Returns a function that cancels the timer. */
export type StartTimer = (callback: () => void, ms: number) => () => void;

/** `setTimeout` fires at once for longer delays, so longer delays are cut to this. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

export const startTimer: StartTimer = (callback, ms) => {
  const timer = setTimeout(callback, Math.min(ms, MAX_TIMER_MS));
  return () => clearTimeout(timer);
};

/** Like `startTimer`, but does not keep the process alive. */
export const startBackgroundTimer: StartTimer = (callback, ms) => {
  const timer = setTimeout(callback, Math.min(ms, MAX_TIMER_MS)).unref();
  return () => clearTimeout(timer);
};
