import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import type { AuditRecord } from '../../../src/audit/entry.ts';
import { openSqliteAudit } from '../../../src/audit/sqlite/sqlite.ts';
import type { ChainState } from '../../../src/audit/verify/diagnose.ts';
import { verify } from '../../../src/audit/verify/verify.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { recordsOf } from '../../audit/sample.ts';
import { kubernetes } from '../services/inject.ts';
import { assertStatus, type KubernetesApi } from '../services/kubernetes-api.ts';
import {
  type Run,
  type RunningProgram,
  runInProcess,
  type SyncReport,
  startProgram,
  syncReport,
} from './program.ts';
import { type Login, openVault, type Vault } from './vault.ts';
import { type Cluster, type Witness, watchSecrets } from './witness.ts';

export type Raw = {
  readonly metadata: {
    readonly name: string;
    readonly resourceVersion: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly managedFields?: unknown;
    readonly ownerReferences?: unknown;
    readonly uid?: string;
  };
  readonly type?: string;
  readonly data?: Readonly<Record<string, string>>;
};

export interface BenchOptions {
  readonly scope?: 'namespace' | 'names';
  /** Returns the address of the store, for example of a proxy. The default is the real server. */
  readonly vaultAddress?: (real: string) => Promise<string> | string;
  /** Returns the YAML text that follows `mappings:`. */
  readonly mappings: (names: { readonly prefix: string; readonly namespace: string }) => string;
  /** More stores as YAML, appended after the store `vault`. */
  readonly store?: string;
  readonly instance?: string;
  readonly login?: Login;
  /** Whether commands run in this process instead of child processes. */
  readonly inProcess?: boolean;
  /** The timeout of one store request. */
  readonly timeout?: string;
  /** The certificate authority that the program must trust, as PEM. */
  readonly tls?: string;
  readonly cluster?: Cluster & Omit<KubernetesApi, 'requestCounts'>;
}

/** A test environment on real servers. It has a namespace, a store path and an audit of its own. */
export interface Bench extends AsyncDisposable {
  readonly folder: string;
  readonly namespace: string;
  readonly vault: Vault;
  readonly kubeconfig: string;
  readonly user: string;
  readonly env: Readonly<Record<string, string>>;
  start(...args: readonly string[]): RunningProgram;
  run(...args: readonly string[]): Promise<Run>;
  sync(...args: readonly string[]): Promise<SyncReport>;
  /** Replaces the configuration. */
  configure(options: Partial<BenchOptions>): Promise<void>;
  secret(name: string): Promise<Raw | undefined>;
  secrets(): Promise<readonly Raw[]>;
  /** Creates a Secret as another writer. */
  put(name: string, raw: object): Promise<void>;
  patch(name: string, patch: object): Promise<void>;
  witness(): Promise<Witness>;
  records(): Promise<readonly AuditRecord[]>;
  chain(): Promise<ChainState>;
}

