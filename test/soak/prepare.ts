import { parseAllDocuments } from 'yaml';
import type { Run } from '../integration/e2e/program.ts';
import type { Request } from '../integration/services/http.ts';
import { assertStatus } from '../integration/services/kubernetes-api.ts';
import { until } from '../integration/services/service.ts';
import { NAMESPACES, type World } from './world.ts';

export const ACCOUNT = { namespace: 'soak-bridge', name: 'secretbridge' };
/** The prefix of every key in the store. */
export const PREFIX = 'soak';

/** Creates a login that may read only the keys of the soak test. */
export async function prepareStore(
  bao: Request,
  { ROLE_ID, SECRET_ID }: Readonly<Record<string, string>>,
): Promise<void> {
  const send = async (method: string, path: string, body: object) => {
    const { status } = await bao(method, `/v1/${path}`, body);
    if (status !== 200 && status !== 204) throw new Error(`${method} ${path}: ${status}`);
  };
  await send('POST', 'sys/auth/approle', { type: 'approle' });
  const policy = `path "secret/data/${PREFIX}/*" { capabilities = ["read"] }`;
  await send('PUT', `sys/policies/acl/${PREFIX}`, { policy });
  await send('POST', 'auth/approle/role/bridge', { token_policies: PREFIX });
  await send('POST', 'auth/approle/role/bridge/role-id', { role_id: ROLE_ID });
  await send('POST', 'auth/approle/role/bridge/custom-secret-id', { secret_id: SECRET_ID });
}

/** Creates the foreign Secrets that mappings merge into, and the workloads that mappings restart. */
export async function prepareCluster(cluster: Request, { items }: World): Promise<void> {
  for (const { name, kind } of items)
    for (const namespace of NAMESPACES) {
      if (kind === 'merge') {
        const body = { metadata: { name }, data: { THEIRS: Buffer.from('theirs').toString('base64') } };
        assertStatus(await cluster('POST', `/api/v1/namespaces/${namespace}/secrets`, body), 201, name);
      }
      if (kind === 'restart') {
        const template = {
          metadata: { labels: { app: name } },
          spec: { containers: [{ name: 'x', image: 'x' }] },
        };
        const spec = { selector: { matchLabels: { app: name } }, template };
        const path = `/apis/apps/v1/namespaces/${namespace}/deployments`;
        assertStatus(await cluster('POST', path, { metadata: { name }, spec }), 201, name);
      }
    }
}

/** Grants only the rights that `rbac` prints. */
export async function grant(
  cluster: Request,
  command: (...args: readonly string[]) => Promise<Run>,
): Promise<void> {
  const rbac = await command('rbac', '--service-account', `${ACCOUNT.namespace}/${ACCOUNT.name}`);
  if (rbac.code !== 0) throw new Error(`rbac: ${rbac.stderr}`);
  for (const document of parseAllDocuments(rbac.stdout)) {
    const object = document.toJS() as { kind: string; metadata: { namespace: string; name: string } };
    const plural = object.kind === 'Role' ? 'roles' : 'rolebindings';
    const path = `/apis/rbac.authorization.k8s.io/v1/namespaces/${object.metadata.namespace}/${plural}`;
    assertStatus(await cluster('POST', path, object), 201, object.kind);
  }
  await until('The rights of the service account', 20_000, async () => {
    const review = {
      spec: {
        user: `system:serviceaccount:${ACCOUNT.namespace}:${ACCOUNT.name}`,
        groups: ['system:authenticated'],
        resourceAttributes: { namespace: NAMESPACES[0], verb: 'create', resource: 'secrets' },
      },
    };
    const path = '/apis/authorization.k8s.io/v1/subjectaccessreviews';
    const { body } = await cluster<{ status?: { allowed?: boolean } }>('POST', path, review);
    return body.status?.allowed === true;
  });
}
