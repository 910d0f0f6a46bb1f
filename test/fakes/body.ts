import type { IncomingMessage } from 'node:http';
import { buffer } from 'node:stream/consumers';

/** Returns undefined when the client disconnected before the end of the body. */
export async function bodyOf(message: IncomingMessage): Promise<Buffer | undefined> {
  try {
    return await buffer(message);
  } catch (error) {
    if (message.destroyed) return undefined;
    throw error;
  }
}
