import { createKubeClient, type KubeClient, type KubeClientOptions } from '../../cluster/client.ts';
import { listCustomObjects, readObject } from '../../cluster/custom-objects.ts';
import { isObject } from '../../core/json.ts';
import type { Json } from '../../import/node.ts';
import { type Objects, readObjects, sortObjects } from '../../import/objects.ts';
import type { Tool } from '../../import/tool.ts';

/** The workloads whose pods mount files of a tool. */
const WORKLOADS = [
  {
    group: 'apps',
    kinds: [
      { kind: 'DaemonSet', plural: 'daemonsets', namespaced: true },
      { kind: 'Deployment', plural: 'deployments', namespaced: true },
      { kind: 'StatefulSet', plural: 'statefulsets', namespaced: true },
    ],
  },
  { group: 'batch', kinds: [{ kind: 'CronJob', plural: 'cronjobs', namespaced: true }] },
] as const;

/**
 * Reads the objects of a tool from the current cluster, and the service accounts, ConfigMaps and workloads that they
 * need.
 */
export async function readCluster(
  tool: Tool,
  options: KubeClientOptions,
  { namespace, signal }: { readonly namespace: string; readonly signal: AbortSignal },
): Promise<Objects> {
  await using client = await createKubeClient(options);
  const { api } = tool;
  const own = await listCustomObjects(client, { ...api, signal });
  const lists = [own];
  if (tool.readsWorkloads === true)
    for (const { group, kinds } of WORKLOADS)
      lists.push(await listCustomObjects(client, { group, versions: ['v1'], kinds, signal }));
  const objects = lists.flatMap((list) => list.objects);
  const texts = await referredObjects(client, objects, signal);
  const sorted = sortObjects(objects, { namespace, api });
  const { accounts, configMaps } = readObjects(texts, namespace, api);
  return {
    ...sorted,
    ...{ accounts, configMaps },
    unreadable: [...new Set([...lists.flatMap(({ warnings }) => warnings), ...sorted.unreadable])],
  };
}

/**
 * Reads the service accounts, whose annotations name cloud roles, and the ConfigMaps with templates. If an object cannot
 * be read, the report contains a note about the store or mapping that needs it.
 */
async function referredObjects(client: KubeClient, objects: readonly Json[], signal: AbortSignal) {
  const paths = new Set<string>();
  for (const { metadata, spec } of objects) {
    const own = isObject(metadata) && typeof metadata.namespace === 'string' ? metadata.namespace : undefined;
    for (const { plural, name, namespace } of refsIn(spec)) {
      const place = own ?? namespace;
      if (typeof name === 'string' && typeof place === 'string')
        paths.add(`/api/v1/namespaces/${encodeURIComponent(place)}/${plural}/${encodeURIComponent(name)}`);
    }
  }
  const texts = [];
  for (const path of paths) {
    const text = await readObject(client, path, signal);
    if (text !== undefined) texts.push({ name: path, text });
  }
  return texts;
}

interface ObjectRef {
  readonly plural: 'serviceaccounts' | 'configmaps';
  readonly name: unknown;
  readonly namespace?: unknown;
}

function refsIn(value: unknown): readonly ObjectRef[] {
  if (Array.isArray(value)) return value.flatMap(refsIn);
  if (!isObject(value)) return [];
  const { serviceAccountRef, serviceAccountName, templateFrom } = value;
  return [
    ...(isObject(serviceAccountRef) ? [accountRef(serviceAccountRef)] : []),
    ...(typeof serviceAccountName === 'string' ? [accountRef({ name: serviceAccountName })] : []),
    ...(Array.isArray(templateFrom) ? templateFrom.flatMap(configMapRefs) : []),
    ...Object.values(value).flatMap(refsIn),
  ];
}

function accountRef({ name, namespace }: Json): ObjectRef {
  return { plural: 'serviceaccounts', name, namespace };
}

function configMapRefs(from: unknown): readonly ObjectRef[] {
  return isObject(from) && isObject(from.configMap)
    ? [{ plural: 'configmaps', name: from.configMap.name }]
    : [];
}
