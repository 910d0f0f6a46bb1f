import type { Config } from '../config/config.ts';
import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import type { Fingerprinter } from '../core/fingerprint.ts';
import type { SecretValue } from '../core/secret-value.ts';
import type { Reference } from '../providers/credentials.ts';
import { createLimiter, withRetry } from '../providers/limits.ts';
import type { SecretProvider } from '../providers/provider.ts';
import { createProvider, identityOf } from '../providers/registry.ts';
import { shortHash } from '../sync/marks.ts';

export interface Stores extends AsyncDisposable {
  /** One provider, and so one login, per store; set up when it is first needed. */
  open(name: string): Promise<SecretProvider>;
  /** Store name to the hash of what says which store that is. */
  readonly definitions: ReadonlyMap<string, string>;
}

export interface StoresDeps {
  readonly clock: Clock;
  readonly fingerprints: Fingerprinter;
  readonly credential: (reference: Reference) => Promise<SecretValue>;
}

export function createStores(configs: Config['stores'], deps: StoresDeps): Stores {
  const byName = new Map(configs.map((config) => [config.name, config]));
  const opened = new Map<string, Promise<SecretProvider>>();

  const build = async (name: string): Promise<SecretProvider> => {
    const config = byName.get(name);
    if (config === undefined)
      throw new AppError('INTERNAL', { about: `store ${name}`, detail: 'it is not configured' });
    const limit = createLimiter({ ...config.limits, clock: deps.clock });
    return withRetry(await createProvider(config, { ...deps, name, limit }), { clock: deps.clock });
  };

  const create = async (name: string): Promise<SecretProvider> => {
    try {
      return await build(name);
    } catch (error) {
      // What could not be opened may be there the next time: a file that was missing, a credential.
      opened.delete(name);
      throw error;
    }
  };

  return {
    open(name) {
      const known = opened.get(name);
      if (known !== undefined) return known;
      const provider = create(name);
      opened.set(name, provider);
      return provider;
    },
    definitions: new Map(
      configs.map((config) => [config.name, shortHash({ kind: config.kind, ...identityOf(config) })]),
    ),
    async [Symbol.asyncDispose]() {
      for (const provider of await Promise.allSettled(opened.values()))
        if (provider.status === 'fulfilled') await provider.value[Symbol.asyncDispose]();
    },
  };
}
