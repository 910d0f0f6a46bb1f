import { dirname } from 'node:path';
import { AppError } from '../core/errors.ts';
import { readSmallFile } from '../core/small-file.ts';
import { resourceShortageOf } from '../core/system-errors.ts';
import { createFileIoLimiter } from './file-io-limiter.ts';
import { systemDeadline } from './timing.ts';

/** Much shorter than the time after which a loop counts as stalled. Credential files are small and usually local. */
const TIMEOUT_MS = 10_000;

/**
 * The id of an operation is its folder, because usually a whole folder hangs. A store may have up to four files in it.
 */
const runFileIo = createFileIoLimiter();

/**
 * Reads a credential or certificate file.
 * @throws AppError TIMEOUT if the file system does not respond, STORE_UNAVAILABLE if the process cannot open more
 * files; otherwise Node's error, with a `code`.
 */
export async function readFileWithTimeout(path: string): Promise<Buffer> {
  const limit = systemDeadline(TIMEOUT_MS);
  try {
    return await runFileIo(dirname(path), () => readSmallFile(path), limit.signal);
  } catch (thrown) {
    const shortage = resourceShortageOf(thrown);
    // Without this error, the credential would be reported as missing now, and as changed later.
    if (shortage !== undefined)
      throw new AppError('STORE_UNAVAILABLE', {
        subject: `file ${path}`,
        detail: `it cannot be opened: ${shortage}`,
        remedy: 'No action needed. If it persists, allow this process to open more files.',
        cause: thrown,
      });
    if (thrown !== limit.signal.reason) throw thrown;
    throw new AppError('TIMEOUT', {
      subject: `file ${path}`,
      detail: 'its file system does not answer',
      remedy: 'No action needed. If it persists, check the file system that contains the file.',
    });
  } finally {
    limit.stop();
  }
}
