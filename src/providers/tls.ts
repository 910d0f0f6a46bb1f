import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { ErrorCode } from '../core/error-codes.ts';
import { AppError } from '../core/errors.ts';

/** For stores whose servers are usually trusted by the authorities that everybody trusts. */
export const Tls = z
  .strictObject({
    caFile: z
      .string()
      .min(1)
      .optional()
      .meta({ description: 'Certificate authorities to trust as well, PEM.' }),
  })
  .optional()
  .meta({ description: 'How to trust the server.' });

export const AllowHttp = z
  .boolean()
  .default(false)
  .meta({ description: 'Accept plain http to hosts other than loopback.' });

/** @throws AppError of that code when the file cannot be read. */
export async function readPem(path: string, code: ErrorCode): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause)) throw cause;
    throw new AppError(code, { detail: `file ${path} cannot be read: ${String(cause.code)}`, cause });
  }
}
