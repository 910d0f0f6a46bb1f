import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';
import { z } from 'zod';
import { AppError } from '../core/errors.ts';
import { readAuthorities } from '../core/small-file.ts';
import { codeOf } from '../core/system-errors.ts';
import { readFileWithTimeout } from './file-io.ts';

/** The TLS settings of a store whose server usually has a publicly trusted certificate. */
export const Tls = z
  .strictObject({
    caFile: z
      .string()
      .min(1)
      .optional()
      .meta({ description: 'Additional certificate authorities to trust, PEM.' }),
  })
  .optional()
  .meta({ description: 'TLS settings for the server.' });

export const AllowHttp = z
  .boolean()
  .default(false)
  .meta({ description: 'Allow plain http to hosts other than loopback.' });

/**
 * Whether a URL contains only the address. It must contain no credentials, and no part that would be lost when a path
 * is appended.
 */
export function isPlainAddress(address: string): boolean {
  const url = URL.parse(address); // null for an invalid URL, which is reported elsewhere
  return url === null || (url.username === '' && url.password === '' && !/[?#]/.test(address));
}

export const PLAIN_ADDRESS_RULE = 'an address without user, password, query or fragment';

/**
 * Creates a TLS context that trusts the default authorities, NODE_EXTRA_CA_CERTS and the authorities in the file.
 * Returns undefined if there is no file, because Node's default context trusts the rest. Call this only once per store,
 * because creating a context takes longer than a request.
 * @throws AppError CONFIG_INVALID if the file cannot be read or is not PEM.
 */
export async function secureContextWithCa(path: string | undefined): Promise<SecureContext | undefined> {
  if (path === undefined) return undefined;
  const pem = await readAuthorities(path, { code: 'CONFIG_INVALID', read: readFileWithTimeout });
  try {
    return createSecureContext({ ca: [...getCACertificates('default'), pem] });
  } catch (cause) {
    if (codeOf(cause) === undefined) throw cause;
    throw new AppError('CONFIG_INVALID', { detail: `file ${path} contains no PEM certificates`, cause });
  }
}
