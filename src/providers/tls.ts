import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';
import { z } from 'zod';
import { AppError } from '../core/errors.ts';
import { readAuthorities } from '../core/small-file.ts';
import { codeOf } from '../core/system-errors.ts';
import { readSoon } from './read-soon.ts';

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

/**
 * Trusts the usual authorities, NODE_EXTRA_CA_CERTS and those of the file; undefined: Node's own context will do. To
 * be made once: it takes longer than a request, and would be made for each connection.
 * @throws AppError CONFIG_INVALID when the file cannot be read or is no PEM.
 */
export async function trustAlso(path: string | undefined): Promise<SecureContext | undefined> {
  if (path === undefined) return undefined;
  const pem = await readAuthorities(path, { code: 'CONFIG_INVALID', read: readSoon });
  try {
    return createSecureContext({ ca: [...getCACertificates('default'), pem] });
  } catch (cause) {
    if (codeOf(cause) === undefined) throw cause;
    throw new AppError('CONFIG_INVALID', { detail: `file ${path} holds no certificates in PEM`, cause });
  }
}
