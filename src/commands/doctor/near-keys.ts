import { unlessAborted } from '../../core/abort.ts';
import { AppError } from '../../core/errors.ts';
import { nearest } from '../../core/nearest.ts';
import type { SourceReader } from '../../providers/source-reader.ts';

export interface WantedKey {
  readonly store: string;
  readonly key: string;
  /** Whether the mapping may read a key of this store. Other keys are never suggested. */
  readonly isAllowed: (key: string) => boolean;
}

/** Listing a whole store takes too long for a suggestion. */
const WAIT_MS = 3_000;

/**
 * Adds the nearest existing key to an error that a misspelled key may have caused. Returns the error unchanged if no
 * key is near, or if the store cannot be listed.
 */
export async function withNearKey(
  error: AppError,
  wanted: WantedKey,
  reader: Pick<SourceReader, 'find'>,
): Promise<AppError> {
  if (error.code !== 'ACCESS_DENIED' && error.code !== 'SOURCE_ABSENT') return error;
  const near = await nearKey(wanted, reader);
  if (near === undefined) return error;
  return new AppError(error.code, {
    ...(error.subject === undefined ? {} : { subject: error.subject }),
    ...(error.detail === undefined ? {} : { detail: error.detail }),
    remedy: `Did you mean the key \`${near}\`? ${error.remedy}`,
    cause: error,
  });
}

/** Looks into the folder of the key first, and then into the whole store, because the folder may be misspelled. */
async function nearKey(
  { store, key, isAllowed }: WantedKey,
  reader: Pick<SourceReader, 'find'>,
): Promise<string | undefined> {
  const folder = key.slice(0, Math.max(0, key.lastIndexOf('/')));
  for (const path of new Set([folder, ''])) {
    const keys = await listed(reader.find(store, { path, tags: {} }));
    const near = nearest(
      key,
      keys.filter((candidate) => candidate !== key && isAllowed(candidate)),
    );
    if (near !== undefined) return near;
  }
  return undefined;
}

/** Returns no keys if the list fails or takes too long, because a suggestion is only a help. */
async function listed(search: Promise<readonly string[]>): Promise<readonly string[]> {
  const timeout = AbortSignal.timeout(WAIT_MS);
  try {
    return await unlessAborted(search, timeout);
  } catch (error) {
    if (!timeout.aborted && !(error instanceof AppError)) throw error;
    return [];
  }
}
