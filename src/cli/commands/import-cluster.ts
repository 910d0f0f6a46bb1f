import { createKubeClient, type KubeClient, type KubeClientOptions } from '../../cluster/client.ts';
import { listCustomObjects, readObject } from '../../cluster/custom-objects.ts';
import { isObject } from '../../core/json.ts';
import type { Json } from '../../import/node.ts';
import { type Objects, readObjects, sortObjects } from '../../import/objects.ts';

const KINDS = [
  { kind: 'ClusterExternalSecret', plural: 'clusterexternalsecrets', namespaced: false },
  { kind: 'ClusterSecretStore', plural: 'clustersecretstores', namespaced: false },
  { kind: 'ExternalSecret', plural: 'externalsecrets', namespaced: true },
  { kind: 'SecretStore', plural: 'secretstores', namespaced: true },
] as const;

/** Reads the objects of External Secrets from the current cluster, and the service accounts that they name. */
export async function readCluster(
  options: KubeClientOptions,
  { namespace, signal }: { readonly namespace: string; readonly signal: AbortSignal },
): Promise<Objects> {
  await using client = await createKubeClient(options);
  const { objects, warnings } = await listCustomObjects(client, {
    group: 'external-secrets.io',
    versions: ['v1', 'v1beta1'],
    kinds: KINDS,
    signal,
  });
  const accounts = await accountsOf(client, objects, signal);
  const sorted = sortObjects(objects, { namespace });
  return {
    ...sorted,
    accounts: readObjects(accounts, namespace).accounts,
    unreadable: [...warnings, ...sorted.unreadable],
  };
}

/**
 * Reads the service accounts, whose annotations name cloud roles. If an account cannot be read, the report contains a
 * note about the store that needs the role.
 */
async function accountsOf(client: KubeClient, objects: readonly Json[], signal: AbortSignal) {
  const paths = new Set<string>();
  for (const { metadata, spec } of objects) {
    const own = isObject(metadata) && typeof metadata.namespace === 'string' ? metadata.namespace : undefined;
    for (const { name, namespace } of refsIn(spec)) {
      const place = own ?? namespace;
      if (typeof name === 'string' && typeof place === 'string')
        paths.add(
          `/api/v1/namespaces/${encodeURIComponent(place)}/serviceaccounts/${encodeURIComponent(name)}`,
        );
    }
  }
  const texts = [];
  for (const path of paths) {
    const text = await readObject(client, path, signal);
    if (text !== undefined) texts.push({ name: path, text });
  }
  return texts;
}

function refsIn(value: unknown): readonly Json[] {
  if (Array.isArray(value)) return value.flatMap(refsIn);
  if (!isObject(value)) return [];
  const { serviceAccountRef } = value;
  return [
    ...(isObject(serviceAccountRef) ? [serviceAccountRef] : []),
    ...Object.values(value).flatMap(refsIn),
  ];
}
