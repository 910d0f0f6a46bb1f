import { mapOf, STATIC_AUTH, TOKEN_AUTH } from '../../matrix/value-stores.ts';
import { describeValues, type ValueStore } from '../../matrix/value-suite.ts';
import { openAccount, REGION } from '../providers/aws-harness.ts';
import { openParameters } from '../providers/aws-parameters.ts';
import { call, createMount, urlOf } from '../providers/vault-harness.ts';
import { localstack, openbao } from '../services/inject.ts';

const LIMITS = { requestsPerSecond: 10_000, concurrency: 8 };

/** Sends the JSON text unchanged, because the tests compare the spelling of numbers. */
async function send(address: string, token: string, path: string, body: string): Promise<string> {
  const answer = await fetch(`${address}/v1/${path}`, {
    method: 'POST',
    headers: { 'x-vault-token': token, 'content-type': 'application/json' },
    body,
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`POST ${path} answered ${answer.status}`);
  return text;
}

async function openVault(kvVersion: 1 | 2): Promise<ValueStore> {
  const bao = openbao();
  const mount = await createMount(bao, kvVersion);
  return {
    name: `vault-${kvVersion}`,
    config: {
      name: 's',
      kind: 'vault',
      address: bao.address,
      mount,
      kvVersion,
      auth: TOKEN_AUTH,
      limits: LIMITS,
    },
    env: { TOKEN: bao.token },
    async put(key, stored) {
      const path = urlOf(mount, kvVersion, key);
      if (kvVersion === 1) {
        await send(bao.address, bao.token, path, mapOf(stored));
        return undefined;
      }
      const answer = await send(bao.address, bao.token, path, `{"data":${mapOf(stored)}}`);
      if (stored.tags !== undefined)
        await call(bao, 'POST', urlOf(mount, 2, key, 'metadata'), { custom_metadata: stored.tags });
      return String((JSON.parse(answer) as { data: { version: number } }).data.version);
    },
    [Symbol.asyncDispose]: async () => void (await call(bao, 'DELETE', `sys/mounts/${mount}`)),
  };
}

async function openAws(): Promise<ValueStore> {
  const account = openAccount();
  return {
    name: 'aws',
    config: {
      name: 's',
      kind: 'aws-secrets-manager',
      region: REGION,
      endpoint: localstack().address,
      auth: STATIC_AUTH,
      limits: LIMITS,
    },
    env: account.env,
    put: async (key, { value, tags }) =>
      (await account.put(key, value, tags === undefined ? {} : { tags })).VersionId,
    [Symbol.asyncDispose]: async () => account[Symbol.dispose](),
  };
}

async function openParameterStore(): Promise<ValueStore> {
  const account = openAccount();
  const parameters = openParameters(account.account);
  return {
    name: 'parameters',
    config: {
      name: 's',
      kind: 'aws-parameter-store',
      region: REGION,
      endpoint: localstack().address,
      auth: STATIC_AUTH,
      limits: LIMITS,
    },
    env: account.env,
    put: async (key, { value, tags }) => parameters.put(key, String(value), tags),
    async [Symbol.asyncDispose]() {
      parameters[Symbol.dispose]();
      account[Symbol.dispose]();
    },
  };
}

describeValues('Vault, key/value 2, on OpenBao', () => openVault(2), 'vault-2');
describeValues('Vault, key/value 1, on OpenBao', () => openVault(1), 'vault-1');
describeValues('AWS Secrets Manager, on LocalStack', openAws, 'aws');
describeValues('AWS Parameter Store, on LocalStack', openParameterStore, 'parameters');
