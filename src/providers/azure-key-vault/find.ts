import type { SecretProperties } from '@azure/keyvault-secrets';
import { AppError } from '../../core/errors.ts';
import { compareText } from '../../core/target.ts';
import { checkCount } from '../found.ts';
import type { FindQuery } from '../provider.ts';
import type { KeyVault } from './clients.ts';
import { listSecrets } from './list.ts';
import { checkPrefix } from './paths.ts';

/**
 * The vault cannot search, so all of it is listed and kept until the end, 25 secrets a page: 50,000 of them. It answers
 * 4,000 requests in ten seconds, to everybody together.
 */
const MAX_PAGES = 2_000;

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
  const tags = Object.entries(query.tags);
  const matches = ({ name, enabled, tags: has = {} }: SecretProperties) =>
    enabled !== false &&
    name.startsWith(prefix) &&
    tags.every(([tag, value]) => Object.hasOwn(has, tag) && has[tag] === value);
  let found: string[] = [];
  let looked = 0;
  await listSecrets(vault, signal, (listed, pages) => {
    // A token that is refused half-way begins the list anew.
    if (pages === 1) [found, looked] = [[], 0];
    for (const item of listed.slice(looked)) if (matches(item)) found.push(item.name);
    looked = listed.length;
    checkCount(found.length);
    if (pages > MAX_PAGES)
      throw new AppError('TOO_LARGE', {
        detail: `the vault lists its secrets on more than ${MAX_PAGES} pages`,
      });
    return true;
  });
  return found.sort(compareText);
}
