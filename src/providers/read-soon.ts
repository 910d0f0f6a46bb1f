import { dirname } from 'node:path';
import { AppError } from '../core/errors.ts';
import { readSmallFile } from '../core/small-file.ts';
import { shortageOf } from '../core/system-errors.ts';
import { createPlaces } from './places.ts';
import { systemDeadline } from './timing.ts';

/** Well within the time after which a loop counts as stalled. A file of ours is small and near. */
const SOON_MS = 10_000;

/** By folder: what hangs is hardly one file of it, and a store may have four. */
const inPlace = createPlaces();

/**
 * A credential or a certificate from a file.
 * @throws AppError TIMEOUT where the file system does not answer, STORE_UNAVAILABLE where nothing can be opened; else what
 * Node throws, with a `code`.
 */
export async function readSoon(path: string): Promise<Buffer> {
  const limit = systemDeadline(SOON_MS);
  try {
    return await inPlace(dirname(path), () => readSmallFile(path), limit.signal);
  } catch (thrown) {
    const shortage = shortageOf(thrown);
    // That a credential is missing would be said of it, and once there is room again, that it has changed.
    if (shortage !== undefined)
      throw new AppError('STORE_UNAVAILABLE', {
        about: `file ${path}`,
        detail: `it cannot be opened: ${shortage}`,
        todo: 'Nothing at once; if it goes on, let this process open more files.',
        cause: thrown,
      });
    if (thrown !== limit.signal.reason) throw thrown;
    throw new AppError('TIMEOUT', {
      about: `file ${path}`,
      detail: 'its file system does not answer',
      todo: 'Nothing at once; if it goes on, look at the file system on which that file is.',
    });
  } finally {
    limit.stop();
  }
}
