import type { SecretListEntry } from '@aws-sdk/client-secrets-manager';
import { compareText } from '../../core/target.ts';
import { asObjectList, badAnswer } from '../answer.ts';
import { asStoreError } from '../aws/session.ts';
import type { FindQuery } from '../provider.ts';
import { checkKeyCount } from '../results.ts';
import { checkPath } from './keys.ts';
import { listPages } from './list.ts';
import type { Store } from './read.ts';

/**
 * Finds the names below `path` with ListSecrets. An AWS filter compares only the start of tags and names, so this
 * function compares them exactly.
 * @throws AppError if any part of the search fails, because keys that are missing from a partial result would look
 * deleted.
 */
export function findKeys(store: Store, query: FindQuery, signal: AbortSignal | undefined): Promise<string[]> {
  return asStoreError(search(store, query, signal));
}

async function search(store: Store, query: FindQuery, signal: AbortSignal | undefined): Promise<string[]> {
  const path = checkPath(query.path);
  const prefix = path === '' ? '' : `${path}/`;
  const tags = Object.entries(query.tags);
  const keys = new Set<string>(); // a name may occur twice if the list changes during the search
  for await (const page of listPages(store.session, prefix === '' ? [] : [prefix], signal)) {
    for (const entry of page) {
      const name = entry.Name;
      if (typeof name !== 'string' || name === '') throw badAnswer('a list with a secret that has no name');
      if (name.startsWith(prefix) && name !== prefix && hasTags(entry, tags)) keys.add(name);
    }
    checkKeyCount(keys.size);
  }
  return [...keys].sort(compareText);
}

function hasTags(entry: SecretListEntry, requiredTags: readonly (readonly [string, string])[]): boolean {
  const tags = asObjectList(entry.Tags, 'the tags of a secret');
  return requiredTags.every(([name, value]) =>
    tags.some(({ Key: key, Value: has = '' }) => key === name && has === value),
  );
}
