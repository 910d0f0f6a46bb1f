/** Runs the callback after a time; returns how to call it off. */
export type Wake = (callback: () => unknown, ms: number) => () => void;

/** Keeps no process alive. */
export const systemWake: Wake = (callback, ms) => {
  const timer = setTimeout(callback, ms).unref();
  return () => clearTimeout(timer);
};
