import { describe, expect, it } from 'vitest';
import { codeOf } from '../../conformance/provider.ts';
import { FAULTS } from '../../fakes/fault-proxy.ts';
import { openVault } from './harness.ts';

describe('proof of absence in Vault', () => {
  it('checks the mount after a read without a result, and uses one check for all waiting callers', async () => {
    await using store = await openVault();
    const mountRequests = () => store.sent().filter((line) => line.includes('sys/internal/ui/mounts')).length;
    const keys = Array.from({ length: 100 }, (_, index) => ({ key: `none${index}` }));
    const results = await store.provider.read(keys);
    expect(new Set(results.map(codeOf))).toEqual(new Set(['absent']));
    expect(mountRequests()).toBeLessThan(50);
    const place = { name: 'mount secret', setting: 'mount' };
    expect(await store.read('d')).toEqual({ kind: 'absent', place });
    expect(mountRequests()).toBe(1);
  });

  it('does not report a key as absent if a mount with another KV version has replaced the mount of the key', async () => {
    await using store = await openVault();
    store.server.put('secret', 'a', '{"a":"1"}');
    expect(codeOf(await store.read('a'))).toBe('found');
    expect(codeOf(await store.read('none'))).toBe('absent');
    store.server.mount('secret', 1);
    expect(codeOf(await store.read('a'))).toBe('MOUNT_NOT_FOUND');
  });

  it.each(FAULTS)('does not report a key as absent if the mount check fails ("%s")', async (fault) => {
    await using store = await openVault();
    store.proxy.set(fault, /sys\/internal/);
    expect((await store.read('none'))?.kind).toBe('failed');
  });

  it.each(FAULTS)('does not report a key as absent if the read itself fails ("%s")', async (fault) => {
    await using store = await openVault();
    await store.read('none');
    store.proxy.set(fault, /secret\/data/);
    expect((await store.read('none'))?.kind).toBe('failed');
  });

  it('reports a malformed response of the mount check as BAD_ANSWER, and neither the key nor the mount as missing', async () => {
    await using store = await openVault();
    store.proxy.set('another JSON', /sys\/internal/);
    expect(codeOf(await store.read('none'))).toBe('BAD_ANSWER');
  });

  it('does not report a key as absent if the mount does not exist or does not have the configured KV version', async () => {
    await using v1AsV2 = await openVault({ config: { mount: 'kv1' } });
    v1AsV2.server.put('kv1', 'a', '{"a":"1"}');
    expect(codeOf(await v1AsV2.read('a'))).toBe('MOUNT_NOT_FOUND');
    await expect(v1AsV2.provider.find({ path: '', tags: {} })).rejects.toMatchObject({
      code: 'MOUNT_NOT_FOUND',
    });

    await using v2AsV1 = await openVault({ config: { kvVersion: 1 } });
    v2AsV1.server.put('secret', 'a', '{"a":"1"}');
    expect(codeOf(await v2AsV1.read('a'))).toBe('MOUNT_NOT_FOUND');

    await using nowhere = await openVault({ config: { mount: 'nowhere' } });
    expect(codeOf(await nowhere.read('a'))).toBe('MOUNT_NOT_FOUND');

    await using below = await openVault({ config: { mount: 'kv1/below', kvVersion: 1 } });
    expect(codeOf(await below.read('a'))).toBe('MOUNT_NOT_FOUND');
  });

  it('reports neither a value nor an absence if the server ignores the namespace', async () => {
    await using store = await openVault({ config: { namespace: 'team' } });
    store.server.put('secret', 'a', '{"a":"1"}');
    store.server.isEnterprise = false;
    for (const key of ['a', 'none']) {
      expect(await store.read(key)).toMatchObject({
        error: { code: 'MOUNT_NOT_FOUND', detail: 'the community edition of Vault has no namespaces' },
      });
    }
    expect((await store.provider.check()).at(-1)).toMatchObject({ error: { code: 'MOUNT_NOT_FOUND' } });
    store.server.isEnterprise = true;
    expect(codeOf(await store.read('a'))).toBe('found');
    store.server.isEnterprise = undefined;
    expect(codeOf(await store.read('none'))).toBe('absent');
    // The server was replaced.
    store.server.isEnterprise = false;
    expect(codeOf(await store.read('none'))).toBe('MOUNT_NOT_FOUND');
  });

  it('does not report a key as absent if the mount has KV version 1 and a secret below `data/` looks like version 2', async () => {
    await using store = await openVault({ config: { mount: 'kv1' } });
    store.server.put('kv1', 'data/a', '{"a":"1"}');
    expect(codeOf(await store.read('a'))).toBe('MOUNT_NOT_FOUND');
  });

  it('does not report a key as absent if its version was deleted, destroyed or never existed', async () => {
    await using store = await openVault();
    store.server.put('secret', 'a', '{"a":"1"}');
    store.server.put('secret', 'a', '{"a":"2"}');
    store.server.remove('secret', 'a', 'delete');
    expect(codeOf(await store.read('a'))).toBe('SOURCE_DELETED');
    expect(codeOf(await store.read('a', '2'))).toBe('VERSION_GONE');
    expect(codeOf(await store.read('a', '1'))).toBe('found');
    expect(codeOf(await store.read('a', '3'))).toBe('VERSION_GONE');
    store.server.remove('secret', 'a', 'destroy');
    expect(codeOf(await store.read('a'))).toBe('SOURCE_DELETED');
    store.server.remove('secret', 'a', 'forget');
    expect(codeOf(await store.read('a'))).toBe('absent');
  });
});

