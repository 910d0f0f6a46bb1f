import type { AppError } from '../core/errors.ts';
import { isObject, type JsonObject, parseObject } from '../core/json.ts';
import type { KubeClient } from './client.ts';
import { errorOfAnswer, saysExpired, unavailable } from './errors.ts';
import { objectIn, textIn } from './json.ts';

/**
 * A Secret takes up to 1.4 MiB of an answer, so that 500 of them, the usual number, could be more text than
 * Node can hold.
 */
export const PAGE = 100;

/** Characters of one answer. Pages after one of more are so much smaller: whoever writes annotations may write much. */
const MOST_TEXT = 4 * 1024 * 1024;

/** How often a list starts anew when the API server has forgotten where it stood. */
const STARTS = 5;

export interface ListRequest {
  /** Without a query. */
  readonly path: string;
  readonly selector: string;
  readonly fieldSelector?: string | undefined;
  /** What the lists are; any of the core API when left out. */
  readonly form?: { readonly accept?: string; readonly apiVersion: string; readonly kind?: string };
  readonly pageSize?: number;
  /** For messages. */
  readonly about: string;
  readonly signal?: AbortSignal | undefined;
  /** Called at each answer, for whoever waits for a sign of life. */
  readonly onPage?: () => void;
}

/** All objects of a list, and the moment that it shows. */
export interface WholeList<T> {
  readonly items: readonly T[];
  readonly resourceVersion: string | undefined;
}

/**
 * All objects of a list, page by page and of one moment. Fails whole: half a list must not pass for a list.
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks
 */
export async function listAll(client: KubeClient, request: ListRequest): Promise<readonly JsonObject[]> {
  return (await listWhole(client, request, (item) => item)).items;
}

/** @param take What is kept of an object: of a long list all of it would be in memory together. */
export async function listWhole<T>(
  client: KubeClient,
  request: ListRequest,
  take: (item: JsonObject) => T,
): Promise<WholeList<T>> {
  for (let start = 0; start < STARTS; start += 1) {
    const list = await listOnce(client, request, take);
    if (list !== 'expired') return list;
  }
  throw unavailable('it forgets long lists faster than they can be read').concerning(request.about);
}

async function listOnce<T>(
  client: KubeClient,
  request: ListRequest,
  take: (item: JsonObject) => T,
): Promise<WholeList<T> | 'expired'> {
  const { path, selector, fieldSelector, form, pageSize = PAGE, about, signal } = request;
  const items: T[] = [];
  let page: Page | undefined;
  let limit = pageSize;
  do {
    const query = new URLSearchParams({ limit: String(limit) });
    if (selector !== '') query.set('labelSelector', selector);
    if (fieldSelector !== undefined) query.set('fieldSelector', fieldSelector);
    if (page?.place !== undefined) query.set('continue', page.place);
    const where = `${path}?${query.toString()}`;
    const answer = await client.send({ method: 'GET', path: where, accept: form?.accept, signal });
    if (page !== undefined && saysExpired(answer)) return 'expired';
    if (answer.status !== 200) throw errorOfAnswer(answer, about);
    page = pageOf(answer.text, form);
    if (page === undefined) throw unknownForm(about);
    items.push(...page.items.map(take));
    const fitting = Math.floor((MOST_TEXT / answer.text.length) * page.items.length);
    limit = Math.min(pageSize, Math.max(1, fitting));
    request.onPage?.();
  } while (page.place !== undefined);
  return { items, resourceVersion: page.resourceVersion };
}

interface Page extends WholeList<JsonObject> {
  readonly place: string | undefined;
}

function pageOf(text: string, form: ListRequest['form']): Page | undefined {
  const list = parseObject(text);
  const { apiVersion, kind, items } = list ?? {};
  if (apiVersion !== (form?.apiVersion ?? 'v1') || typeof kind !== 'string') return undefined;
  if (form?.kind === undefined ? !kind.endsWith('List') : kind !== form.kind) return undefined;
  // An empty list is `null` in some versions; a missing one is not a list.
  if (items !== null && !(Array.isArray(items) && items.every(isObject))) return undefined;
  const metadata = objectIn(list ?? {}, 'metadata') ?? {};
  const place = textIn(metadata, 'continue');
  return {
    items: items ?? [],
    place: place === '' ? undefined : place,
    resourceVersion: textIn(metadata, 'resourceVersion'),
  };
}

export function nameOf(item: JsonObject): string {
  return textIn(objectIn(item, 'metadata') ?? {}, 'name') ?? '';
}

/** Whether a namespace is being deleted. */
export function isEnding(namespace: JsonObject): boolean {
  const { deletionTimestamp } = objectIn(namespace, 'metadata') ?? {};
  return deletionTimestamp !== undefined || objectIn(namespace, 'status')?.phase === 'Terminating';
}

export function unknownForm(about: string): AppError {
  return unavailable('it answered in a form that we do not know').concerning(about);
}
