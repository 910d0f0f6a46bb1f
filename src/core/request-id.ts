import { randomUUID } from 'node:crypto';

/** The longest request id. */
export const MAX_REQUEST_ID_LENGTH = 80;

const REQUEST_ID = /^[A-Za-z0-9._~-]{1,80}$/;

/**
 * Returns a request id from outside if it has the right form, or else a new one. Anybody with access to Redis can send a
 * request id of any size, and it would become a part of each record.
 */
export function requestIdFrom(text: unknown): string {
  return typeof text === 'string' && REQUEST_ID.test(text) ? text : randomUUID();
}
