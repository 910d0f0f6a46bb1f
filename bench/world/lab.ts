import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { createDatabase } from '../../test/integration/audit/database.ts';
import { freePort } from '../../test/integration/services/free-port.ts';
import type { Answer, Request } from '../../test/integration/services/http.ts';
import { createRequest } from '../../test/integration/services/http.ts';
import { type Kubernetes, startKubernetes } from '../../test/integration/services/kubernetes.ts';
import {
  assertStatus,
  countsBetween,
  type RequestCounts,
} from '../../test/integration/services/kubernetes-api.ts';
import { type Postgres, startPostgres } from '../../test/integration/services/postgres.ts';
import { type RedisServer, startRedis } from '../../test/integration/services/redis.ts';
import { AZURE } from '../fake-stores/azure.ts';
import { type RunningFakeStore, startFakeStore } from '../fake-stores/start.ts';
import type { BenchOptions } from '../harness/row.ts';
import type { Workspace } from './program.ts';

export const ENGINES = ['memory', 'redis'] as const;
export type Engine = (typeof ENGINES)[number];

export interface Setting {
  readonly engine: Engine;
  /** The kind of the audit store. Default: SQLite. */
  readonly audit?: 'sqlite' | 'postgres';
  /** The value of `refresh` in the configuration. */
  readonly refresh: string;
  /** The number of targets that are synced concurrently. */
  readonly concurrency: number;
  readonly store: 'aws' | 'azure' | 'vault';
  readonly fakeStore: RunningFakeStore;
  readonly mappings: readonly BenchMapping[];
}

export interface BenchMapping {
  readonly name: string;
  readonly namespaces: readonly string[];
  /** Maps each key of the target to its key in the store. */
  readonly data: Readonly<Record<string, string>>;
}

/** The servers of one benchmark run: a real API server, and Redis and PostgreSQL, which start on first use. */
export interface Lab extends AsyncDisposable {
  readonly kubernetes: Kubernetes;
  readonly request: Request;
  readonly caFile: string;
  fakeStore(kind: 'aws' | 'azure' | 'vault'): Promise<RunningFakeStore>;
  namespaces(count: number): Promise<readonly string[]>;
  /** Creates a folder with this configuration and an empty state. */
  workspace(setting: Setting): Promise<Workspace>;
  /** Writes another configuration into the folder. */
  configure(workspace: Workspace, setting: Setting): Promise<Workspace>;
  /** Returns the number of Secrets in a namespace. */
  secrets(namespace: string): Promise<number>;
  /**
   * Runs the work. Counts the requests for Secrets that the API server receives during the work. The keys are the
   * verbs.
   */
  requestsOfSecrets<T>(
    work: () => Promise<T>,
  ): Promise<{ readonly result: T; readonly requests: RequestCounts }>;
}

