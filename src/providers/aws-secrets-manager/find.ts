import type { SecretListEntry } from '@aws-sdk/client-secrets-manager';
import { compareText } from '../../core/target.ts';
import { badAnswer } from '../answer.ts';
import { checkCount } from '../found.ts';
import type { FindQuery } from '../provider.ts';
import { objectsIn } from './form.ts';
import { checkPath } from './keys.ts';
import { listPages } from './list.ts';
import type { Store } from './read.ts';
import { asStoreError } from './session.ts';

/**
 * The names below `path`, by ListSecrets. AWS matches tags by prefix and names as well, so both are compared here.
 * @throws AppError for any part of the search: half of it would look like keys that are gone.
 */
export function findKeys(store: Store, query: FindQuery, signal: AbortSignal | undefined): Promise<string[]> {
  return asStoreError(search(store, query, signal));
}

async function search(store: Store, query: FindQuery, signal: AbortSignal | undefined): Promise<string[]> {
  const path = checkPath(query.path);
  const prefix = path === '' ? '' : `${path}/`;
  const tags = Object.entries(query.tags);
  const keys = new Set<string>(); // a list that changes while it is read may name one twice
  for await (const page of listPages(store.session, prefix === '' ? [] : [prefix], signal)) {
    for (const entry of page) {
      const name = entry.Name;
      if (typeof name !== 'string' || name === '') throw badAnswer('a list with a secret that has no name');
      if (name.startsWith(prefix) && name !== prefix && hasTags(entry, tags)) keys.add(name);
    }
    checkCount(keys.size);
  }
  return [...keys].sort(compareText);
}

function hasTags(entry: SecretListEntry, wanted: readonly (readonly [string, string])[]): boolean {
  const tags = objectsIn(entry.Tags, 'the tags of a secret');
  return wanted.every(([name, value]) =>
    tags.some(({ Key: key, Value: has = '' }) => key === name && has === value),
  );
}