/** Grants the program exactly the rights that `rbac` prints for its configuration, and waits until they take effect. */
export async function openBench(options: BenchOptions): Promise<Bench> {
  const cluster = options.cluster ?? kubernetes();
  const vault = await openVault(options.login);
  const suffix = randomBytes(4).toString('hex');
  const namespace = `apps-${suffix}`;
  const account = { namespace: `bridge-${suffix}`, name: 'secretbridge' };
  const secretsPath = `/api/v1/namespaces/${namespace}/secrets`;
  await create(cluster, '/api/v1/namespaces', { metadata: { name: namespace } });
  const kubeconfig = await cluster.serviceAccountKubeconfig(account);
  const folder = await mkdtemp(join(tmpdir(), 'secretbridge-e2e-'));
  await mkdir(join(folder, 'state'), { mode: 0o700 });
  if (options.tls !== undefined) await writeFile(join(folder, 'ca.pem'), options.tls);
  let current = options;
  const write = async () => {
    const address = (await current.vaultAddress?.(vault.address)) ?? vault.address;
    await writeFile(
      join(folder, 'secretbridge.yaml'),
      configText(current, { address, kubeconfig, vault, namespace }),
    );
  };
  await write();

  const env = { ...vault.env };
  const start = (...args: readonly string[]) => startProgram(args, { cwd: folder, env });
  const run = (...args: readonly string[]) =>
    options.inProcess ? runInProcess(args, { cwd: folder, env }) : start(...args).result;

  const rbac = await run('rbac', '--service-account', `${account.namespace}/${account.name}`);
  if (rbac.code !== 0) throw new Error(`rbac: ${rbac.stderr}`);
  for (const document of parseAllDocuments(rbac.stdout)) await apply(cluster, document.toJS() as RbacObject);
  await waitForRights(() => run('doctor', '--output', 'json'));

  const records = async () => {
    await using audit = await readAudit(folder);
    return await recordsOf(audit);
  };
  return {
    folder,
    namespace,
    vault,
    kubeconfig,
    env,
    user: `system:serviceaccount:${account.namespace}:${account.name}`,
    start,
    run,
    sync: async (...args) => syncReport(await run('sync', '--output', 'json', ...args)),
    async configure(change) {
      current = { ...current, ...change };
      await write();
    },
    async secret(name) {
      const answer = await cluster.request<Raw>('GET', `${secretsPath}/${name}`);
      return answer.status === 200 ? answer.body : undefined;
    },
    async secrets() {
      const answer = await cluster.request<{ items: readonly Raw[] }>('GET', secretsPath);
      assertStatus(answer, 200, 'list');
      return answer.body.items;
    },
    put: (name, raw) =>
      create(cluster, secretsPath, { apiVersion: 'v1', kind: 'Secret', metadata: { name }, ...raw }),
    async patch(name, patch) {
      const headers = { 'content-type': 'application/merge-patch+json' };
      assertStatus(await cluster.request('PATCH', `${secretsPath}/${name}`, patch, headers), 200, 'patch');
    },
    witness: () => watchSecrets(cluster, namespace),
    records,
    async chain() {
      await using audit = await readAudit(folder);
      return await verify(audit.storedRecords(1), { until: await audit.head() });
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

interface Names {
  readonly address: string;
  readonly kubeconfig: string;
  readonly vault: Vault;
  readonly namespace: string;
}

function configText(
  { scope = 'names', mappings, store = '', instance = 'e2e', timeout = '15s', tls }: BenchOptions,
  { address, kubeconfig, vault: { prefix }, namespace }: Names,
): string {
  return `apiVersion: secretbridge.dev/v1
instance: ${instance}
cluster: { kind: kubernetes, scope: ${scope}, kubeconfig: ${kubeconfig}, requestsPerSecond: 2000 }
audit: { store: { kind: sqlite, path: ./state/audit.db } }
stores:
  - name: vault
    kind: vault
    address: ${address}
    auth: { method: appRole, mountPath: ${prefix}, roleId: { env: ROLE_ID }, secretId: { env: SECRET_ID } }
    limits: { requestsPerSecond: 2000, concurrency: 16, timeout: ${timeout} }
${tls === undefined ? '' : '    tls: { caFile: ./ca.pem }'}
${store}
mappings:
${mappings({ prefix, namespace })}`;
}

interface RbacObject {
  readonly kind: 'Role' | 'RoleBinding';
  readonly metadata: { readonly namespace: string };
}

async function apply(cluster: Pick<KubernetesApi, 'request'>, object: RbacObject): Promise<void> {
  const plural = object.kind === 'Role' ? 'roles' : 'rolebindings';
  await create(
    cluster,
    `/apis/rbac.authorization.k8s.io/v1/namespaces/${object.metadata.namespace}/${plural}`,
    object,
  );
}

async function create(
  { request }: Pick<KubernetesApi, 'request'>,
  path: string,
  body: object,
): Promise<void> {
  assertStatus(await request('POST', path, body), 201, `POST ${path}`);
}

/** The API server applies a new Role after a moment. */
async function waitForRights(doctor: () => Promise<Run>): Promise<void> {
  const deadline = performance.now() + 20_000;
  for (;;) {
    const { stdout, stderr } = await doctor();
    const { checks } = JSON.parse(stdout) as { checks?: { name: string; code?: string }[] };
    if (checks === undefined) throw new Error(`doctor: ${stderr}`);
    const forbidden = checks.filter(({ code }) => code === 'CLUSTER_FORBIDDEN');
    if (forbidden.length === 0) return;
    if (performance.now() > deadline) throw new Error(`still forbidden: ${JSON.stringify(forbidden)}`);
  }
}

function readAudit(folder: string) {
  const path = join(folder, 'state', 'audit.db');
  return openSqliteAudit({ path, instance: '', replica: '', clock: systemClock, readOnly: true });
}

/** Returns the intents without an outcome. Request, target and attempt identify the pair. */
export function openIntents(records: readonly AuditRecord[]): readonly AuditRecord[] {
  const key = ({ requestId, namespace, secret, attempt }: AuditRecord) =>
    JSON.stringify([requestId, namespace, secret, attempt]);
  const closed = new Set(records.filter(({ phase }) => phase === 'outcome').map(key));
  return records.filter((record) => record.phase === 'intent' && !closed.has(key(record)));
}

/** Returns the outcome records of successful changes, as `<secret> <resourceVersion>`. */
export function recordedChanges(records: readonly AuditRecord[]): readonly string[] {
  return records
    .filter(({ phase, outcome }) => phase === 'outcome' && outcome === 'ok')
    .map(({ secret, resourceVersion }) => `${secret} ${resourceVersion}`);
}

export const base64 = (value: string | Uint8Array) => Buffer.from(value).toString('base64');
