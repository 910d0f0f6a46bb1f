import { AppError } from '../core/errors.ts';
import { parseObject } from '../core/json.ts';
import type { SecretValue } from '../core/secret-value.ts';
import { compareText, formatTarget, type TargetId } from '../core/target.ts';
import { reviewOwnAccess } from './access-review.ts';
import { createWorkloads } from './api-workloads.ts';
import { createKubeClient, type KubeClient, type KubeClientOptions, type KubeRequest } from './client.ts';
import {
  type CallOptions,
  type Cluster,
  createOpenWatches,
  FIELD_MANAGER,
  type LiveSecret,
  type OnWrite,
  type WriteResult,
} from './cluster.ts';
import { createConfigMaps } from './config-maps.ts';
import {
  conflictingKeys,
  errorFromResponse,
  isSecretNotFound,
  isUidMismatch,
  type KubeResponse,
  unexpectedResponse,
} from './errors.ts';
import { objectIn } from './json.ts';
import { appliedIn, exclusivelyOwnedIn, managerName } from './managed-fields.ts';
import { appliedSecret, changedSecret, newSecret, type RawSecret, toLive, toMeta } from './manifest.ts';
import { checkNamespace, checkTarget, selectorOf } from './names.ts';
import { isTerminating, listAll, nameOf } from './pages.ts';
import { createIdentities } from './token-review.ts';
import type { WatchTuning } from './watch.ts';
import { watchNamespaces, watchSecrets } from './watches.ts';

export interface KubernetesClusterOptions extends KubeClientOptions {
  /** Called when a write request is sent, except for a dry run. */
  readonly onWrite?: OnWrite | undefined;
  readonly watches?: WatchTuning;
}

/**
 * Creates a cluster that is backed by an API server.
 * @throws AppError CONFIG_INVALID if no kubeconfig names an API server.
 */
export async function createKubernetesCluster(options: KubernetesClusterOptions): Promise<Cluster> {
  return kubernetesCluster(await createKubeClient(options), options);
}

