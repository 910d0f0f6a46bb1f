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
  // Of tens of thousands of Secrets, what others noted on them would be in memory until the last page has come.
  const onlyNamed = new WeakSet<SecretMeta>();
  const isOfInterest = ({ id }: SecretMeta): boolean => handlers.isOfInterest?.(id.secret) ?? true;
  const metaOf = (item: JsonObject): SecretMeta => {
    const meta = toMeta(item, namespace);
    if (meta === undefined || (secret !== undefined && meta.id.secret !== secret)) throw unknownForm(about);
    if (isOfInterest(meta)) return meta;
    const named: SecretMeta = { ...meta, labels: {}, annotations: {}, ours: undefined };
    onlyNamed.add(named);
    return named;
  };
  const followed = {
    path: `/api/v1/namespaces/${namespace}/secrets`,
    // RBAC lets a request with this selector through under a rule with `resourceNames`.
    fieldSelector: secret === undefined ? undefined : `metadata.name=${secret}`,
    about,
  };
  const follower = {
    take: metaOf,
    listed(found: readonly SecretMeta[]) {
      // One may have become of interest since its page was read.
      if (found.some((meta) => onlyNamed.has(meta) && isOfInterest(meta))) return false;
      handlers.listed(found);
      return true;
    },
    changed: handlers.changed,
    gone: ({ id }: SecretMeta) => handlers.gone(id),
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
  type Named = readonly [name: string, signature: string];
  const follower = {
    take: (item: JsonObject): Named => [nameOf(item), signatureOf(item)],
    listed(items: readonly Named[]) {
      known.clear();
      for (const [name, signature] of items) known.set(name, signature);
      handlers.changed();
      return true;
    },
    changed([name, signature]: Named) {
      if (known.get(name) === signature) return;
      known.set(name, signature);
      handlers.changed();
    },
    gone([name]: Named) {
      known.delete(name);
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
