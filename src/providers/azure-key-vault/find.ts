import type { SecretProperties } from '@azure/keyvault-secrets';
import { AppError } from '../../core/errors.ts';
import { compareText } from '../../core/target.ts';
import type { FindQuery } from '../provider.ts';
import { checkKeyCount } from '../results.ts';
import type { KeyVault } from './clients.ts';
import { listSecrets, PAGE_SIZE } from './list.ts';
import { checkPrefix } from './paths.ts';

/**
 * The maximum number of pages of a list. Key Vault has no search, so a search lists all secrets and keeps the matches
 * in memory. The limit allows 50,000 secrets, because a page has 25. For comparison: the vault allows 4,000 requests in
 * ten seconds for all its clients together.
 */
const MAX_PAGES = 2_000;

/**
 * Finds the names that start with `path`. Omits disabled secrets, because they cannot be read. If the search no longer
 * finds a secret, the secret is read before it counts as deleted.
 * @throws AppError if any part of the search fails, because keys that are missing from a partial result would look
 * deleted.
 */
export async function findNames(
  vault: KeyVault,
  query: FindQuery,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const prefix = checkPrefix(query.path);
  const tags = Object.entries(query.tags);
  const matches = ({ name, enabled, tags: has = {} }: SecretProperties) =>
    enabled !== false &&
    name.startsWith(prefix) &&
    tags.every(([tag, value]) => Object.hasOwn(has, tag) && has[tag] === value);
  let found: string[] = [];
  let processed = 0;
  await listSecrets(vault, signal, (listed, pages) => {
    // If the vault refuses the token during the list, the list starts again from its first page.
    if (pages === 1) [found, processed] = [[], 0];
    for (const item of listed.slice(processed)) if (matches(item)) found.push(item.name);
    processed = listed.length;
    checkKeyCount(found.length);
    if (pages > MAX_PAGES || listed.length > MAX_PAGES * PAGE_SIZE)
      throw new AppError('TOO_LARGE', {
        detail: `the vault lists its secrets on more than ${MAX_PAGES} pages`,
      });
    return true;
  });
  return found.sort(compareText);
}
