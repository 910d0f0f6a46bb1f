import { AppError } from '../core/errors.ts';
import { isObject, type JsonObject, parseObject } from '../core/json.ts';
import type { KubeClient, KubeRequest } from './client.ts';
import { FIELD_MANAGER } from './cluster.ts';
import {
  errorFromResponse,
  isNotFound,
  isUidMismatch,
  type KubeResponse,
  unexpectedResponse,
} from './errors.ts';
import { listIn, objectIn, textIn } from './json.ts';
import { foreignPodAnnotations } from './managed-fields.ts';
import { stringMapIn } from './manifest.ts';
import { checkNamespace, checkTarget, selectorOf } from './names.ts';
import { listAll, nameOf } from './pages.ts';
import { isRolling } from './rolling.ts';
import {
  type LiveWorkload,
  WORKLOAD_APIS,
  WORKLOAD_KINDS,
  type WorkloadId,
  type WorkloadKind,
  type Workloads,
} from './workloads.ts';

/**
 * The maximum number of attempts for one patch. Controllers write the same object frequently, so conflicts are common.
 */
const MAX_ATTEMPTS = 4;

/** @param mutate Sends a write request. */
export function createWorkloads(
  client: KubeClient,
  mutate: (request: KubeRequest) => Promise<KubeResponse>,
): Workloads {
  // A Rollout with `workloadRef` uses the pod template of another workload, so it has no template to annotate.
  const withWorkloadRef = new WeakSet<LiveWorkload>();

  function toLiveWorkload(item: JsonObject, id: WorkloadId): LiveWorkload {
    const metadata = objectIn(item, 'metadata') ?? {};
    const uid = textIn(metadata, 'uid');
    const resourceVersion = textIn(metadata, 'resourceVersion');
    const spec = objectIn(item, 'spec') ?? {};
    const template = objectIn(objectIn(spec, 'template') ?? {}, 'metadata') ?? {};
    const podAnnotations = stringMapIn(template, 'annotations');
    if (!uid || !resourceVersion || !podAnnotations || nameOf(item) !== id.name)
      throw unexpectedResponse(subjectOf(id));
    const foreign = foreignPodAnnotations(metadata, Object.keys(podAnnotations), FIELD_MANAGER);
    const live = { id, uid, resourceVersion, podAnnotations, foreign, rolling: isRolling(id.kind, item) };
    if (objectIn(spec, 'workloadRef') !== undefined) withWorkloadRef.add(live);
    return live;
  }

  /**
   * Whether the cluster lacks this kind, such as Rollout without Argo Rollouts. A plain 404 is no proof, because a
   * wrong path or a proxy also returns it. The API discovery lists are proof.
   */
  async function isUnknownKind(kind: WorkloadKind, signal?: AbortSignal): Promise<boolean> {
    const { group, version, plural } = WORKLOAD_APIS[kind];
    const inList = async (path: string, expected: string, list: string, name: string) => {
      const response = await client.send({ method: 'GET', path, signal });
      if (response.status !== 200) throw errorFromResponse(response, `kind ${kind}`);
      const body = parseObject(response.text) ?? {};
      if (body.kind !== expected) throw unexpectedResponse(`kind ${kind}`);
      return listIn(body, list).some((entry) => isObject(entry) && entry.name === name);
    };
    if (!(await inList('/apis', 'APIGroupList', 'groups', group))) return true;
    return !(await inList(`/apis/${group}/${version}`, 'APIResourceList', 'resources', plural));
  }

  async function read(id: WorkloadId, { signal }: { signal?: AbortSignal } = {}) {
    checkWorkload(id);
    const response = await client.send({ method: 'GET', path: pathOf(id), signal });
    if (response.status === 200) {
      const item = parseObject(response.text);
      if (item?.kind !== id.kind) throw unexpectedResponse(subjectOf(id));
      return toLiveWorkload(item, id);
    }
    if (isNotFound(response, WORKLOAD_APIS[id.kind].plural)) return undefined;
    if (response.status === 404 && (await isUnknownKind(id.kind, signal))) return undefined;
    throw errorFromResponse(response, subjectOf(id));
  }

  async function list(
    kind: WorkloadKind,
    namespace: string,
    matchLabels: Readonly<Record<string, string>>,
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<readonly LiveWorkload[]> {
    checkNamespace(namespace);
    const { group, version } = WORKLOAD_APIS[kind];
    const format = { apiVersion: `${group}/${version}`, kind: `${kind}List` };
    const request = {
      path: collectionOf(kind, namespace),
      selector: selectorOf(matchLabels),
      format,
      subject: `${kind}s of namespace ${namespace}`,
      signal,
    };
    try {
      const items = await listAll(client, request);
      return items.map((item) => toLiveWorkload(item, { kind, namespace, name: nameOf(item) }));
    } catch (error) {
      const missing = error instanceof AppError && isObject(error.cause) && error.cause.status === 404;
      if (missing && (await isUnknownKind(kind, signal))) return [];
      throw error;
    }
  }

  return {
    read,
    list,
    async annotatePods(live, annotations, { signal } = {}) {
      const { id, uid } = live;
      checkWorkload(id);
      if (withWorkloadRef.has(live)) {
        const detail = 'this Rollout takes its pods from another workload: name that workload in `restart`';
        throw new AppError('CLUSTER_REFUSED', { subject: subjectOf(id), detail });
      }
      const request: KubeRequest = {
        method: 'PATCH',
        path: `${pathOf(id)}?fieldManager=${FIELD_MANAGER}`,
        contentType: 'application/merge-patch+json',
        // Without a resourceVersion, the patch keeps concurrent changes to other fields. With the uid, the patch fails
        // if another workload now has this name. Such a workload needs no restart, because its pods started after the
        // Secret changed.
        body: { metadata: { uid }, spec: { template: { metadata: { annotations } } } },
        signal,
      };
      for (let attempt = 1; ; attempt += 1) {
        const response = await mutate(request);
        if (response.status === 200) return 'written';
        if (isNotFound(response, WORKLOAD_APIS[id.kind].plural) || isUidMismatch(response)) return 'missing';
        const error = errorFromResponse(response, subjectOf(id));
        if (error.code !== 'CONFLICT') throw error;
        const current = await read(id, signal ? { signal } : {});
        if (current?.uid !== uid) return 'missing';
        if (attempt === MAX_ATTEMPTS) throw error;
      }
    },
  };
}

function subjectOf({ kind, namespace, name }: WorkloadId): string {
  return `${kind} ${namespace}/${name}`;
}

/** Workload names are DNS subdomains, like Secret names. */
function checkWorkload({ kind, namespace, name }: WorkloadId): void {
  if (!WORKLOAD_KINDS.includes(kind)) {
    throw new AppError('CONFIG_INVALID', {
      subject: `${namespace}/${name}`,
      detail: 'workloads of this kind cannot be restarted',
    });
  }
  checkTarget({ namespace, secret: name });
}

function collectionOf(kind: WorkloadKind, namespace: string): string {
  const { group, version, plural } = WORKLOAD_APIS[kind];
  return `/apis/${group}/${version}/namespaces/${namespace}/${plural}`;
}

function pathOf({ kind, namespace, name }: WorkloadId): string {
  return `${collectionOf(kind, namespace)}/${name}`;
}
