import { isObject, parseObject } from '../core/json.ts';
import type { KubeClient } from './client.ts';
import { errorFromResponse, isNotFound, isUidMismatch, unexpectedResponse } from './errors.ts';
import { objectIn, textIn } from './json.ts';
import { checkTarget } from './names.ts';
import type { ConfigMapAnnotations, ConfigMapPlace } from './team-ports.ts';

/** The prefix of the annotations. No other annotation of a ConfigMap is read or written. */
export const STATUS_PREFIX = 'status.secretbridge.dev/';

/** Without the data of the ConfigMap. */
const METADATA = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json';
/** A field manager of its own. So a GitOps tool that applies the ConfigMap keeps the annotations. */
const FIELD_MANAGER = 'secretbridge-status';

/**
 * Writes the annotations with server-side apply, which touches no other field. `force` takes the annotations back from a
 * person who has changed them. The uid prevents the API server from creating a ConfigMap that was deleted.
 */
export function createConfigMapAnnotations(client: KubeClient): ConfigMapAnnotations {
  return {
    async read(place) {
      const response = await client.send({ method: 'GET', path: pathOf(place), accept: METADATA });
      if (isNotFound(response, 'configmaps')) return undefined;
      if (response.status !== 200) throw errorFromResponse(response, subjectOf(place));
      const metadata = objectIn(parseObject(response.text) ?? {}, 'metadata') ?? {};
      const uid = textIn(metadata, 'uid');
      if (!uid) throw unexpectedResponse(subjectOf(place));
      const { namespace, name } = place;
      return { namespace, name, uid, annotations: ownIn(metadata.annotations) };
    },
    async write({ namespace, name, uid }, annotations) {
      const place = { namespace, name };
      const metadata = { ...place, uid, annotations };
      const response = await client.send({
        method: 'PATCH',
        path: `${pathOf(place)}?fieldManager=${FIELD_MANAGER}&force=true`,
        body: { apiVersion: 'v1', kind: 'ConfigMap', metadata },
        contentType: 'application/apply-patch+yaml',
        accept: METADATA,
      });
      if (response.status === 200) return true;
      if (isNotFound(response, 'configmaps') || isUidMismatch(response) || response.status === 409)
        return false;
      throw errorFromResponse(response, subjectOf(place));
    },
  };
}

function pathOf({ namespace, name }: ConfigMapPlace): string {
  checkTarget({ namespace, secret: name });
  return `/api/v1/namespaces/${namespace}/configmaps/${name}`;
}

function subjectOf({ namespace, name }: ConfigMapPlace): string {
  return `ConfigMap ${namespace}/${name}`;
}

function ownIn(annotations: unknown): Readonly<Record<string, string>> {
  const all = isObject(annotations) ? Object.entries(annotations) : [];
  return Object.fromEntries(
    all.flatMap(([name, text]) =>
      name.startsWith(STATUS_PREFIX) && typeof text === 'string' ? [[name, text]] : [],
    ),
  );
}
