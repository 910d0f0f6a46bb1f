import { describe, expect, it } from 'vitest';
import { createLog } from '../conformance/cluster-watch-log.ts';
import { json } from './api-server.ts';
import { connectTo, event, item, list, startWatchServer, type WatchServer } from './watch-server.ts';

const TEAM = { namespace: 'team' };
const NOTED = { labels: { a: 'b' }, annotations: { note: 'x' } };
const limitsOf = (server: WatchServer) =>
  server.lists.map(({ url }) => new URL(url, 'http://x').searchParams.get('limit'));

describe('a list of many Secrets', () => {
  it('keeps the labels and annotations of a Secret only if a mapping needs this Secret', async () => {
    await using server = await startWatchServer();
    server.next('list', json(200, list([item('app', '1', NOTED), item('other', '2', NOTED)])));
    await using cluster = await connectTo(server);
    const log = createLog();
    await using _ = cluster.watch(TEAM, { ...log, isOfInterest: (secret) => secret === 'app' });
    await log.until(({ listCount }) => listCount() === 1);
    expect(log.now().get('app')).toMatchObject({ ...NOTED, resourceVersion: '1' });
    expect(log.now().get('other')).toMatchObject({ labels: {}, annotations: {}, resourceVersion: '2' });
    await expect.poll(() => server.watches.length, { interval: 2 }).toBe(1);
    server.send(event('MODIFIED', item('other', '3', NOTED)), event('DELETED', item('other', '4', NOTED)));
    await log.until(({ records }) => records.length === 3);
    expect(log.records.slice(1)).toMatchObject([
      { kind: 'changed', meta: { labels: {}, annotations: {} } },
      { kind: 'gone', secret: 'other' },
    ]);
  });

  it('reads the list again if a mapping now needs Secrets whose metadata was dropped', async () => {
    await using server = await startWatchServer();
    const interests = new Set(['app']);
    server.next(
      'list',
      json(200, list([item('late', '1', NOTED)], { resourceVersion: '7', continue: 'more' })),
      (request, response) => {
        // The configuration changes during the read of the list.
        interests.add('late');
        json(200, list([item('app', '2', NOTED)], { resourceVersion: '7' }))(request, response);
      },
      json(200, list([item('late', '1', NOTED), item('app', '2', NOTED)], { resourceVersion: '8' })),
    );
    await using cluster = await connectTo(server);
    const log = createLog();
    await using _ = cluster.watch(TEAM, { ...log, isOfInterest: (secret) => interests.has(secret) });
    await log.until(({ listCount }) => listCount() === 1);
    expect(log.now().get('late')).toMatchObject(NOTED);
    expect(server.lists).toHaveLength(3);
    expect(log.errors).toEqual([]);
  });

  it('reads smaller pages of the list after a page with much data', async () => {
    await using server = await startWatchServer();
    const large = { annotations: { note: 'x'.repeat(1024 * 1024) } };
    const page = (names: readonly string[], more?: string) =>
      json(
        200,
        list(
          names.map((name) => item(name, '1', more === undefined ? {} : large)),
          { resourceVersion: '7', ...(more === undefined ? {} : { continue: more }) },
        ),
      );
    server.next('list', page(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'], 'x'), page(['i'], 'y'), page(['j']));
    await using cluster = await connectTo(server);
    const log = createLog();
    await using _ = cluster.watch(TEAM, log);
    await log.until(({ listCount }) => listCount() === 1);
    expect(log.now().size).toBe(10);
    expect(limitsOf(server)).toEqual(['500', '3', '3']);
  });
});
