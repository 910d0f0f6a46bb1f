import { type ConnectionOptions, checkServerIdentity, getCACertificates } from 'node:tls';
import { AppError } from '../../core/errors.ts';
import { isLoopback } from '../../core/loopback.ts';
import type { SecretValue } from '../../core/secret-value.ts';
import { readAuthorities, readPem } from '../../core/small-file.ts';

export interface PostgresTls {
  /** A file with certificate authorities that are trusted in addition to the default ones. */
  readonly caFile?: string | undefined;
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
  /** The name that the certificate must contain instead of the host name. */
  readonly serverName?: string | undefined;
}

/** The address of a server, with the settings of a connection to it. */
export interface PostgresAddress {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string;
  /**
   * `authority`: a trusted authority must have signed the server's certificate. `name`: the certificate must also match
   * the server's name. Undefined: no TLS.
   */
  readonly tls: Verification | undefined;
  /** The URL without user and password, for messages. */
  readonly displayUrl: string;
}

type Verification = 'name' | 'authority';

/**
 * The check that each `sslmode` requires. TLS always verifies the certificate and never falls back to plain text.
 * Without verification, an attacker on the network could impersonate the server.
 */
const MODES: ReadonlyMap<string, Verification | 'none'> = new Map([
  ['disable', 'none'],
  ['require', 'name'],
  ['verify-ca', 'authority'],
  ['verify-full', 'name'],
]);

/** Parameters that other clients accept in the same URL. We ignore them. */
const IGNORED: readonly string[] = ['application_name', 'channel_binding', 'connect_timeout'];

/**
 * Parses `postgres://user:password@host:port/database?sslmode=…` with a single host
 * (https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS). Without `sslmode`, TLS is used,
 * except on the loopback interface.
 * @throws AppError CONFIG_INVALID. The error contains no part of the URL.
 */
export function parseAddress(url: SecretValue, tls: PostgresTls | undefined): PostgresAddress {
  const text = url.revealText().trim();
  const parsed = URL.parse(text);
  if (
    parsed === null ||
    !['postgres:', 'postgresql:'].includes(parsed.protocol) ||
    !/^[^,]+$/.test(parsed.hostname)
  )
    throw invalid('expected postgres://user:password@host/database');
  const { searchParams, hostname, port } = parsed;
  const user = decoded(parsed.username);
  const database = decoded(parsed.pathname.slice(1)) || user;
  if (user === '') throw invalid('the user is missing');
  for (const name of searchParams.keys())
    if (name !== 'sslmode' && !IGNORED.includes(name))
      throw invalid('`sslmode` is the only supported parameter; set certificates in `tls`');
  const modes = searchParams.getAll('sslmode');
  const chosen = MODES.get(modes.join());
  if (modes.length > 0 && chosen === undefined)
    throw invalid(`\`sslmode\` must be one of ${[...MODES.keys()].join(', ')}`);
  if (chosen === 'none' && tls !== undefined)
    throw invalid('`sslmode=disable` and `tls` contradict each other');
  const usual = tls === undefined && isLoopback(`https://${hostname}`) ? 'none' : 'name';
  const verification = chosen ?? usual;
  return {
    host: hostname.replace(/^\[(.*)\]$/, '$1'),
    port: port === '' ? 5432 : Number(port),
    database,
    user,
    password: decoded(parsed.password),
    tls: verification === 'none' ? undefined : verification,
    displayUrl: `postgres://${hostname}${port === '' ? '' : `:${port}`}/${encodeURIComponent(database)}`,
  };
}

/**
 * Returns the TLS options of a connection, or undefined if TLS is not used. Reads the files at each call, because
 * certificates may have been renewed.
 * @throws AppError CONFIG_INVALID if a file cannot be read.
 */
export async function tlsOptions(
  { tls: verification }: PostgresAddress,
  { caFile, certFile, keyFile, serverName }: PostgresTls = {},
): Promise<ConnectionOptions | undefined> {
  if (verification === undefined) return undefined;
  const options = { code: 'CONFIG_INVALID', subject: 'audit.store.tls' } as const;
  const [ca, cert, key] = await Promise.all([
    caFile === undefined ? undefined : readAuthorities(caFile, options),
    certFile === undefined ? undefined : readPem(certFile, options),
    keyFile === undefined ? undefined : readPem(keyFile, options),
  ]);
  return {
    rejectUnauthorized: true, // NODE_TLS_REJECT_UNAUTHORIZED must not turn off this check.
    minVersion: 'TLSv1.2',
    ...(ca === undefined ? {} : { ca: [...getCACertificates('default'), ca] }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    // The driver overwrites `servername` with the host name, so the name is checked here.
    checkServerIdentity: (host, certificate) =>
      verification === 'name' ? checkServerIdentity(serverName ?? host, certificate) : undefined,
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) throw invalid('write a literal `%` as `%25`');
    throw error;
  }
}

function invalid(detail: string): AppError {
  return new AppError('CONFIG_INVALID', { subject: 'audit.store.url', detail });
}
