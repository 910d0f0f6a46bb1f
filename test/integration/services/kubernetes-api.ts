import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Answer, createRequest, type Request } from './http.ts';
import { writeKubeconfig } from './kubeconfig.ts';
import { ServiceError } from './service.ts';

/** What it takes to reach the cluster; plain data, so that it can be handed to another process. */
export interface ClusterAccess {
  address: string;
  caFile: string;
  token: string;
  /** Where kubeconfigs are written; it goes when the cluster goes. */
  folder: string;
}

export interface ServiceAccount {
  namespace: string;
  name: string;
  /** 10 minutes at least; an hour when not given. */
  expirationSeconds?: number;
}

/** Finished requests by verb and resource: `{ 'LIST secrets': 2, 'APPLY secrets': 1, 'GET pods/log': 3 }`. */
export type RequestCounts = Record<string, number>;

/** The API server in its own words, without any client library: tests of ours must not rest on what we test. */
export interface KubernetesApi {
  request: Request;
  /** A token of that account; the account and its namespace are created when missing. It has no rights yet. */
  serviceAccountToken(account: ServiceAccount): Promise<string>;
  /** The same in a kubeconfig, whose context has the account's namespace. Gives the file's path. */
  serviceAccountKubeconfig(account: ServiceAccount): Promise<string>;
  /** From the server's own metrics, so the requests of everybody count, its own among them. */
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

/** What was added between two calls of `requestCounts`; verbs and resources without a request are left out. */
export function countsBetween(before: RequestCounts, after: RequestCounts): RequestCounts {
  const added = Object.entries(after).map(([key, count]) => [key, count - (before[key] ?? 0)] as const);
  return Object.fromEntries(added.filter(([, count]) => count !== 0));
}

export function parseRequestCounts(metrics: string): RequestCounts {
  const counts: RequestCounts = {};
  for (const [, labels = '', value = ''] of metrics.matchAll(/^apiserver_request_total\{(.*)\} (\S+)$/gm)) {
    const label = (name: string) => new RegExp(`(?:^|,)${name}="([^"]*)"`).exec(labels)?.[1] ?? '';
    const resource = [label('resource'), label('subresource')].filter((part) => part !== '').join('/');
    const key = `${label('verb')} ${resource}`.trim();
    counts[key] = (counts[key] ?? 0) + Number(value);
  }
  return counts;
}

export function assertStatus(answer: Answer, expected: number, what: string): void {
  if (answer.status === expected) return;
  // Statuses of the API server say what was wrong, and hold none of the values.
  const message = (answer.body as { message?: string } | undefined)?.message ?? '';
  throw new ServiceError(`${what} gave ${answer.status} instead of ${expected}. ${message}`.trim());
}
