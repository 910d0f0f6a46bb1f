import { type JsonObject, parseObject } from '../core/json.ts';
import type { KubeClient } from './client.ts';
import type { CallOptions } from './cluster.ts';
import { errorFromResponse, isNotFound, unexpectedResponse } from './errors.ts';
import { objectIn, textIn } from './json.ts';
import { checkNamespace } from './names.ts';

/** A ConfigMap as read from the cluster. */
export interface ConfigMap {
  readonly data: Readonly<Record<string, string>>;
  readonly resourceVersion: string;
}

/** ConfigMaps store small public data of the bridge in the cluster, such as audit checkpoints. */
export interface ConfigMaps {
  /** Returns `undefined` only if the ConfigMap definitely does not exist. */
  read(namespace: string, name: string, options?: CallOptions): Promise<ConfigMap | undefined>;
  /**
   * Replaces the ConfigMap if it is unchanged since `read`, or creates it if `read` is undefined. Keeps labels and
   * annotations of other writers. `conflict`: the ConfigMap changed meanwhile, and nothing was written.
   * @param options.dryRun The cluster validates the request and writes nothing.
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
  // A PUT must send the whole object, including unknown fields. So keep each raw object for as long as the caller keeps
  // the parsed one.
  const rawByConfigMap = new WeakMap<ConfigMap, JsonObject>();
  return {
    async read(namespace, name, { signal } = {}) {
      checkNamespace(namespace);
      const subject = `ConfigMap ${namespace}/${name}`;
      const response = await client.send({ method: 'GET', path: pathOf(namespace, name), signal });
      if (isNotFound(response, 'configmaps')) return undefined;
      if (response.status !== 200) throw errorFromResponse(response, subject);
      const raw = parseObject(response.text);
      const resourceVersion = textIn((raw && objectIn(raw, 'metadata')) ?? {}, 'resourceVersion');
      if (raw?.kind !== 'ConfigMap' || resourceVersion === undefined) throw unexpectedResponse(subject);
      const configMap = { data: stringEntries(objectIn(raw, 'data') ?? {}), resourceVersion };
      rawByConfigMap.set(configMap, raw);
      return configMap;
    },
    async write({ namespace, name }, data, read, { signal, dryRun = false } = {}) {
      checkNamespace(namespace);
      const raw = read === undefined ? undefined : rawByConfigMap.get(read);
      const query = `?fieldManager=secretbridge${dryRun ? '&dryRun=All' : ''}`;
      const response = await client.send(
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
      if (response.status === 200 || response.status === 201) return 'written';
      // A PUT returns 404 if the object was deleted since it was read.
      if (isNotFound(response, 'configmaps')) return 'conflict';
      const error = errorFromResponse(response, `ConfigMap ${namespace}/${name}`);
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

function stringEntries(members: JsonObject): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(members).flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : [])),
  );
}
