// The service `seed` of docker-compose.yml. It runs in the image of the bridge and may run again: existing objects stay. Only
// the login is renewed, because OpenBao in development mode forgets it at each start.
import { execFile } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { promisify } from 'node:util';
import {
  CreateSecretCommand,
  ResourceExistsException,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import { parse, stringify } from 'yaml';

const { VAULT_ADDR, VAULT_TOKEN = '', KUBECONFIG = '', CLUSTER_ADDRESS } = process.env;
const { CONFIG = '/etc/secretbridge/' } = process.env;
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

/** The parts of a kubeconfig that the cluster of Compose writes: one cluster and one user, with all data inline. */
interface Kubeconfig {
  readonly clusters: readonly {
    readonly cluster: { readonly server: string; readonly 'certificate-authority-data': string };
  }[];
  readonly users: readonly { readonly user: Readonly<Record<string, string | undefined>> }[];
}

interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

interface TokenAnswer {
  readonly status: { readonly token: string };
}

async function openCluster() {
  const { clusters, users } = parse(await readFile(KUBECONFIG, 'utf8')) as Kubeconfig;
  const [cluster, user] = [clusters[0]?.cluster, users[0]?.user];
  if (cluster === undefined || user === undefined) throw new Error(`${KUBECONFIG} has no cluster or no user`);
  const decoded = (text: string | undefined) =>
    text === undefined ? undefined : Buffer.from(text, 'base64').toString('utf8');
  const send = async (method: string, path: string, type: string, body: object): Promise<unknown> => {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const options = {
      method,
      ca: decoded(cluster['certificate-authority-data']),
      cert: decoded(user['client-certificate-data']),
      key: decoded(user['client-key-data']),
      headers: {
        'content-type': type,
        ...(user.token === undefined ? {} : { authorization: `Bearer ${user.token}` }),
      },
    };
    request(new URL(path, cluster.server), options, (answer) => {
      const { statusCode = 0 } = answer;
      if (statusCode < 300) resolve(json(answer));
      else reject(new Error(`the cluster answered ${statusCode} to ${method} ${path}`));
    })
      .on('error', reject)
      .end(JSON.stringify(body));
    return promise;
  };
  return { cluster, send };
}

/** Returns the path of an object in the API. The plural of each kind that is used here ends in s. */
function pathOf({ apiVersion, kind, metadata: { name, namespace } }: KubernetesObject): string {
  const root = apiVersion === 'v1' ? '/api/v1' : `/apis/${apiVersion}`;
  const scope = namespace === undefined ? '' : `/namespaces/${namespace}`;
  return `${root}${scope}/${kind.toLowerCase()}s/${name}`;
}

async function seedCluster(): Promise<void> {
  const { cluster, send } = await openCluster();
  const apply = (object: KubernetesObject) =>
    send(
      'PATCH',
      `${pathOf(object)}?fieldManager=compose-seed&force=true`,
      'application/apply-patch+yaml',
      object,
    );
  for (const name of [ACCOUNT.namespace, 'compose-demo'])
    await apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: ACCOUNT };
  await apply(account);

  const rbac = await promisify(execFile)(process.execPath, [
    ...[PROGRAM, 'rbac', '--config', CONFIG, '--output', 'json'],
    ...['--service-account', `${ACCOUNT.namespace}/${ACCOUNT.name}`],
  ]);
  const { items } = JSON.parse(rbac.stdout) as { items: readonly KubernetesObject[] };
  for (const item of items) await apply(item);

  const { status } = (await send('POST', `${pathOf(account)}/token`, 'application/json', {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: { audiences: [], expirationSeconds: MONTH },
  })) as TokenAnswer;
  await write(
    'kubeconfig.yaml',
    stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [
        {
          name: 'compose',
          cluster: {
            ...cluster,
            server: CLUSTER_ADDRESS ?? cluster.server,
          },
        },
      ],
      users: [{ name: 'secretbridge', user: { token: status.token } }],
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
