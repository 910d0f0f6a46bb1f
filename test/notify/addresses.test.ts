import { describe, expect, it } from 'vitest';
import { allowedAddresses, isPrivateAddress } from '../../src/notify/addresses.ts';

describe('the address of a receiver', () => {
  it.each([
    '10.1.2.3', '172.16.0.1', '172.31.255.255', '192.168.1.1', '127.0.0.1', '127.1.2.3', '0.0.0.0', '100.64.0.1',
    '169.254.169.254', '224.0.0.1', '255.255.255.255', '::1', '::', 'fe80::1', 'fd00::1', 'ff02::1', '::ffff:10.0.0.1',
    '::ffff:a9fe:a9fe', '64:ff9b::7f00:1',
  ])('%s is private', (address) => {
    expect(isPrivateAddress(address)).toBe(true);
  }); // biome-ignore format: a list of addresses

  it.each(['8.8.8.8', '172.32.0.1', '100.128.0.1', '192.169.0.1', '2606:4700::1111', '::ffff:8.8.8.8'])(
    '%s is public',
    (address) => {
      expect(isPrivateAddress(address)).toBe(false);
    },
  );

  it('is refused if one of the addresses of its name is private', async () => {
    const resolve = async () => [
      { address: '8.8.8.8', family: 4 },
      { address: '10.0.0.1', family: 4 },
    ];
    await expect(allowedAddresses('hooks.example.com', false, resolve)).rejects.toMatchObject({
      code: 'NOTIFY_FAILED',
      isTransient: false,
      remedy: expect.stringContaining('allowPrivate'),
    });
    expect(await allowedAddresses('hooks.example.com', true, resolve)).toHaveLength(2);
  });

  it.each(['127.0.0.1', '[::1]', '[::ffff:127.0.0.1]'])('is refused without a name: %s', async (host) => {
    const resolve = () => Promise.reject(new Error('an IP address needs no resolution'));
    await expect(allowedAddresses(host, false, resolve)).rejects.toMatchObject({ code: 'NOTIFY_FAILED' });
    expect(await allowedAddresses(host, true, resolve)).toHaveLength(1);
  });
});
