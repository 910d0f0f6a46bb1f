import { AppError } from '../../core/errors.ts';
import type { ProviderDeps, ReadResult, SecretProvider, VersionResult } from '../provider.ts';
import { checkStore } from './check.ts';
import { createClient } from './client.ts';
import type { VaultConfig } from './config.ts';
import { findKeys } from './find.ts';
import { createLogin } from './login.ts';
import { createMountCheck } from './mount.ts';
import { readOne, type Store, versionOf } from './read.ts';
import { createSession } from './session.ts';

export function openVault(config: VaultConfig, deps: ProviderDeps): SecretProvider {
  const client = createClient(config, deps);
  const session = createSession({ client, login: createLogin(config, client, deps), clock: deps.clock });
  const store: Store = { config, deps, session, confirmMount: createMountCheck(config, session) };
  return {
    read: (refs, { signal } = {}) =>
      Promise.all(
        refs.map((ref) => orElse(readOne(store, ref, signal), (error) => failed(deps.name, ref.key, error))),
      ),
    versions: (keys, { signal } = {}) =>
      Promise.all(
        keys.map(async (key): Promise<VersionResult> => {
          if (config.kvVersion === 1) return { kind: 'unknown' };
          return orElse(versionOf(store, key, signal), () => ({ kind: 'unknown' }));
        }),
      ),
    find: (query, { signal } = {}) =>
      orElse(findKeys(store, query, signal), (error) => {
        throw error.concerning(`store ${deps.name}, search below "${query.path}"`);
      }),
    check: ({ signal } = {}) => checkStore(store, client, signal),
    async [Symbol.asyncDispose]() {
      await session[Symbol.asyncDispose]();
      await client[Symbol.asyncDispose]();
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
