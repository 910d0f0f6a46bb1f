import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { parse, parseAllDocuments, stringify } from 'yaml';
import type { ToolApi } from '../../../src/import/objects.ts';
import type { Raw } from '../e2e/bench.ts';
import { type Run, runInProcess, syncReport } from '../e2e/program.ts';
import { openVault, type Vault } from '../e2e/vault.ts';
import { kubernetes, type TestCluster } from '../services/inject.ts';
import { assertStatus } from '../services/kubernetes-api.ts';

/** A namespace with Secrets of another tool, a store, and an account for the bridge. */
export interface Migration extends AsyncDisposable {
  readonly folder: string;
  /** The namespace of the Secrets. */
  readonly namespace: string;
  readonly account: { readonly namespace: string; readonly name: string };
  readonly kubeconfig: string;
  readonly vault: Vault;
  readonly suffix: string;
  post(path: string, body: object): Promise<{ readonly metadata: { readonly uid: string } }>;
  get<T>(path: string): Promise<T>;
  run(...args: readonly string[]): Promise<Run>;
  /** Creates the Roles and RoleBindings that `rbac` prints. */
  apply(yaml: string): Promise<void>;
  /** Grants the account these rules, in one namespace or everywhere. */
  allow(rules: readonly object[], namespace?: string): Promise<void>;
}

