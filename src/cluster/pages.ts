import type { AppError } from '../core/errors.ts';
import type { KubeClient } from './client.ts';
import { errorOfAnswer, saysExpired, unavailable } from './errors.ts';
import { isObject, type JsonObject, objectIn, parseObject, textIn } from './json.ts';

/**
 * A Secret takes up to 1.4 MiB of an answer, so that 500 of them, the usual number, could be more text than
 * Node can hold.
 */
export const PAGE = 100;

/** How often a list starts anew when the API server has forgotten where it stood. */
const STARTS = 5;

export interface ListRequest {
  /** Without a query. */
  readonly path: string;
  readonly selector: string;
  /** For messages. */
  readonly about: string;
  readonly signal?: AbortSignal | undefined;
}

/**
 * All objects of a list, page by page and of one moment. Fails whole: half a list must not pass for a list.
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks
 */
export async function listAll(client: KubeClient, request: ListRequest): Promise<readonly JsonObject[]> {
  for (let start = 0; start < STARTS; start += 1) {
    const items = await listOnce(client, request);
    if (items !== 'expired') return items;
  }
  throw unavailable('it forgets long lists faster than they can be read').concerning(request.about);
}

async function listOnce(
  client: KubeClient,
  { path, selector, about, signal }: ListRequest,
): Promise<readonly JsonObject[] | 'expired'> {
  const items: JsonObject[] = [];
  let place: string | undefined;
  do {
    const query = new URLSearchParams({ limit: String(PAGE) });
    if (selector !== '') query.set('labelSelector', selector);
    if (place !== undefined) query.set('continue', place);
    const answer = await client.send({ method: 'GET', path: `${path}?${query.toString()}`, signal });
    if (place !== undefined && saysExpired(answer)) return 'expired';
    if (answer.status !== 200) throw errorOfAnswer(answer, about);
    const page = pageOf(answer.text);
    if (page === undefined) throw unknownForm(about);
    items.push(...page.items);
    place = page.place;
  } while (place !== undefined);
  return items;
}

function pageOf(text: string): { items: readonly JsonObject[]; place: string | undefined } | undefined {
  const list = parseObject(text);
  const { apiVersion, kind, items } = list ?? {};
  if (apiVersion !== 'v1' || typeof kind !== 'string' || !kind.endsWith('List')) return undefined;
  // An empty list is `null` in some versions; a missing one is not a list.
  if (items !== null && !(Array.isArray(items) && items.every(isObject))) return undefined;
  const place = textIn(objectIn(list ?? {}, 'metadata') ?? {}, 'continue');
  return { items: items ?? [], place: place === '' ? undefined : place };
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
