import { addAbortSignal, type Readable } from 'node:stream';
import { AppError } from '../core/errors.ts';
import { UsageError } from './usage-error.ts';

export interface Bounds {
  /** In bytes. */
  readonly most: number;
  /** What is said of more. */
  readonly tooMuch: string;
}

/**
 * All that is piped in; nothing where nothing can be.
 * @throws UsageError; AppError INTERRUPTED, since whoever is to write may never do so
 */
export async function readPiped(
  stdin: Readable | undefined,
  signal: AbortSignal,
  { most, tooMuch }: Bounds,
): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  try {
    for await (const part of stdin === undefined ? [] : addAbortSignal(signal, stdin)) {
      const bytes = Buffer.from(part);
      size += bytes.length;
      if (size > most) throw new UsageError(tooMuch);
      parts.push(bytes);
    }
  } catch (error) {
    if (signal.aborted && !(error instanceof UsageError)) throw new AppError('INTERRUPTED', { cause: error });
    throw error;
  }
  return Buffer.concat(parts);
}
