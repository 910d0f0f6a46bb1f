import { watch as watchFolder } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type AppError, toAppError } from '../../core/errors.ts';
import { pause } from '../../core/pause.ts';
import { codeOf } from '../../core/system-errors.ts';

/** Not every file system tells of changes, so that a look is due this often in any case. */
const POLL_MS = 1_000;
/** One write is several changes of a folder. */
const SETTLE_MS = 20;

export interface Polled<T> {
  /** A change in it makes the next look come at once. It need not be there. */
  readonly folder: string;
  look(): Promise<T>;
  /** `before`: what the last look saw; what this throws makes it count as not seen. */
  seen(now: T, before: T | undefined): void;
  progress(error?: AppError): void;
}

/** Looks again and again until it is disposed, whatever a look comes to. */
export function poll<T>({ folder, look, seen, progress }: Polled<T>): AsyncDisposable {
  let ended = false;
  let rest = new AbortController();

  /** Opened anew for each look: a folder that was put in the place of another is not the one listened to. */
  function listen(path: string): Disposable {
    try {
      const watcher = watchFolder(path, () => rest.abort());
      watcher.on('error', () => rest.abort());
      return { [Symbol.dispose]: () => watcher.close() };
    } catch (error) {
      const code = codeOf(error);
      if (code === undefined) throw error;
      // Where it will be made. ENOSPC, EMFILE: the system has no watcher left, and the poll does without.
      if (code === 'ENOENT' && path === folder) return listen(dirname(folder));
      return { [Symbol.dispose]: () => undefined };
    }
  }

  async function run(): Promise<void> {
    let before: T | undefined;
    let failed = false;
    while (!ended) {
      rest = new AbortController();
      using _ = listen(folder);
      try {
        const now = await look();
        if (ended) break;
        seen(now, before);
        before = now;
        failed = false;
        progress();
      } catch (thrown) {
        if (ended) break;
        if (!failed) {
          // Somebody may be in the middle of a write.
          failed = true;
          await sleep(SETTLE_MS);
          continue;
        }
        progress(toAppError(thrown));
      }
      await pause(POLL_MS, rest.signal);
      if (!ended && rest.signal.aborted) await sleep(SETTLE_MS);
    }
  }

  const running = run();
  return {
    async [Symbol.asyncDispose]() {
      ended = true;
      rest.abort();
      await running;
    },
  };
}
