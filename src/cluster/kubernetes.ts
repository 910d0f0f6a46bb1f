import { AppError } from '../core/errors.ts';
import { parseObject } from '../core/json.ts';
import type { LiveSecret } from '../core/secret.ts';
import { compareText, formatTarget, type TargetId } from '../core/target.ts';
import { ApiWorkloads } from './api-workloads.ts';
import { createKubeClient, type KubeClient, type KubeClientOptions } from './client.ts';
import {
  type Cluster,
  type ConfigMaps,
  createOpenWatches,
  FIELD_MANAGER,
  type Identities,
  type OnWrite,
  type WriteOptions,
  type WriteResult,
} from './cluster.ts';
import { createConfigMapAnnotations } from './config-map-annotations.ts';
import { createConfigMaps } from './config-maps.ts';
import {
  conflictingKeys,
  errorFromResponse,
  isSecretNotFound,
  isUidMismatch,
  type KubeResponse,
  unexpectedResponse,
} from './errors.ts';
import { createIdentities, reviewOwnAccess } from './identities.ts';
import { objectIn } from './json.ts';
import { appliedIn, exclusivelyOwnedIn, managerName } from './managed-fields.ts';
import {
  appliedSecret,
  changedSecret,
  dryRunVersionIn,
  isRemoved,
  newSecret,
  type RawSecret,
  toLive,
  versionIn,
} from './manifest.ts';
import { checkNamespace, checkTarget, selectorOf } from './names.ts';
import { createObjectEvents } from './object-events.ts';
import { isTerminating, listAll, nameOf } from './pages.ts';
import type { KubeRequest } from './request.ts';
import { createSelectedConfigMaps } from './selected-config-maps.ts';
import type { ConfigMapAnnotations, ObjectEvents, SelectedConfigMaps } from './team-ports.ts';
import type { WatchTuning } from './watch.ts';
import { watchNamespaces, watchSecrets } from './watches.ts';
import type { Workloads } from './workloads.ts';

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
  return new KubernetesCluster(await createKubeClient(options), options);
}

class KubernetesCluster implements Cluster {
  readonly address: string;
  readonly inCluster: boolean;
  readonly identities: Identities;
  readonly workloads: Workloads;
  readonly configMaps: ConfigMaps;
  readonly selectedConfigMaps: SelectedConfigMaps;
  readonly objectEvents: ObjectEvents;
  readonly configMapAnnotations: ConfigMapAnnotations;
  readonly #client: KubeClient;
  readonly #onWrite: OnWrite | undefined;
  readonly #tuning: WatchTuning | undefined;
  readonly #watches = createOpenWatches();
  // Maps each parsed Secret to its raw object, because a PUT must send the whole object, including unknown fields. An
  // entry exists for as long as the caller keeps the parsed Secret.
  readonly #rawByLive = new WeakMap<LiveSecret, RawSecret>();

