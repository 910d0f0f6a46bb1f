import { readFile } from 'node:fs/promises';
import type { Config } from '../../config/config.ts';
import { type ConfigFs, realFs } from '../../config/files/files.ts';
import { isLoopback } from '../../core/loopback.ts';
import { readSmallFile } from '../../core/small-file.ts';
import { codeOf } from '../../core/system-errors.ts';
import { UsageError } from '../errors.ts';

/** The address of a service. */
export interface ServerAddress {
  /** The base URL, without a trailing slash. */
  readonly url: string;
  /** The certificate of the configuration, as PEM. The server must present exactly this certificate. */
  readonly certificate?: string;
}

/** Options of commands that send requests to a service. */
export interface ServerOptions {
  readonly server?: string;
  readonly allowHttp?: boolean;
}

/**
 * Parses the address of `--server`. The token is sent in a header, so plain http is only allowed for loopback addresses
 * or with `--allow-http`.
 */
export function namedAddress(
  server: string,
  allowHttp: boolean | undefined,
  from = '--server',
): ServerAddress {
  const url = URL.parse(server);
  if (url === null || !/^https?:$/.test(url.protocol))
    throw new UsageError('--server must be an address such as https://secretbridge.internal:8080');
  if (`${url.username}${url.password}${url.search}${url.hash}` !== '')
    throw new UsageError('--server must be an address without user, password, query or fragment');
  if (url.protocol === 'http:' && !isLoopback(server) && !allowHttp)
    throw new UsageError(
      `${from} must use https, because the token is sent to it; http is allowed only for loopback or with --allow-http`,
    );
  return { url: url.href.replace(/\/+$/, '') };
}

/** Returns the local address of the service that runs with this configuration. */
export async function configuredAddress(
  { http }: Pick<Config, 'http'>,
  allowHttp: boolean | undefined,
): Promise<ServerAddress> {
  const [, host = '', port = ''] = /^(.*):(\d+)$/.exec(http.listen) ?? [];
  const reachable = { '0.0.0.0': '127.0.0.1', '[::]': '[::1]' }[host] ?? host;
  const address = namedAddress(
    `${http.tls === undefined ? 'http' : 'https'}://${reachable}:${port}`,
    allowHttp || http.allowHttp,
    'the address in `http.listen`',
  );
  const certificate = http.tls && (await readIfThere(http.tls.certFile));
  return { ...address, ...(certificate === undefined ? {} : { certificate }) };
}

/**
 * Reads the certificate file of the configuration. Returns undefined if it cannot be read, for example on another
 * machine. The certificate of the server is then verified as usual.
 */
async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return (await readSmallFile(path)).toString('utf8');
  } catch (error) {
    if (codeOf(error) !== undefined) return undefined;
    throw error;
  }
}

/**
 * Reads configuration files without their mappings. Parsing ten thousand mappings takes more than a second, and the
 * address of the service does not depend on them.
 */
export const filesWithoutMappings: ConfigFs = {
  ...realFs,
  readFile: async (path) => {
    const bytes = await readFile(path);
    return Buffer.from(withoutMappings(bytes.toString('utf8')));
  },
};

/** Removes a list of mappings in block style, with one mapping in one or more lines. Leaves other styles unchanged. */
export function withoutMappings(text: string): string {
  let isInMappings = false;
  const kept = text.split('\n').filter((line) => {
    // Lines of a list are indented, begin with a dash, are comments or are empty.
    isInMappings = /^mappings:\s*(?:#.*)?$/.test(line) || (isInMappings && /^(?:\s|#|-\s|-?$)/.test(line));
    return !isInMappings;
  });
  return kept.join('\n');
}
