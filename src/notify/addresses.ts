import { lookup } from 'node:dns/promises';
import { BlockList, isIP } from 'node:net';
import { AppError } from '../core/errors.ts';

// A message must not reach services inside the network by mistake, such as the metadata service of a cloud.

/** Networks that are not public: https://www.iana.org/assignments/iana-ipv4-special-registry and its IPv6 sibling. */
const PRIVATE: readonly (readonly [network: string, prefix: number, family: 'ipv4' | 'ipv6'])[] = [
  ['0.0.0.0', 8, 'ipv4'],
  ['10.0.0.0', 8, 'ipv4'],
  ['100.64.0.0', 10, 'ipv4'],
  ['127.0.0.0', 8, 'ipv4'],
  ['169.254.0.0', 16, 'ipv4'],
  ['172.16.0.0', 12, 'ipv4'],
  ['192.0.0.0', 24, 'ipv4'],
  ['192.0.2.0', 24, 'ipv4'],
  ['192.168.0.0', 16, 'ipv4'],
  ['198.18.0.0', 15, 'ipv4'],
  ['198.51.100.0', 24, 'ipv4'],
  ['203.0.113.0', 24, 'ipv4'],
  ['224.0.0.0', 3, 'ipv4'],
  ['::', 96, 'ipv6'],
  ['64:ff9b::', 96, 'ipv6'],
  ['64:ff9b:1::', 48, 'ipv6'],
  ['100::', 64, 'ipv6'],
  ['2001:db8::', 32, 'ipv6'],
  ['fc00::', 7, 'ipv6'],
  ['fe80::', 10, 'ipv6'],
  ['ff00::', 8, 'ipv6'],
];

const privateNetworks = new BlockList();
for (const [network, prefix, family] of PRIVATE) privateNetworks.addSubnet(network, prefix, family);

/** Whether an IP address is not public. An IPv6 address that contains an IPv4 address counts as that address. */
export function isPrivateAddress(address: string): boolean {
  // `BlockList` compares addresses such as `::ffff:10.0.0.1` with the rules for IPv4.
  return privateNetworks.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}

export interface ResolvedAddress {
  readonly address: string;
  readonly family: number;
}

/** Resolves all addresses of a host name. */
export type Resolve = (host: string) => Promise<readonly ResolvedAddress[]>;

const resolveAll: Resolve = (host) => lookup(host, { all: true });

/**
 * Returns the addresses of a host. The caller must connect to one of them, because another resolution could give other
 * addresses.
 *
 * @param host A name, or an IP address with or without brackets.
 * @throws AppError NOTIFY_FAILED if one of them is private and that is not allowed. The name is then not resolved again.
 */
export async function allowedAddresses(
  host: string,
  allowPrivate: boolean,
  resolve: Resolve = resolveAll,
): Promise<readonly ResolvedAddress[]> {
  const plain = host.replace(/^\[|\]$/g, '');
  const family = isIP(plain);
  const addresses = family === 0 ? await resolve(plain) : [{ address: plain, family }];
  if (!allowPrivate && addresses.some(({ address }) => isPrivateAddress(address)))
    throw new AppError('NOTIFY_FAILED', {
      detail: 'the address is in a private network',
      remedy: 'Use a public address, or set `allowPrivate: true` for this channel.',
      needsAction: true,
    });
  return addresses;
}
