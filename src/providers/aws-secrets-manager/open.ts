import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { openSession } from '../aws/session.ts';
import type { ProviderDeps, SecretProvider } from '../provider.ts';
import { createListCosts } from '../read-strategy.ts';
import { nameSearchErrors } from '../results.ts';
import { createBatchState } from './batch.ts';
import { checkStore, probeStore } from './check.ts';
import type { AwsConfig } from './config.ts';
import { findKeys } from './find.ts';
import { readAll, type Store } from './read.ts';
import { reportVersions } from './versions.ts';

export async function openAws(config: AwsConfig, deps: ProviderDeps): Promise<SecretProvider> {
  const { endpoint } = config;
  const session = await openSession(
    config,
    deps,
    (parts) => new SecretsManagerClient({ ...parts, ...(endpoint === undefined ? {} : { endpoint }) }),
  );
  const store: Store = {
    config,
    deps,
    session,
    batch: createBatchState(deps.clock),
    lists: createListCosts(deps.clock),
  };
  return {
    read: (refs, options = {}) => readAll(store, refs, options),
    versions: (keys, { signal } = {}) => reportVersions(store, keys, signal),
    find: (query, { signal } = {}) => nameSearchErrors(deps.name, query, findKeys(store, query, signal)),
    check: ({ signal } = {}) => checkStore(store, signal),
    probe: ({ signal } = {}) => probeStore(store, signal),
    [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
  };
}
