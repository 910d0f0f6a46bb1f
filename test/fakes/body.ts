import type { IncomingMessage } from 'node:http';
import { buffer } from 'node:stream/consumers';

/** Undefined: whoever sent it went away before its end. */
export async function bodyOf(message: IncomingMessage): Promise<Buffer | undefined> {
  try {
    return await buffer(message);
  } catch (error) {
    if (message.destroyed) return undefined;
    throw error;
  }
}
