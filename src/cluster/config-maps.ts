import type { V1ConfigMap } from '@kubernetes/client-node/dist/gen/models/V1ConfigMap.js';
import type { KubeClient } from './client.ts';
import { type ConfigMap, type ConfigMaps, FIELD_MANAGER } from './cluster.ts';
import { errorFromResponse, isNotFound, unexpectedResponse } from './errors.ts';
import { checkNamespace } from './names.ts';
import { bodyOf, coreApi, sendTyped } from './typed-apis.ts';

/** https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/config-map-v1/ */
export function createConfigMaps({ send }: KubeClient): ConfigMaps {
  // Maps each `ConfigMap` to the complete object from the API server, because a PUT must send the complete object. An
  // entry exists for as long as the caller keeps the `ConfigMap`.
  const objects = new WeakMap<ConfigMap, V1ConfigMap>();
  return {
    async read(namespace, name, { signal } = {}) {
      checkNamespace(namespace);
      const subject = `ConfigMap ${namespace}/${name}`;
      const api = await coreApi();
      const response = await sendTyped(send, api.readNamespacedConfigMap(name, namespace), signal);
      if (isNotFound(response, 'configmaps')) return undefined;
      const object = bodyOf<V1ConfigMap>(response, 200, subject);
      const resourceVersion = object.metadata?.resourceVersion;
      if (object.kind !== 'ConfigMap' || !resourceVersion) throw unexpectedResponse(subject);
      const configMap = { data: object.data ?? {}, resourceVersion };
      objects.set(configMap, object);
      return configMap;
    },
    async write({ namespace, name }, data, read, { signal, dryRun = false } = {}) {
      checkNamespace(namespace);
      const object = read && objects.get(read);
      const api = await coreApi();
      const mode = dryRun ? 'All' : undefined;
      const created: V1ConfigMap = {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name, namespace },
        data,
      };
      const request =
        object === undefined
          ? api.createNamespacedConfigMap(namespace, created, undefined, mode, FIELD_MANAGER)
          : api.replaceNamespacedConfigMap(
              name,
              namespace,
              { ...object, data },
              undefined,
              mode,
              FIELD_MANAGER,
            );
      const response = await sendTyped(send, request, signal);
      if (response.status === 200 || response.status === 201) return 'written';
      // A PUT returns 404 if the object was deleted since it was read.
      if (isNotFound(response, 'configmaps')) return 'conflict';
      const error = errorFromResponse(response, `ConfigMap ${namespace}/${name}`);
      if (error.code === 'CONFLICT') return 'conflict';
      throw error;
    },
  };
}
