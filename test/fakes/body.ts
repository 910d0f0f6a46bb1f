import type { IncomingMessage } from 'node:http';
import { buffer } from 'node:stream/consumers';

/** Undefined when the client disconnected before the end. */
export async function bodyOf(message: IncomingMessage): Promise<Buffer | undefined> {
  try {
    return await buffer(message);
  } catch (error) {
    if (message.destroyed) return undefined;
    throw error;
  }
}
