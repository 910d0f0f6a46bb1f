import { dirname } from 'node:path';
import { unlessAborted } from '../core/abort.ts';
import { AppError } from '../core/errors.ts';
import { createSemaphore } from '../core/semaphore.ts';
import { readSmallFile } from '../core/small-file.ts';
import { resourceShortageOf } from '../core/system-errors.ts';
import { systemDeadline } from './timing.ts';

/**
 * Runs one file system operation. Operations with the same id run one after another. Rejects with the signal's reason
 * once the signal is aborted. The operation keeps its permit until the file system has responded.
 */
export type RunFileIo = <T>(
  id: string | undefined,
  work: () => Promise<T>,
  signal: AbortSignal | undefined,
) => Promise<T>;

/** The number of permits of a limiter. A hanging key can occupy one permit, so other keys need a second one. */
const MAX_PER_LIMITER = 2;
/**
 * The number of permits of the whole process. Node has four I/O threads, and one of them must stay free for DNS lookups
 * and other files.
 */
const processSemaphore = createSemaphore(3);

/**
 * Creates a limit for file I/O. An operation on a hanging file system, such as a network volume, occupies an I/O
 * thread, and no timeout can free this thread. Without a limit, one such store or a few credential files could occupy
 * all threads and block every other store.
 */
export function createFileIoLimiter(): RunFileIo {
  const ownSemaphore = createSemaphore(MAX_PER_LIMITER);
  const underWay = new Map<string, Promise<unknown>>();
  const waitForPrevious = async (id: string, signal: AbortSignal | undefined): Promise<() => void> => {
    for (let last = underWay.get(id); last !== undefined; last = underWay.get(id))
      await unlessAborted(last, signal);
    const { promise, resolve } = Promise.withResolvers<void>();
    underWay.set(id, promise);
    return () => {
      underWay.delete(id);
      resolve();
    };
  };
  return async (id, work, signal) => {
    using acquired = new DisposableStack();
    if (id !== undefined) acquired.defer(await waitForPrevious(id, signal));
    for (const semaphore of [ownSemaphore, processSemaphore]) {
      await semaphore.acquire({ signal });
      acquired.defer(() => semaphore.release());
    }
    const held = acquired.move();
    return unlessAborted(
      work().finally(() => held.dispose()),
      signal,
    );
  };
}

/**
 * The timeout for a file. It must end long before a loop counts as stalled. Credential files are small and usually
 * local, so reading one takes far less time.
 */
const TIMEOUT_MS = 10_000;

/**
 * Credential files in the same folder are read one after another, because usually a whole folder hangs. A store may
 * have up to four files in it.
 */
const runFileIo = createFileIoLimiter();

/**
 * Reads a credential file or certificate file.
 * @throws AppError TIMEOUT if the file system does not respond; STORE_UNAVAILABLE if the process cannot open more
 * files.
 * @throws Node's error, with a `code`, in all other cases.
 */
export async function readFileWithTimeout(path: string): Promise<Buffer> {
  const limit = systemDeadline(TIMEOUT_MS);
  try {
    return await runFileIo(dirname(path), () => readSmallFile(path), limit.signal);
  } catch (thrown) {
    const shortage = resourceShortageOf(thrown);
    // The file exists, so do not report it as missing. Otherwise the next successful read would look like a change.
    if (shortage !== undefined)
      throw new AppError('STORE_UNAVAILABLE', {
        subject: `file ${path}`,
        detail: `it cannot be opened: ${shortage}`,
        remedy: 'No action needed. If the error persists, allow this process to open more files.',
        cause: thrown,
      });
    if (thrown !== limit.signal.reason) throw thrown;
    throw new AppError('TIMEOUT', {
      subject: `file ${path}`,
      detail: 'its file system does not answer',
      remedy: 'No action needed. If the error persists, check the file system that contains the file.',
    });
  } finally {
    limit.stop();
  }
}
