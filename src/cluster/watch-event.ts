import { type JsonObject, parseObject } from '../core/json.ts';
import { errorFromResponse, isExpired } from './errors.ts';
import { objectIn, textIn } from './json.ts';
import { unexpectedResponse } from './pages.ts';

/** `place` is the resourceVersion after this event. */
export type WatchEvent =
  | { readonly kind: 'changed' | 'gone'; readonly item: JsonObject; readonly place: string }
  | { readonly kind: 'bookmark'; readonly place: string }
  /** The server has expired the resourceVersion of the watch. */
  | { readonly kind: 'expired' };

const KINDS = { ADDED: 'changed', MODIFIED: 'changed', DELETED: 'gone' } as const;

/**
 * Parses one line of a watch:
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
 * @throws AppError The error of an ERROR event, or CLUSTER_UNAVAILABLE if the line is not an event.
 */
export function eventIn(line: string, subject: string): WatchEvent {
  const event = parseObject(line) ?? {};
  const item = objectIn(event, 'object');
  const type = textIn(event, 'type') ?? '';
  if (item === undefined) throw unexpectedResponse(subject);
  if (type === 'ERROR') return eventFromStatus(item, subject);
  const resourceVersion = textIn(objectIn(item, 'metadata') ?? {}, 'resourceVersion');
  if (!resourceVersion) throw unexpectedResponse(subject);
  if (type === 'BOOKMARK') return { kind: 'bookmark', place: resourceVersion };
  if (Object.hasOwn(KINDS, type))
    return { kind: KINDS[type as keyof typeof KINDS], item, place: resourceVersion };
  throw unexpectedResponse(subject);
}

/** An ERROR event contains the same Status as a failed request, so handle it like a failed request. */
function eventFromStatus(status: JsonObject, subject: string): WatchEvent {
  const seconds = objectIn(status, 'details')?.retryAfterSeconds;
  const headers = typeof seconds === 'number' ? { 'retry-after': String(seconds) } : {};
  const response = { status: Number(status.code), headers, text: JSON.stringify(status) };
  if (isExpired(response)) return { kind: 'expired' };
  throw errorFromResponse(response, subject);
}
