import { watch as watchFolder } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type AppError, toAppError } from '../../core/errors.ts';
import { codeOf } from '../../core/system-errors.ts';
import { sleepUntilAborted } from '../../core/timer.ts';

/** The polling interval, for file systems that report no changes. */
const POLL_MS = 1_000;
/**
 * The delay between a change event and the next scan. One write causes several events in a folder, and the delay lets
 * all of them pass.
 */
const SETTLE_MS = 20;

export interface PollHandlers<T> {
  /** A change in this folder triggers the next scan immediately. The folder need not exist. */
  readonly folder: string;
  scan(): Promise<T>;
  /** `before` is the result of the previous successful scan. A scan fails if this callback throws. */
  onScan(now: T, before: T | undefined): void;
  progress(error?: AppError): void;
}

/** Scans repeatedly until disposed. Failures are reported, and the scans continue. */
export function poll<T>({ folder, scan, onScan, progress }: PollHandlers<T>): AsyncDisposable {
  let ended = false;
  let wakeUp = new AbortController();

  /**
   * Watches the folder until the next scan. Each scan needs a new watcher, because the folder may have been replaced.
   */
  function watchForChange(path: string): Disposable {
    try {
      const watcher = watchFolder(path, () => wakeUp.abort());
      watcher.on('error', () => wakeUp.abort());
      return { [Symbol.dispose]: () => watcher.close() };
    } catch (error) {
      const code = codeOf(error);
      if (code === undefined) throw error;
      // ENOENT: the folder does not exist yet, so watch its parent. ENOSPC, EMFILE: the system has no watchers left, so
      // rely on polling.
      if (code === 'ENOENT' && path === folder) return watchForChange(dirname(folder));
      return { [Symbol.dispose]: () => undefined };
    }
  }

  async function run(): Promise<void> {
    let previous: T | undefined;
    let failed = false;
    while (!ended) {
      wakeUp = new AbortController();
      using _ = watchForChange(folder);
      try {
        const current = await scan();
        if (ended) break;
        onScan(current, previous);
        previous = current;
        failed = false;
        progress();
      } catch (thrown) {
        if (ended) break;
        if (!failed) {
          // Another process may be in the middle of a write, so scan once more before reporting the failure.
          failed = true;
          await sleep(SETTLE_MS);
          continue;
        }
        progress(toAppError(thrown));
      }
      await sleepUntilAborted(POLL_MS, wakeUp.signal);
      if (!ended && wakeUp.signal.aborted) await sleep(SETTLE_MS);
    }
  }

  const running = run();
  return {
    async [Symbol.asyncDispose]() {
      ended = true;
      wakeUp.abort();
      await running;
    },
  };
}
