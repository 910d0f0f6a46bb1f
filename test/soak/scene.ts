import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { stringify } from 'yaml';
import { createDatabase, type Database } from '../integration/audit/database.ts';
import { startTcpProxy, type TcpProxy } from '../integration/audit/tcp-proxy.ts';
import { type Run, runInProcess } from '../integration/e2e/program.ts';
import { freePort } from '../integration/services/free-port.ts';
import { createRequest, type Request } from '../integration/services/http.ts';
import { writeKubeconfig } from '../integration/services/kubeconfig.ts';
import { type Kubernetes, startKubernetes } from '../integration/services/kubernetes.ts';
import { assertStatus, createKubernetesApi } from '../integration/services/kubernetes-api.ts';
import { startOpenBao } from '../integration/services/openbao.ts';
import { type Postgres, startPostgres } from '../integration/services/postgres.ts';
import { type RedisServer, startRedis } from '../integration/services/redis.ts';
import type { VaultServer } from '../integration/services/vault-launch.ts';
import { ACCOUNT, grant, PREFIX, prepareCluster, prepareStore } from './prepare.ts';
import { createReplica, type Replica } from './replica.ts';
import { type StoreProxy, startStoreProxy } from './store-proxy.ts';
import { ABSENCE, expectedData, fieldsOf, mappingsText, NAMESPACES, secondKey, type World } from './world.ts';

/** The servers, the proxies in front of them, and the replicas. The replicas are not started yet. */
export interface Scene extends AsyncDisposable {
  readonly folder: string;
  readonly kubernetes: Kubernetes;
  /** Sends requests as the administrator, and bypasses the proxy. */
  readonly cluster: Request;
  readonly openbao: VaultServer;
  readonly postgres: Postgres;
  readonly database: Database;
  /** The current server. A restart replaces it. */
  redis: RedisServer;
  readonly toCluster: TcpProxy;
  readonly toStore: StoreProxy;
  /** A second proxy in front of the same store. In the configuration, this proxy is the store `second`. */
  readonly toSecond: StoreProxy;
  readonly toPostgres: TcpProxy;
  readonly replicas: readonly Replica[];
  /** The Kubernetes user name of the replicas. */
  readonly user: string;
  /** Values that must not appear outside the Secrets and the stores. */
  readonly credentials: Readonly<Record<string, string>>;
  /** Runs a command of the program with the configuration of the first replica. */
  command(...args: readonly string[]): Promise<Run>;
  put(key: string, version: number): Promise<void>;
  /** Removes a key with all of its versions from the store. */
  remove(key: string): Promise<void>;
  /** The path of the configuration folder that all replicas share. */
  readonly shared: string;
  /** Writes the configuration of the current mappings. `broken` makes the configuration invalid. */
  configure(broken?: boolean): Promise<void>;
}

export interface SceneOptions {
  readonly world: World;
  readonly replicas: number;
  readonly report: (line: string) => void;
}

