import { randomInt } from 'node:crypto';
import {
  CreateSecretCommand,
  DeleteSecretCommand,
  PutSecretValueCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import { AwsConfig } from '../../../src/providers/aws-secrets-manager/config.ts';
import { awsSecretsManager } from '../../../src/providers/aws-secrets-manager/index.ts';
import type { SecretProvider } from '../../../src/providers/provider.ts';
import { type TestDeps, testDeps } from '../../conformance/provider-deps.ts';
import { localstack } from '../services/inject.ts';

export const REGION = 'eu-west-1';

/** An empty account of LocalStack and an administrator's client. */
export function openAccount() {
  const account = String(randomInt(100_000_000_000, 999_999_999_999));
  const client = new SecretsManagerClient({
    region: REGION,
    endpoint: localstack().address,
    credentials: { accessKeyId: account, secretAccessKey: 'x' },
  });
  return {
    account,
    client,
    env: { KEY_ID: account, SECRET_KEY: 'x', AWS_EC2_METADATA_DISABLED: 'true' },
    async put(name: string, value: string | Uint8Array, more: { tags?: Record<string, string> } = {}) {
      const content = typeof value === 'string' ? { SecretString: value } : { SecretBinary: value };
      const tags = Object.entries(more.tags ?? {}).map(([Key, Value]) => ({ Key, Value }));
      try {
        return await client.send(new CreateSecretCommand({ Name: name, ...content, Tags: tags }));
      } catch (error) {
        if (!(error instanceof Error && error.name === 'ResourceExistsException')) throw error;
        return client.send(new PutSecretValueCommand({ SecretId: name, ...content }));
      }
    },
    remove: (name: string, how: 'schedule' | 'force') =>
      client.send(
        new DeleteSecretCommand({
          SecretId: name,
          ...(how === 'force' ? { ForceDeleteWithoutRecovery: true } : { RecoveryWindowInDays: 7 }),
        }),
      ),
    [Symbol.dispose]: () => client.destroy(),
  };
}

export async function openProvider(
  config: Readonly<Record<string, unknown>>,
  env: Record<string, string>,
  deps: TestDeps = {},
): Promise<SecretProvider> {
  const full = {
    kind: 'aws-secrets-manager',
    region: REGION,
    endpoint: localstack().address,
    auth: { method: 'static', accessKeyId: { env: 'KEY_ID' }, secretAccessKey: { env: 'SECRET_KEY' } },
    ...config,
  };
  return awsSecretsManager.create(AwsConfig.parse(full), testDeps({ ...deps, env }));
}
