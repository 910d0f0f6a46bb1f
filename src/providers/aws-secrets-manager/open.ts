import { AppError } from '../../core/errors.ts';
import type { ProviderDeps, SecretProvider } from '../provider.ts';
import { checkStore } from './check.ts';
import type { AwsConfig } from './config.ts';
import { findKeys } from './find.ts';
import { readAll, type Store } from './read.ts';
import { createSession } from './session.ts';
import { tellVersions } from './versions.ts';

export async function openAws(config: AwsConfig, deps: ProviderDeps): Promise<SecretProvider> {
  const session = await createSession(config, deps);
  const store: Store = { config, deps, session, batch: { isUsable: true } };
  return {
    read: (refs, options = {}) => readAll(store, refs, options),
    versions: (keys, { signal } = {}) => tellVersions(store, keys, signal),
    async find(query, { signal } = {}) {
      try {
        return await findKeys(store, query, signal);
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        throw error.concerning(`store ${deps.name}, search below "${query.path}"`);
      }
    },
    check: ({ signal } = {}) => checkStore(store, signal),
    [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
  };
}
