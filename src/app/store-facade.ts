import type { ReadResult } from '../core/read-result.ts';
import type { LoginStatus, ManagedStore } from '../providers/managed-store.ts';
import type { SecretProvider, VersionResult } from '../providers/provider.ts';

/**
 * Returns a provider that uses the current store for each call, and reports to the store what the results prove about
 * its login.
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

/** If the store answered for a single key, the login works. */
function readVerdict(results: readonly ReadResult[]): LoginStatus {
  if (results.some(({ kind }) => kind !== 'failed')) return 'answered';
  const [first] = results;
  return first?.kind === 'failed' ? first.error : 'unclear';
}

/** Version lookups never report failures, so an empty result proves nothing. */
function versionVerdict(results: readonly VersionResult[]): LoginStatus {
  return results.some(({ kind }) => kind === 'known') ? 'answered' : 'unclear';
}

const alwaysAnswered = (): LoginStatus => 'answered';
/** A probe needs no login, so its success proves nothing about the login. */
const alwaysUnclear = (): LoginStatus => 'unclear';
