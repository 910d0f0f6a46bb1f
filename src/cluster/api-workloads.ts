import { createHash } from 'node:crypto';
import { AppError } from '../core/errors.ts';
import { isObject, type JsonObject, parseObject } from '../core/json.ts';
import type { KubeClient } from './client.ts';
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
import { isRolling, isStalled, updatedPods } from './rolling.ts';
import { bodyOf, customObjectsApi, sendTyped } from './typed-apis.ts';
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

/** The workloads of an API server. */
export class ApiWorkloads implements Workloads {
  readonly #client: KubeClient;
  readonly #sendWrite: KubeClient['send'];
  // A Rollout with `workloadRef` uses the pod template of another workload, so it has no template to annotate.
  readonly #withWorkloadRef = new WeakSet<LiveWorkload>();

  /** @param sendWrite Sends a write request. */
  constructor(client: KubeClient, sendWrite: KubeClient['send']) {
    this.#client = client;
    this.#sendWrite = sendWrite;
  }

  readonly read: Workloads['read'] = async (id, { signal } = {}) => {
    checkWorkload(id);
    const { kind, namespace, name } = id;
    const { group, version, plural } = WORKLOAD_APIS[kind];
    const api = await customObjectsApi();
    const request = api.getNamespacedCustomObject(group, version, namespace, plural, name);
    const response = await sendTyped(this.#client.send, request, signal);
    if (isNotFound(response, plural)) return undefined;
    if (response.status === 404 && (await this.#isUnknownKind(kind, signal))) return undefined;
    const subject = subjectOf(id);
    const item = bodyOf<JsonObject>(response, 200, subject);
    if (item.kind !== kind) throw unexpectedResponse(subject);
    return this.#toLive(item, id);
  };

  readonly list: Workloads['list'] = async (kind, namespace, selector, { signal } = {}) => {
    checkNamespace(namespace);
    const { group, version, plural } = WORKLOAD_APIS[kind];
    const request = {
      path: `/apis/${group}/${version}/namespaces/${namespace}/${plural}`,
      selector: selectorOf(selector),
      format: { apiVersion: `${group}/${version}`, kind: `${kind}List` },
      subject: `${kind}s of namespace ${namespace}`,
      signal,
    };
    try {
      const items = await listAll(this.#client, request);
      return items.map((item) => this.#toLive(item, { kind, namespace, name: nameOf(item) }));
    } catch (error) {
      const missing = error instanceof AppError && isObject(error.cause) && error.cause.status === 404;
      if (missing && (await this.#isUnknownKind(kind, signal))) return [];
      throw error;
    }
  };

  readonly annotatePods: Workloads['annotatePods'] = async (live, annotations, { signal } = {}) => {
    const { id, uid } = live;
    checkWorkload(id);
    if (this.#withWorkloadRef.has(live)) {
      const detail = 'this Rollout takes its pods from another workload: name that workload in `restart`';
      throw new AppError('CLUSTER_REFUSED', { subject: subjectOf(id), detail });
    }
    for (let attempt = 1; ; attempt += 1) {
      const response = await this.#patch(live, annotations, signal);
      if (response.status === 200) return 'written';
      if (isNotFound(response, WORKLOAD_APIS[id.kind].plural) || isUidMismatch(response)) return 'missing';
      const error = errorFromResponse(response, subjectOf(id));
      if (error.code !== 'CONFLICT') throw error;
      const current = await this.read(id, signal ? { signal } : {});
      if (current?.uid !== uid) return 'missing';
      if (attempt === MAX_ATTEMPTS) throw error;
    }
  };

  /**
   * The patch has no resourceVersion, so changes of other fields by other writers cause no conflict. The patch has the
   * uid, so it fails if another workload now has this name. The other workload needs no restart, because its pods
   * started after the Secret changed.
   */
  async #patch(
    { id: { kind, namespace, name }, uid }: LiveWorkload,
    annotations: Readonly<Record<string, string>>,
    signal: AbortSignal | undefined,
  ): Promise<KubeResponse> {
    const { group, version, plural } = WORKLOAD_APIS[kind];
    const body = { metadata: { uid }, spec: { template: { metadata: { annotations } } } };
    const api = await customObjectsApi();
    const request = api
      .patchNamespacedCustomObject(group, version, namespace, plural, name, body, undefined, FIELD_MANAGER)
      .then((built) => {
        // Set the content type, because the body is a merge patch. The generated client would declare it as a JSON
        // patch, which is a list of operations.
        built.setHeaderParam('Content-Type', 'application/merge-patch+json');
        return built;
      });
    return sendTyped(this.#sendWrite, request, signal);
  }

  #toLive(item: JsonObject, id: WorkloadId): LiveWorkload {
    const metadata = objectIn(item, 'metadata') ?? {};
    const uid = textIn(metadata, 'uid');
    const resourceVersion = textIn(metadata, 'resourceVersion');
    const spec = objectIn(item, 'spec') ?? {};
    const template = objectIn(spec, 'template') ?? {};
    const podAnnotations = stringMapIn(objectIn(template, 'metadata') ?? {}, 'annotations');
    if (!uid || !resourceVersion || !podAnnotations || nameOf(item) !== id.name)
      throw unexpectedResponse(subjectOf(id));
    const foreign = foreignPodAnnotations(metadata, Object.keys(podAnnotations), FIELD_MANAGER);
    const live = {
      id,
      uid,
      resourceVersion,
      podAnnotations,
      foreign,
      templateHash: createHash('sha256').update(JSON.stringify(template)).digest('hex'),
      rolling: isRolling(id.kind, item),
      stalled: isStalled(id.kind, item),
      updatedPods: updatedPods(id.kind, item),
    };
    if (objectIn(spec, 'workloadRef') !== undefined) this.#withWorkloadRef.add(live);
    return live;
  }

  /**
   * Whether the cluster lacks this kind, for example Rollout in a cluster without Argo Rollouts. A plain 404 is no
   * proof, because a wrong path or a proxy also returns it. Only the lists of the API discovery prove it.
   */
  async #isUnknownKind(kind: WorkloadKind, signal?: AbortSignal): Promise<boolean> {
    const { group, version, plural } = WORKLOAD_APIS[kind];
    const inList = async (path: string, expected: string, list: string, name: string) => {
      const response = await this.#client.send({ method: 'GET', path, signal });
      if (response.status !== 200) throw errorFromResponse(response, `kind ${kind}`);
      const body = parseObject(response.text) ?? {};
      if (body.kind !== expected) throw unexpectedResponse(`kind ${kind}`);
      return listIn(body, list).some((entry) => isObject(entry) && entry.name === name);
    };
    if (!(await inList('/apis', 'APIGroupList', 'groups', group))) return true;
    return !(await inList(`/apis/${group}/${version}`, 'APIResourceList', 'resources', plural));
  }
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
