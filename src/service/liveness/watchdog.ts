import { Worker } from 'node:worker_threads';
import type { Loops } from './loops.ts';
import { type WatchdogData, watch } from './watchdog-worker.ts';

export interface WatchdogOptions {
  readonly json: boolean;
  /** The event loop counts as blocked after this time. */
  readonly afterMs?: number;
}

const BEAT_MS = 1_000;

/**
 * Reports a blocked event loop of the main thread from a worker thread. The liveness probe needs no report, because it
 * gets no answer while the event loop is blocked.
 */
export function watchEventLoop(loops: Loops, { json, afterMs = 10_000 }: WatchdogOptions): AsyncDisposable {
  const beats = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  const counter = new Int32Array(beats);
  // The counter changes several times within `afterMs`, so that one late change raises no alarm.
  const everyMs = Math.min(BEAT_MS, afterMs / 4);
  const data: WatchdogData = { beats, afterMs, everyMs, json };
  const code = `(${watch.toString()})(require('node:worker_threads').workerData, require('node:fs').writeSync)`;
  const worker = new Worker(code, { eval: true, workerData: data });
  // The system may lack resources for a thread. Then only the liveness probe detects a blocked event loop.
  worker.on('error', () => undefined);
  worker.unref();
  const loop = loops.begin('event loop', afterMs);
  const timer = setInterval(() => {
    Atomics.add(counter, 0, 1);
    Atomics.notify(counter, 0);
    loop.beat();
  }, everyMs);
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      loop.end();
      Atomics.store(counter, 0, -1);
      Atomics.notify(counter, 0);
      await worker.terminate();
    },
  };
}
