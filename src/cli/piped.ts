import type { Readable } from 'node:stream';
import { UsageError } from './usage-error.ts';

/**
 * All that is piped in; nothing where nothing can be.
 * @param most In bytes.
 * @param tooMuch What is said of more.
 * @throws UsageError
 */
export async function readPiped(stdin: Readable | undefined, most: number, tooMuch: string): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of stdin ?? []) {
    const bytes = Buffer.from(part);
    size += bytes.length;
    if (size > most) throw new UsageError(tooMuch);
    parts.push(bytes);
  }
  return Buffer.concat(parts);
}
