import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import { type JsonNode, parseIfJson } from '../core/json.ts';

/** An answer of a store with any status, its body unparsed: `JSON.parse` would lose the text of numbers. */
export interface Answer {
  readonly status: number;
  /** May hold secret values: never in an error or a log. */
  readonly text: string;
  readonly isJson: boolean;
  readonly retryAfterMs: number | undefined;
  /** The server's clock, milliseconds since 1970. */
  readonly date: number | undefined;
}

export interface Bounds {
  /** Bytes; a longer body is TOO_LARGE. */
  readonly most: number;
  /** Bytes; what comes after them does not matter, and is left unread. */
  readonly enough?: number;
}

export async function readBounded(
  body: AsyncIterable<Uint8Array>,
  { most, enough = most }: Bounds,
): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.byteLength;
    if (size > most)
      throw new AppError('TOO_LARGE', { detail: `an answer of more than ${most / 2 ** 20} MiB` });
    chunks.push(chunk);
    if (size > enough) break; // leaving the loop ends the connection
  }
  return Buffer.concat(chunks);
}

/**
 * @param isSuccess Of every other answer the status decides, and its text is for details: what is not UTF-8 there, as
 * the page of a proxy, or was left unread inside a character, says nothing.
 * @throws AppError BAD_ANSWER for a success that is not UTF-8.
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

/** The first value of a header; empty if there is none. */
export function firstOf(header: string | string[] | undefined): string {
  return (Array.isArray(header) ? header[0] : header) ?? '';
}

/** Where there is no such header, the data tell what they are (RFC 9110, 8.3). */
export function isJsonType(contentType: string): boolean {
  return contentType === '' || /^application\/json\s*(;|$)/i.test(contentType);
}

/** Seconds or a date (RFC 9110, 10.2.3), as milliseconds from now. */
export function parseRetryAfter(header: string, clock: Clock): number | undefined {
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000;
  const date = parseDate(header);
  return date === undefined ? undefined : Math.max(0, date - clock.now());
}

/** Milliseconds since 1970. */
export function parseDate(header: string): number | undefined {
  const time = Date.parse(header);
  return Number.isNaN(time) ? undefined : time;
}

/** Undefined where there is no JSON. */
export function tryParse({ isJson, text }: Pick<Answer, 'isJson' | 'text'>): JsonNode | undefined {
  return isJson ? parseIfJson(text) : undefined;
}

export function badAnswer(detail: string, cause?: unknown): AppError {
  return new AppError('BAD_ANSWER', { detail, cause });
}
