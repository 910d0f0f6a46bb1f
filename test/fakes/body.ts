import type { IncomingMessage } from 'node:http';
import { buffer } from 'node:stream/consumers';

/** Returns the body of a request. Returns undefined if the client disconnects before the end of the body. */
export async function bodyOf(message: IncomingMessage): Promise<Buffer | undefined> {
  try {
    return await buffer(message);
  } catch (error) {
    if (message.destroyed) return undefined;
    throw error;
  }
}
