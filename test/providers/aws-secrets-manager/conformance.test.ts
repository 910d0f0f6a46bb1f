import { describeProvider } from '../../conformance/provider.ts';
import { AWS_FAULTS } from './faults.ts';
import { openAws } from './harness.ts';
import { skipUnfit } from './unfit.ts';

describeProvider('aws-secrets-manager with the fake server', {
  faults: AWS_FAULTS,
  async open() {
    skipUnfit();
    const aws = await openAws();
    return {
      provider: aws.provider,
      put: async (key, fields) => void aws.server.store.put(key, JSON.stringify(fields)),
      remove: async (key) => aws.server.store.remove(key, 'force'),
      fail: (fault) => aws.proxy.set(fault),
      [Symbol.asyncDispose]: () => aws[Symbol.asyncDispose](),
    };
  },
});