function kubernetesCluster(
  client: KubeClient,
  { onWrite, watches: tuning }: Pick<KubernetesClusterOptions, 'onWrite' | 'watches'>,
): Cluster {
  // A PUT must send the whole object, including unknown fields. So keep each raw object for as long as the caller keeps
  // the parsed one.
  const rawByLive = new WeakMap<LiveSecret, RawSecret>();
  const watches = createOpenWatches();

  function mutate(request: KubeRequest): Promise<KubeResponse> {
    if (request.method !== 'GET') onWrite?.(VERBS[request.method]);
    return client.send(request);
  }

  async function write(request: KubeRequest, id: TargetId): Promise<WriteResult> {
    const response = await mutate({ ...request, accept: METADATA_ONLY });
    if (response.status === 200 || response.status === 201) {
      return { kind: 'written', resourceVersion: versionIn(response, id) };
    }
    // A PUT returns 404 if the object was deleted since it was read.
    if (isSecretNotFound(response)) return { kind: 'conflict' };
    const error = errorFromResponse(response, formatTarget(id));
    if (error.code === 'CONFLICT') return { kind: 'conflict' };
    throw error;
  }

  /** The response of a dry run contains no new version, so check only that it is a Secret. */
  async function dryRunWrite(request: KubeRequest, id: TargetId): Promise<WriteResult> {
    const response = await client.send({ ...request, path: `${request.path}&dryRun=All` });
    const isAccepted = response.status === 201 || response.status === 200;
    if (isAccepted && parseObject(response.text)?.kind === 'Secret')
      return { kind: 'written', resourceVersion: '0' };
    if (isSecretNotFound(response)) return { kind: 'conflict' };
    const error = isAccepted
      ? unexpectedResponse(formatTarget(id))
      : errorFromResponse(response, formatTarget(id));
    if (error.code === 'CONFLICT') return { kind: 'conflict' };
    throw error;
  }

  function readLive(response: KubeResponse, id: TargetId): LiveSecret {
    return toTrackedLive(parseObject(response.text), id);
  }

  function toTrackedLive(raw: RawSecret | undefined, id: TargetId): LiveSecret {
    const live = raw === undefined ? undefined : toLive(raw, id);
    if (raw === undefined || live === undefined) throw unexpectedResponse(formatTarget(id));
    rawByLive.set(live, raw);
    return live;
  }

  function rawOf(live: LiveSecret): RawSecret {
    const raw = rawByLive.get(live);
    if (raw !== undefined) return raw;
    throw new AppError('INTERNAL', {
      subject: formatTarget(live.id),
      detail: 'this Secret was not read by this cluster client',
    });
  }

  async function read(id: TargetId, { signal }: CallOptions = {}): Promise<LiveSecret | undefined> {
    checkTarget(id);
    const response = await client.send({ method: 'GET', path: pathOf(id), signal });
    if (isSecretNotFound(response)) return undefined;
    if (response.status !== 200) throw errorFromResponse(response, formatTarget(id));
    return readLive(response, id);
  }

  return {
    address: client.address,
    inCluster: client.inCluster,
    identities: createIdentities(client),
    workloads: createWorkloads(client, mutate),
    configMaps: createConfigMaps(client),
    watch: (scope, handlers) => watches.add(watchSecrets(client, scope, handlers, tuning)),
    watchNamespaces: (handlers) => watches.add(watchNamespaces(client, handlers, tuning)),
    read,
    async create(id, manifest, { signal, dryRun = false } = {}) {
      checkTarget(id);
      const path = `${collectionOf(id)}?fieldManager=${FIELD_MANAGER}`;
      const request = { method: 'POST', path, body: newSecret(id, manifest), signal } as const;
      return dryRun ? dryRunWrite(request, id) : write(request, id);
    },
    async replace(live, change, { signal, dryRun = false } = {}) {
      const path = `${pathOf(live.id)}?fieldManager=${FIELD_MANAGER}`;
      const body = changedSecret(rawOf(live), change);
      const request = { method: 'PUT', path, body, signal } as const;
      return dryRun ? dryRunWrite(request, live.id) : write(request, live.id);
    },
    async remove({ id, uid, resourceVersion }, { signal, dryRun = false } = {}) {
      const preconditions = { uid, resourceVersion };
      const options = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions };
      const request = { method: 'DELETE', path: pathOf(id), signal } as const;
      // If a DELETE has a body, the API server ignores the query. The query only makes the dry run visible in the
      // server's audit log.
      const dryRunRequest = { path: `${request.path}?dryRun=All`, body: { ...options, dryRun: ['All'] } };
      const response = dryRun
        ? await client.send({ ...request, ...dryRunRequest })
        : await mutate({ ...request, body: options });
      // An object with finalizers stays, with a deletionTimestamp, until its finalizers are removed.
      if (isSecretNotFound(response)) return { kind: 'removed' };
      if (response.status === 200 || response.status === 202) {
        if (isRemoved(response, id)) return { kind: 'removed' };
        throw unexpectedResponse(formatTarget(id));
      }
      const error = errorFromResponse(response, formatTarget(id));
      if (error.code === 'CONFLICT') return { kind: 'conflict' };
      throw error;
    },
    async merge(live, manifest, { signal, dryRun = false } = {}) {
      const { id } = live;
      const request = {
        method: 'PATCH',
        path: `${pathOf(id)}?fieldManager=${encodeURIComponent(managerName(manifest.manager))}&force=false`,
        contentType: 'application/apply-patch+yaml',
        body: appliedSecret(live, manifest),
        signal,
      } as const;
      if (dryRun) return dryRunWrite(request, id);
      const response = await mutate({ ...request, accept: METADATA_ONLY });
      if (response.status === 200) return { kind: 'written', resourceVersion: versionIn(response, id) };
      const keys = conflictingKeys(response);
      if (keys !== undefined) return { kind: 'conflict', keys };
      if (isUidMismatch(response)) return { kind: 'conflict' };
      const error = errorFromResponse(response, formatTarget(id));
      if (error.code !== 'CONFLICT') throw error;
      // An apply request creates missing objects, so the API server never answers "not found". Read the Secret to find
      // out whether it is gone.
      return (await read(id, signal ? { signal } : {})) === undefined
        ? { kind: 'missing' }
        : { kind: 'conflict' };
    },
    mergedKeys: (live, manager) =>
      appliedIn(objectIn(rawOf(live), 'metadata') ?? {}, managerName(manager)).data,
    exclusivelyOwned: (live, managers) =>
      exclusivelyOwnedIn(objectIn(rawOf(live), 'metadata') ?? {}, managers.map(managerName)),
    async list(namespace, { name, value }, { signal } = {}) {
      checkNamespace(namespace);
      const items = await listAll(client, {
        path: collectionOf({ namespace }),
        selector: selectorOf({ [name]: value }),
        subject: `Secrets of namespace ${namespace}`,
        signal,
      });
      // List items have no apiVersion and kind.
      return items.map((item) =>
        toTrackedLive({ ...item, apiVersion: 'v1', kind: 'Secret' }, { namespace, secret: nameOf(item) }),
      );
    },
    async namespaces(matchLabels, { signal } = {}) {
      const selector = selectorOf(matchLabels);
      const items = await listAll(client, { path: NAMESPACES, selector, subject: 'namespaces', signal });
      return items
        .filter((item) => !isTerminating(item))
        .map(nameOf)
        .sort(compareText);
    },
    async ownSecret(name, key, options): Promise<SecretValue | undefined> {
      if (client.namespace === undefined) {
        throw new AppError('CREDENTIAL_MISSING', {
          detail: 'secretRef needs a namespace in the kubeconfig context',
        });
      }
      return (await read({ namespace: client.namespace, secret: name }, options))?.data.get(key);
    },
    ownNamespace: () => client.namespace,
    checkAccess: (question, { signal } = {}) => reviewOwnAccess(client, question, signal),
    async ping({ signal } = {}) {
      const response = await client.send({ method: 'GET', path: '/version', signal });
      // The cluster may forbid reading the version. A 403 still proves that the cluster answers and accepts our
      // identity.
      if (response.status !== 200 && response.status !== 403)
        throw errorFromResponse(response, client.address);
      const time = Date.parse(String(response.headers.date));
      return Number.isNaN(time) ? {} : { time };
    },
    async [Symbol.asyncDispose]() {
      await watches[Symbol.asyncDispose]();
      await client[Symbol.asyncDispose]();
    },
  };
}

