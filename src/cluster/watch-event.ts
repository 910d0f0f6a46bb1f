import { type JsonObject, parseObject } from '../core/json.ts';
import { errorOfAnswer, saysExpired } from './errors.ts';
import { objectIn, textIn } from './json.ts';
import { unknownForm } from './pages.ts';

/** `place` is the version up to which everything is told with this event. */
export type WatchEvent =
  | { readonly kind: 'changed' | 'gone'; readonly item: JsonObject; readonly place: string }
  | { readonly kind: 'bookmark'; readonly place: string }
  /** The server no longer knows the place from which it was to go on. */
  | { readonly kind: 'expired' };

const KINDS = { ADDED: 'changed', MODIFIED: 'changed', DELETED: 'gone' } as const;

/**
 * One line of a watch: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
 * @throws AppError what an ERROR event says, or CLUSTER_UNAVAILABLE for what is not an event.
 */
export function eventIn(line: string, about: string): WatchEvent {
  const event = parseObject(line) ?? {};
  const item = objectIn(event, 'object');
  const type = textIn(event, 'type') ?? '';
  if (item === undefined) throw unknownForm(about);
  if (type === 'ERROR') return refused(item, about);
  const place = textIn(objectIn(item, 'metadata') ?? {}, 'resourceVersion');
  if (!place) throw unknownForm(about);
  if (type === 'BOOKMARK') return { kind: 'bookmark', place };
  if (Object.hasOwn(KINDS, type)) return { kind: KINDS[type as keyof typeof KINDS], item, place };
  throw unknownForm(about);
}

/** Its object is the Status that would else have been the answer, so it means the same. */
function refused(status: JsonObject, about: string): WatchEvent {
  const seconds = objectIn(status, 'details')?.retryAfterSeconds;
  const headers = typeof seconds === 'number' ? { 'retry-after': String(seconds) } : {};
  const answer = { status: Number(status.code), headers, text: JSON.stringify(status) };
  if (saysExpired(answer)) return { kind: 'expired' };
  throw errorOfAnswer(answer, about);
}
