import { SSMClient } from '@aws-sdk/client-ssm';
import { openSession } from '../aws/session.ts';
import { createSingleKeys } from '../aws/single-keys.ts';
import type { ProviderDeps, SecretProvider, VersionResult } from '../provider.ts';
import { nameSearchErrors } from '../results.ts';
import { checkStore, probeStore } from './check.ts';
import type { ParameterStoreConfig } from './config.ts';
import { findKeys } from './find.ts';
import { readAll, type Store } from './read.ts';

const UNKNOWN: VersionResult = { kind: 'unknown' };

export async function openParameterStore(
  config: ParameterStoreConfig,
  deps: ProviderDeps,
): Promise<SecretProvider> {
  const { endpoint } = config;
  const session = await openSession(
    config,
    deps,
    (parts) => new SSMClient({ ...parts, ...(endpoint === undefined ? {} : { endpoint }) }),
  );
  const store: Store = { config, deps, session, singles: createSingleKeys(deps.clock) };
  return {
    read: (refs, options = {}) => readAll(store, refs, options),
    // A list would not do: after a parameter is deleted and created again, its version number is 1 again.
    versions: async (keys) => keys.map(() => UNKNOWN),
    find: (query, { signal } = {}) => nameSearchErrors(deps.name, query, findKeys(session, query, signal)),
    check: ({ signal } = {}) => checkStore(session, signal),
    probe: ({ signal } = {}) => probeStore(session, signal),
    [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
  };
}
