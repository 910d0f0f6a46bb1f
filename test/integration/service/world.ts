import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { vi } from 'vitest';
import { parseAllDocuments } from 'yaml';
import type { AuditRecord, Entry } from '../../../src/audit/entry.ts';
import { openSqliteAudit } from '../../../src/audit/sqlite/sqlite.ts';
import type { ChainState } from '../../../src/audit/verify/diagnose.ts';
import { verify } from '../../../src/audit/verify/verify.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { recordsOf } from '../../audit/sample.ts';
import { createDatabase, type Database } from '../audit/database.ts';
import type { Raw } from '../e2e/bench.ts';
import { type Run, runInProcess } from '../e2e/program.ts';
import { openVault, type Vault } from '../e2e/vault.ts';
import type { VaultAccess } from '../providers/vault-harness.ts';
import { freePort } from '../services/free-port.ts';
import { kubernetes, postgres, type TestCluster } from '../services/inject.ts';
import { assertStatus, createKubernetesApi } from '../services/kubernetes-api.ts';
import type { InstalledProgram } from './installed-program.ts';
import { type ServiceProcess, startServiceProcess } from './service-process.ts';

export interface Names {
  /** The prefix of every key. */
  readonly prefix: string;
  /**
   * Returns the full name of a namespace. The namespace exists only if `namespaces` lists it or the test creates it.
   */
  ns(short: string): string;
}

export interface WorldOptions {
  /** The short names of the namespaces that exist at the start. */
  readonly namespaces?: readonly string[];
  /** YAML that follows the list of stores. It can contain more stores, other sections, and `mappings`. */
  readonly config: (names: Names) => string;
  readonly scope?: 'namespace' | 'names';
  /** The Vault or OpenBao of the store. By default, the shared server of the run. */
  readonly vaultServer?: VaultAccess;
  /** The addresses of the store and the API server, for example of proxies. The defaults are the real servers. */
  readonly vaultAddress?: string;
  readonly apiAddress?: string;
  /** The timeout of one store request. */
  readonly timeout?: string;
  /** Default: 2000, so that the store is never the limit. */
  readonly requestsPerSecond?: number;
  /** Whether the store credential is in a file instead of the environment. */
  readonly secretIdFile?: boolean;
  /** Whether the account has its rights from the start. `rbac` prints these rights. */
  readonly granted?: boolean;
  /** More fields of `http`, as YAML. */
  readonly http?: string;
  /** More entries of `http.tokens`, as YAML. */
  readonly tokens?: (names: Names) => string;
  /** The URL of the Redis that the replicas share. By default, each replica uses the in-memory queue. */
  readonly redisUrl?: string;
  /** Whether the audit is in PostgreSQL instead of a file. The test cannot change this later. */
  readonly postgres?: boolean;
  /** Whether `keys.checkpoint` is set, so that checkpoints are written with PostgreSQL too. */
  readonly signed?: boolean;
  /** The program that `serve` starts. Default: the sources of this checkout. */
  readonly program?: Pick<InstalledProgram, 'main' | 'env'>;
  /** Default: the cluster of this run. The test cannot change this later. */
  readonly cluster?: TestCluster;
}

/** The service on real servers. It has namespaces, a store path, an account and an audit of its own. */
export interface World extends AsyncDisposable, Names {
  readonly folder: string;
  readonly vault: Vault;
  readonly user: string;
  readonly account: { readonly namespace: string; readonly name: string };
  readonly tokens: Readonly<Record<'vic' | 'rev' | 'ann', string>>;
  configure(options: Partial<WorldOptions>): Promise<void>;
  /** Grants the rights that `rbac` prints for the current configuration, and waits until they take effect. */
  grant(): Promise<void>;
  serve(...args: readonly string[]): Promise<ServiceProcess>;
  /** Starts a replica with a one-letter name and its own listen address. */
  replica(name: string): Promise<ServiceProcess>;
  /** The text of the current configuration, with absolute paths. */
  text(): string;
  /** Runs a command in this process, with the token of `ann`. */
  cli(...args: readonly string[]): Promise<Run>;
  createNamespace(short: string, labels?: Readonly<Record<string, string>>): Promise<void>;
  label(short: string, labels: Readonly<Record<string, string | null>>): Promise<void>;
  secret(name: string, short?: string): Promise<Raw | undefined>;
  put(name: string, raw: object, short?: string): Promise<void>;
  patch(name: string, patch: object, short?: string): Promise<void>;
  remove(name: string, short?: string): Promise<void>;
  records(): Promise<readonly AuditRecord[]>;
  chain(): Promise<ChainState>;
  /** Runs SQL on the audit database, as somebody with write access but without keys. */
  sql(text: string): Promise<readonly Record<string, unknown>[]>;
  /** Appends entries to the audit, as somebody with write access. Their HMAC is what `sign` returns. */
  forge(entries: readonly Entry[], sign?: () => string): Promise<readonly AuditRecord[]>;
  /**
   * Returns the successful changes by our account as `<verb> <namespace>/<name>`, from the audit log of the API server.
   */
  writes(resource?: string): Promise<readonly string[]>;
}