export async function openLab({ onServer }: Pick<BenchOptions, 'onServer'>): Promise<Lab> {
  await using stack = new AsyncDisposableStack();
  const kubernetes = stack.use(await startKubernetes());
  const folder = await mkdtemp(join(tmpdir(), 'secretbridge-bench-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const doubles = new Map<string, RunningFakeStore>();
  const caFile = join(folder, 'ca.pem');
  const ca = await readFile(kubernetes.caFile, 'utf8');
  const request = createRequest({
    address: kubernetes.address,
    ca,
    headers: { authorization: `Bearer ${kubernetes.adminToken}` },
  });
  const version = await request<{ gitVersion: string }>('GET', '/version');
  assertStatus(version, 200, 'the version');
  onServer('kubeApiserver', version.body.gitVersion);
  let redis: RedisServer | undefined;
  let postgres: Postgres | undefined;
  let named = 0;
  const owned = stack.move();
  const lab: Lab = {
    kubernetes,
    request,
    caFile,
    async fakeStore(kind) {
      const running = doubles.get(kind);
      if (running !== undefined) return running;
      const started = owned.use(await startFakeStore(kind));
      doubles.set(kind, started);
      return started;
    },
    async namespaces(count) {
      const names = Array.from({ length: count }, () => `bench-${randomBytes(3).toString('hex')}-${named++}`);
      for (const name of names) {
        const answer = await request('POST', '/api/v1/namespaces', { metadata: { name } });
        assertStatus(answer, 201, 'a namespace');
      }
      return names;
    },
    async workspace(setting) {
      const folderPath = await mkdtemp(join(folder, 'run-'));
      await mkdir(join(folderPath, 'state'), { mode: 0o700 });
      await writeFile(join(folderPath, 'shared.key'), `${randomBytes(32).toString('base64')}\n`, {
        mode: 0o600,
      });
      return lab.configure({ folder: folderPath, env: {} }, setting);
    },
    async configure({ folder: folderPath }, setting) {
      if (setting.engine === 'redis' && redis === undefined) {
        redis = owned.use(await startRedis());
        onServer(
          'redis',
          /redis_version:(\S+)/.exec(await redis.command('INFO', 'server'))?.[1] ?? 'unknown',
        );
      }
      if (setting.audit === 'postgres') postgres ??= owned.use(await startPostgres());
      const database =
        setting.audit === 'postgres' && postgres !== undefined ? await createDatabase(postgres) : undefined;
      const port = await freePort();
      const config = configOf(setting, {
        kubeconfig: kubernetes.kubeconfig,
        caFile: join(folderPath, 'ca.pem'),
        port,
      });
      await writeFile(join(folderPath, 'ca.pem'), setting.fakeStore.ca);
      await writeFile(join(folderPath, 'secretbridge.yaml'), stringify(config));
      const env = {
        ...setting.fakeStore.env,
        NODE_EXTRA_CA_CERTS: join(folderPath, 'ca.pem'),
        REDIS_URL: redis?.address ?? '',
        DATABASE_URL: database?.url ?? '',
      };
      return { folder: folderPath, env, address: `http://127.0.0.1:${port}` };
    },
    async secrets(namespace) {
      const path = `/api/v1/namespaces/${namespace}/secrets?limit=1`;
      const answer: Answer<SecretPage> = await request('GET', path);
      assertStatus(answer, 200, 'the Secrets');
      return answer.body.items.length + (answer.body.metadata.remainingItemCount ?? 0);
    },
    async requestsOfSecrets(work) {
      const before = await kubernetes.requestCounts();
      const result = await work();
      const added = Object.entries(countsBetween(before, await kubernetes.requestCounts()));
      const ofSecrets = added.filter(([name]) => name.endsWith(' secrets'));
      return {
        result,
        requests: Object.fromEntries(ofSecrets.map(([name, n]) => [name.replace(/ secrets$/, ''), n])),
      };
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
  return lab;
}

interface SecretPage {
  readonly items: readonly unknown[];
  readonly metadata: { readonly remainingItemCount?: number };
}

function configOf(
  { engine, audit, refresh, concurrency, store, fakeStore, mappings }: Setting,
  {
    kubeconfig,
    caFile,
    port,
  }: { readonly kubeconfig: string; readonly caFile: string; readonly port: number },
): object {
  const stores = {
    aws: {
      kind: 'aws-secrets-manager',
      region: 'eu-west-1',
      endpoint: fakeStore.address,
      auth: {
        method: 'static',
        accessKeyId: { env: 'BENCH_KEY_ID' },
        secretAccessKey: { env: 'BENCH_SECRET_KEY' },
      },
    },
    azure: {
      kind: 'azure-key-vault',
      vaultUrl: fakeStore.address,
      auth: {
        method: 'clientSecret',
        tenantId: AZURE.tenant,
        clientId: AZURE.client,
        clientSecret: { env: 'BENCH_CLIENT_SECRET' },
      },
    },
    vault: {
      kind: 'vault',
      address: fakeStore.address,
      mount: 'secret',
      kvVersion: 2,
      auth: { method: 'appRole', roleId: { env: 'BENCH_ROLE_ID' }, secretId: { env: 'BENCH_SECRET_ID' } },
    },
  };
  const property = store === 'vault' ? { property: 'value' } : {};
  return {
    apiVersion: 'secretbridge.dev/v1',
    instance: 'bench',
    cluster: { kind: 'kubernetes', scope: 'namespace', kubeconfig },
    engine: {
      kind: engine,
      concurrency,
      ...(engine === 'redis' ? { url: { env: 'REDIS_URL' }, prefix: `b${port}` } : {}),
    },
    audit: {
      store:
        audit === 'postgres'
          ? { kind: 'postgres', url: { env: 'DATABASE_URL' } }
          : { kind: 'sqlite', path: './state/audit.db' },
    },
    keys: { fingerprint: [{ file: './shared.key' }] },
    http: { listen: `127.0.0.1:${port}` },
    defaults: { refresh },
    stores: [{ name: 'store', ...stores[store], tls: { caFile } }],
    mappings: mappings.map(({ name, namespaces, data }) => ({
      name,
      target: { namespaces: [...namespaces] },
      data: Object.fromEntries(
        Object.entries(data).map(([key, from]) => [key, { store: 'store', key: from, ...property }]),
      ),
    })),
  };
}
