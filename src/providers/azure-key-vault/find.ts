import { AppError } from '../../core/errors.ts';
import { compareText } from '../../core/target.ts';
import type { FindQuery } from '../provider.ts';
import type { KeyVault } from './clients.ts';
import { listSecrets } from './list.ts';
import { checkPrefix } from './paths.ts';

/** A Secret holds 1 MiB, so a search over more than this is a mistake, and would use up the vault's quota. */
const MAX_KEYS = 10_000;
const MAX_PAGES = 4_000;

/**
 * The names that begin with `path`. Disabled secrets are left out: nobody can read them, and one that had been
 * found before is read by itself before it counts as gone.
 * @throws AppError for any part of the search: half of it would look like keys that are gone.
 */
export async function findNames(
  vault: KeyVault,
  query: FindQuery,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const prefix = checkPrefix(query.path);
  const { items } = await listSecrets(vault, signal, (listed, pages) => {
    if (listed.length > MAX_KEYS || pages > MAX_PAGES) {
      throw new AppError('TOO_LARGE', { detail: `the search looks at more than ${MAX_KEYS} keys` });
    }
    return true;
  });
  const tags = Object.entries(query.tags);
  return items
    .filter(({ enabled }) => enabled !== false)
    .filter(({ name }) => name.startsWith(prefix))
    .filter((item) =>
      tags.every(([name, value]) => Object.hasOwn(item.tags ?? {}, name) && item.tags?.[name] === value),
    )
    .map(({ name }) => name)
    .sort(compareText);
}
