import { addAbortSignal, type Readable } from 'node:stream';
import { AppError } from '../core/errors.ts';
import { UsageError } from './usage-error.ts';

export interface StdinLimit {
  /** Maximum size in bytes. */
  readonly maxBytes: number;
  /** The message for larger input. */
  readonly tooLarge: string;
}

/**
 * Reads all of standard input. Returns nothing if there is none.
 * @throws UsageError if it is too large; AppError INTERRUPTED on abort, because the writer may never finish
 */
export async function readStdin(
  stdin: Readable | undefined,
  signal: AbortSignal,
  { maxBytes, tooLarge }: StdinLimit,
): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  try {
    for await (const part of stdin === undefined ? [] : addAbortSignal(signal, stdin)) {
      const bytes = Buffer.from(part);
      size += bytes.length;
      if (size > maxBytes) throw new UsageError(tooLarge);
      parts.push(bytes);
    }
  } catch (error) {
    if (signal.aborted && !(error instanceof UsageError)) throw new AppError('INTERRUPTED', { cause: error });
    throw error;
  }
  return Buffer.concat(parts);
}
