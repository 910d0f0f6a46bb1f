import { describeProvider } from '../../conformance/provider.ts';
import { untilHang } from '../../conformance/provider-deps.ts';
import { startFaultProxy } from '../../fakes/fault-proxy.ts';
import { withSlashes } from '../../providers/aws-parameter-store/harness.ts';
import { skipUnfit } from '../../providers/aws-parameter-store/unfit.ts';
import { AWS_FAULTS } from '../../providers/aws-secrets-manager/faults.ts';
import { localstack } from '../services/inject.ts';
import { openAccount } from './aws-harness.ts';
import { openParameterProvider, openParameters } from './aws-parameters.ts';

describeProvider('aws-parameter-store on LocalStack', {
  faults: AWS_FAULTS,
  async open() {
    skipUnfit();
    const account = openAccount();
    const parameters = openParameters(account.account);
    const proxy = await startFaultProxy(localstack().address);
    const deadline = untilHang(proxy);
    const provider = await openParameterProvider({ endpoint: proxy.address }, account.env, { deadline });
    return {
      provider: withSlashes(provider),
      put: async (key, fields) => void (await parameters.put(`/${key}`, JSON.stringify(fields))),
      remove: async (key) => void (await parameters.remove(`/${key}`)),
      fail: (fault) => proxy.set(fault),
      async [Symbol.asyncDispose]() {
        await provider[Symbol.asyncDispose]();
        await proxy[Symbol.asyncDispose]();
        parameters[Symbol.dispose]();
        account[Symbol.dispose]();
      },
    };
  },
});
