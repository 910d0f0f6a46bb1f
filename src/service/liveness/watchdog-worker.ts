import type { writeSync as WriteSync } from 'node:fs';

/** Shared with the thread: a count of beats, negative when it is over. */
export interface WatchdogData {
  readonly beats: SharedArrayBuffer;
  readonly afterMs: number;
  readonly everyMs: number;
  /** The form of the log. */
  readonly json: boolean;
}

/**
 * Runs beside the main thread, whose event loop cannot say itself that it is blocked. It is given to that thread as
 * text, so it may use nothing from around it: as a module it would be compiled with all that this takes, in memory too.
 */
export function watch({ beats, afterMs, everyMs, json }: WatchdogData, writeSync: typeof WriteSync): void {
  const counter = new Int32Array(beats);
  /** Whether it was said: a full pipe takes nothing now, one that nobody reads any more never will. */
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
    // Woken by a beat, or after a while without one.
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
