import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import { JsonError, type JsonNode, parseJson } from '../core/json.ts';
import { MAX_JSON_VALUES } from '../core/json-bounds.ts';
import type { Semaphore } from '../core/semaphore.ts';

/**
 * A response of a store with any status. The body stays text, because `JSON.parse` would round large numbers and drop
 * final zeros.
 */
export interface Answer {
  readonly status: number;
  /** The body. It may contain secret values, so it must never appear in an error or a log. */
  readonly text: string;
  readonly isJson: boolean;
  readonly retryAfterMs: number | undefined;
  /** The server's time, in milliseconds since 1970. */
  readonly date: number | undefined;
}

export interface ReadLimits {
  /** The maximum size of a body, in bytes. A longer body fails with TOO_LARGE. */
  readonly maxBytes: number;
  /** If set, at most this many bytes are read. The rest of a longer body is ignored. */
  readonly stopAfterBytes?: number;
  /** A body of more than a megabyte is read with a permit of this semaphore. */
  readonly large?: { readonly semaphore: Semaphore; readonly signal: AbortSignal };
}

/** A longer body is large, in bytes. */
const LARGE_BYTES = 1024 * 1024;

export async function readBounded(
  body: AsyncIterable<Uint8Array>,
  { maxBytes, stopAfterBytes = maxBytes, large }: ReadLimits,
): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  let hasPermit = false;
  try {
    for await (const chunk of body) {
      size += chunk.byteLength;
      if (size > maxBytes)
        throw new AppError('TOO_LARGE', { detail: `an answer of more than ${maxBytes / 2 ** 20} MiB` });
      chunks.push(chunk);
      if (size > stopAfterBytes) break; // `break` closes the connection
      if (size <= LARGE_BYTES || hasPermit || large === undefined) continue;
      // The server waits, because nothing is read from the connection meanwhile.
      await large.semaphore.acquire({ signal: large.signal });
      hasPermit = true;
    }
    return Buffer.concat(chunks);
  } finally {
    if (hasPermit) large?.semaphore.release();
  }
}

/**
 * @param isSuccess Whether the response was successful. The status of an unsuccessful response already determines the
 * error. So if the body is not valid UTF-8, for example the page of a proxy, it becomes an empty text.
 * @throws AppError BAD_ANSWER for a successful response that is not UTF-8.
 */
export function decodeText(bytes: Uint8Array, isSuccess = true): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    if (isSuccess) throw badAnswer('it is not UTF-8');
    return '';
  }
}

/** Returns the first value of a header, or an empty string if there is none. */
export function firstHeaderValue(header: string | string[] | undefined): string {
  return (Array.isArray(header) ? header[0] : header) ?? '';
}

/**
 * Whether the body may be JSON according to its content type. If the content type is missing, the parser decides (RFC
 * 9110, 8.3).
 */
export function isJsonType(contentType: string): boolean {
  return contentType === '' || /^application\/json\s*(;|$)/i.test(contentType);
}

/**
 * Parses the header `Retry-After`, which is a number of seconds or a date (RFC 9110, 10.2.3). Returns the milliseconds
 * from now.
 */
export function parseRetryAfter(header: string, clock: Clock): number | undefined {
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000;
  const date = parseDate(header);
  return date === undefined ? undefined : Math.max(0, date - clock.now());
}

/** Returns the date in milliseconds since 1970. Returns undefined if the header is not a date. */
export function parseDate(header: string): number | undefined {
  const time = Date.parse(header);
  return Number.isNaN(time) ? undefined : time;
}

/**
 * Returns undefined if the body is not JSON, or is nested too deeply.
 * @throws AppError TOO_LARGE for a body with too many values.
 */
export function parseJsonBody({ isJson, text }: Pick<Answer, 'isJson' | 'text'>): JsonNode | undefined {
  if (!isJson) return undefined;
  try {
    return parseJson(text);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    if (!error.isTooLarge) return undefined;
    throw new AppError('TOO_LARGE', { detail: `an answer with more than ${MAX_JSON_VALUES} values` });
  }
}

export function badAnswer(detail: string, cause?: unknown): AppError {
  return new AppError('BAD_ANSWER', { detail, cause });
}

/**
 * Checks a list in a response. The SDK does not check responses, so the list may have any type.
 * @param what The description for the error message, such as `a list of secrets`.
 * @returns The list, or an empty list if the response contains none.
 * @throws AppError BAD_ANSWER if it is not a list of objects.
 */
export function asObjectList<Item extends object>(
  list: readonly Item[] | undefined,
  what: string,
): readonly Item[] {
  const items = list ?? [];
  if (!Array.isArray(items) || items.some((item) => typeof item !== 'object' || item === null))
    throw badAnswer(`${what} with an unexpected form`);
  return items;
}