/** @param api The kinds of the tool. They are defined with an open schema. */
export async function openMigration(
  testCluster: TestCluster = kubernetes(),
  api?: ToolApi,
): Promise<Migration> {
  const { request, serviceAccountKubeconfig } = testCluster;
  const suffix = randomBytes(4).toString('hex');
  const namespace = `theirs-${suffix}`;
  const account = { namespace: `bridge-${suffix}`, name: 'secretbridge' };
  const post = async (path: string, body: object) => {
    const answer = await request<{ metadata: { uid: string } }>('POST', path, body);
    assertStatus(answer, 201, `POST ${path}`);
    return answer.body;
  };
  if (api !== undefined) await defineKinds(testCluster, api);
  const vault = await openVault();
  await post('/api/v1/namespaces', { metadata: { name: namespace } });
  const kubeconfig = await serviceAccountKubeconfig(account);
  const folder = await mkdtemp(join(tmpdir(), 'secretbridge-import-'));
  await post(`/api/v1/namespaces/${account.namespace}/secrets`, {
    metadata: { name: 'vault-login' },
    stringData: { id: vault.env.SECRET_ID },
  });
  return {
    folder,
    namespace,
    account,
    kubeconfig,
    vault,
    suffix,
    post,
    run: (...args) => runInProcess(args, { cwd: folder, env: { KUBECONFIG: kubeconfig } }),
    async allow(rules, namespaceLimit) {
      const kind = namespaceLimit === undefined ? 'ClusterRole' : 'Role';
      const base = `/apis/rbac.authorization.k8s.io/v1${namespaceLimit === undefined ? '' : `/namespaces/${namespaceLimit}`}`;
      const name = `import-${suffix}`;
      const plural = kind === 'Role' ? 'role' : 'clusterrole';
      await post(`${base}/${plural}s`, { metadata: { name }, rules });
      await post(`${base}/${plural}bindings`, {
        metadata: { name },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name },
        subjects: [{ kind: 'ServiceAccount', ...account }],
      });
    },
    async apply(yaml) {
      for (const document of parseAllDocuments(yaml)) {
        const object = document.toJS() as { kind: string; metadata: { namespace: string } };
        const plural = object.kind === 'Role' ? 'roles' : 'rolebindings';
        await post(
          `/apis/rbac.authorization.k8s.io/v1/namespaces/${object.metadata.namespace}/${plural}`,
          object,
        );
      }
    },
    async get<T>(path: string) {
      const answer = await request<T>('GET', path);
      assertStatus(answer, 200, `GET ${path}`);
      return answer.body;
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

/** Defines the custom resources with an open schema. Parallel tests share the definitions. */
async function defineKinds(
  { request }: TestCluster,
  { group, versions: [version = 'v1'], kinds }: ToolApi,
): Promise<void> {
  const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
  for (const { kind, plural, namespaced } of kinds) {
    const answer = await request('POST', crds, {
      metadata: { name: `${plural}.${group}` },
      spec: {
        group,
        names: { kind, plural, singular: kind.toLowerCase(), listKind: `${kind}List` },
        scope: namespaced ? 'Namespaced' : 'Cluster',
        versions: [
          {
            name: version,
            served: true,
            storage: true,
            schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
          },
        ],
      },
    });
    if (answer.status !== 409) assertStatus(answer, 201, `POST ${plural}`);
  }
  await until(async () => {
    const answers = await Promise.all(
      kinds.map(({ plural }) => request('GET', `/apis/${group}/${version}/${plural}?limit=1`)),
    );
    return answers.every(({ status }) => status === 200);
  });
}

/** Polls, because the API server applies new kinds and rights after a moment. */
export async function until(check: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!(await check())) {
    if (performance.now() > deadline) throw new Error('the condition did not become true');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** The own settings of an installation. */
export function baseText(kubeconfig: string): string {
  return `apiVersion: secretbridge.dev/v1
cluster: { kind: kubernetes, scope: names, kubeconfig: ${kubeconfig} }
audit: { store: { kind: sqlite, path: ./state/audit.db } }
`;
}

interface Copy {
  readonly namespace: string;
  readonly name: string;
  readonly as: string;
}

/** Copies the credentials, as the first step of the report says. */
export async function copyCredentials(migration: Migration, copies: readonly Copy[]): Promise<void> {
  for (const { namespace, name, as } of copies) {
    const { data } = await migration.get<{ data: object }>(`/api/v1/namespaces/${namespace}/secrets/${name}`);
    await migration.post(`/api/v1/namespaces/${migration.account.namespace}/secrets`, {
      metadata: { name: as },
      data,
    });
  }
}

/** The login of the tests, for tools whose login needs an identity that the tests do not have. */
export function testLogin({ vault }: Migration): object {
  return {
    method: 'appRole',
    mountPath: vault.prefix,
    roleId: vault.env.ROLE_ID,
    secretId: { secretRef: { name: 'vault-login', key: 'id' } },
  };
}

/** Replaces the login of each imported store, as the report asks. */
export async function setLogin(migration: Migration, login: object): Promise<void> {
  const file = join(migration.folder, 'imported.yaml');
  const config = parse(await readFile(file, 'utf8')) as { stores: { auth: object }[] };
  const stores = config.stores.map((store) => ({ ...store, auth: login }));
  await writeFile(file, stringify({ ...config, stores }));
}

/** The files of the configuration, as arguments. */
export const CONFIG = ['--config', 'base.yaml', '--config', 'imported.yaml'];

/**
 * Takes the Secrets over: rights, `doctor`, `plan` without a changed byte, `sync`. Checks that only labels and owners
 * of the Secrets change.
 * @param names The names of the Secrets.
 */
export async function takeOver(migration: Migration, names: readonly string[]): Promise<void> {
  const { account, kubeconfig, folder, run } = migration;
  await writeFile(join(folder, 'base.yaml'), baseText(kubeconfig));
  expect(await run('validate', ...CONFIG)).toMatchObject({ code: 0 });
  const serviceAccount = `${account.namespace}/${account.name}`;
  await migration.apply((await run('rbac', ...CONFIG, '--service-account', serviceAccount)).stdout);
  await until(async () => !(await run('doctor', ...CONFIG)).stdout.includes('CLUSTER_FORBIDDEN'));
  const before = await secretsOf(migration, names);
  const planned = JSON.parse((await run('plan', ...CONFIG, '--output', 'json')).stdout) as {
    targets: readonly { secret: string; action: string; keys: readonly { action: string }[] }[];
  };
  for (const { secret, action, keys } of planned.targets)
    expect([secret, action, [...new Set(keys.map((key) => key.action))]]).toEqual([
      secret,
      'update',
      ['keep'],
    ]);
  expect(planned.targets.map(({ secret }) => secret).toSorted()).toEqual(names.toSorted());
  const synced = syncReport(await run('sync', ...CONFIG, '--output', 'json'));
  expect(synced).toMatchObject({ code: 0, summary: { updated: names.length, created: 0, deleted: 0 } });
  const after = await secretsOf(migration, names);
  for (const [index, secret] of after.entries()) {
    expect(secret.data).toEqual(before[index]?.data);
    expect(secret.metadata.ownerReferences).toBeUndefined();
    expect(secret.metadata.labels).toMatchObject({ 'secretbridge.dev/instance': 'moved' });
  }
  expect(await run('plan', ...CONFIG)).toMatchObject({ code: 0 });
}

export function secretsPath(namespace: string): string {
  return `/api/v1/namespaces/${namespace}/secrets`;
}

async function secretsOf({ namespace, get }: Migration, names: readonly string[]): Promise<readonly Raw[]> {
  return Promise.all(names.map((name) => get<Raw>(`${secretsPath(namespace)}/${name}`)));
}
