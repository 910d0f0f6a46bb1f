import { AppError } from '../../core/errors.ts';
import type { ProviderDeps, SecretProvider, VersionResult } from '../provider.ts';
import { nameSearchErrors, orElse, settleRead } from '../results.ts';
import { checkStore } from './check.ts';
import { createClient } from './client.ts';
import type { VaultConfig } from './config.ts';
import { followEvents } from './event-stream.ts';
import { findKeys } from './find.ts';
import { confirmNamespace, reach } from './health.ts';
import { createLogin } from './login.ts';
import { createMountCheck, mountQuery } from './mount.ts';
import { readOne, type Store, versionOf } from './read.ts';
import { createSession } from './session.ts';

export function openVault(config: VaultConfig, deps: ProviderDeps): SecretProvider {
  const client = createClient(config, deps);
  const session = createSession({
    client,
    login: createLogin(config, client, deps),
    proof: mountQuery(config),
    clock: deps.clock,
    onRenewal: deps.onRenewal,
  });
  const closing = new AbortController();
  let namespace: Promise<void> | undefined;
  const store: Store = {
    ...{ config, deps, session },
    confirmMount: createMountCheck(config, session, client),
    confirmNamespace() {
      namespace ??= confirmNamespace(config, client).catch((error: unknown) => {
        namespace = undefined;
        throw error;
      });
      return namespace;
    },
  };
  return {
    read: (refs, { signal } = {}) =>
      Promise.all(refs.map((ref) => settleRead(deps.name, ref.key, readOne(store, ref, signal)))),
    versions: (keys, { signal } = {}) =>
      Promise.all(
        keys.map(async (key): Promise<VersionResult> => {
          if (config.kvVersion === 1) return { kind: 'unknown' };
          return orElse(versionOf(store, key, signal), () => ({ kind: 'unknown' }));
        }),
      ),
    find: (query, { signal } = {}) => nameSearchErrors(deps.name, query, findKeys(store, query, signal)),
    check: ({ signal } = {}) => checkStore(store, client, signal),
    // A probe is sent without a login, because a login may wait for the probe.
    probe: async ({ signal } = {}) => void (await reach(client, signal)),
    subscribe: (listener, { signal } = {}) =>
      followEvents(
        store,
        listener,
        AbortSignal.any([closing.signal, ...(signal === undefined ? [] : [signal])]),
      ),
    async [Symbol.asyncDispose]() {
      closing.abort(new AppError('INTERRUPTED', { detail: 'the store was closed' }));
      await session[Symbol.asyncDispose]();
      await client[Symbol.asyncDispose]();
    },
  };
}
