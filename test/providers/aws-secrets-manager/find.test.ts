import { describe, expect, it } from 'vitest';
import { listPages } from '../../../src/providers/aws-secrets-manager/list.ts';
import { AwsError } from '../../fakes/aws-server.ts';
import { openAws } from './harness.ts';

const numbered = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, index) => `${prefix}${String(index).padStart(4, '0')}`);

describe('find in AWS Secrets Manager', () => {
  it('finds only secrets whose tags are exactly those of the search', async () => {
    await using aws = await openAws();
    const { store } = aws.server;
    store.put('f/a', 'x', { tags: { live: 'true', team: 'x' } });
    store.put('f/b', 'x', { tags: { live: 'true' } });
    store.put('f/c', 'x', { tags: { live: 'true!', lively: 'true', team: 'x' } });
    store.put('f/d', 'x', { tags: { Live: 'true' } });
    store.put('f/e', 'x');
    const find = (tags: Record<string, string>) => aws.provider.find({ path: 'f', tags });
    expect(await find({ live: 'true' })).toEqual(['f/a', 'f/b']);
    expect(await find({ live: 'true', team: 'x' })).toEqual(['f/a']);
    expect(await find({ constructor: 'x' })).toEqual([]);
  });

  it('finds the names on all pages, for a path with or without a leading slash', async () => {
    await using aws = await openAws();
    const names = numbered('/p/k', 250);
    for (const name of names) aws.server.store.put(name, 'x');
    aws.server.store.put('/pp/k', 'x');
    expect(await aws.provider.find({ path: '/p', tags: {} })).toEqual(names);
    expect(aws.sent()).toEqual(Array(3).fill('ListSecrets'));
    expect(await aws.provider.find({ path: '/p/', tags: {} })).toEqual(names);
    expect(await aws.provider.find({ path: '/p/k', tags: {} })).toEqual([]);
  });

  it('fails the whole search if any page after the first page fails', async () => {
    await using aws = await openAws();
    for (const name of numbered('k', 150)) aws.server.store.put(name, 'x');
    let pages = 0;
    const push = aws.server.requests.push.bind(aws.server.requests);
    aws.server.requests.push = (...requests) => {
      pages += 1;
      if (pages === 2) aws.server.fail(new AwsError('InvalidNextTokenException'));
      return push(...requests);
    };
    await expect(aws.provider.find({ path: '', tags: {} })).rejects.toMatchObject({
      code: 'BAD_ANSWER',
      subject: 'store test-store, search below ""',
    });
  });

  it('finds names that have an empty segment below the path', async () => {
    await using aws = await openAws();
    const names = ['a//b', 'a/b', 'a/b/', 'a/b//c'];
    for (const name of [...names, 'a/', '/a/b']) aws.server.store.put(name, 'x');
    expect(await aws.provider.find({ path: 'a/', tags: {} })).toEqual(names);
    const found = await aws.provider.read(names.map((key) => ({ key })));
    expect(found.map(({ kind }) => kind)).toEqual(names.map(() => 'found'));
  });

  it.each(['../x', 'a/./b', 'a b', 'a//b', '//a'])(
    'rejects the path %j before it sends a request',
    async (path) => {
      await using aws = await openAws();
      await expect(aws.provider.find({ path, tags: {} })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
      expect(aws.sent()).toEqual([]);
    },
  );

  it('accepts a path that AWS could take for a negation', async () => {
    await using aws = await openAws();
    for (const name of ['!p/a', 'p/a']) aws.server.store.put(name, 'x');
    expect(await aws.provider.find({ path: '!p', tags: {} })).toEqual(['!p/a']);
  });

  it('fails a search that finds more keys than a Secret can hold', async () => {
    await using aws = await openAws();
    for (const name of numbered('k', 10_001)) aws.server.store.put(name, 'x');
    await expect(aws.provider.find({ path: '', tags: {} })).rejects.toMatchObject({ code: 'TOO_LARGE' });
  });
});

describe('an endless list from AWS', () => {
  const session = (token: (page: number) => string) => {
    let pages = 0;
    const call = async () => {
      pages += 1;
      return { SecretList: [], NextToken: token(pages) };
    };
    return { call } as unknown as Parameters<typeof listPages>[0];
  };
  const all = (token: (page: number) => string) => Array.fromAsync(listPages(session(token), [], undefined));

  it('stops a list at the first repeated page, or after more pages than an account can have', async () => {
    await expect(all((page) => `${page % 7}`)).rejects.toMatchObject({ code: 'BAD_ANSWER' });
    await expect(all((page) => `${page}`)).rejects.toMatchObject({
      code: 'TOO_LARGE',
      detail: 'the account returns its list on more than 10000 pages',
    });
  });
});

describe('version checks in AWS Secrets Manager', () => {
  it('uses DescribeSecret for a few keys', async () => {
    await using aws = await openAws();
    const { store } = aws.server;
    store.put('a', '1');
    store.put('a', '2');
    const [current, none] = await aws.provider.versions(['a', 'none']);
    expect(aws.sent()).toEqual(['DescribeSecret', 'DescribeSecret']);
    const version = { version: expect.any(String), createdAt: expect.any(Number) };
    expect(current).toEqual({ kind: 'known', ...version, expiresAt: null });
    const found = await aws.read('a');
    expect(found).toMatchObject({ ...version, kind: 'found' });
    expect(current).toMatchObject({ version: found?.kind === 'found' && found.version });
    expect(none).toEqual({ kind: 'unknown' });
  });

  it('lists the account for many keys if a list needs no more calls than reads of the keys', async () => {
    await using aws = await openAws();
    const { store } = aws.server;
    for (const name of numbered('other/k', 300)) store.put(name, 'x');
    const names = numbered('app/k', 60);
    for (const name of names) store.put(name, 'x');
    const arn = store.put('app/arn', 'x').arn;
    const keys = [...names, arn, arn.slice(0, -7), 'app/none', '..'];
    const results = await aws.provider.versions(keys);
    expect(aws.sent()).toEqual(['ListSecrets']); // One page is enough, because the filter excludes the other secrets.
    expect(results.map(({ kind }) => kind)).toEqual([...Array(62).fill('known'), 'unknown', 'unknown']);
    const read = await aws.provider.read(names.map((key) => ({ key })));
    expect(results.slice(0, 60)).toEqual(
      read.map((result) => {
        if (result.kind !== 'found') return result;
        const { version, createdAt } = result;
        return { kind: 'known', version, createdAt, expiresAt: null };
      }),
    );
  });

  it('reports versions as unknown if a list would need more calls than reads of the keys', async () => {
    await using aws = await openAws();
    const names = numbered('', 250).map((name) => `${name}/x`);
    for (const name of names) aws.server.store.put(name, 'x');
    const results = await aws.provider.versions(names.slice(-30));
    expect(aws.sent()).toEqual(['ListSecrets', 'ListSecrets']); // Reading the 30 secrets would also take two calls, so the list stops after two pages.
    expect(results.at(-1)).toEqual({ kind: 'unknown' });
  });

  it('uses no list if the configured freshness is strict', async () => {
    await using aws = await openAws({ config: { freshness: 'strict' } });
    aws.server.store.put('a', 'x');
    expect(await aws.provider.versions(['a'])).toEqual([{ kind: 'unknown' }]);
    expect(aws.sent()).toEqual([]);
  });

  it('reports versions as unknown without the permission to list and describe', async () => {
    await using aws = await openAws();
    for (const name of ['a', 'b', 'c']) aws.server.store.put(name, 'x');
    aws.server.fail(new AwsError('AccessDeniedException'), /List|Describe/);
    expect(await aws.provider.versions(['a', 'b', 'c'])).toEqual(Array(3).fill({ kind: 'unknown' }));
    expect(await aws.provider.versions(['a'])).toEqual([{ kind: 'unknown' }]);
  });
});
