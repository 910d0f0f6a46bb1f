import type { Stores } from '../../src/app/stores.ts';
import type { SecretProvider } from '../../src/providers/provider.ts';

/** Returns stores that all have the same provider. The provider is always available. */
export function fixedStores(provider: SecretProvider, definitions: ReadonlyMap<string, string>): Stores {
  return {
    open: async () => provider,
    definitions,
    reset() {},
    reconfigure() {},
    state: () => ({ state: 'up', breakerOpen: false }),
    usage: () => undefined,
    onAnswer() {},
    onRecovered() {},
    async [Symbol.asyncDispose]() {},
  };
}