describe('a version in Vault', () => {
  it.each(['0', '-1', '01', '1.0', 'latest', '', '1&x=2'])(
    'rejects the version %j, because a version is a whole number from 1',
    async (version) => {
      await using store = await openVault();
      store.server.put('secret', 'a', '{"a":"1"}');
      expect(codeOf(await store.read('a', version))).toBe('CONFIG_INVALID');
      expect(store.sent()).not.toContain('GET secret/data/a');
    },
  );

  it('returns current versions without reading the values, and reports the version of a deleted secret as unknown', async () => {
    await using store = await openVault();
    store.server.put('secret', 'a', '{"a":"1"}');
    store.server.put('secret', 'b', '{"a":"1"}');
    store.server.put('secret', 'b', '{"a":"2"}');
    store.server.remove('secret', 'a', 'delete');
    expect(await store.provider.versions(['b', 'a', 'none'])).toEqual([
      { kind: 'known', version: '2', expiresAt: null },
      { kind: 'unknown' },
      { kind: 'unknown' },
    ]);
  });
});

describe('a value in Vault', () => {
  it('keeps the text of numbers, the order of members and duplicate members of a secret', async () => {
    await using store = await openVault({ config: { mount: 'kv1', kvVersion: 1 } });
    store.server.put('kv1', 'a', '{ "z": 123456789012345678901, "a": 1.10, "e": 1e5, "\\u00fc": "\\u003c" }');
    const [result] = await store.provider.read([{ key: 'a' }]);
    const text = result?.kind === 'found' ? Buffer.from(result.value.reveal()).toString() : '';
    expect(text).toBe('{"z":123456789012345678901,"a":1.10,"e":1e5,"ü":"<"}');
  });
});

describe('a response from a dynamic secrets engine', () => {
  it('rejects secrets from a dynamic secrets engine, because each read would create a credential that is revoked with our token', async () => {
    await using store = await openVault({ config: { mount: 'database', kvVersion: 1 } });
    store.server.mount('database', 1, 'database');
    store.server.put('database', 'creds/app', '{"username":"v-1","password":"x"}');
    expect(codeOf(await store.read('creds/app'))).toBe('MOUNT_NOT_FOUND');
  });
});

describe('find in Vault', () => {
  it('finds only secrets whose tags are exactly those of the search', async () => {
    await using store = await openVault();
    store.server.put('secret', 'f/a', '{}', { live: 'true', team: 'x' });
    store.server.put('secret', 'f/b', '{}', { live: 'true' });
    store.server.put('secret', 'f/c', '{}', { live: 'TRUE', team: 'x' });
    store.server.put('secret', 'f/d', '{}');
    const find = (tags: Record<string, string>) => store.provider.find({ path: 'f', tags });
    expect(await find({ live: 'true' })).toEqual(['f/a', 'f/b']);
    expect(await find({ live: 'true', team: 'x' })).toEqual(['f/a']);
    expect(await find({ constructor: 'x' })).toEqual([]);
  });

  it('fails the whole search if one folder or the tags of one key cannot be read', async () => {
    await using store = await openVault();
    store.server.put('secret', 'f/a', '{}', { live: 'true' });
    store.server.put('secret', 'f/sub/b', '{}', { live: 'true' });
    store.server.deny(/metadata\/f\/sub\/$/);
    await expect(store.provider.find({ path: 'f', tags: {} })).rejects.toMatchObject({
      code: 'ACCESS_DENIED',
    });
    store.server.deny(/metadata\/f\/a$/);
    expect(await store.provider.find({ path: 'f', tags: {} })).toEqual(['f/a', 'f/sub/b']);
    await expect(store.provider.find({ path: 'f', tags: { live: 'true' } })).rejects.toMatchObject({
      code: 'ACCESS_DENIED',
    });
  });

  it('omits a key that is deleted after it was listed and before its tags are read', async () => {
    await using store = await openVault();
    for (const key of ['f/a', 'f/b']) store.server.put('secret', key, '{}', { live: 'true' });
    store.server.onList = () => store.server.remove('secret', 'f/a', 'forget');
    expect(await store.provider.find({ path: 'f', tags: { live: 'true' } })).toEqual(['f/b']);
    store.server.onList = () => store.server.mount('secret', 1);
    const search = store.provider.find({ path: 'f', tags: { live: 'true' } });
    await expect(search).rejects.toMatchObject({ code: 'MOUNT_NOT_FOUND' });
  });

  it('rejects a search by tags in key/value version 1, which does not support tags', async () => {
    await using store = await openVault({ config: { mount: 'kv1', kvVersion: 1 } });
    const search = store.provider.find({ path: '', tags: { a: 'b' } });
    await expect(search).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });
});