export async function openWorld(options: WorldOptions): Promise<World> {
  await using stack = new AsyncDisposableStack();
  const cluster = options.cluster ?? kubernetes();
  const vault = await openVault(undefined, options.vaultServer);
  const suffix = randomBytes(4).toString('hex');
  const ns = (short: string) => `${short}-${suffix}`;
  const account = { namespace: ns('bridge'), name: 'secretbridge' };
  const user = `system:serviceaccount:${account.namespace}:${account.name}`;
  const { caFile, token } = cluster;
  const folder = await mkdtemp(join(tmpdir(), 'secretbridge-service-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const database = options.postgres ? stack.use(await createDatabase(postgres())) : undefined;
  const apiAccess = createKubernetesApi(
    { address: options.apiAddress ?? cluster.address, caFile, token, folder },
    cluster.request,
  );
  const kubeconfig = await apiAccess.serviceAccountKubeconfig(account);
  await mkdir(join(folder, 'state'), { mode: 0o700 });
  const tokens = { vic: randomHex(), rev: randomHex(), ann: randomHex() };
  for (const [name, text] of Object.entries(tokens))
    await writeFile(join(folder, `${name}.token`), text, { mode: 0o600 });
  await writeFile(join(folder, 'secret-id'), vault.env.SECRET_ID, { mode: 0o600 });
  const { privateKey } = generateKeyPairSync('ed25519');
  await writeFile(join(folder, 'signing.key'), privateKey.export({ type: 'pkcs8', format: 'pem' }), {
    mode: 0o600,
  });
  await writeFile(join(folder, 'shared.key'), `${randomBytes(32).toString('base64')}\n`, { mode: 0o600 });
  const listen = `127.0.0.1:${await freePort()}`;
  const listens = new Map([['secretbridge', listen]]);
  let current = options;
  const env = () => ({
    ...vault.env,
    SECRETBRIDGE_TOKEN: tokens.ann,
    REDIS_URL: current.redisUrl ?? '',
    DATABASE_URL: database?.url ?? '',
  });

  const write = (at = listen) => configText(current, { vault, kubeconfig, listen: at, ns, suffix });
  const saveAs = async (name: string, at: string) => {
    const path = join(folder, `${name}.yaml`);
    await writeFile(`${path}.new`, write(at));
    await rename(`${path}.new`, path);
  };
  const save = async () => {
    for (const [name, at] of listens) await saveAs(name, at);
  };
  const path = (short: string) => `/api/v1/namespaces/${ns(short)}/secrets`;
  const world: World = {
    folder,
    vault,
    user,
    account,
    tokens,
    prefix: vault.prefix,
    ns,
    async configure(change) {
      current = { ...current, ...change };
      await save();
    },
    async grant() {
      const rbac = await world.cli('rbac', '--service-account', `${account.namespace}/${account.name}`);
      if (rbac.code !== 0) throw new Error(`rbac: ${rbac.stderr}`);
      for (const document of parseAllDocuments(rbac.stdout)) await apply(document.toJS() as RbacObject);
      await vi.waitFor(
        async () => {
          const { stdout } = await world.cli('doctor', '--output', 'json');
          if (stdout.includes('CLUSTER_FORBIDDEN')) throw new Error(`still forbidden: ${stdout}`);
        },
        { timeout: 60_000, interval: 100 },
      );
    },
    serve(...args) {
      const { main, env: more } = current.program ?? {};
      const process = { cwd: folder, address: `http://${listen}`, token: tokens.ann, args };
      return startServiceProcess({ ...process, env: { ...more, ...env() }, ...(main && { main }) });
    },
    async replica(name) {
      const at = listens.get(name) ?? `127.0.0.1:${await freePort()}`;
      listens.set(name, at);
      await saveAs(name, at);
      const args = ['--config', `${name}.yaml`];
      return startServiceProcess({
        cwd: folder,
        env: env(),
        address: `http://${at}`,
        token: tokens.ann,
        args,
      });
    },
    text: () => write().replaceAll(' ./', ` ${folder}/`),
    cli: (...args) => runInProcess(args, { cwd: folder, env: env() }),
    async createNamespace(short, labels = {}) {
      const answer = await cluster.request('POST', '/api/v1/namespaces', {
        metadata: { name: ns(short), labels },
      });
      assertStatus(answer, 201, 'create a namespace');
    },
    async label(short, labels) {
      const headers = { 'content-type': 'application/merge-patch+json' };
      const at = `/api/v1/namespaces/${ns(short)}`;
      assertStatus(await cluster.request('PATCH', at, { metadata: { labels } }, headers), 200, 'label');
    },
    async secret(name, short = 'apps') {
      const answer = await cluster.request<Raw>('GET', `${path(short)}/${name}`);
      return answer.status === 200 ? answer.body : undefined;
    },
    async put(name, raw, short = 'apps') {
      const body = { apiVersion: 'v1', kind: 'Secret', metadata: { name }, ...raw };
      assertStatus(await cluster.request('POST', path(short), body), 201, 'create');
    },
    async patch(name, patch, short = 'apps') {
      const headers = { 'content-type': 'application/merge-patch+json' };
      assertStatus(await cluster.request('PATCH', `${path(short)}/${name}`, patch, headers), 200, 'patch');
    },
    async remove(name, short = 'apps') {
      assertStatus(await cluster.request('DELETE', `${path(short)}/${name}`), 200, 'delete');
    },
    async records() {
      await using audit = await readAudit(folder, database);
      return await recordsOf(audit);
    },
    async chain() {
      await using audit = await readAudit(folder, database);
      return await verify(audit.storedRecords(1), { until: await audit.head() });
    },
    async sql(text) {
      if (database !== undefined) return database.sql(`set search_path = secretbridge; ${text}`);
      const db = new DatabaseSync(join(folder, 'state', 'audit.db'));
      try {
        if (/^select/i.test(text)) return db.prepare(text).all();
        db.exec(text);
        return [];
      } finally {
        db.close();
      }
    },
    async forge(entries, sign) {
      const keys = sign && { sign };
      const attacker = { instance: 'service', replica: `attacker-${randomHex()}`, keys };
      const path = join(folder, 'state', 'audit.db');
      await using audit = await (database?.open(attacker) ??
        openSqliteAudit({ ...attacker, path, clock: systemClock }));
      return await audit.append(entries);
    },
    writes: (resource = 'secrets') => writesBy(cluster, user, resource),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };

  async function apply(object: RbacObject): Promise<void> {
    const group = '/apis/rbac.authorization.k8s.io/v1';
    const plural = `${object.kind.toLowerCase()}s`;
    const { namespace } = object.metadata;
    const rbacPath = namespace === undefined ? plural : `namespaces/${namespace}/${plural}`;
    // Cluster-wide objects need unique names, because tests share the server.
    const unique = namespace === undefined ? withSuffix(object, suffix) : object;
    const answer = await cluster.request('POST', `${group}/${rbacPath}`, unique);
    if (answer.status === 409) {
      const replaced = await cluster.request('PUT', `${group}/${rbacPath}/${unique.metadata.name}`, unique);
      assertStatus(replaced, 200, `PUT ${rbacPath}`);
    } else assertStatus(answer, 201, `POST ${rbacPath}`);
  }

  for (const short of options.namespaces ?? ['apps']) await world.createNamespace(short);
  await save();
  if (options.granted !== false) await world.grant();
  const owned = stack.move();
  return world;
}

interface RbacObject {
  readonly kind: 'Role' | 'RoleBinding' | 'ClusterRole' | 'ClusterRoleBinding';
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly roleRef?: { readonly name: string };
}

function withSuffix(object: RbacObject, suffix: string): RbacObject {
  const { metadata, roleRef } = object;
  return {
    ...object,
    metadata: { ...metadata, name: `${metadata.name}-${suffix}` },
    ...(roleRef === undefined ? {} : { roleRef: { ...roleRef, name: `${roleRef.name}-${suffix}` } }),
  };
}

interface ConfigInputs {
  readonly vault: Vault;
  readonly kubeconfig: string;
  readonly listen: string;
  readonly suffix: string;
  readonly ns: (short: string) => string;
}

function configText(options: WorldOptions, { vault, kubeconfig, listen, suffix, ns }: ConfigInputs): string {
  const { config, scope = 'names', vaultAddress, timeout = '15s', secretIdFile = false, http = '' } = options;
  const roles = { vic: 'viewer', rev: 'reviewer', ann: 'operator' };
  const tokens = Object.entries(roles).map(
    ([name, role]) => `{ name: ${name}, role: ${role}, token: { file: ./${name}.token } }`,
  );
  if (options.tokens !== undefined) tokens.push(options.tokens({ prefix: vault.prefix, ns }));
  const { redisUrl, postgres = false, requestsPerSecond = 2_000, signed = false } = options;
  const engine =
    redisUrl === undefined ? '' : `engine: { kind: redis, url: { env: REDIS_URL }, prefix: '${suffix}' }\n`;
  const audit = postgres
    ? 'kind: postgres, url: { env: DATABASE_URL }'
    : 'kind: sqlite, path: ./state/audit.db';
  const keys =
    redisUrl === undefined && !postgres
      ? ''
      : `keys: { fingerprint: [ { file: ./shared.key } ]${signed ? ', checkpoint: { file: ./signing.key }' : ''} }\n`;
  return `apiVersion: secretbridge.dev/v1
instance: service
cluster: { kind: kubernetes, scope: ${scope}, kubeconfig: ${kubeconfig}, requestsPerSecond: 2000 }
${engine}audit: { store: { ${audit} } }
${keys}http: { listen: '${listen}', tokens: [ ${tokens.join(', ')} ]${http} }
stores:
  - name: vault
    kind: vault
    address: ${vaultAddress ?? vault.address}
    auth: { method: appRole, mountPath: ${vault.prefix}, roleId: { env: ROLE_ID }, secretId: ${secretIdFile ? '{ file: ./secret-id }' : '{ env: SECRET_ID }'} }
    limits: { requestsPerSecond: ${requestsPerSecond}, concurrency: 16, timeout: ${timeout} }
${config({ prefix: vault.prefix, ns })}`;
}

const randomHex = () => randomBytes(24).toString('hex');

function readAudit(folder: string, database: Database | undefined) {
  if (database !== undefined) return database.open({ instance: '', replica: '', readOnly: true });
  const path = join(folder, 'state', 'audit.db');
  return openSqliteAudit({ path, instance: '', replica: '', clock: systemClock, readOnly: true });
}

interface AuditEvent {
  readonly verb: string;
  readonly requestURI: string;
  readonly user: { readonly username: string };
  readonly objectRef?: { readonly resource: string; readonly namespace?: string; readonly name?: string };
  readonly responseStatus?: { readonly code: number };
}

/**
 * Reads the audit log of the API server. Just after an answer to a request, the request may still be missing in the
 * log.
 */
async function writesBy(
  { auditLogPath }: TestCluster,
  user: string,
  resource: string,
): Promise<readonly string[]> {
  if (auditLogPath === undefined) throw new Error('the audit log of this cluster is not accessible');
  const lines = (await readFile(auditLogPath, 'utf8')).split('\n').filter((line) => line.includes(user));
  return lines
    .map((line) => JSON.parse(line) as AuditEvent)
    .filter(({ user: { username } }) => username === user)
    .filter(({ requestURI }) => !requestURI.includes('dryRun=All'))
    .filter(({ verb, objectRef }) => !/^(get|list|watch)$/.test(verb) && objectRef?.resource === resource)
    .filter(({ responseStatus }) => (responseStatus?.code ?? 0) < 300)
    .map(({ verb, objectRef }) => `${verb} ${objectRef?.namespace}/${objectRef?.name}`);
}

export const base64 = (value: string) => Buffer.from(value).toString('base64');
