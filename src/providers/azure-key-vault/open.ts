import * as identity from '@azure/identity';
import { AppError } from '../../core/errors.ts';
import type { ProviderDeps, ReadResult, SecretProvider } from '../provider.ts';
import { checkStore } from './check.ts';
import { createKeyVault } from './clients.ts';
import type { AzureConfig } from './config.ts';
import { findNames } from './find.ts';
import { createLogin } from './login.ts';
import { readOne, type Store } from './read.ts';
import { createTransport } from './transport.ts';
import { createSeen, createVersions } from './versions.ts';

export async function openKeyVault(config: AzureConfig, deps: ProviderDeps): Promise<SecretProvider> {
  const transport = await createTransport(config, deps.clock);
  const closing = new AbortController();
  const login = createLogin({ config, deps, transport, identity, closing: closing.signal });
  const vault = createKeyVault({ config, deps, transport, login });
  const store: Store = { deps, vault, seen: createSeen(deps.clock) };
  const versions = createVersions(vault, store.seen);
  return {
    read: (refs, { signal } = {}) =>
      Promise.all(
        refs.map((ref) => orElse(readOne(store, ref, signal), (error) => failed(deps.name, ref.key, error))),
      ),
    versions: (keys, { signal } = {}) =>
      orElse(versions(keys, signal), () => keys.map(() => ({ kind: 'unknown' }))),
    find: (query, { signal } = {}) =>
      orElse(findNames(vault, query, signal), (error) => {
        throw error.concerning(`store ${deps.name}, search below "${query.path}"`);
      }),
    check: ({ signal } = {}) => checkStore(store, login, signal),
    async [Symbol.asyncDispose]() {
      closing.abort(new AppError('INTERRUPTED', { detail: 'the store was closed' }));
      transport[Symbol.dispose]();
    },
  };
}

function failed(store: string, key: string, error: AppError): ReadResult {
  return { kind: 'failed', error: error.concerning(`store ${store}, key ${key}`) };
}

async function orElse<T>(promise: Promise<T>, instead: (error: AppError) => T): Promise<T> {
  try {
    return await promise;
  } catch (error) {
    if (error instanceof AppError) return instead(error);
    throw error;
  }
}
