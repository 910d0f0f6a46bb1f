import { AppError } from '../core/errors.ts';
import { parseObject } from '../core/json.ts';
import type { SecretValue } from '../core/secret-value.ts';
import { compareText, formatTarget, type TargetId } from '../core/target.ts';
import { mayWe } from './access-review.ts';
import { createWorkloads } from './api-workloads.ts';
import { createKubeClient, type KubeClient, type KubeClientOptions, type KubeRequest } from './client.ts';
import {
  type CallOptions,
  type Cluster,
  FIELD_MANAGER,
  type LiveSecret,
  type WriteResult,
} from './cluster.ts';
import { createConfigMaps } from './config-maps.ts';
import { errorOfAnswer, type KubeAnswer, keysHeldByOthers, saysAnotherUid, saysNoSecret } from './errors.ts';
import { objectIn } from './json.ts';
import { appliedIn, heldAloneIn, managerName } from './managed-fields.ts';
import { appliedSecret, changedSecret, newSecret, type RawSecret, toLive } from './manifest.ts';
import { checkNamespace, checkTarget, selectorOf } from './names.ts';
import type { OnWrite } from './on-write.ts';
import { createOpenWatches } from './open-watches.ts';
import { isEnding, listAll, nameOf, unknownForm } from './pages.ts';
import { toMeta } from './secret-meta.ts';
import { createIdentities } from './token-review.ts';
import type { WatchTuning } from './watch.ts';
import { watchNamespaces, watchSecrets } from './watches.ts';

export interface KubernetesClusterOptions extends KubeClientOptions {
  /** Called for each request that may change something, as it is sent; not for a rehearsal. */
  readonly onWrite?: OnWrite | undefined;
  readonly watches?: WatchTuning;
}

/** The port over an API server. Fails with CONFIG_INVALID if no kubeconfig leads to one. */
export async function createKubernetesCluster(options: KubernetesClusterOptions): Promise<Cluster> {
  return kubernetesCluster(await createKubeClient(options), options);
}

