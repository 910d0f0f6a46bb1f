import { AwsError, OPERATIONS } from '../../test/fakes/aws-operations.ts';
import { AwsStore } from '../../test/fakes/aws-store.ts';
import type { FakeStore } from './fake-store.ts';

const TYPE = { 'content-type': 'application/x-amz-json-1.1' };

/**
 * Creates a fake AWS Secrets Manager without authentication. It lists 100 secrets per page and returns values in
 * batches of 20.
 */
export function fakeAws(): FakeStore {
  const store = new AwsStore('eu-west-1', '123456789012');
  const context = { store, checkKey: () => undefined, batchPage: 20 };
  return {
    put: (key, value) => void store.put(key, value),
    answer({ headers, body }) {
      const operation = String(headers['x-amz-target']).replace(/^secretsmanager\./, '');
      try {
        const run = OPERATIONS[operation];
        if (run === undefined) throw new AwsError('UnknownOperationException');
        const answer = run(context, JSON.parse(body) as Record<string, unknown>);
        return { operation, status: 200, headers: TYPE, body: JSON.stringify(answer) };
      } catch (error) {
        if (!(error instanceof AwsError)) throw error;
        const text = JSON.stringify({ __type: error.type });
        return { operation, status: error.status, headers: TYPE, body: text };
      }
    },
    env: () => ({ BENCH_KEY_ID: 'AKIABENCH', BENCH_SECRET_KEY: 'of-the-double' }),
  };
}
