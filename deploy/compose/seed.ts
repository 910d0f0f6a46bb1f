// The service `seed` of docker-compose.yml. It runs in the image of the bridge and may run again: existing objects stay. Only
// the login is renewed, because OpenBao in development mode forgets it at each start.
import { execFile } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  CreateSecretCommand,
  ResourceExistsException,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import {
  CoreV1Api,
  KubeConfig,
  type KubernetesObject,
  KubernetesObjectApi,
  PatchStrategy,
} from '@kubernetes/client-node';
import { stringify } from 'yaml';

const { VAULT_ADDR, VAULT_TOKEN = '', CLUSTER_ADDRESS, CONFIG = '/etc/secretbridge/' } = process.env;
const STATE = process.env.STATE ?? '/var/lib/secretbridge';
const PROGRAM = join(import.meta.dirname, 'bin/secretbridge.js');
const ACCOUNT = { namespace: 'secretbridge', name: 'secretbridge' };
const MONTH = 30 * 24 * 3600;

const random = () => randomBytes(18).toString('base64url');
const write = (name: string, text: string, flag = 'w') =>
  writeFile(join(STATE, name), text, { mode: 0o600, flag });

/** Keeps an existing key, because existing fingerprints and checkpoints need it. */
async function writeOnce(name: string, text: string): Promise<void> {
  try {
    await write(name, text, 'wx');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
}

interface VaultAnswer {
  readonly data?: { readonly role_id?: string; readonly secret_id?: string };
}

async function vault(method: string, path: string, body?: object, also?: number): Promise<VaultAnswer> {
  const answer = await fetch(`${VAULT_ADDR}/v1/${path}`, {
    method,
    headers: { 'x-vault-token': VAULT_TOKEN },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!answer.ok && answer.status !== also)
    throw new Error(`OpenBao answered ${answer.status} to ${method} ${path}`);
  const text = await answer.text();
  return text === '' ? {} : (JSON.parse(text) as VaultAnswer);
}

async function seedVault(): Promise<void> {
  // 400: it exists already, and may have been rotated.
  const value = { options: { cas: 0 }, data: { username: 'orders', password: random() } };
  await vault('POST', 'secret/data/orders/db', value, 400);
  await vault('POST', 'sys/auth/approle', { type: 'approle' }, 400);
  const policy = 'path "secret/data/orders/*" { capabilities = ["read"] }';
  await vault('POST', 'sys/policies/acl/secretbridge', { policy });
  const role = 'auth/approle/role/secretbridge';
  await vault('POST', role, { token_policies: 'secretbridge', token_ttl: '20m', token_max_ttl: '1h' });
  const { data: { role_id: roleId = '' } = {} } = await vault('GET', `${role}/role-id`);
  const { data: { secret_id: secretId = '' } = {} } = await vault('POST', `${role}/secret-id`);
  await write('role-id', roleId);
  await write('secret-id', secretId);
}

async function seedAws(): Promise<void> {
  // Address, region and credentials come from the environment.
  const client = new SecretsManagerClient();
  const SecretString = JSON.stringify({ key: random() });
  try {
    await client.send(new CreateSecretCommand({ Name: 'orders/api', SecretString }));
  } catch (error) {
    if (!(error instanceof ResourceExistsException)) throw error;
  } finally {
    client.destroy();
  }
}

async function seedCluster(): Promise<void> {
  const config = new KubeConfig();
  config.loadFromDefault();
  const client = KubernetesObjectApi.makeApiClient(config);
  const apply = (object: KubernetesObject) =>
    client.patch(object, undefined, undefined, 'compose-seed', true, PatchStrategy.ServerSideApply);
  for (const name of [ACCOUNT.namespace, 'compose-demo'])
    await apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  await apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: ACCOUNT });

  const rbac = await promisify(execFile)(process.execPath, [
    ...[PROGRAM, 'rbac', '--config', CONFIG, '--output', 'json'],
    ...['--service-account', `${ACCOUNT.namespace}/${ACCOUNT.name}`],
  ]);
  const { items } = JSON.parse(rbac.stdout) as { items: readonly KubernetesObject[] };
  for (const item of items) await apply(item);

  const { status } = await config.makeApiClient(CoreV1Api).createNamespacedServiceAccountToken({
    ...ACCOUNT,
    body: {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { audiences: [], expirationSeconds: MONTH },
    },
  });
  const cluster = config.getCurrentCluster();
  await write(
    'kubeconfig.yaml',
    stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [
        {
          name: 'compose',
          cluster: {
            server: CLUSTER_ADDRESS ?? cluster?.server,
            'certificate-authority-data': cluster?.caData,
          },
        },
      ],
      users: [{ name: 'secretbridge', user: { token: status?.token } }],
      contexts: [
        {
          name: 'compose',
          context: { cluster: 'compose', user: 'secretbridge', namespace: ACCOUNT.namespace },
        },
      ],
      'current-context': 'compose',
    }),
  );
}

const { privateKey } = generateKeyPairSync('ed25519');
await writeOnce('fingerprint.key', `${randomBytes(32).toString('base64')}\n`);
await writeOnce('checkpoint.key', String(privateKey.export({ type: 'pkcs8', format: 'pem' })));
await Promise.all([seedVault(), seedAws(), seedCluster()]);
process.stdout.write('The stores, the cluster and the login of the bridge are ready.\n');
