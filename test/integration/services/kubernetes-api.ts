import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Answer, createRequest, type Request } from './http.ts';
import { writeKubeconfig } from './kubeconfig.ts';
import { ServiceError } from './service.ts';

/** Connection data of the cluster, as plain data for other processes. */
export interface ClusterAccess {
  address: string;
  caFile: string;
  token: string;
  /** The folder for kubeconfigs. Stopping the cluster removes the folder. */
  folder: string;
}

export interface ServiceAccount {
  namespace: string;
  name: string;
  /** At least 10 minutes. The default is one hour. */
  expirationSeconds?: number;
}

/** Completed requests by verb and resource: `{ 'LIST secrets': 2, 'APPLY secrets': 1, 'GET pods/log': 3 }`. */
export type RequestCounts = Record<string, number>;

/** Direct access to the API server without a client library, because tests must not depend on the code under test. */
export interface KubernetesApi {
  request: Request;
  /**
   * Returns a token of the account. Creates the account and its namespace when missing. A new account has no rights.
   */
  serviceAccountToken(account: ServiceAccount): Promise<string>;
  /** Returns the path of a kubeconfig with a token of the account. The context uses the namespace of the account. */
  serviceAccountKubeconfig(account: ServiceAccount): Promise<string>;
  /** Counts requests by the server's own metrics. Includes requests of all clients and of the server itself. */
  requestCounts(): Promise<RequestCounts>;
}

export function createKubernetesApi(access: ClusterAccess, send?: Request): KubernetesApi {
  const { address, caFile, token, folder } = access;
  const ca = readFileSync(caFile, 'utf8');
  const request = send ?? createRequest({ address, ca, headers: { authorization: `Bearer ${token}` } });

  async function create(path: string, body: object): Promise<void> {
    const answer = await request('POST', path, body);
    if (answer.status !== 409) assertStatus(answer, 201, `POST ${path}`);
  }

  async function serviceAccountToken({ namespace, name, expirationSeconds = 3600 }: ServiceAccount) {
    await create('/api/v1/namespaces', { metadata: { name: namespace } });
    const accounts = `/api/v1/namespaces/${namespace}/serviceaccounts`;
    await create(accounts, { metadata: { name } });
    const path = `${accounts}/${name}/token`;
    const answer = await request<{ status: { token: string } }>('POST', path, {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { expirationSeconds },
    });
    assertStatus(answer, 201, `POST ${path}`);
    return answer.body.status.token;
  }

  return {
    request,
    serviceAccountToken,
    async serviceAccountKubeconfig(account) {
      const { namespace, name } = account;
      const path = join(folder, `${namespace}-${name}-${randomBytes(4).toString('hex')}.kubeconfig`);
      const user = `system:serviceaccount:${namespace}:${name}`;
      await writeKubeconfig(path, {
        address,
        ca,
        user,
        namespace,
        token: await serviceAccountToken(account),
      });
      return path;
    },
    async requestCounts() {
      const answer = await request<string>('GET', '/metrics');
      assertStatus(answer, 200, 'GET /metrics');
      return parseRequestCounts(answer.body);
    },
  };
}

/** Returns the difference between two results of `requestCounts`, without counts of zero. */
export function countsBetween(before: RequestCounts, after: RequestCounts): RequestCounts {
  const added = Object.entries(after).map(([key, count]) => [key, count - (before[key] ?? 0)] as const);
  return Object.fromEntries(added.filter(([, count]) => count !== 0));
}

export function parseRequestCounts(metrics: string): RequestCounts {
  const counts: RequestCounts = {};
  for (const [, labels = '', value = ''] of metrics.matchAll(/^apiserver_request_total\{(.*)\} (\S+)$/gm)) {
    const label = (name: string) => new RegExp(`(?:^|,)${name}="([^"]*)"`).exec(labels)?.[1] ?? '';
    const resource = [label('resource'), label('subresource')].filter((part) => part !== '').join('/');
    const dryRun = label('dry_run') === '' ? '' : ' (dry run)';
    const key = `${label('verb')} ${resource}${dryRun}`.trim();
    counts[key] = (counts[key] ?? 0) + Number(value);
  }
  return counts;
}

export function assertStatus(answer: Answer, expected: number, what: string): void {
  if (answer.status === expected) return;
  // The status message is safe to show, because the API server puts no Secret values into it.
  const message = (answer.body as { message?: string } | undefined)?.message ?? '';
  throw new ServiceError(`${what} gave ${answer.status} instead of ${expected}. ${message}`.trim());
}