const VERBS = { POST: 'create', PUT: 'update', PATCH: 'patch', DELETE: 'delete' } as const;

/**
 * Asks for metadata only, because the version is needed and the values are not. A server without this format returns
 * the whole object.
 */
const METADATA_ONLY = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json';

const NAMESPACES = '/api/v1/namespaces';

function collectionOf({ namespace }: Pick<TargetId, 'namespace'>): string {
  return `${NAMESPACES}/${namespace}/secrets`;
}

function pathOf(id: TargetId): string {
  return `${collectionOf(id)}/${id.secret}`;
}

/** The resourceVersion of the written object. A login page contains none, so it is rejected. */
function versionIn(response: KubeResponse, id: TargetId): string {
  const item = parseObject(response.text) ?? {};
  const meta = toMeta(item, id.namespace);
  const isSecret = item.kind === 'PartialObjectMetadata' || item.kind === 'Secret';
  if (!isSecret || meta?.id.secret !== id.secret) throw unexpectedResponse(formatTarget(id));
  return meta.resourceVersion;
}

/**
 * Whether a response confirms a deletion. The API server returns a Status of success, or the object itself if
 * finalizers delay the deletion. A login page is neither.
 */
function isRemoved(response: KubeResponse, id: TargetId): boolean {
  const body = parseObject(response.text) ?? {};
  return body.kind === 'Status' ? body.status === 'Success' : toLive(body, id) !== undefined;
}
