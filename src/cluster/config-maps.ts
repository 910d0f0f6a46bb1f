import { type JsonObject, parseObject } from '../core/json.ts';
import type { KubeClient } from './client.ts';
import type { CallOptions } from './cluster.ts';
import { errorOfAnswer, saysNone } from './errors.ts';
import { objectIn, textIn } from './json.ts';
import { checkNamespace } from './names.ts';
import { unknownForm } from './pages.ts';

/** A ConfigMap as it was read. */
export interface ConfigMap {
  readonly data: Readonly<Record<string, string>>;
  readonly resourceVersion: string;
}

/** Small public facts that the bridge keeps in the cluster, such as checkpoints of the audit. */
export interface ConfigMaps {
  /** Only a definite "not found" of the ConfigMap itself is `undefined`. */
  read(namespace: string, name: string, options?: CallOptions): Promise<ConfigMap | undefined>;
  /**
   * Replaces exactly the object that was read, or creates it where there was none; labels and annotations of others
   * stay. `conflict`: somebody was faster, nothing was written.
   * @param options.dryRun The cluster decides as for a real one, and writes nothing.
   */
  write(
    place: { readonly namespace: string; readonly name: string },
    data: Readonly<Record<string, string>>,
    read: ConfigMap | undefined,
    options?: CallOptions & { readonly dryRun?: boolean | undefined },
  ): Promise<'written' | 'conflict'>;
}

/** https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/config-map-v1/ */
export function createConfigMaps(client: KubeClient): ConfigMaps {
  // A PUT sends the object as it was read, so what was read is kept for as long as the caller keeps it.
  const raws = new WeakMap<ConfigMap, JsonObject>();
  return {
    async read(namespace, name, { signal } = {}) {
      checkNamespace(namespace);
      const about = `ConfigMap ${namespace}/${name}`;
      const answer = await client.send({ method: 'GET', path: pathOf(namespace, name), signal });
      if (saysNone(answer, 'configmaps')) return undefined;
      if (answer.status !== 200) throw errorOfAnswer(answer, about);
      const raw = parseObject(answer.text);
      const resourceVersion = textIn((raw && objectIn(raw, 'metadata')) ?? {}, 'resourceVersion');
      if (raw?.kind !== 'ConfigMap' || resourceVersion === undefined) throw unknownForm(about);
      const map = { data: textsIn(objectIn(raw, 'data') ?? {}), resourceVersion };
      raws.set(map, raw);
      return map;
    },
    async write({ namespace, name }, data, read, { signal, dryRun = false } = {}) {
      checkNamespace(namespace);
      const raw = read === undefined ? undefined : raws.get(read);
      const query = `?fieldManager=secretbridge${dryRun ? '&dryRun=All' : ''}`;
      const answer = await client.send(
        raw === undefined
          ? {
              method: 'POST',
              path: `${collectionOf(namespace)}${query}`,
              body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace }, data },
              signal,
            }
          : {
              method: 'PUT',
              path: `${pathOf(namespace, name)}${query}`,
              body: { ...raw, data },
              signal,
            },
      );
      if (answer.status === 200 || answer.status === 201) return 'written';
      // 404 in answer to a PUT: it was deleted since we read it.
      if (saysNone(answer, 'configmaps')) return 'conflict';
      const error = errorOfAnswer(answer, `ConfigMap ${namespace}/${name}`);
      if (error.code === 'CONFLICT') return 'conflict';
      throw error;
    },
  };
}

function collectionOf(namespace: string): string {
  return `/api/v1/namespaces/${namespace}/configmaps`;
}

function pathOf(namespace: string, name: string): string {
  return `${collectionOf(namespace)}/${encodeURIComponent(name)}`;
}

function textsIn(members: JsonObject): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(members).flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : [])),
  );
}
