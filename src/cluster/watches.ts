import { isObject, type JsonObject } from '../core/json.ts';
import type { KubeClient } from './client.ts';
import type { NamespaceHandlers, SecretMeta, WatchHandlers, WatchScope } from './cluster.ts';
import { objectIn } from './json.ts';
import { checkScope, formatScope } from './names.ts';
import { nameOf, unknownForm } from './pages.ts';
import { toMeta } from './secret-meta.ts';
import { follow, type WatchTuning } from './watch.ts';

/** The Secrets of a scope: one request and one connection, whatever their number. */
export function watchSecrets(
  client: KubeClient,
  scope: WatchScope,
  handlers: WatchHandlers,
  tuning?: WatchTuning,
): AsyncDisposable {
  const { namespace, secret } = scope;
  checkScope(scope);
  const about = formatScope(scope);
  const metaOf = (item: JsonObject): SecretMeta => {
    const meta = toMeta(item, namespace);
    if (meta === undefined || (secret !== undefined && meta.id.secret !== secret)) throw unknownForm(about);
    return meta;
  };
  const followed = {
    path: `/api/v1/namespaces/${namespace}/secrets`,
    // RBAC lets a request with this selector through under a rule with `resourceNames`.
    fieldSelector: secret === undefined ? undefined : `metadata.name=${secret}`,
    about,
  };
  const follower = {
    listed: (items: readonly JsonObject[]) => handlers.listed(items.map(metaOf)),
    changed: (item: JsonObject) => handlers.changed(metaOf(item)),
    gone: (item: JsonObject) => handlers.gone(metaOf(item).id),
    progress: handlers.progress,
  };
  return follow(client, followed, follower, tuning);
}

/** Tells only of what decides whether a namespace is selected: that it is there, is not ending, and its labels. */
export function watchNamespaces(
  client: KubeClient,
  handlers: NamespaceHandlers,
  tuning?: WatchTuning,
): AsyncDisposable {
  const known = new Map<string, string>();
  const follower = {
    listed(items: readonly JsonObject[]) {
      known.clear();
      for (const item of items) known.set(nameOf(item), signatureOf(item));
      handlers.changed();
    },
    changed(item: JsonObject) {
      const signature = signatureOf(item);
      if (known.get(nameOf(item)) === signature) return;
      known.set(nameOf(item), signature);
      handlers.changed();
    },
    gone(item: JsonObject) {
      known.delete(nameOf(item));
      handlers.changed();
    },
    progress: handlers.progress,
  };
  return follow(client, { path: '/api/v1/namespaces', about: 'namespaces' }, follower, tuning);
}

function signatureOf(item: JsonObject): string {
  const { labels, deletionTimestamp } = objectIn(item, 'metadata') ?? {};
  const texts = isObject(labels) ? Object.entries(labels).sort() : [];
  return JSON.stringify([texts, deletionTimestamp !== undefined]);
}
