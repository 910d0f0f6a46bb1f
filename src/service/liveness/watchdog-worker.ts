import type { writeSync as WriteSync } from 'node:fs';

/** Data for the watchdog thread. `beats` contains a counter, which is negative after the watchdog was stopped. */
export interface WatchdogData {
  readonly beats: SharedArrayBuffer;
  readonly afterMs: number;
  readonly everyMs: number;
  /** Whether logs are JSON. */
  readonly json: boolean;
}

/**
 * Runs in a worker thread, because a blocked event loop cannot report itself. The function is passed as source text, so
 * it must not use anything from outside. A module would use more memory, because its imports would be compiled too.
 */
export function watch({ beats, afterMs, everyMs, json }: WatchdogData, writeSync: typeof WriteSync): void {
  const counter = new Int32Array(beats);
  /**
   * Returns whether the line was written. Writing to a full pipe may succeed later; writing to a closed pipe never
   * does.
   */
  const report = (durationMs: number): boolean => {
    const time = new Date().toISOString();
    const message = 'the event loop is blocked';
    const line = json
      ? JSON.stringify({ level: 'error', time, name: 'event loop', durationMs, message })
      : `${time} ERROR ${message} name="event loop" durationMs=${durationMs}`;
    try {
      writeSync(2, `${line}\n`);
      return true;
    } catch (error) {
      if (error instanceof Error && 'syscall' in error) return false;
      throw error;
    }
  };
  let seen = Atomics.load(counter, 0);
  let seenAt = performance.now();
  let reported = false;
  for (;;) {
    // Returns when the counter changes or after the timeout.
    Atomics.wait(counter, 0, seen, everyMs);
    const now = Atomics.load(counter, 0);
    if (now < 0) return;
    if (now !== seen) {
      seen = now;
      seenAt = performance.now();
      reported = false;
    } else if (!reported && performance.now() - seenAt > afterMs) {
      reported = report(Math.round(performance.now() - seenAt));
    }
  }
}
