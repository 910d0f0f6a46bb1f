import { describeProvider } from '../../conformance/provider.ts';
import { untilHang } from '../../conformance/provider-deps.ts';
import { startFaultProxy } from '../../fakes/fault-proxy.ts';
import { AWS_FAULTS } from '../../providers/aws-secrets-manager/faults.ts';
import { skipUnfit } from '../../providers/aws-secrets-manager/unfit.ts';
import { localstack } from '../services/inject.ts';
import { openAccount, openProvider } from './aws-harness.ts';

describeProvider('aws-secrets-manager on LocalStack', {
  faults: AWS_FAULTS,
  async open() {
    skipUnfit();
    const account = openAccount();
    const proxy = await startFaultProxy(localstack().address);
    const provider = await openProvider({ endpoint: proxy.address }, account.env, {
      deadline: untilHang(proxy),
    });
    return {
      provider,
      put: async (key, fields) => void (await account.put(key, JSON.stringify(fields))),
      remove: async (key) => void (await account.remove(key, 'force')),
      fail: (fault) => proxy.set(fault),
      async [Symbol.asyncDispose]() {
        await provider[Symbol.asyncDispose]();
        await proxy[Symbol.asyncDispose]();
        account[Symbol.dispose]();
      },
    };
  },
});
