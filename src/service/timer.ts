/** Calls back after the time, and keeps no process alive for that; returns how to call it off. */
export function wakeLater(callback: () => void, ms: number): () => void {
  const timer = setTimeout(callback, ms).unref();
  return () => clearTimeout(timer);
}
