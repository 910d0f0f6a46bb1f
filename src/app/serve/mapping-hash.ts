import type { Config } from '../../config/config.ts';
import { storesOfMappings } from '../../service/config-snapshot.ts';
import { shortHash } from '../../sync/ownership-metadata.ts';
import type { App } from '../app.ts';

/**
 * Returns a hash of all inputs that determine the run of a mapping: the mapping, its stores, and the rules. A result is
 * reused only if its hash is the same. Undefined if the mapping does not exist.
 */
export function createMappingHash(app: Pick<App, 'config'>): (mapping: string) => string | undefined {
  let last: { readonly of: Config; readonly hashOf: (mapping: string) => string | undefined } | undefined;
  return (mapping) => {
    if (last?.of !== app.config) last = { of: app.config, hashOf: hashesOf(app.config) };
    return last.hashOf(mapping);
  };
}

/** Compute each hash on demand, because there can be thousands of mappings. */
function hashesOf({ mappings, stores, access, bounds }: Config): (mapping: string) => string | undefined {
  const byName = new Map(mappings.map((mapping) => [mapping.name, mapping]));
  const storeHashes = new Map(stores.map((store) => [store.name, shortHash(store)]));
  const rules = shortHash([access ?? null, [...bounds]]);
  const hashes = new Map<string, string>();
  return (name) => {
    const mapping = byName.get(name);
    if (mapping === undefined) return undefined;
    const cachedHash = hashes.get(name);
    if (cachedHash !== undefined) return cachedHash;
    const usedStores = storesOfMappings([mapping]).map((store) => storeHashes.get(store) ?? null);
    const hash = shortHash([mapping, usedStores, rules]).slice(0, 16);
    hashes.set(name, hash);
    return hash;
  };
}