  constructor(client: KubeClient, options: Pick<KubernetesClusterOptions, 'onWrite' | 'watches'>) {
    this.#client = client;
    this.#onWrite = options.onWrite;
    this.#tuning = options.watches;
    this.address = client.address;
    this.inCluster = client.inCluster;
    this.identities = createIdentities(client);
    this.workloads = new ApiWorkloads(client, (request) => this.#mutate(request));
    this.configMaps = createConfigMaps(client);
    this.objectEvents = createObjectEvents(client);
    this.configMapAnnotations = createConfigMapAnnotations(client);
    this.selectedConfigMaps = createSelectedConfigMaps(
      client,
      (watch) => this.#watches.add(watch),
      options.watches,
    );
  }

  readonly watch: Cluster['watch'] = (scope, handlers) =>
    this.#watches.add(watchSecrets(this.#client, scope, handlers, this.#tuning));

  readonly watchNamespaces: Cluster['watchNamespaces'] = (handlers) =>
    this.#watches.add(watchNamespaces(this.#client, handlers, this.#tuning));

  readonly read: Cluster['read'] = async (id, { signal } = {}) => {
    checkTarget(id);
    const response = await this.#client.send({ method: 'GET', path: pathOf(id), signal });
    if (isSecretNotFound(response)) return undefined;
    if (response.status !== 200) throw errorFromResponse(response, formatTarget(id));
    return this.#toLive(parseObject(response.text), id);
  };

  readonly create: Cluster['create'] = async (id, manifest, options) => {
    checkTarget(id);
    const path = `${collectionOf(id)}?fieldManager=${FIELD_MANAGER}`;
    return this.#write({ method: 'POST', path, body: newSecret(id, manifest) }, id, options);
  };

  readonly replace: Cluster['replace'] = async (live, change, options) => {
    const path = `${pathOf(live.id)}?fieldManager=${FIELD_MANAGER}`;
    const body = changedSecret(this.#rawOf(live), change);
    return this.#write({ method: 'PUT', path, body }, live.id, options);
  };

  readonly remove: Cluster['remove'] = async (
    { id, uid, resourceVersion },
    { signal, dryRun = false } = {},
  ) => {
    const preconditions = { uid, resourceVersion };
    const options = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions };
    const request = { method: 'DELETE', path: pathOf(id), signal } as const;
    // If a DELETE has a body, the API server ignores the query. The query only makes the dry run visible in the
    // server's audit log.
    const dryRunRequest = { path: `${request.path}?dryRun=All`, body: { ...options, dryRun: ['All'] } };
    const response = dryRun
      ? await this.#client.send({ ...request, ...dryRunRequest })
      : await this.#mutate({ ...request, body: options });
    // An object with finalizers stays, with a deletionTimestamp, until its finalizers are removed.
    if (isSecretNotFound(response)) return { kind: 'removed' };
    if (response.status === 200 || response.status === 202) {
      if (isRemoved(response, id)) return { kind: 'removed' };
      throw unexpectedResponse(formatTarget(id));
    }
    return conflictIn(response, id);
  };

  readonly merge: Cluster['merge'] = async (live, manifest, options = {}) => {
    const { id } = live;
    const { signal, dryRun = false } = options;
    const request = {
      method: 'PATCH',
      path: `${pathOf(id)}?fieldManager=${encodeURIComponent(managerName(manifest.manager))}&force=false`,
      contentType: 'application/apply-patch+yaml',
      body: appliedSecret(live, manifest),
    } as const;
    if (dryRun) return this.#write(request, id, options);
    const response = await this.#mutate({ ...request, accept: METADATA_ONLY, signal });
    if (response.status === 200) return { kind: 'written', resourceVersion: versionIn(response, id) };
    const keys = conflictingKeys(response);
    if (keys !== undefined) return { kind: 'conflict', keys };
    if (isUidMismatch(response)) return { kind: 'conflict' };
    conflictIn(response, id);
    // An apply request creates missing objects, so the API server never answers "not found". Read the Secret to find
    // out whether it is gone.
    return (await this.read(id, signal ? { signal } : {})) === undefined
      ? { kind: 'missing' }
      : { kind: 'conflict' };
  };

  readonly mergedKeys: Cluster['mergedKeys'] = (live, manager) =>
    appliedIn(objectIn(this.#rawOf(live), 'metadata') ?? {}, managerName(manager)).data;

  readonly exclusivelyOwned: Cluster['exclusivelyOwned'] = (live, managers) =>
    exclusivelyOwnedIn(objectIn(this.#rawOf(live), 'metadata') ?? {}, managers.map(managerName));

  readonly list: Cluster['list'] = async (namespace, { name, value }, { signal } = {}) => {
    checkNamespace(namespace);
    const items = await listAll(this.#client, {
      path: collectionOf({ namespace }),
      selector: selectorOf({ matchLabels: { [name]: value } }),
      subject: `Secrets of namespace ${namespace}`,
      signal,
    });
    // List items have no apiVersion and kind.
    return items.map((item) =>
      this.#toLive({ ...item, apiVersion: 'v1', kind: 'Secret' }, { namespace, secret: nameOf(item) }),
    );
  };

  readonly namespaces: Cluster['namespaces'] = async (selector, { signal } = {}) => {
    const request = { path: NAMESPACES, selector: selectorOf(selector), subject: 'namespaces', signal };
    const items = await listAll(this.#client, request);
    return items
      .filter((item) => !isTerminating(item))
      .map(nameOf)
      .sort(compareText);
  };

  readonly ownSecret: Cluster['ownSecret'] = async (name, key, options) => {
    const { namespace } = this.#client;
    if (namespace === undefined) {
      const detail = 'secretRef needs a namespace in the kubeconfig context';
      throw new AppError('CREDENTIAL_MISSING', { detail });
    }
    return (await this.read({ namespace, secret: name }, options))?.data.get(key);
  };

  ownNamespace(): string | undefined {
    return this.#client.namespace;
  }

  readonly checkAccess: Cluster['checkAccess'] = (question, { signal } = {}) =>
    reviewOwnAccess(this.#client, question, signal);

  readonly ping: Cluster['ping'] = async ({ signal } = {}) => {
    const response = await this.#client.send({ method: 'GET', path: '/version', signal });
    // The cluster may forbid reading the version. A response with 403 still proves that the cluster answers and accepts
    // our identity.
    if (response.status !== 200 && response.status !== 403) throw errorFromResponse(response, this.address);
    const time = Date.parse(String(response.headers.date));
    return Number.isNaN(time) ? {} : { time };
  };

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#watches[Symbol.asyncDispose]();
    await this.#client[Symbol.asyncDispose]();
  }

  #mutate(request: KubeRequest): Promise<KubeResponse> {
    if (request.method !== 'GET') this.#onWrite?.(VERBS[request.method]);
    return this.#client.send(request);
  }

  async #write(
    request: KubeRequest,
    id: TargetId,
    { signal, dryRun = false }: WriteOptions = {},
  ): Promise<WriteResult> {
    const response = dryRun
      ? await this.#client.send({ ...request, path: `${request.path}&dryRun=All`, signal })
      : await this.#mutate({ ...request, accept: METADATA_ONLY, signal });
    if (response.status === 200 || response.status === 201) {
      // The response of a dry run contains no new version.
      return {
        kind: 'written',
        resourceVersion: dryRun ? dryRunVersionIn(response, id) : versionIn(response, id),
      };
    }
    // A PUT returns 404 if the object was deleted since it was read.
    return isSecretNotFound(response) ? { kind: 'conflict' } : conflictIn(response, id);
  }

  #toLive(raw: RawSecret | undefined, id: TargetId): LiveSecret {
    const live = raw === undefined ? undefined : toLive(raw, id);
    if (raw === undefined || live === undefined) throw unexpectedResponse(formatTarget(id));
    this.#rawByLive.set(live, raw);
    return live;
  }

  #rawOf(live: LiveSecret): RawSecret {
    const raw = this.#rawByLive.get(live);
    if (raw !== undefined) return raw;
    throw new AppError('INTERNAL', {
      subject: formatTarget(live.id),
      detail: 'this Secret was not read by this cluster client',
    });
  }
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

/** @throws AppError If the response is not a conflict. */
function conflictIn(response: KubeResponse, id: TargetId): { readonly kind: 'conflict' } {
  const error = errorFromResponse(response, formatTarget(id));
  if (error.code === 'CONFLICT') return { kind: 'conflict' };
  throw error;
}
