import { describeProvider } from '../../conformance/provider.ts';
import { AWS_FAULTS } from '../aws-secrets-manager/faults.ts';
import { openParameters, withSlashes } from './harness.ts';
import { skipUnfit } from './unfit.ts';

describeProvider('aws-parameter-store with the fake server', {
  faults: AWS_FAULTS,
  async open() {
    skipUnfit();
    const aws = await openParameters();
    return {
      provider: withSlashes(aws.provider),
      put: async (key, fields) => void aws.parameters.put(`/${key}`, JSON.stringify(fields)),
      remove: async (key) => aws.parameters.remove(`/${key}`),
      fail: (fault) => aws.proxy.set(fault),
      [Symbol.asyncDispose]: () => aws[Symbol.asyncDispose](),
    };
  },
});
