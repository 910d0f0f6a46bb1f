import { watch as watchFolder } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type AppError, toAppError } from '../../core/errors.ts';
import { sleepUntilAborted } from '../../core/sleep.ts';
import { codeOf } from '../../core/system-errors.ts';

/** Some file systems report no changes, so scan at least this often. */
const POLL_MS = 1_000;
/** One write causes several change events in a folder, so wait until they settle. */
const SETTLE_MS = 20;

export interface PollHandlers<T> {
  /** A change in this folder triggers the next scan immediately. The folder need not exist. */
  readonly folder: string;
  scan(): Promise<T>;
  /** `before` is the result of the previous scan. If this throws, the scan does not count. */
  onScan(now: T, before: T | undefined): void;
  progress(error?: AppError): void;
}

/** Scans repeatedly until disposed, also after failures. */
export function poll<T>({ folder, scan, onScan, progress }: PollHandlers<T>): AsyncDisposable {
  let ended = false;
  let wakeUp = new AbortController();

  /** Opened again for each scan, because the folder may have been replaced by another one. */
  function watchForChange(path: string): Disposable {
    try {
      const watcher = watchFolder(path, () => wakeUp.abort());
      watcher.on('error', () => wakeUp.abort());
      return { [Symbol.dispose]: () => watcher.close() };
    } catch (error) {
      const code = codeOf(error);
      if (code === undefined) throw error;
      // ENOENT: watch the parent, where the folder will be created. ENOSPC, EMFILE: the system has no watchers left, so
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
          // Another process may be in the middle of a write.
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