function kubernetesCluster(
  client: KubeClient,
  { onWrite, watches: tuning }: Pick<KubernetesClusterOptions, 'onWrite' | 'watches'>,
): Cluster {
  // A PUT sends the object as it was read, so what was read is kept for as long as the caller keeps it.
  const raws = new WeakMap<LiveSecret, RawSecret>();
  const watches = createOpenWatches();

  function mutate(request: KubeRequest): Promise<KubeAnswer> {
    if (request.method !== 'GET') onWrite?.(VERBS[request.method]);
    return client.send(request);
  }

  async function write(request: KubeRequest, id: TargetId): Promise<WriteResult> {
    const answer = await mutate({ ...request, accept: METADATA });
    if (answer.status === 200 || answer.status === 201) {
      return { kind: 'written', resourceVersion: versionIn(answer, id) };
    }
    // 404 in answer to a PUT: it was deleted since we read it.
    if (saysNoSecret(answer)) return { kind: 'conflict' };
    const error = errorOfAnswer(answer, formatTarget(id));
    if (error.code === 'CONFLICT') return { kind: 'conflict' };
    throw error;
  }

  /** What was not written has no version, so the answer is not that of a Secret. */
  async function rehearse(request: KubeRequest, id: TargetId): Promise<WriteResult> {
    const answer = await client.send({ ...request, path: `${request.path}&dryRun=All` });
    const isTaken = answer.status === 201 || answer.status === 200;
    if (isTaken && parseObject(answer.text)?.kind === 'Secret')
      return { kind: 'written', resourceVersion: '0' };
    if (saysNoSecret(answer)) return { kind: 'conflict' };
    const error = isTaken ? unknownForm(formatTarget(id)) : errorOfAnswer(answer, formatTarget(id));
    if (error.code === 'CONFLICT') return { kind: 'conflict' };
    throw error;
  }

  function keep(answer: KubeAnswer, id: TargetId): LiveSecret {
    return keepRaw(parseObject(answer.text), id);
  }

  function keepRaw(raw: RawSecret | undefined, id: TargetId): LiveSecret {
    const live = raw === undefined ? undefined : toLive(raw, id);
    if (raw === undefined || live === undefined) throw unknownForm(formatTarget(id));
    raws.set(live, raw);
    return live;
  }

  function rawOf(live: LiveSecret): RawSecret {
    const raw = raws.get(live);
    if (raw !== undefined) return raw;
    throw new AppError('INTERNAL', { about: formatTarget(live.id), detail: 'it was not read here' });
  }

  async function read(id: TargetId, { signal }: CallOptions = {}): Promise<LiveSecret | undefined> {
    checkTarget(id);
    const answer = await client.send({ method: 'GET', path: pathOf(id), signal });
    if (saysNoSecret(answer)) return undefined;
    if (answer.status !== 200) throw errorOfAnswer(answer, formatTarget(id));
    return keep(answer, id);
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
      return dryRun ? rehearse(request, id) : write(request, id);
    },
    async replace(live, change, { signal, dryRun = false } = {}) {
      const path = `${pathOf(live.id)}?fieldManager=${FIELD_MANAGER}`;
      const body = changedSecret(rawOf(live), change);
      const request = { method: 'PUT', path, body, signal } as const;
      return dryRun ? rehearse(request, live.id) : write(request, live.id);
    },
    async remove({ id, uid, resourceVersion }, { signal, dryRun = false } = {}) {
      const preconditions = { uid, resourceVersion };
      const options = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions };
      const request = { method: 'DELETE', path: pathOf(id), signal } as const;
      // With a body, what the query says counts for nothing: there it is for the log of the API server.
      const rehearsal = { path: `${request.path}?dryRun=All`, body: { ...options, dryRun: ['All'] } };
      const answer = dryRun
        ? await client.send({ ...request, ...rehearsal })
        : await mutate({ ...request, body: options });
      // With finalizers it stays, with a deletionTimestamp, until those who set them let it go.
      if (saysNoSecret(answer)) return { kind: 'removed' };
      if (answer.status === 200 || answer.status === 202) {
        if (saysRemoved(answer, id)) return { kind: 'removed' };
        throw unknownForm(formatTarget(id));
      }
      const error = errorOfAnswer(answer, formatTarget(id));
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
      if (dryRun) return rehearse(request, id);
      const answer = await mutate({ ...request, accept: METADATA });
      if (answer.status === 200) return { kind: 'written', resourceVersion: versionIn(answer, id) };
      const keys = keysHeldByOthers(answer);
      if (keys !== undefined) return { kind: 'conflict', keys };
      if (saysAnotherUid(answer)) return { kind: 'conflict' };
      const error = errorOfAnswer(answer, formatTarget(id));
      if (error.code !== 'CONFLICT') throw error;
      // An apply creates what is not there, so no answer says that it is gone: this one may mean it.
      return (await read(id, signal ? { signal } : {})) === undefined
        ? { kind: 'missing' }
        : { kind: 'conflict' };
    },
    mergedKeys: (live, manager) =>
      appliedIn(objectIn(rawOf(live), 'metadata') ?? {}, managerName(manager)).data,
    heldAlone: (live, managers) =>
      heldAloneIn(objectIn(rawOf(live), 'metadata') ?? {}, managers.map(managerName)),
    async list(namespace, { name, value }, { signal } = {}) {
      checkNamespace(namespace);
      const items = await listAll(client, {
        path: collectionOf({ namespace }),
        selector: selectorOf({ [name]: value }),
        about: `Secrets of namespace ${namespace}`,
        signal,
      });
      // The items of a list do not say what they are.
      return items.map((item) =>
        keepRaw({ ...item, apiVersion: 'v1', kind: 'Secret' }, { namespace, secret: nameOf(item) }),
      );
    },
    async namespaces(matchLabels, { signal } = {}) {
      const selector = selectorOf(matchLabels);
      const items = await listAll(client, { path: NAMESPACES, selector, about: 'namespaces', signal });
      return items
        .filter((item) => !isEnding(item))
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
    may: (question, { signal } = {}) => mayWe(client, question, signal),
    async ping({ signal } = {}) {
      const answer = await client.send({ method: 'GET', path: '/version', signal });
      // Who may see the version is the cluster's affair: a 403 too shows that it answers and knows us.
      if (answer.status !== 200 && answer.status !== 403) throw errorOfAnswer(answer, client.address);
      const time = Date.parse(String(answer.headers.date));
      return Number.isNaN(time) ? {} : { time };
    },
    async [Symbol.asyncDispose]() {
      await watches[Symbol.asyncDispose]();
      await client[Symbol.asyncDispose]();
    },
  };
}

const VERBS = { POST: 'create', PUT: 'update', PATCH: 'patch', DELETE: 'delete' } as const;

/** Of what was written we want the version, and not the values back. Whoever does not know this form gives the whole. */
const METADATA = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json';

const NAMESPACES = '/api/v1/namespaces';

function collectionOf({ namespace }: Pick<TargetId, 'namespace'>): string {
  return `${NAMESPACES}/${namespace}/secrets`;
}

function pathOf(id: TargetId): string {
  return `${collectionOf(id)}/${id.secret}`;
}

/** The version of what was written; a login page has none. */
function versionIn(answer: KubeAnswer, id: TargetId): string {
  const item = parseObject(answer.text) ?? {};
  const meta = toMeta(item, id.namespace);
  const isOne = item.kind === 'PartialObjectMetadata' || item.kind === 'Secret';
  if (!isOne || meta?.id.secret !== id.secret) throw unknownForm(formatTarget(id));
  return meta.resourceVersion;
}

/** A Status of success, or the object itself while finalizers hold it; a login page is neither. */
function saysRemoved(answer: KubeAnswer, id: TargetId): boolean {
  const body = parseObject(answer.text) ?? {};
  return body.kind === 'Status' ? body.status === 'Success' : toLive(body, id) !== undefined;
}
