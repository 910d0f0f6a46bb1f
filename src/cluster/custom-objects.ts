import { AppError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import type { KubeClient } from './client.ts';
import { listAll, nameOf } from './pages.ts';

export interface CustomKind {
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
}

export interface CustomObjects {
  /** With `apiVersion` and `kind`, which the items of a list lack. */
  readonly objects: readonly JsonObject[];
  /** What could not be listed, each a sentence. */
  readonly unseen: readonly string[];
}

interface Request {
  readonly group: string;
  /** The first one that the cluster serves is taken. */
  readonly versions: readonly string[];
  readonly kinds: readonly CustomKind[];
  readonly signal?: AbortSignal | undefined;
}

/**
 * Objects of another's API, in every namespace that may be listed. Reads only; a right that is missing narrows what
 * is seen, and is told.
 */
export async function listCustomObjects(client: KubeClient, request: Request): Promise<CustomObjects> {
  const unseen: string[] = [];
  const objects: JsonObject[] = [];
  for (const kind of request.kinds) {
    const version = await servedVersion(client, kind, request);
    if (version === undefined) {
      unseen.push(`${kind.kind}: the cluster does not know this kind`);
      continue;
    }
    const list = (path: string) => listOne(client, { path, kind, version }, request);
    const everywhere = await list(kind.plural);
    if (everywhere !== undefined) objects.push(...everywhere);
    else if (!kind.namespaced) unseen.push(`${kind.kind}: may not be listed`);
    else {
      for (const namespace of await namespacesOf(client, unseen, request.signal)) {
        const some = await list(`namespaces/${namespace}/${kind.plural}`);
        if (some === undefined) unseen.push(`${kind.kind}: may not be listed in namespace ${namespace}`);
        else objects.push(...some);
      }
    }
  }
  return { objects, unseen: [...new Set(unseen)] };
}

/** `undefined`: none of the versions. A kind that may not be listed counts as served. */
async function servedVersion(
  client: KubeClient,
  { plural }: CustomKind,
  { group, versions, signal }: Request,
): Promise<string | undefined> {
  for (const version of versions) {
    const path = `/apis/${group}/${version}/${plural}?limit=1`;
    const { status } = await client.send({ method: 'GET', path, signal });
    if (status !== 404) return version;
  }
  return undefined;
}

interface OneList {
  readonly path: string;
  readonly kind: CustomKind;
  readonly version: string;
}

/** `undefined`: it may not be listed. */
async function listOne(
  client: KubeClient,
  { path, kind, version }: OneList,
  { group, signal }: Request,
): Promise<readonly JsonObject[] | undefined> {
  const apiVersion = `${group}/${version}`;
  try {
    const items = await listAll(client, {
      path: `/apis/${apiVersion}/${path}`,
      selector: '',
      form: { apiVersion },
      about: kind.plural,
      signal,
    });
    return items.map((item) => ({ ...item, apiVersion, kind: kind.kind }));
  } catch (error) {
    if (error instanceof AppError && error.code === 'CLUSTER_FORBIDDEN') return undefined;
    throw error;
  }
}

async function namespacesOf(
  client: KubeClient,
  unseen: string[],
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  try {
    const about = 'namespaces';
    return (await listAll(client, { path: '/api/v1/namespaces', selector: '', about, signal })).map(nameOf);
  } catch (error) {
    if (!(error instanceof AppError && error.code === 'CLUSTER_FORBIDDEN')) throw error;
    const own = client.namespace;
    unseen.push(`namespaces may not be listed, so only ${own === undefined ? 'none' : own} was looked at`);
    return own === undefined ? [] : [own];
  }
}

/** One object by its address; `undefined` if it is not there or may not be read. */
export async function readObject(
  client: KubeClient,
  path: string,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const { status, text } = await client.send({ method: 'GET', path, signal });
  return status === 200 ? text : undefined;
}
