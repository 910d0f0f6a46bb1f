import { AppError } from '../core/errors.ts';
import { codeOf, resourceShortageOf } from '../core/system-errors.ts';

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** Parses `host:port`. An IPv6 address must be in brackets. @throws AppError LISTEN_FAILED. */
export function parseListen(text: string): ListenAddress {
  const [, ipv6, name, digits] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = ipv6 ?? name;
  if (host === undefined || Number(digits) > 65_535)
    throw new AppError('LISTEN_FAILED', {
      subject: 'http.listen',
      detail: 'the address must have the form host:port',
    });
  // `localhost` resolves to two addresses. Fastify would start two servers, and only one of them would get renewed
  // certificates.
  return { host: host === 'localhost' ? '127.0.0.1' : host, port: Number(digits) };
}

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program uses the port',
  EACCES: 'permission denied for this port',
  EADDRNOTAVAIL: 'this machine does not have the address',
  EAFNOSUPPORT: 'this machine does not support the address family',
  // The error for a link-local address (`fe80::…`) without a zone. Such an address exists on every interface.
  EINVAL: 'a link-local address needs an interface and cannot be used',
  ENOTFOUND: 'the host name does not resolve',
  EAI_AGAIN: 'the host name does not resolve',
};

export function listenError(thrown: unknown, address: string): unknown {
  const code = codeOf(thrown) ?? '';
  const detail = REASONS[code] ?? resourceShortageOf(thrown);
  if (detail === undefined) return thrown;
  return new AppError('LISTEN_FAILED', { subject: address, detail, cause: thrown });
}

/**
 * Returns the key for limits per address: an IPv4 address, or the first 64 bits of an IPv6 address. The owner of an
 * IPv6 network has 2^64 addresses.
 */
export function networkOf(ip: string): string {
  return ip.includes(':') && !ip.includes('.')
    ? (ip.split('::')[0]?.split(':').slice(0, 4).join(':') ?? ip)
    : ip;
}
