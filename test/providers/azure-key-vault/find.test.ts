import { describe, expect, it } from 'vitest';
import type { KeyVault } from '../../../src/providers/azure-key-vault/clients.ts';
import { findNames } from '../../../src/providers/azure-key-vault/find.ts';
import { openAzure } from './harness.ts';

async function openMany(count: number) {
  const store = await openAzure();
  for (let index = 0; index < count; index += 1) {
    store.server.secrets.put(`n${String(index).padStart(3, '0')}`, 'x');
  }
  return store;
}

describe('a search in Key Vault', () => {
  it('finds names by their start, on all pages', async () => {
    await using store = await openMany(60);
    store.server.secrets.put('other', 'x');
    expect((await store.provider.find({ path: 'n0', tags: {} })).length).toBe(60);
    expect(store.sent().filter((line) => line === 'vault GET /secrets')).toHaveLength(4); // One request without a token is sent first, and then three requests for pages.
    expect(await store.provider.find({ path: 'n05', tags: {} })).toEqual(
      Array.from({ length: 10 }, (_, index) => `n05${index}`),
    );
    expect(await store.provider.find({ path: 'N05', tags: {} })).toEqual([]);
  });

  it('finds only secrets whose tags are exactly those of the search', async () => {
    await using store = await openAzure();
    const { secrets } = store.server;
    secrets.put('both', 'x', { tags: { live: 'true', team: 'a' } });
    secrets.put('one', 'x', { tags: { live: 'true' } });
    secrets.put('other', 'x', { tags: { live: 'TRUE', team: 'a' } });
    secrets.put('none', 'x');
    const find = (tags: Record<string, string>) => store.provider.find({ path: '', tags });
    expect(await find({ live: 'true' })).toEqual(['both', 'one']);
    expect(await find({ live: 'true', team: 'a' })).toEqual(['both']);
    expect(await find({ constructor: 'x' })).toEqual([]);
  });

  it('omits disabled and deleted secrets from a search', async () => {
    await using store = await openAzure();
    const { secrets } = store.server;
    for (const name of ['a', 'b', 'c']) secrets.put(name, 'x');
    secrets.update('b', { enabled: false });
    secrets.remove('c');
    expect(await store.provider.find({ path: '', tags: {} })).toEqual(['a']);
  });

  it.each(['a/', 'a.b', '..', 'a b', 'a*'])(
    'rejects the path %j, because no name can start with it',
    async (path) => {
      await using store = await openAzure();
      await expect(store.provider.find({ path, tags: {} })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
      expect(store.sent()).toEqual([]);
    },
  );

  it('fails the whole search if a page fails', async () => {
    await using store = await openMany(60);
    let pages = 0;
    store.server.nextLink = (link) => {
      pages += 1;
      if (pages === 2) store.server.fail('throttled');
      return link;
    };
    await expect(store.provider.find({ path: '', tags: {} })).rejects.toMatchObject({ code: 'THROTTLED' });
  });

  it('never follows a link to the next page if it leads to another host', async () => {
    await using store = await openMany(30);
    await using elsewhere = await openAzure();
    for (const address of [elsewhere.server.address, 'http://127.0.0.1:9', 'https://user@127.0.0.1:9']) {
      store.server.nextLink = (link) => link.replace(store.server.address, address);
      await expect(store.provider.find({ path: '', tags: {} })).rejects.toMatchObject({ code: 'BAD_ANSWER' });
    }
    expect(elsewhere.server.requests).toEqual([]);
  });

  it('fails a search whose pages never end', async () => {
    await using store = await openMany(30);
    store.server.nextLink = (link) => link.replace(/%24skiptoken=\d+/, '%24skiptoken=0');
    await expect(store.provider.find({ path: '', tags: {} })).rejects.toMatchObject({ code: 'TOO_LARGE' });
  });

  it('stops a search after the current page when the signal is aborted', async () => {
    await using store = await openMany(60);
    const controller = new AbortController();
    const reason = new Error('enough');
    store.server.nextLink = (link) => {
      controller.abort(reason);
      return link;
    };
    const search = store.provider.find({ path: '', tags: {} }, { signal: controller.signal });
    await expect(search).rejects.toBe(reason);
  });
});

describe('a search in a large vault', () => {
  /**
   * Creates a vault in memory. Its names look like `n000000`.
   * @param refusedAt The page of the first list at which the vault refuses the token.
   */
  function vaultOf(count: number, refusedAt?: number): KeyVault {
    const client = (refused: number | undefined) => ({
      listPropertiesOfSecrets: () => ({
        async *byPage({ maxPageSize }: { maxPageSize: number }) {
          for (let start = 0; start < count; start += maxPageSize) {
            if (start === refused) throw new Error('refused');
            const page = { length: Math.min(maxPageSize, count - start) };
            yield Array.from(page, (_, index) => ({ name: `n${String(start + index).padStart(6, '0')}` }));
          }
        },
      }),
    });
    const call = (_: string, use: (secrets: unknown) => Promise<unknown>) =>
      refusedAt === undefined
        ? use(client(undefined))
        : use(client(refusedAt * 25)).catch(() => use(client(undefined)));
    return { call } as unknown as KeyVault;
  }
  const find = (path: string, vault: KeyVault) => findNames(vault, { path, tags: {} }, undefined);

  it('limits the number of matching names, but not the number of listed names', async () => {
    const ten = Array.from({ length: 10 }, (_, index) => `n00001${index}`);
    expect(await find('n00001', vaultOf(20_000))).toEqual(ten);
    expect(await find('n00', vaultOf(20_000))).toHaveLength(10_000);
    await expect(find('n0', vaultOf(10_001))).rejects.toMatchObject({
      code: 'TOO_LARGE',
      detail: 'the search finds more than 10000 keys',
    });
  });

  it('fails a search that needs more pages than allowed', async () => {
    expect(await find('n049999', vaultOf(50_000))).toEqual(['n049999']);
    await expect(find('n00001', vaultOf(50_001))).rejects.toMatchObject({
      code: 'TOO_LARGE',
      detail: 'the vault lists its secrets on more than 2000 pages',
    });
  });

  it('finds each secret once if the vault refuses the token and the list starts again', async () => {
    expect(await find('', vaultOf(9_000, 300))).toHaveLength(9_000);
  });
});
