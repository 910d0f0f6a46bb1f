import { isObject, type JsonObject, parseObject } from '../core/json.ts';
import type { KubeClient } from './client.ts';
import { errorFromResponse, isNotFound, unexpectedResponse } from './errors.ts';
import { objectIn, textIn } from './json.ts';
import { checkNamespace, selectorOf } from './names.ts';
import { isTerminating, listWithVersion, nameOf } from './pages.ts';
import type {
  ConfigMapHandlers,
  ConfigMapScope,
  NamespaceState,
  SelectedConfigMap,
  SelectedConfigMaps,
} from './team-ports.ts';
import { listAndWatch, type WatchTuning } from './watch.ts';

const LIST = { apiVersion: 'v1', kind: 'ConfigMapList' } as const;

/** Reads the ConfigMaps that a label selector matches. */
export function createSelectedConfigMaps(
  client: KubeClient,
  open: (watch: AsyncDisposable) => AsyncDisposable,
  tuning: WatchTuning | undefined,
): SelectedConfigMaps {
  return {
    async list(scope, convert, { signal } = {}) {
      const { path, selector, subject } = collectionOf(scope);
      const request = { path, selector, format: LIST, subject, signal };
      const { items } = await listWithVersion(client, request, (item) => convert(configMapOf(item, scope)));
      return items;
    },
    watch: (scope, handlers) => open(watchConfigMaps(client, scope, handlers, tuning)),
    namespaceState: (namespace, { signal } = {}) => namespaceState(client, namespace, signal),
    async namespaces({ signal } = {}) {
      const request = { path: '/api/v1/namespaces', selector: '', subject: 'namespaces', signal };
      const { items } = await listWithVersion(
        client,
        request,
        (item) => [nameOf(item), isTerminating(item) ? 'ending' : 'active'] as const,
      );
      return new Map(items);
    },
  };
}

function watchConfigMaps<T>(
  client: KubeClient,
  scope: ConfigMapScope,
  handlers: ConfigMapHandlers<T>,
  tuning: WatchTuning | undefined,
): AsyncDisposable {
  const { path, selector: labelSelector, subject } = collectionOf(scope);
  const sink = {
    convert: (item: JsonObject) => handlers.convert(configMapOf(item, scope)),
    listed(items: readonly T[]) {
      handlers.listed(items);
      return true;
    },
    changed: handlers.changed,
    deleted: handlers.deleted,
    progress: handlers.progress,
  };
  return listAndWatch(client, { path, labelSelector, objects: LIST.kind, subject }, sink, tuning);
}

function collectionOf({ namespace, selector }: ConfigMapScope) {
  checkNamespace(namespace);
  return {
    path: `/api/v1/namespaces/${namespace}/configmaps`,
    selector: selectorOf(selector),
    subject: `ConfigMaps of namespace ${namespace}`,
  };
}

function configMapOf(item: JsonObject, scope: ConfigMapScope): SelectedConfigMap {
  const metadata = objectIn(item, 'metadata') ?? {};
  const [name, namespace, uid] = ['name', 'namespace', 'uid'].map((field) => textIn(metadata, field));
  // A ConfigMap of another namespace would get the bounds of this one.
  if (!name || !uid || namespace !== scope.namespace || name.includes('/'))
    throw unexpectedResponse(`ConfigMaps of namespace ${scope.namespace}`);
  const { data, binaryData } = item;
  const texts = isObject(data) ? Object.entries(data) : [];
  return {
    ...{ namespace, name, uid },
    data: new Map(texts.flatMap(([key, text]) => (typeof text === 'string' ? [[key, text]] : []))),
    binaryKeys: isObject(binaryData) ? Object.keys(binaryData) : [],
  };
}

async function namespaceState(
  client: KubeClient,
  namespace: string,
  signal: AbortSignal | undefined,
): Promise<NamespaceState> {
  checkNamespace(namespace);
  const subject = `namespace ${namespace}`;
  const response = await client.send({ method: 'GET', path: `/api/v1/namespaces/${namespace}`, signal });
  if (isNotFound(response, 'namespaces')) return 'missing';
  if (response.status !== 200) throw errorFromResponse(response, subject);
  const object = parseObject(response.text);
  if (object?.kind !== 'Namespace') throw unexpectedResponse(subject);
  return isTerminating(object) ? 'ending' : 'active';
}
