import { describe, expect, it } from 'vitest';
import { expiresAtText } from '../../src/providers/results.ts';
import { openAws } from './aws-secrets-manager/harness.ts';
import { openVault } from './vault/harness.ts';

const END = '2027-03-01';
const ENDS_AT = Date.UTC(2027, 2, 1);

describe('the time at which a value expires', () => {
  it.each([
    [END, ENDS_AT],
    ['2027-03-01T12:00:00Z', ENDS_AT + 43_200_000],
    ['2027-03-01T12:00:00+02:00', ENDS_AT + 36_000_000],
    // Without a time zone, the result would depend on the machine.
    ['2027-03-01T12:00:00', null],
    ['next week', null],
    ['2027-13-01', null],
    [undefined, null],
  ])('of the text %s is %s', (text, expiresAt) => {
    expect(expiresAtText(text)).toEqual({ expiresAt });
  });

  it('comes from the custom metadata in Vault, with the read of the value', async () => {
    await using store = await openVault();
    store.server.put('secret', 'a', '{"a":"1"}', { 'expires-at': END });
    store.server.put('secret', 'b', '{"a":"1"}');
    const results = await store.provider.read([{ key: 'a' }, { key: 'b' }]);
    expect(results).toMatchObject([{ expiresAt: ENDS_AT }, { expiresAt: null }]);
    expect(store.sent().filter((line) => line.includes('metadata'))).toEqual([]);
  });

  it('comes from the custom metadata with the configured key', async () => {
    await using store = await openVault({ config: { expiryKey: 'end' } });
    store.server.put('secret', 'a', '{"a":"1"}', { end: END, 'expires-at': '2000-01-01' });
    expect(await store.read('a')).toMatchObject({ expiresAt: ENDS_AT });
  });

  it('comes from a tag in AWS, with the descriptions and lists', async () => {
    await using aws = await openAws();
    const { store } = aws.server;
    store.put('a', '1', { tags: { 'expires-at': END } });
    expect(await aws.provider.versions(['a'])).toMatchObject([{ expiresAt: ENDS_AT }]);
    expect(aws.sent()).toEqual(['DescribeSecret']);
    const keys = Array.from({ length: 60 }, (_, index) => `k${index}`);
    for (const key of keys) store.put(key, 'x', { tags: { 'expires-at': END } });
    expect(await aws.provider.versions(keys)).toMatchObject(keys.map(() => ({ expiresAt: ENDS_AT })));
    expect(aws.sent()).toEqual(['ListSecrets']);
  });

  it('costs a further call for each read in AWS, and only with `readTags`', async () => {
    for (const readTags of [false, true]) {
      await using aws = await openAws({ config: { readTags, expiryTag: 'end' } });
      aws.server.store.put('a', '1', { tags: { end: END } });
      const found = await aws.read('a');
      expect(found?.kind === 'found' && found.expiresAt).toBe(readTags ? ENDS_AT : undefined);
      expect(aws.sent()).toEqual(['GetSecretValue', ...(readTags ? ['DescribeSecret'] : [])]);
    }
  });
});
