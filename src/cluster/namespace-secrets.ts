import { isObject } from '../core/json.ts';
import type { LiveSecret } from '../core/secret.ts';
import type { KubeClient } from './client.ts';
import { listIn, objectIn, textIn } from './json.ts';
import { toLive } from './manifest.ts';
import { listAll } from './pages.ts';

/** A Secret with the objects that own it. */
export interface OwnedSecret {
  readonly live: LiveSecret;
  /** Such as `ExternalSecret db`. */
  readonly owners: readonly string[];
}

/** Lists all Secrets of a namespace with their data. @throws AppError */
export async function listSecrets(
  client: KubeClient,
  namespace: string,
  signal: AbortSignal | undefined,
): Promise<readonly OwnedSecret[]> {
  const items = await listAll(client, {
    path: `/api/v1/namespaces/${encodeURIComponent(namespace)}/secrets`,
    selector: '',
    subject: 'secrets',
    signal,
  });
  return items.flatMap((item) => {
    const metadata = objectIn(item, 'metadata') ?? {};
    const secret = textIn(metadata, 'name') ?? '';
    const live = toLive({ ...item, apiVersion: 'v1', kind: 'Secret' }, { namespace, secret });
    const owners = listIn(metadata, 'ownerReferences').filter(isObject);
    return live === undefined
      ? []
      : [{ live, owners: owners.map(({ kind, name }) => `${String(kind)} ${String(name)}`) }];
  });
}
