import { isObject, type JsonObject } from '../core/json.ts';
import type { KubeClient } from './client.ts';
import type { NamespaceHandlers, SecretMeta, WatchHandlers, WatchScope } from './cluster.ts';
import { unexpectedResponse } from './errors.ts';
import { objectIn } from './json.ts';
import { toMeta } from './manifest.ts';
import { checkScope, formatScope } from './names.ts';
import { nameOf } from './pages.ts';
import { listAndWatch, type WatchTuning } from './watch.ts';

/** Watches the Secrets of a scope with one request, for any number of Secrets. */
export function watchSecrets(
  client: KubeClient,
  scope: WatchScope,
  handlers: WatchHandlers,
  tuning?: WatchTuning,
): AsyncDisposable {
  const { namespace, secret } = scope;
  checkScope(scope);
  const subject = formatScope(scope);
  // Keep only the names of Secrets that the caller does not need. Otherwise the metadata of tens of thousands of
  // Secrets would stay in memory until the last page.
  const withoutMetadata = new WeakSet<SecretMeta>();
  const isOfInterest = ({ id }: SecretMeta): boolean => handlers.isOfInterest?.(id.secret) ?? true;
  const metaOf = (item: JsonObject): SecretMeta => {
    const meta = toMeta(item, namespace);
    if (meta === undefined || (secret !== undefined && meta.id.secret !== secret))
      throw unexpectedResponse(subject);
    if (isOfInterest(meta)) return meta;
    const trimmed: SecretMeta = { ...meta, labels: {}, annotations: {}, ours: undefined };
    withoutMetadata.add(trimmed);
    return trimmed;
  };
  const collection = {
    path: `/api/v1/namespaces/${namespace}/secrets`,
    // RBAC rules with `resourceNames` allow only requests with this field selector.
    fieldSelector: secret === undefined ? undefined : `metadata.name=${secret}`,
    subject,
  };
  const sink = {
    convert: metaOf,
    listed(metas: readonly SecretMeta[]) {
      // The caller may have started to need a Secret after its page was read.
      if (metas.some((meta) => withoutMetadata.has(meta) && isOfInterest(meta))) return false;
      handlers.listed(metas);
      return true;
    },
    changed: handlers.changed,
    deleted: ({ id }: SecretMeta) => handlers.deleted(id),
    progress: handlers.progress,
  };
  return listAndWatch(client, collection, sink, tuning);
}

/** Watches namespaces and reports only changes that affect their selection: existence, termination and labels. */
export function watchNamespaces(
  client: KubeClient,
  handlers: NamespaceHandlers,
  tuning?: WatchTuning,
): AsyncDisposable {
  const signatures = new Map<string, string>();
  type NamespaceEntry = readonly [name: string, signature: string];
  const sink = {
    convert: (item: JsonObject): NamespaceEntry => [nameOf(item), signatureOf(item)],
    listed(items: readonly NamespaceEntry[]) {
      signatures.clear();
      for (const [name, signature] of items) signatures.set(name, signature);
      handlers.changed();
      return true;
    },
    changed([name, signature]: NamespaceEntry) {
      if (signatures.get(name) === signature) return;
      signatures.set(name, signature);
      handlers.changed();
    },
    deleted([name]: NamespaceEntry) {
      signatures.delete(name);
      handlers.changed();
    },
    progress: handlers.progress,
  };
  return listAndWatch(client, { path: '/api/v1/namespaces', subject: 'namespaces' }, sink, tuning);
}

function signatureOf(item: JsonObject): string {
  const { labels, deletionTimestamp } = objectIn(item, 'metadata') ?? {};
  const texts = isObject(labels) ? Object.entries(labels).sort() : [];
  return JSON.stringify([texts, deletionTimestamp !== undefined]);
}