export async function openScene(options: SceneOptions): Promise<Scene> {
  const { world, report } = options;
  await using stack = new AsyncDisposableStack();
  const [kubernetes, openbao, postgres, firstRedis] = await Promise.all([
    startKubernetes({ report }),
    startOpenBao({ report, borrow: false }),
    startPostgres({ report, borrow: false }),
    startRedis({ report }),
  ]);
  for (const server of [kubernetes, openbao, postgres]) stack.use(server);
  if (kubernetes.auditLogPath === undefined)
    throw new Error('the soak needs the audit log of its own cluster: unset SECRETBRIDGE_TEST_KUBECONFIG');
  const folder = await mkdtemp(join(tmpdir(), 'secretbridge-soak-'));
  removeAtEnd(stack, folder);
  const main = await copySources(stack);
  const toCluster = stack.use(await startTcpProxy(kubernetes.address));
  const toStore = stack.use(await startStoreProxy(openbao.address));
  const toSecond = stack.use(await startStoreProxy(openbao.address));
  const database = await createDatabase(postgres);
  const toPostgres = stack.use(await startTcpProxy(database.url));
  const cluster = adminOf(kubernetes);
  const bao = createRequest({ address: openbao.address, headers: { 'x-vault-token': openbao.rootToken } });

  const credentials = {
    ROLE_ID: `role-${randomBytes(16).toString('hex')}`,
    SECRET_ID: `secret-${randomBytes(16).toString('hex')}`,
    HTTP_TOKEN: randomBytes(24).toString('hex'),
  };
  await prepareStore(bao, credentials);
  const files = join(folder, 'files');
  await mkdir(files);
  for (const namespace of [...NAMESPACES, ACCOUNT.namespace])
    assertStatus(
      await cluster('POST', '/api/v1/namespaces', { metadata: { name: namespace } }),
      201,
      namespace,
    );
  const kubeconfig = await proxyKubeconfig(toCluster, kubernetes, folder);

  const put = async (key: string, version: number): Promise<void> => {
    const fields = fieldsOf(world, key, version);
    if (key.endsWith('.txt')) await writeFile(join(files, key), fields.user ?? '');
    else assertStatus(await bao('POST', `/v1/secret/data/${PREFIX}/${key}`, { data: fields }), 200, 'put');
    world.setVersion(key, version);
    world.absent.delete(key);
  };
  const remove = async (key: string): Promise<void> => {
    assertStatus(await bao('DELETE', `/v1/secret/metadata/${PREFIX}/${key}`), 204, 'remove');
    world.absent.add(key);
  };
  const shared = join(folder, 'shared');
  await mkdir(shared);
  const configure = async (broken = false): Promise<void> => {
    const text = mappingsText(world, PREFIX);
    await writeFile(
      join(shared, 'mappings.yaml'),
      broken ? text.replace('mappings:', 'mapings:\n  - nonsense: 1\nmappings:') : text,
    );
  };
  await configure();
  const key = join(folder, 'fingerprint.key');
  await writeFile(key, `${randomBytes(32).toString('base64')}\n`, { mode: 0o600 });

  const replicas: Replica[] = [];
  const paths: string[] = [];
  // Creates a new object each time, because YAML would write a shared object as an alias.
  const auth = () => ({ method: 'appRole', roleId: { env: 'ROLE_ID' }, secretId: { env: 'SECRET_ID' } });
  const env = { ...credentials, REDIS_URL: firstRedis.address, DATABASE_URL: toPostgres.url };
  for (let n = 0; n < options.replicas; n += 1) {
    const name = String.fromCharCode(97 + n);
    const port = await freePort();
    const path = join(folder, `replica-${name}.yaml`);
    paths.push(path);
    await writeFile(
      path,
      stringify({
        apiVersion: 'secretbridge.dev/v1',
        instance: 'soak',
        cluster: { kind: 'kubernetes', scope: 'namespace', kubeconfig, requestsPerSecond: 500 },
        engine: { kind: 'redis', url: { env: 'REDIS_URL' } },
        audit: { store: { kind: 'postgres', url: { env: 'DATABASE_URL' } } },
        keys: { fingerprint: [{ file: key }] },
        absence: ABSENCE,
        http: {
          listen: `127.0.0.1:${port}`,
          tokens: [{ name: 'soak', role: 'operator', token: { env: 'HTTP_TOKEN' } }],
        },
        stores: [
          { name: 'vault', kind: 'vault', address: toStore.address, auth: auth() },
          { name: 'second', kind: 'vault', address: toSecond.address, auth: auth() },
          { name: 'local', kind: 'files', path: files },
        ],
      }),
    );
    const args = ['--config', path, '--config', shared];
    const log = join(folder, `replica-${name}.log`);
    const token = credentials.HTTP_TOKEN;
    replicas.push(stack.use(createReplica({ name, main, args, cwd: folder, env, port, token, log })));
  }
  const command = (...args: readonly string[]) =>
    runInProcess([...args, '--config', paths[0] ?? '', '--config', shared], { cwd: folder, env });

  report('Filling the store and the cluster …');
  for (const item of world.items) {
    await put(item.key, 1);
    if (item.kind === 'partial') await put(secondKey(item), 1);
  }
  await prepareCluster(cluster, world);
  await grant(cluster, command);

  const owned = stack.move();
  const scene: Scene = {
    folder,
    kubernetes,
    cluster,
    openbao,
    postgres,
    database,
    redis: firstRedis,
    toCluster,
    toStore,
    toSecond,
    toPostgres,
    replicas,
    user: `system:serviceaccount:${ACCOUNT.namespace}:${ACCOUNT.name}`,
    credentials,
    command,
    put,
    remove,
    shared,
    configure,
    async [Symbol.asyncDispose]() {
      await owned.disposeAsync();
      await scene.redis.stop();
    },
  };
  return scene;
}

/** Removes the folder at the end, even after Ctrl-C. The folder contains the large recording of Redis. */
function removeAtEnd(stack: AsyncDisposableStack, folder: string): void {
  const remove = () => rmSync(folder, { recursive: true, force: true });
  process.once('exit', remove);
  stack.defer(() => {
    process.off('exit', remove);
    remove();
  });
}

/** Copies the sources, so replicas that start later run the same program. */
async function copySources(stack: AsyncDisposableStack): Promise<string> {
  const root = resolve(import.meta.dirname, '../..');
  await mkdir(join(root, 'state'), { recursive: true });
  // The folder is in the checkout, because imports must find node_modules. The tools of this repository ignore the
  // folder `state`.
  const folder = await mkdtemp(join(root, 'state', 'soak-'));
  removeAtEnd(stack, folder);
  await cp(join(root, 'src'), join(folder, 'src'), { recursive: true });
  await cp(join(root, 'package.json'), join(folder, 'package.json'));
  return join(folder, 'src', 'main.ts');
}

function adminOf({ address, caFile, adminToken: token, folder }: Kubernetes): Request {
  return createKubernetesApi({ address, caFile, token, folder }).request;
}

async function proxyKubeconfig({ url }: TcpProxy, kubernetes: Kubernetes, folder: string): Promise<string> {
  const path = join(folder, 'kubeconfig');
  await writeKubeconfig(path, {
    address: url,
    ca: await readFile(kubernetes.caFile, 'utf8'),
    user: ACCOUNT.name,
    token: await kubernetes.serviceAccountToken({ ...ACCOUNT, expirationSeconds: 24 * 3_600 }),
    namespace: ACCOUNT.namespace,
  });
  return path;
}

/** Returns the data of a Secret in the encoding of the API. */
export function encodedData(
  world: World,
  item: World['items'][number],
  version: number,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(expectedData(world, item, version)).map(([name, value]) => [
      name,
      Buffer.from(value).toString('base64'),
    ]),
  );
}
