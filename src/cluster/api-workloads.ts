import { AppError } from '../core/errors.ts';
import { isObject, type JsonObject, parseObject } from '../core/json.ts';
import type { KubeClient, KubeRequest } from './client.ts';
import { FIELD_MANAGER } from './cluster.ts';
import { errorOfAnswer, type KubeAnswer, saysAnotherUid, saysNone } from './errors.ts';
import { listIn, objectIn, textIn } from './json.ts';
import { foreignPodAnnotations } from './managed-fields.ts';
import { textsIn } from './manifest.ts';
import { checkNamespace, checkTarget, selectorOf } from './names.ts';
import { listAll, nameOf, unknownForm } from './pages.ts';
import { isRolling } from './rolling.ts';
import {
  type LiveWorkload,
  WORKLOAD_KINDS,
  type WorkloadId,
  type WorkloadKind,
  type Workloads,
} from './workloads.ts';

interface Api {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
}

export const WORKLOAD_APIS: Readonly<Record<WorkloadKind, Api>> = {
  Deployment: { group: 'apps', version: 'v1', plural: 'deployments' },
  StatefulSet: { group: 'apps', version: 'v1', plural: 'statefulsets' },
  DaemonSet: { group: 'apps', version: 'v1', plural: 'daemonsets' },
  Rollout: { group: 'argoproj.io', version: 'v1alpha1', plural: 'rollouts' },
};

/** How often a patch that lost is sent again: controllers write the same object all the time. */
const TRIES = 4;

/** @param mutate Sends what changes something. */
export function createWorkloads(
  client: KubeClient,
  mutate: (request: KubeRequest) => Promise<KubeAnswer>,
): Workloads {
  // The pods of such a Rollout come from the template of another workload, so it has none to annotate.
  const borrowing = new WeakSet<LiveWorkload>();

  function liveOf(item: JsonObject, id: WorkloadId): LiveWorkload {
    const metadata = objectIn(item, 'metadata') ?? {};
    const uid = textIn(metadata, 'uid');
    const resourceVersion = textIn(metadata, 'resourceVersion');
    const spec = objectIn(item, 'spec') ?? {};
    const template = objectIn(objectIn(spec, 'template') ?? {}, 'metadata') ?? {};
    const podAnnotations = textsIn(template, 'annotations');
    if (!uid || !resourceVersion || !podAnnotations || nameOf(item) !== id.name) throw unknownForm(about(id));
    const foreign = foreignPodAnnotations(metadata, Object.keys(podAnnotations), FIELD_MANAGER);
    const live = { id, uid, resourceVersion, podAnnotations, foreign, rolling: isRolling(id.kind, item) };
    if (objectIn(spec, 'workloadRef') !== undefined) borrowing.add(live);
    return live;
  }

  /**
   * Whether the cluster has no such kind, as one without Argo Rollouts. The server says so by a plain 404, which a
   * wrong path and a proxy give too; so it has to be missing in the lists of what there is.
   */
  async function isUnknownKind(kind: WorkloadKind, signal?: AbortSignal): Promise<boolean> {
    const { group, version, plural } = WORKLOAD_APIS[kind];
    const inList = async (path: string, expected: string, list: string, name: string) => {
      const answer = await client.send({ method: 'GET', path, signal });
      if (answer.status !== 200) throw errorOfAnswer(answer, `kind ${kind}`);
      const body = parseObject(answer.text) ?? {};
      if (body.kind !== expected) throw unknownForm(`kind ${kind}`);
      return listIn(body, list).some((entry) => isObject(entry) && entry.name === name);
    };
    if (!(await inList('/apis', 'APIGroupList', 'groups', group))) return true;
    return !(await inList(`/apis/${group}/${version}`, 'APIResourceList', 'resources', plural));
  }

  async function read(id: WorkloadId, { signal }: { signal?: AbortSignal } = {}) {
    checkWorkload(id);
    const answer = await client.send({ method: 'GET', path: pathOf(id), signal });
    if (answer.status === 200) {
      const item = parseObject(answer.text);
      if (item?.kind !== id.kind) throw unknownForm(about(id));
      return liveOf(item, id);
    }
    if (saysNone(answer, WORKLOAD_APIS[id.kind].plural)) return undefined;
    if (answer.status === 404 && (await isUnknownKind(id.kind, signal))) return undefined;
    throw errorOfAnswer(answer, about(id));
  }

  async function list(
    kind: WorkloadKind,
    namespace: string,
    matchLabels: Readonly<Record<string, string>>,
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<readonly LiveWorkload[]> {
    checkNamespace(namespace);
    const { group, version } = WORKLOAD_APIS[kind];
    const form = { apiVersion: `${group}/${version}`, kind: `${kind}List` };
    const request = {
      path: collectionOf(kind, namespace),
      selector: selectorOf(matchLabels),
      form,
      about: `${kind}s of namespace ${namespace}`,
      signal,
    };
    try {
      const items = await listAll(client, request);
      return items.map((item) => liveOf(item, { kind, namespace, name: nameOf(item) }));
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
      if (borrowing.has(live)) {
        const detail = 'it takes its pods from another workload: name that one in `restart`';
        throw new AppError('CLUSTER_REFUSED', { about: about(id), detail });
      }
      const request: KubeRequest = {
        method: 'PATCH',
        path: `${pathOf(id)}?fieldManager=${FIELD_MANAGER}`,
        contentType: 'application/merge-patch+json',
        // No resourceVersion: whatever else changed meanwhile stays. The uid cannot be changed, so that another
        // workload of the same name is left alone: it started with the new content.
        body: { metadata: { uid }, spec: { template: { metadata: { annotations } } } },
        signal,
      };
      for (let attempt = 1; ; attempt += 1) {
        const answer = await mutate(request);
        if (answer.status === 200) return 'written';
        if (saysNone(answer, WORKLOAD_APIS[id.kind].plural) || saysAnotherUid(answer)) return 'missing';
        const error = errorOfAnswer(answer, about(id));
        if (error.code !== 'CONFLICT') throw error;
        const now = await read(id, signal ? { signal } : {});
        if (now?.uid !== uid) return 'missing';
        if (attempt === TRIES) throw error;
      }
    },
  };
}

function about({ kind, namespace, name }: WorkloadId): string {
  return `${kind} ${namespace}/${name}`;
}

/** Names of workloads are DNS subdomains, as those of Secrets are. */
function checkWorkload({ kind, namespace, name }: WorkloadId): void {
  if (!WORKLOAD_KINDS.includes(kind)) {
    throw new AppError('CONFIG_INVALID', {
      about: `${namespace}/${name}`,
      detail: 'its kind cannot be rolled',
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
