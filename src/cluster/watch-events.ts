import { type JsonObject, parseObject } from '../core/json.ts';
import { errorFromResponse, isExpired, unavailable, unexpectedResponse } from './errors.ts';
import { objectIn, textIn } from './json.ts';

const LINE_FEED = 10;
const UTF8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Enough for the metadata, as JSON, of any object that etcd accepts (1.5 MiB). A longer line is not an event and could
 * fill the memory.
 */
const MAX_LINE_BYTES = 8 * 1024 * 1024;

/**
 * Yields each complete line of a stream.
 * @throws AppError CLUSTER_UNAVAILABLE if a line is too long, is not UTF-8, or has no end.
 */
export async function* linesOf(
  chunks: AsyncIterable<Uint8Array>,
  maxBytes: number = MAX_LINE_BYTES,
): AsyncGenerator<string, void, void> {
  let parts: Uint8Array[] = [];
  let length = 0;
  const add = (part: Uint8Array): void => {
    length += part.byteLength;
    if (length > maxBytes) throw unavailable('the API server sent a line that is too long for an event');
    if (part.byteLength > 0) parts.push(part);
  };
  for await (const chunk of chunks) {
    let from = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, from)) {
      add(chunk.subarray(from, end));
      const line = decode(parts, length);
      parts = [];
      length = 0;
      from = end + 1;
      if (line !== '') yield line;
    }
    add(chunk.subarray(from));
  }
  if (length > 0) throw unavailable('the connection was cut in the middle of an event');
}

function decode(parts: readonly Uint8Array[], length: number): string {
  try {
    return UTF8.decode(Buffer.concat(parts, length));
  } catch (error) {
    if (error instanceof TypeError) throw unavailable('the API server sent a line that is not UTF-8');
    throw error;
  }
}

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
