import type { Config } from '../../config/config.ts';
import { isLoopback } from '../../core/loopback.ts';
import { readSmallFile } from '../../core/small-file.ts';
import { codeOf } from '../../core/system-errors.ts';
import { UsageError } from '../usage-error.ts';

/** Where a service answers. */
export interface ServerAddress {
  /** Without a slash at its end. */
  readonly url: string;
  /** The server must show this very certificate, PEM: it is known from its own configuration. */
  readonly certificate?: string;
}

/** Options of the commands that talk to a service. */
export interface ServerOptions {
  readonly server?: string;
  readonly allowHttp?: boolean;
}

/**
 * The address that `--server` names. The token travels in a header: so plain http is for loopback only, or with
 * `--allow-http`.
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
    throw new UsageError('--server must be an address without user, password, query and fragment');
  if (url.protocol === 'http:' && !isLoopback(server) && !allowHttp)
    throw new UsageError(
      `${from} must be https, since the token is sent to it; http is for loopback only, or with --allow-http`,
    );
  return { url: url.href.replace(/\/+$/, '') };
}

/** Where the service with this configuration listens, seen from the same machine. */
export async function configuredAddress(
  { http }: Pick<Config, 'http'>,
  allowHttp: boolean | undefined,
): Promise<ServerAddress> {
  const [, host = '', port = ''] = /^(.*):(\d+)$/.exec(http.listen) ?? [];
  const reachable = { '0.0.0.0': '127.0.0.1', '[::]': '[::1]' }[host] ?? host;
  const address = namedAddress(
    `${http.tls === undefined ? 'http' : 'https'}://${reachable}:${port}`,
    allowHttp,
    'the address that `http.listen` says',
  );
  const certificate = http.tls && (await readIfThere(http.tls.certFile));
  return { ...address, ...(certificate === undefined ? {} : { certificate }) };
}

/** On another machine, or for another user, the certificate is judged as any other. */
async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return (await readSmallFile(path)).toString('utf8');
  } catch (error) {
    if (codeOf(error) !== undefined) return undefined;
    throw error;
  }
}
