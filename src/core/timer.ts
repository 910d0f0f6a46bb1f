/** Calls the callback after the time. Returns a function that cancels the timer. */
export type StartTimer = (callback: () => void, ms: number) => () => void;

/** The longest supported delay. `setTimeout` would fire at once for longer delays, so they are reduced to this one. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

export const startTimer: StartTimer = (callback, ms) => {
  const timer = setTimeout(callback, Math.min(ms, MAX_TIMER_MS));
  return () => clearTimeout(timer);
};

/** Does the same as `startTimer`, but does not keep the process alive. */
export const startBackgroundTimer: StartTimer = (callback, ms) => {
  const timer = setTimeout(callback, Math.min(ms, MAX_TIMER_MS)).unref();
  return () => clearTimeout(timer);
};
