import type { ReadResult } from '../core/read-result.ts';
import type { LoginStatus, ManagedStore } from '../providers/managed-store.ts';
import type { SecretProvider, VersionResult } from '../providers/provider.ts';

/**
 * Returns a provider that looks up the store before each call, because a store may be replaced. After each call, the
 * store is told whether its login works.
 */
export function createStoreFacade(store: () => ManagedStore): SecretProvider {
  return {
    read: async (refs, call) => store().use((provider) => provider.read(refs, call), readVerdict),
    versions: async (keys, call) => store().use((provider) => provider.versions(keys, call), versionVerdict),
    find: async (query, call) => store().use((provider) => provider.find(query, call), alwaysAnswered),
    check: async (call) =>
      store().use(
        (provider) => provider.check(call),
        (checks) => checks.find(({ error }) => error !== undefined)?.error ?? 'answered',
      ),
    probe: async (call) => store().use((provider) => provider.probe(call), alwaysUnclear),
    subscribe: async (listener, call) => store().subscribe(listener, call),
    async [Symbol.asyncDispose]() {}, // the provider is shared, so its users must not close it
  };
}

/**
 * Derives the state of the login from the results of a read. An answer for one key is enough to prove that the login
 * works.
 */
function readVerdict(results: readonly ReadResult[]): LoginStatus {
  if (results.some(({ kind }) => kind !== 'failed')) return 'answered';
  const [first] = results;
  return first?.kind === 'failed' ? first.error : 'unclear';
}

/**
 * Derives the state of the login from the results of version lookups. A lookup never reports its failure, so an empty
 * result proves nothing.
 */
function versionVerdict(results: readonly VersionResult[]): LoginStatus {
  return results.some(({ kind }) => kind === 'known') ? 'answered' : 'unclear';
}

const alwaysAnswered = (): LoginStatus => 'answered';
/** A probe needs no login, so its success proves nothing about the login. */
const alwaysUnclear = (): LoginStatus => 'unclear';
