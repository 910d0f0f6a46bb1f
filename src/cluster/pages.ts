import { isObject, type JsonObject, parseObject } from '../core/json.ts';
import { append } from '../core/lists.ts';
import type { KubeClient } from './client.ts';
import { errorFromResponse, isExpired, TOO_LONG, unavailable, unexpectedResponse } from './errors.ts';
import { objectIn, textIn } from './json.ts';

/**
 * Smaller than the usual page size of 500. A Secret can take 1.4 MiB of a response, so 500 of them could exceed the
 * longest string in Node.
 */
export const PAGE_SIZE = 100;

/**
 * The target size of a page. Annotations can be large, so a page above this size makes the next pages proportionally
 * smaller.
 */
const MAX_PAGE_CHARACTERS = 4 * 1024 * 1024;
/**
 * A longer page is not read to its end, but requested again with fewer objects. Annotations belong to the people of a
 * namespace, and 500 objects with 256 KiB of annotations would fill the memory.
 */
const MAX_PAGE_BYTES = 4 * MAX_PAGE_CHARACTERS;

/** The maximum number of attempts for one list. An attempt ends early if the API server expires its continue token. */
const MAX_STARTS = 5;

export interface ListRequest {
  /** The path without a query string. */
  readonly path: string;
  readonly selector: string;
  readonly fieldSelector?: string | undefined;
  /** The expected list type. Default: any list of the core API. */
  readonly format?: { readonly accept?: string; readonly apiVersion: string; readonly kind?: string };
  readonly pageSize?: number;
  /** A name of the listed objects, for messages. */
  readonly subject: string;
  readonly signal?: AbortSignal | undefined;
  /** Called for each page, to report progress. */
  readonly onPage?: () => void;
}

/** All objects of a list, with the resourceVersion of the snapshot. */
export interface VersionedList<T> {
  readonly items: readonly T[];
  readonly resourceVersion: string | undefined;
}

/**
 * Lists all objects page by page, from one snapshot. If a page fails, the whole list fails, so that a partial list
 * never counts as complete.
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks
 */
export async function listAll(client: KubeClient, request: ListRequest): Promise<readonly JsonObject[]> {
  return (await listWithVersion(client, request, (item) => item)).items;
}

/**
 * @param take Converts each object as soon as it arrives, so that the complete objects of a long list do not stay in
 * memory.
 */
export async function listWithVersion<T>(
  client: KubeClient,
  request: ListRequest,
  take: (item: JsonObject) => T,
): Promise<VersionedList<T>> {
  for (let start = 0; start < MAX_STARTS; start += 1) {
    const list = await listOnce(client, request, take);
    if (list !== 'expired') return list;
  }
  throw unavailable('the API server expires long lists faster than they can be read').withSubject(
    request.subject,
  );
}

async function listOnce<T>(
  client: KubeClient,
  request: ListRequest,
  take: (item: JsonObject) => T,
): Promise<VersionedList<T> | 'expired'> {
  const { path, selector, fieldSelector, format, pageSize = PAGE_SIZE, subject, signal } = request;
  const items: T[] = [];
  let page: Page | undefined;
  for (let limit = pageSize; ; ) {
    const query = new URLSearchParams({ limit: String(limit) });
    if (selector !== '') query.set('labelSelector', selector);
    if (fieldSelector !== undefined) query.set('fieldSelector', fieldSelector);
    if (page?.continueToken !== undefined) query.set('continue', page.continueToken);
    const url = `${path}?${query.toString()}`;
    // A single object is read whatever its length.
    const maxBytes = limit > 1 ? MAX_PAGE_BYTES : undefined;
    const response = await client.send({
      method: 'GET',
      path: url,
      accept: format?.accept,
      maxBytes,
      signal,
    });
    if (response.status === TOO_LONG && limit > 1) {
      limit = Math.ceil(limit / 8);
      continue;
    }
    if (page !== undefined && isExpired(response)) return 'expired';
    if (response.status !== 200) throw errorFromResponse(response, subject);
    page = pageOf(response.text, format);
    if (page === undefined) throw unexpectedResponse(subject);
    append(items, page.items.map(take));
    const fittingItems = Math.floor((MAX_PAGE_CHARACTERS / response.text.length) * page.items.length);
    limit = Math.min(pageSize, Math.max(1, fittingItems));
    request.onPage?.();
    if (page.continueToken === undefined) return { items, resourceVersion: page.resourceVersion };
  }
}

interface Page extends VersionedList<JsonObject> {
  readonly continueToken: string | undefined;
}

function pageOf(text: string, format: ListRequest['format']): Page | undefined {
  const list = parseObject(text);
  const { apiVersion, kind, items } = list ?? {};
  if (apiVersion !== (format?.apiVersion ?? 'v1') || typeof kind !== 'string') return undefined;
  if (format?.kind === undefined ? !kind.endsWith('List') : kind !== format.kind) return undefined;
  // Some server versions return `null` for an empty list. A response without `items` is not a list.
  if (items !== null && !(Array.isArray(items) && items.every(isObject))) return undefined;
  const metadata = objectIn(list ?? {}, 'metadata') ?? {};
  const continueToken = textIn(metadata, 'continue');
  return {
    items: items ?? [],
    continueToken: continueToken === '' ? undefined : continueToken,
    resourceVersion: textIn(metadata, 'resourceVersion'),
  };
}

export function nameOf(item: JsonObject): string {
  return textIn(objectIn(item, 'metadata') ?? {}, 'name') ?? '';
}

export function isTerminating(namespace: JsonObject): boolean {
  const { deletionTimestamp } = objectIn(namespace, 'metadata') ?? {};
  return deletionTimestamp !== undefined || objectIn(namespace, 'status')?.phase === 'Terminating';
}
