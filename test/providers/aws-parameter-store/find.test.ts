import { describe, expect, it } from 'vitest';
import { AwsError } from '../../fakes/aws-server.ts';
import { openParameters } from './harness.ts';

const numbered = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, index) => `${prefix}${String(index).padStart(4, '0')}`);

describe('find in Parameter Store', () => {
  it('finds the names on all pages below a path, without decryption', async () => {
    await using aws = await openParameters();
    const names = numbered('/p/k', 35);
    for (const name of [...names, '/pp/k', '/p', 'plain']) aws.parameters.put(name, 'x');
    expect(await aws.provider.find({ path: '/p', tags: {} })).toEqual(names);
    expect(aws.server.requests.map(({ operation, input }) => [operation, input.WithDecryption])).toEqual(
      Array(4).fill(['GetParametersByPath', false]),
    );
    expect(await aws.provider.find({ path: '/p/', tags: {} })).toEqual(names);
    expect(await aws.provider.find({ path: '/none', tags: {} })).toEqual([]);
  });

  it.each(['', '/'])('finds all names with the path %j, also those without a slash', async (path) => {
    await using aws = await openParameters();
    for (const name of ['plain', '/a/b', '/c']) aws.parameters.put(name, 'x');
    expect(await aws.provider.find({ path, tags: {} })).toEqual(['/a/b', '/c', 'plain']);
  });

  it('finds only parameters whose tags are exactly those of the search, fifty on a page', async () => {
    await using aws = await openParameters();
    for (const name of numbered('/f/k', 60)) aws.parameters.put(name, 'x', { tags: { live: 'true' } });
    aws.parameters.put('/f/both', 'x', { tags: { live: 'true', team: 'x' } });
    aws.parameters.put('/f/other', 'x', { tags: { live: 'true!' } });
    aws.parameters.put('/g/a', 'x', { tags: { live: 'true' } });
    const find = (tags: Record<string, string>) => aws.provider.find({ path: '/f', tags });
    expect(await find({ live: 'true' })).toHaveLength(61);
    expect(aws.sent()).toEqual(['DescribeParameters', 'DescribeParameters']);
    expect(await find({ live: 'true', team: 'x' })).toEqual(['/f/both']);
    expect(await aws.provider.find({ path: '', tags: { live: 'true' } })).toContain('/g/a');
  });

  it('fails the whole search if a page after the first one fails', async () => {
    await using aws = await openParameters();
    for (const name of numbered('/k', 15)) aws.parameters.put(name, 'x');
    let pages = 0;
    const push = aws.server.requests.push.bind(aws.server.requests);
    aws.server.requests.push = (...requests) => {
      pages += 1;
      if (pages === 2) aws.server.fail(new AwsError('InvalidNextToken'));
      return push(...requests);
    };
    await expect(aws.provider.find({ path: '', tags: {} })).rejects.toMatchObject({
      code: 'BAD_ANSWER',
      subject: 'store test-store, search below ""',
    });
  });

  it.each([
    ['AccessDeniedException', 'ACCESS_DENIED'],
    ['ThrottlingException', 'THROTTLED'],
  ])('fails with the error of AWS: %s', async (type, code) => {
    await using aws = await openParameters();
    aws.server.fail(new AwsError(type));
    for (const tags of [{}, { live: 'true' }])
      await expect(aws.provider.find({ path: '/a', tags })).rejects.toMatchObject({ code });
  });

  it('continues after an empty page, and does not accept an answer without a list', async () => {
    await using aws = await openParameters();
    aws.parameters.put('/a/b', 'x');
    aws.server.fail({ answer: { Parameters: [], NextToken: 'page-0' } });
    const searching = aws.provider.find({ path: '/a', tags: {} });
    // The same token for ever: the list would never end.
    await expect(searching).rejects.toMatchObject({ code: 'BAD_ANSWER' });
    aws.server.fail({ answer: {} });
    await expect(aws.provider.find({ path: '/a', tags: {} })).rejects.toMatchObject({ code: 'BAD_ANSWER' });
  });

  it.each(['app', '/../x', '/a/./b', '/a b', '/a//b', '//a'])(
    'rejects the path %j before it sends a request',
    async (path) => {
      await using aws = await openParameters();
      await expect(aws.provider.find({ path, tags: {} })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
      expect(aws.sent()).toEqual([]);
    },
  );
});
