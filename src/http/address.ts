import { AppError } from '../core/errors.ts';
import { codeOf, shortageOf } from '../core/system-errors.ts';

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** `host:port`; an IPv6 address in brackets. @throws AppError LISTEN_FAILED. */
export function parseListen(text: string): ListenAddress {
  const [, ipv6, name, digits] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = ipv6 ?? name;
  if (host === undefined || Number(digits) > 65_535)
    throw new AppError('LISTEN_FAILED', { about: 'http.listen', detail: 'it is not of the form host:port' });
  // `localhost` is two addresses, and would be two servers of which only one has its certificate renewed.
  return { host: host === 'localhost' ? '127.0.0.1' : host, port: Number(digits) };
}

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program uses the port',
  EACCES: 'this process may not use the port',
  EADDRNOTAVAIL: 'this machine has no such address',
  EAFNOSUPPORT: 'this machine has no addresses of its kind',
  // Of `fe80::`, which each interface has.
  EINVAL: 'an address of one interface alone cannot be listened at',
  ENOTFOUND: 'the host has no address',
  EAI_AGAIN: 'the host has no address',
};

export function listenError(thrown: unknown, address: string): unknown {
  const code = codeOf(thrown) ?? '';
  const detail = REASONS[code] ?? shortageOf(thrown);
  if (detail === undefined) return thrown;
  return new AppError('LISTEN_FAILED', { about: address, detail, cause: thrown });
}

/** What limits count by: the address, or the first 64 bits of an IPv6 one, since whoever has one has 2^64 of them. */
export function networkOf(ip: string): string {
  return ip.includes(':') && !ip.includes('.')
    ? (ip.split('::')[0]?.split(':').slice(0, 4).join(':') ?? ip)
    : ip;
}
