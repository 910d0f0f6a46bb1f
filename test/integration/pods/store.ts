import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Request } from '../services/http.ts';
import type { ControlledCluster } from '../services/kubernetes-controllers.ts';
import type { TestNode } from '../services/node/node.ts';

/** An OpenBao that lets service accounts of the cluster log in. */
export interface PodStore {
  /** A store of the chart's values, for pods. */
  readonly store: object;
  /** The prefix of every key. */
  readonly prefix: string;
  put(key: string, fields: Readonly<Record<string, string>>): Promise<void>;
}

/** The audience of the tokens with which pods log in. */
export const AUDIENCE = 'vault';

/**
 * Enables the Kubernetes login at a mount of its own. OpenBao asks the API server about each token (TokenReview). Its
 * own tokens end after a minute, so the service logs in often.
 */
export async function openPodStore(
  { cluster, node }: { readonly cluster: ControlledCluster; readonly node: TestNode },
  { address, request }: { readonly address: string; readonly request: Request },
  accounts: Readonly<{ namespaces: readonly string[]; names: readonly string[] }>,
): Promise<PodStore> {
  const prefix = `pods-${randomBytes(4).toString('hex')}`;
  const send = async (method: string, path: string, body: object) => {
    const { status } = await request(method, `/v1/${path}`, body);
    if (![200, 204].includes(status)) throw new Error(`${method} ${path}: ${status}`);
  };
  await send('POST', `sys/auth/${prefix}`, { type: 'kubernetes' });
  await send('POST', `auth/${prefix}/config`, {
    kubernetes_host: cluster.address,
    kubernetes_ca_cert: await readFile(cluster.caFile, 'utf8'),
    token_reviewer_jwt: cluster.token,
    disable_local_ca_jwt: true,
  });
  await send('PUT', `sys/policies/acl/${prefix}`, {
    policy: `path "secret/data/${prefix}/*" { capabilities = ["read"] }`,
  });
  await send('POST', `auth/${prefix}/role/bridge`, {
    bound_service_account_namespaces: accounts.namespaces,
    bound_service_account_names: accounts.names,
    audience: AUDIENCE,
    token_policies: prefix,
    token_ttl: '1m',
  });
  return {
    prefix,
    store: {
      name: 'team',
      kind: 'vault',
      address: await node.expose(address),
      allowHttp: true,
      auth: { method: 'kubernetes', role: 'bridge', mountPath: prefix },
    },
    put: (key, fields) => send('POST', `secret/data/${prefix}/${key}`, { data: fields }),
  };
}
