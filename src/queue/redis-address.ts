import { getCACertificates } from 'node:tls';
import type { RedisOptions } from 'ioredis';
import { AppError } from '../core/errors.ts';
import type { SecretValue } from '../core/secret-value.ts';
import { readAuthorities, readPem } from '../core/small-file.ts';
import type { SentinelsOptions } from './sentinels.ts';

/** Paths of PEM files, which are read once. */
export interface RedisTls {
  /** Additional certificate authorities. */
  readonly caFile?: string | undefined;
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
  /** The host name that the certificate must contain. */
  readonly serverName?: string | undefined;
}

export interface RedisAddress {
  /** `redis://` or `rediss://`, with user, password and database number. */
  readonly url: SecretValue;
  readonly tls?: RedisTls | undefined;
  readonly sentinel?:
    | {
        readonly name: string;
        readonly addresses: readonly string[];
        readonly password?: SecretValue | undefined;
      }
    | undefined;
  readonly cluster: boolean;
}

/** A server, and how to log in. */
export interface RedisEndpoint {
  readonly host: string;
  readonly port: number;
  readonly secure: boolean;
  readonly login: Pick<RedisOptions, 'username' | 'password' | 'db'>;
}

/** @throws AppError CONFIG_INVALID, without any part of the URL. */
export function parseAddress(address: RedisAddress): RedisEndpoint {
  const text = address.url.revealText();
  if (!URL.canParse(text)) throw badUrl('it is not a URL');
  const url = new URL(text);
  if (url.protocol !== 'redis:' && url.protocol !== 'rediss:')
    throw badUrl('it must begin with redis:// or rediss://');
  const db = url.pathname.replace('/', '');
  if (!/^\d{0,5}$/.test(db)) throw badUrl('its path must be the number of a database');
  if (address.cluster && Number(db) !== 0) throw badUrl('a cluster has only database 0');
  const secure = url.protocol === 'rediss:' || address.tls !== undefined;
  // Remove the brackets of an IPv6 address.
  const host = url.hostname.replace(/^\[|\]$/g, '');
  return {
    host: host === '' ? '127.0.0.1' : host,
    port: url.port === '' ? 6379 : Number(url.port),
    secure,
    login: {
      ...(url.username === '' ? {} : { username: decoded(url.username) }),
      ...(url.password === '' ? {} : { password: decoded(url.password) }),
      ...(db === '' ? {} : { db: Number(db) }),
    },
  };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch (thrown) {
    if (!(thrown instanceof URIError)) throw thrown;
    throw badUrl('a % in user or password must be written as %25');
  }
}

function badUrl(why: string): AppError {
  return new AppError('CONFIG_INVALID', { subject: 'engine.url', detail: why });
}

export type TlsOptions = NonNullable<RedisOptions['tls']>;

export async function tlsOptions({
  caFile,
  certFile,
  keyFile,
  serverName,
}: RedisTls = {}): Promise<TlsOptions> {
  const file = { code: 'CREDENTIAL_MISSING', subject: 'engine.tls' } as const;
  return {
    rejectUnauthorized: true, // NODE_TLS_REJECT_UNAUTHORIZED must not turn off this check.
    // Trust the given authorities in addition to the default ones.
    ...(caFile === undefined
      ? {}
      : { ca: [...getCACertificates('default'), await readAuthorities(caFile, file)] }),
    ...(certFile === undefined ? {} : { cert: await readPem(certFile, file) }),
    ...(keyFile === undefined ? {} : { key: await readPem(keyFile, file) }),
    ...(serverName === undefined ? {} : { servername: serverName }),
  };
}

export function sentinelsOf(
  { name, addresses, password }: NonNullable<RedisAddress['sentinel']>,
  tls: TlsOptions | undefined,
): Pick<SentinelsOptions, 'name' | 'addresses' | 'password' | 'tls'> {
  return {
    name,
    addresses: addresses.map((address) => {
      const colon = address.lastIndexOf(':');
      return {
        host: address.slice(0, colon).replace(/^\[|\]$/g, ''),
        port: Number(address.slice(colon + 1)),
      };
    }),
    password: password?.revealText(),
    tls,
  };
}
