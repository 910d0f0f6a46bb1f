import { AppError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { append } from '../core/lists.ts';
import type { KubeClient } from './client.ts';
import { listAll, nameOf } from './pages.ts';

export interface CustomKind {
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
}

export interface CustomObjects {
  /** The objects, with `apiVersion` and `kind` added, because list items lack both. */
  readonly objects: readonly JsonObject[];
  /** Contains one sentence for each list that failed. */
  readonly warnings: readonly string[];
}

interface CustomObjectsRequest {
  readonly group: string;
  /** API versions in order of preference. The first version that the cluster serves is used. */
  readonly versions: readonly string[];
  readonly kinds: readonly CustomKind[];
  readonly signal?: AbortSignal | undefined;
}

/**
 * Lists custom resources in every namespace where the identity may list them. If the identity is not allowed to list
 * some objects, they are left out, and `warnings` reports them.
 */
export async function listCustomObjects(
  client: KubeClient,
  request: CustomObjectsRequest,
): Promise<CustomObjects> {
  const warnings: string[] = [];
  const objects: JsonObject[] = [];
  for (const kind of request.kinds) {
    const version = await servedVersion(client, kind, request);
    if (version === undefined) {
      warnings.push(`${kind.kind}: the cluster does not serve this kind`);
      continue;
    }
    const list = (path: string) => listOne(client, { path, kind, version }, request);
    const allItems = await list(kind.plural);
    if (allItems !== undefined) append(objects, allItems);
    else if (!kind.namespaced) warnings.push(`${kind.kind}: no permission to list`);
    else {
      for (const namespace of await namespacesOf(client, warnings, request.signal)) {
        const items = await list(`namespaces/${namespace}/${kind.plural}`);
        if (items === undefined)
          warnings.push(`${kind.kind}: no permission to list in namespace ${namespace}`);
        else append(objects, items);
      }
    }
  }
  return { objects, warnings: [...new Set(warnings)] };
}

/**
 * Returns the first version that the cluster serves, or `undefined` if it serves none. A kind counts as served even if
 * listing it is forbidden.
 */
async function servedVersion(
  client: KubeClient,
  { plural }: CustomKind,
  { group, versions, signal }: CustomObjectsRequest,
): Promise<string | undefined> {
  for (const version of versions) {
    const path = `/apis/${group}/${version}/${plural}?limit=1`;
    const { status } = await client.send({ method: 'GET', path, signal });
    if (status !== 404) return version;
  }
  return undefined;
}

interface ListPath {
  readonly path: string;
  readonly kind: CustomKind;
  readonly version: string;
}

/** Returns `undefined` if listing is forbidden. */
async function listOne(
  client: KubeClient,
  { path, kind, version }: ListPath,
  { group, signal }: CustomObjectsRequest,
): Promise<readonly JsonObject[] | undefined> {
  const apiVersion = `${group}/${version}`;
  try {
    const items = await listAll(client, {
      path: `/apis/${apiVersion}/${path}`,
      selector: '',
      format: { apiVersion },
      subject: kind.plural,
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
  warnings: string[],
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  try {
    const subject = 'namespaces';
    return (await listAll(client, { path: '/api/v1/namespaces', selector: '', subject, signal })).map(nameOf);
  } catch (error) {
    if (!(error instanceof AppError && error.code === 'CLUSTER_FORBIDDEN')) throw error;
    const own = client.namespace;
    warnings.push(
      `no permission to list namespaces, so ${own === undefined ? 'none' : `only ${own}`} was searched`,
    );
    return own === undefined ? [] : [own];
  }
}

/**
 * Reads one object by its path. Returns `undefined` if the object does not exist, or if reading the object is
 * forbidden.
 */
export async function readObject(
  client: KubeClient,
  path: string,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const { status, text } = await client.send({ method: 'GET', path, signal });
  return status === 200 ? text : undefined;
}
