import {
  DeleteParameterCommand,
  LabelParameterVersionCommand,
  PutParameterCommand,
  SSMClient,
} from '@aws-sdk/client-ssm';
import { ParameterStoreConfig } from '../../../src/providers/aws-parameter-store/config.ts';
import { awsParameterStore } from '../../../src/providers/aws-parameter-store/index.ts';
import type { SecretProvider } from '../../../src/providers/provider.ts';
import { type TestDeps, testDeps } from '../../conformance/provider-deps.ts';
import { localstack } from '../services/inject.ts';
import { REGION } from './aws-harness.ts';

/** The parameters of an account of LocalStack, for an administrator. */
export function openParameters(account: string) {
  const client = new SSMClient({
    region: REGION,
    endpoint: localstack().address,
    credentials: { accessKeyId: account, secretAccessKey: 'x' },
  });
  const put = (Name: string, Value: string, more: object) =>
    client.send(new PutParameterCommand({ Name, Value, Type: 'SecureString', ...more }));
  return {
    /** Adds a version, and returns its number. AWS accepts tags only for a new parameter. */
    async put(name: string, value: string, tags: Readonly<Record<string, string>> = {}): Promise<string> {
      try {
        const Tags = Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));
        return String((await put(name, value, { Tags })).Version);
      } catch (error) {
        if (!(error instanceof Error && error.name === 'ParameterAlreadyExists')) throw error;
        return String((await put(name, value, { Overwrite: true })).Version);
      }
    },
    label: (Name: string, ParameterVersion: number, label: string) =>
      client.send(new LabelParameterVersionCommand({ Name, ParameterVersion, Labels: [label] })),
    remove: (Name: string) => client.send(new DeleteParameterCommand({ Name })),
    [Symbol.dispose]: () => client.destroy(),
  };
}

export async function openParameterProvider(
  config: Readonly<Record<string, unknown>>,
  env: Record<string, string>,
  deps: TestDeps = {},
): Promise<SecretProvider> {
  const full = {
    kind: 'aws-parameter-store',
    region: REGION,
    endpoint: localstack().address,
    auth: { method: 'static', accessKeyId: { env: 'KEY_ID' }, secretAccessKey: { env: 'SECRET_KEY' } },
    ...config,
  };
  return awsParameterStore.create(ParameterStoreConfig.parse(full), testDeps({ ...deps, env }));
}
