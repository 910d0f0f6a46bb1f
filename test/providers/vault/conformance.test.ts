import { describeProvider } from '../../conformance/provider.ts';
import { VAULT_FAULTS } from './faults.ts';
import { openVault } from './harness.ts';

for (const [mount, kvVersion] of [
  ['kv1', 1],
  ['secret', 2],
] as const) {
  describeProvider(`vault, key/value version ${kvVersion}, with the fake server`, {
    faults: VAULT_FAULTS,
    async open() {
      const store = await openVault({ config: { mount, kvVersion } });
      return {
        provider: store.provider,
        put: async (key, fields) => store.server.put(mount, key, JSON.stringify(fields)),
        remove: async (key) => store.server.remove(mount, key, 'forget'),
        fail: (fault) => store.proxy.set(fault),
        [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
      };
    },
  });
}
