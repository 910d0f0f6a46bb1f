import { writeSync } from 'node:fs';
import { isMainThread, workerData } from 'node:worker_threads';
import type { WatchdogData } from './watchdog.ts';

// Runs beside the main thread, whose event loop cannot say itself that it is blocked.

const STDERR = 2;

if (!isMainThread) watch(workerData as WatchdogData);

function watch({ beats, afterMs, everyMs, json }: WatchdogData): void {
  const counter = new Int32Array(beats);
  let seen = Atomics.load(counter, 0);
  let seenAt = performance.now();
  let told = false;
  for (;;) {
    // Woken by a beat, or after a while without one.
    Atomics.wait(counter, 0, seen, everyMs);
    const now = Atomics.load(counter, 0);
    if (now < 0) return;
    if (now !== seen) {
      seen = now;
      seenAt = performance.now();
      told = false;
    } else if (!told && performance.now() - seenAt > afterMs) {
      told = true;
      writeSync(STDERR, line(json, Math.round(performance.now() - seenAt)));
    }
  }
}

function line(json: boolean, durationMs: number): string {
  const time = new Date().toISOString();
  const message = 'the event loop is blocked';
  return json
    ? `${JSON.stringify({ level: 'error', time, name: 'event loop', durationMs, message })}\n`
    : `${time} ERROR ${message} name="event loop" durationMs=${durationMs}\n`;
}
