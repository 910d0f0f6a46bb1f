/** Calls back after the time; returns how to call it off. */
export type Wake = (callback: () => void, ms: number) => () => void;

/** Beyond this, `setTimeout` calls back at once: whoever waits longer is woken then. */
export const LONGEST_WAKE_MS = 2 ** 31 - 1;

export const systemWake: Wake = (callback, ms) => {
  const timer = setTimeout(callback, Math.min(ms, LONGEST_WAKE_MS));
  return () => clearTimeout(timer);
};

/** The same, and keeps no process alive for that. */
export const wakeLater: Wake = (callback, ms) => {
  const timer = setTimeout(callback, Math.min(ms, LONGEST_WAKE_MS)).unref();
  return () => clearTimeout(timer);
};
