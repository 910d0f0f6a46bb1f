import { describeProvider } from '../../conformance/provider.ts';
import { untilHang } from '../../conformance/provider-deps.ts';
import { startFaultProxy } from '../../fakes/fault-proxy.ts';
import { VAULT_FAULTS } from '../../providers/vault/faults.ts';
import { vaultServer } from '../services/inject.ts';
import { call, createMount, openProvider, urlOf } from './vault-harness.ts';

for (const kvVersion of [1, 2] as const) {
  describeProvider(`vault, key/value version ${kvVersion}, on ${vaultServer().product}`, {
    faults: VAULT_FAULTS,
    // Vault refuses every `..` in a key of version 1.
    refusedKeys: kvVersion === 1 && vaultServer().product === 'Vault' ? ['...json'] : [],
    async open() {
      const server = vaultServer();
      const mount = await createMount(server, kvVersion);
      const proxy = await startFaultProxy(server.address);
      const config = { address: proxy.address, mount, kvVersion };
      const provider = await openProvider(config, { TOKEN: server.token }, { deadline: untilHang(proxy) });
      return {
        provider,
        async put(key, fields) {
          const body = kvVersion === 1 ? fields : { data: fields };
          await call(server, 'POST', urlOf(mount, kvVersion, key), body);
        },
        remove: async (key) => void (await call(server, 'DELETE', urlOf(mount, kvVersion, key, 'metadata'))),
        fail: (fault) => proxy.set(fault),
        async [Symbol.asyncDispose]() {
          await provider[Symbol.asyncDispose]();
          await proxy[Symbol.asyncDispose]();
          await call(server, 'DELETE', `sys/mounts/${mount}`);
        },
      };
    },
  });
}
