import * as identity from '@azure/identity';
import { AppError } from '../../core/errors.ts';
import type { ProviderDeps, SecretProvider } from '../provider.ts';
import { nameSearchErrors, orElse, settleRead } from '../results.ts';
import { checkStore, probeStore } from './check.ts';
import { KeyVault } from './clients.ts';
import type { AzureConfig } from './config.ts';
import { findNames } from './find.ts';
import { createLogin } from './login.ts';
import { readOne, type Store } from './read.ts';
import { createTransport } from './transport.ts';
import { createSeenVersions, createVersions } from './versions.ts';

export async function openKeyVault(config: AzureConfig, deps: ProviderDeps): Promise<SecretProvider> {
  const transport = await createTransport(config, deps.clock);
  const closing = new AbortController();
  const login = createLogin({ config, deps, transport, identity, closing: closing.signal });
  const vault = new KeyVault({ config, deps, transport, login });
  const store: Store = { deps, vault, seen: createSeenVersions() };
  const versions = createVersions(vault, { ...deps, seen: store.seen });
  return {
    read: (refs, { signal } = {}) =>
      Promise.all(refs.map((ref) => settleRead(deps.name, ref.key, readOne(store, ref, signal)))),
    versions: (keys, options = {}) =>
      orElse(versions(keys, options), () => keys.map(() => ({ kind: 'unknown' }))),
    find: (query, { signal } = {}) => nameSearchErrors(deps.name, query, findNames(vault, query, signal)),
    check: ({ signal } = {}) => checkStore(store, login, signal),
    probe: ({ signal } = {}) => probeStore(store, signal),
    async [Symbol.asyncDispose]() {
      closing.abort(new AppError('INTERRUPTED', { detail: 'the store was closed' }));
      transport[Symbol.dispose]();
    },
  };
}
