import { describe, expect, it } from 'vitest';
import { openAzure } from './harness.ts';

async function openMany(count: number) {
  const store = await openAzure();
  for (let index = 0; index < count; index += 1) {
    store.server.secrets.put(`n${String(index).padStart(3, '0')}`, 'x');
  }
  return store;
}

describe('a search in Key Vault', () => {
  it('finds names by their beginning, over all pages', async () => {
    await using store = await openMany(60);
    store.server.secrets.put('other', 'x');
    expect((await store.provider.find({ path: 'n0', tags: {} })).length).toBe(60);
    expect(store.sent().filter((line) => line === 'vault GET /secrets')).toHaveLength(4); // one without a token
    expect(await store.provider.find({ path: 'n05', tags: {} })).toEqual(
      Array.from({ length: 10 }, (_, index) => `n05${index}`),
    );
    expect(await store.provider.find({ path: 'N05', tags: {} })).toEqual([]);
  });

  it('finds by tags that match exactly', async () => {
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

  it('leaves out what is disabled or deleted', async () => {
    await using store = await openAzure();
    const { secrets } = store.server;
    for (const name of ['a', 'b', 'c']) secrets.put(name, 'x');
    secrets.update('b', { enabled: false });
    secrets.remove('c');
    expect(await store.provider.find({ path: '', tags: {} })).toEqual(['a']);
  });

  it.each(['a/', 'a.b', '..', 'a b', 'a*'])('refuses the path %j, which begins no name', async (path) => {
    await using store = await openAzure();
    await expect(store.provider.find({ path, tags: {} })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    expect(store.sent()).toEqual([]);
  });

  it('fails whole when one of its pages fails', async () => {
    await using store = await openMany(60);
    let pages = 0;
    store.server.nextLink = (link) => {
      pages += 1;
      if (pages === 2) store.server.fail('throttled');
      return link;
    };
    await expect(store.provider.find({ path: '', tags: {} })).rejects.toMatchObject({ code: 'THROTTLED' });
  });

  it('never follows a page to another host', async () => {
    await using store = await openMany(30);
    await using elsewhere = await openAzure();
    for (const address of [elsewhere.server.address, 'http://127.0.0.1:9', 'https://user@127.0.0.1:9']) {
      store.server.nextLink = (link) => link.replace(store.server.address, address);
      await expect(store.provider.find({ path: '', tags: {} })).rejects.toMatchObject({ code: 'BAD_ANSWER' });
    }
    expect(elsewhere.server.requests).toEqual([]);
  });

  it('ends when the pages do not', async () => {
    await using store = await openMany(30);
    store.server.nextLink = (link) => link.replace(/%24skiptoken=\d+/, '%24skiptoken=0');
    await expect(store.provider.find({ path: '', tags: {} })).rejects.toMatchObject({ code: 'TOO_LARGE' });
  });

  it('stops between pages when it is called off', async () => {
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
