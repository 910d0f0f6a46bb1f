import { addAbortSignal, type Readable } from 'node:stream';
import { AppError } from '../core/errors.ts';
import { UsageError } from './usage-error.ts';

export interface StdinLimit {
  /** Maximum size in bytes. */
  readonly maxBytes: number;
  /** The message if the input is larger. */
  readonly tooLarge: string;
}

/**
 * Reads standard input to its end. Returns an empty buffer if there is no standard input.
 * @throws UsageError if the input is too large; AppError INTERRUPTED on abort, because the writer may never finish
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
