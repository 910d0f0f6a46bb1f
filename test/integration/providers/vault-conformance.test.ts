import { describeProvider } from '../../conformance/provider.ts';
import { untilHang } from '../../conformance/provider-deps.ts';
import { startFaultProxy } from '../../fakes/fault-proxy.ts';
import { VAULT_FAULTS } from '../../providers/vault/faults.ts';
import { openbao } from '../services/inject.ts';
import { call, createMount, openProvider, urlOf } from './vault-harness.ts';

for (const kvVersion of [1, 2] as const) {
  describeProvider(`vault, key/value version ${kvVersion}, on OpenBao`, {
    faults: VAULT_FAULTS,
    async open() {
      const bao = openbao();
      const mount = await createMount(bao, kvVersion);
      const proxy = await startFaultProxy(bao.address);
      const config = { address: proxy.address, mount, kvVersion };
      const provider = await openProvider(config, { TOKEN: bao.token }, { deadline: untilHang(proxy) });
      return {
        provider,
        async put(key, fields) {
          const body = kvVersion === 1 ? fields : { data: fields };
          await call(bao, 'POST', urlOf(mount, kvVersion, key), body);
        },
        remove: async (key) => void (await call(bao, 'DELETE', urlOf(mount, kvVersion, key, 'metadata'))),
        fail: (fault) => proxy.set(fault),
        async [Symbol.asyncDispose]() {
          await provider[Symbol.asyncDispose]();
          await proxy[Symbol.asyncDispose]();
          await call(bao, 'DELETE', `sys/mounts/${mount}`);
        },
      };
    },
  });
}
