import { AppError } from '../core/errors.ts';
import type { SecretValue } from '../core/secret-value.ts';
import { formatTarget, type TargetId } from '../core/target.ts';
import { createKubeClient, type KubeClient, type KubeClientOptions, type KubeRequest } from './client.ts';
import {
  type CallOptions,
  type Cluster,
  FIELD_MANAGER,
  type LiveSecret,
  type WriteResult,
} from './cluster.ts';
import { errorOfAnswer, type KubeAnswer, saysNoSecret, unavailable } from './errors.ts';
import { objectIn, parseObject } from './json.ts';
import { changedSecret, newSecret, type RawSecret, toLive } from './manifest.ts';
import { checkTarget } from './names.ts';

const UNKNOWN_FORM = 'it answered in a form that we do not know';

/** The port over an API server. Fails with CONFIG_INVALID if no kubeconfig leads to one. */
export async function createKubernetesCluster(options: KubeClientOptions): Promise<Cluster> {
  return kubernetesCluster(await createKubeClient(options));
}

function kubernetesCluster(client: KubeClient): Cluster {
  // A PUT sends the object as it was read, so what was read is kept for as long as the caller keeps it.
  const raws = new WeakMap<LiveSecret, RawSecret>();

  async function write(request: KubeRequest, id: TargetId): Promise<WriteResult> {
    const answer = await client.send(request);
    if (answer.status === 200 || answer.status === 201) {
      return { kind: 'written', resourceVersion: keep(answer, id).resourceVersion };
    }
    // 404 in answer to a PUT: it was deleted since we read it.
    if (saysNoSecret(answer)) return { kind: 'conflict' };
    const error = errorOfAnswer(answer, formatTarget(id));
    if (error.code === 'CONFLICT') return { kind: 'conflict' };
    throw error;
  }

  function keep(answer: KubeAnswer, id: TargetId): LiveSecret {
    const raw = parseObject(answer.text);
    const live = raw === undefined ? undefined : toLive(raw, id);
    if (raw === undefined || live === undefined) throw unavailable(UNKNOWN_FORM).concerning(formatTarget(id));
    raws.set(live, raw);
    return live;
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
    read,
    async create(id, manifest, { signal, dryRun = false } = {}) {
      checkTarget(id);
      const path = `${collectionOf(id)}?fieldManager=${FIELD_MANAGER}${dryRun ? '&dryRun=All' : ''}`;
      return write({ method: 'POST', path, body: newSecret(id, manifest), signal }, id);
    },
    async replace(live, change, { signal } = {}) {
      const raw = raws.get(live);
      if (raw === undefined)
        throw new AppError('INTERNAL', { detail: 'replace of a Secret that was not read here' });
      const path = `${pathOf(live.id)}?fieldManager=${FIELD_MANAGER}`;
      return write({ method: 'PUT', path, body: changedSecret(raw, change), signal }, live.id);
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
    async may({ namespace, verb, secret }, { signal } = {}) {
      const attributes = {
        namespace,
        verb,
        group: '',
        resource: 'secrets',
        ...(secret ? { name: secret } : {}),
      };
      const body = {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SelfSubjectAccessReview',
        spec: { resourceAttributes: attributes },
      };
      const path = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
      const answer = await client.send({ method: 'POST', path, body, signal });
      if (answer.status !== 201) throw errorOfAnswer(answer, `access to ${namespace}`);
      const allowed = objectIn(parseObject(answer.text) ?? {}, 'status')?.allowed;
      if (typeof allowed !== 'boolean') throw unavailable(UNKNOWN_FORM);
      return allowed;
    },
    async ping({ signal } = {}) {
      const answer = await client.send({ method: 'GET', path: '/version', signal });
      // Who may see the version is the cluster's affair: a 403 too shows that it answers and knows us.
      if (answer.status !== 200 && answer.status !== 403) throw errorOfAnswer(answer, client.address);
      const time = Date.parse(String(answer.headers.date));
      return Number.isNaN(time) ? {} : { time };
    },
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

function collectionOf({ namespace }: TargetId): string {
  return `/api/v1/namespaces/${namespace}/secrets`;
}

function pathOf(id: TargetId): string {
  return `${collectionOf(id)}/${id.secret}`;
}
