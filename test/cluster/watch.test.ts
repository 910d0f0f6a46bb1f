import { describe, expect, it } from 'vitest';
import { createLog, openWatchLog } from '../conformance/cluster-watch-log.ts';
import { type Answer, json, status } from './api-server.ts';
import {
  bookmark,
  connectTo,
  event,
  item,
  list,
  SWIFT,
  startWatchServer,
  type WatchServer,
} from './watch-server.ts';

const TEAM = { namespace: 'team' };
const changed = (version: string, name = 'app') => event('MODIFIED', item(name, version));
const queryOf = (url = '') => Object.fromEntries(new URL(url, 'http://x').searchParams);
const lastWatch = (server: WatchServer) => queryOf(server.watches.at(-1)?.url);

async function follow(server: WatchServer) {
  const cluster = await connectTo(server);
  const log = openWatchLog(cluster, TEAM);
  await log.until(({ listCount }) => listCount() > 0);
  await expect.poll(() => server.watches.length, { interval: 2 }).toBeGreaterThan(0);
  return {
    log,
    /** Sends another event and waits for its arrival, to check that the watch still works. */
    async goesOn(version: string) {
      await expect
        .poll(
          () => {
            server.send(changed(version));
            return log.now().get('app')?.resourceVersion;
          },
          { interval: 5, timeout: 5_000 },
        )
        .toBe(version);
    },
    async [Symbol.asyncDispose]() {
      await log[Symbol.asyncDispose]();
      await cluster[Symbol.asyncDispose]();
    },
  };
}

describe('a watch', () => {
  it('a watch requests only metadata and bookmarks, starting at the version of the list', async () => {
    await using server = await startWatchServer();
    await using _ = await follow(server);
    expect(server.lists[0]?.headers.accept).toBe(
      'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1',
    );
    expect(server.watches[0]?.headers.accept).toBe(
      'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1',
    );
    const { timeoutSeconds, ...query } = lastWatch(server);
    expect(query).toEqual({ watch: 'true', allowWatchBookmarks: 'true', resourceVersion: '10' });
    expect(Number(timeoutSeconds)).toBeGreaterThanOrEqual(240);
    expect(Number(timeoutSeconds)).toBeLessThanOrEqual(360);
  });

  it('a watch reads a list in pages, and reports all pages as one list', async () => {
    await using server = await startWatchServer();
    server.next(
      'list',
      json(200, list([item('a', '1')], { resourceVersion: '7', continue: 'more' })),
      json(200, list([item('b', '2')], { resourceVersion: '7' })),
    );
    await using followed = await follow(server);
    expect([...followed.log.now().keys()]).toEqual(['a', 'b']);
    expect(queryOf(server.lists[1]?.url)).toEqual({ limit: '500', continue: 'more' });
    expect(lastWatch(server).resourceVersion).toBe('7');
  });

  it.each([
    ['ended by the server', (server: WatchServer) => server.end()],
    ['reset', (server: WatchServer) => server.cut()],
    [
      'cut in the middle of an event',
      (server: WatchServer) => {
        server.sendText('{"type":');
        server.end();
      },
    ],
  ])('a watch that was %s continues from the last event, without a new list', async (_, fault) => {
    await using server = await startWatchServer();
    await using followed = await follow(server);
    await followed.goesOn('11');
    fault(server);
    await expect.poll(() => server.watches.length, { interval: 2 }).toBe(2);
    expect(lastWatch(server).resourceVersion).toBe('11');
    await followed.goesOn('12');
    expect(server.lists).toHaveLength(1);
  });

  it('a watch continues from the version in a bookmark, and reports no change for the bookmark', async () => {
    await using server = await startWatchServer();
    await using followed = await follow(server);
    const before = followed.log.progressCount();
    server.send(bookmark('40'));
    await followed.log.until(({ progressCount }) => progressCount() > before);
    server.end();
    await expect.poll(() => server.watches.length, { interval: 2 }).toBe(2);
    expect(lastWatch(server).resourceVersion).toBe('40');
    expect(followed.log.records).toHaveLength(1);
  });

  it.each([
    ['an event', (server: WatchServer) => server.send(event('ERROR', status(410, 'Expired')))],
    [
      'an answer',
      (server: WatchServer) => {
        server.next('watch', json(410, status(410, 'Expired')));
        server.end();
      },
    ],
  ])(
    'a watch requests a new list if the server reports by %s that the version of the watch has expired',
    async (_, fault) => {
      await using server = await startWatchServer();
      await using followed = await follow(server);
      await followed.goesOn('11');
      fault(server);
      await followed.log.until(({ listCount }) => listCount() === 2);
      expect(followed.log.errors).toEqual([]);
      await followed.goesOn('12');
    },
  );

  it.each([
    ['garbage', 'not JSON\n'],
    ['JSON that is not an event', '{"a":1}\n'],
    ['an event of an unknown type', `${JSON.stringify(event('NEWS', item('app', '11')))}\n`],
    ['an event without a version', `${JSON.stringify(event('MODIFIED', { metadata: { name: 'app' } }))}\n`],
    [
      'an event of another namespace',
      `${JSON.stringify(event('MODIFIED', item('app', '11', { namespace: 'x' })))}\n`,
    ],
    ['a login page', '<html><body>Sign in\n'],
    ['bytes that are not text', Buffer.from([0x7b, 0xff, 0x0a]).toString('latin1')],
  ])('a watch requests a new list after %s, because an event may be lost', async (_, text) => {
    await using server = await startWatchServer();
    await using followed = await follow(server);
    await followed.goesOn('11');
    server.sendText(text);
    await followed.log.until(({ listCount }) => listCount() === 2);
    expect(followed.log.errors.map(({ code }) => code)).toEqual(['CLUSTER_UNAVAILABLE']);
    await followed.goesOn('12');
  });

  it('a watch requests a new list if a handler fails', async () => {
    await using server = await startWatchServer();
    await using cluster = await connectTo(server);
    const log = createLog();
    let failures = 1;
    const handlers = {
      ...log,
      changed(meta: Parameters<typeof log.changed>[0]) {
        if (failures-- > 0) throw new Error('an internal error');
        log.changed(meta);
      },
    };
    await using _ = cluster.watch(TEAM, handlers);
    await expect.poll(() => server.watches.length, { interval: 2 }).toBe(1);
    server.send(changed('11'));
    await log.until(({ listCount }) => listCount() === 2);
    expect(log.errors.map(({ code }) => code)).toEqual(['INTERNAL']);
    await expect.poll(() => server.watches.length, { interval: 2 }).toBe(2);
    server.send(changed('12'));
    await log.until(({ now }) => now().get('app')?.resourceVersion === '12');
  });

  it.each([
    [
      403,
      status(403, 'Forbidden', {}, 'secrets is forbidden: User "x" cannot list resource'),
      'CLUSTER_FORBIDDEN',
    ],
    [401, status(401, 'Unauthorized'), 'CLUSTER_FORBIDDEN'],
    [404, status(404, 'NotFound', { kind: 'namespaces' }), 'NAMESPACE_MISSING'],
    [429, status(429, 'TooManyRequests'), 'CLUSTER_UNAVAILABLE'],
    [500, status(500, 'InternalError'), 'CLUSTER_UNAVAILABLE'],
    [200, { kind: 'SecretList', apiVersion: 'v1', metadata: {}, items: [] }, 'CLUSTER_UNAVAILABLE'],
    [200, list([], {}), 'CLUSTER_UNAVAILABLE'],
  ])('a watch retries if its list request returned %s: %j', async (code, body, expected) => {
    await using server = await startWatchServer();
    const refuse = json(code, body);
    server.next('list', refuse, refuse, refuse);
    await using followed = await follow(server);
    expect(followed.log.errors.map((error) => error.code)).toEqual([expected, expected, expected]);
    await followed.goesOn('12');
  });

  it.each([403, 429, 500])('a watch retries if its watch request returned %s', async (code) => {
    await using server = await startWatchServer();
    const refuse = json(code, status(code, 'X'));
    server.next('watch', refuse, refuse, refuse, refuse);
    await using followed = await follow(server);
    await expect.poll(() => server.watches.length, { interval: 2 }).toBe(5);
    await followed.goesOn('12');
    expect(followed.log.errors).toHaveLength(4);
    // If the watch cannot continue, it lists again, so that no change is missed.
    expect(followed.log.listCount()).toBeGreaterThan(1);
  });

  it('a watch treats a connection as dead if no data arrives for a certain time', async () => {
    await using server = await startWatchServer();
    await using cluster = await connectTo(server, { ...SWIFT, silenceMs: 60 });
    await using log = openWatchLog(cluster, TEAM);
    await log.until(({ listCount }) => listCount() >= 3);
    expect(log.errors[0]).toMatchObject({
      code: 'CLUSTER_UNAVAILABLE',
      detail: 'no sign of life for 0.06 s',
      subject: 'Secrets of namespace team',
    });
  });

  it('a watch waits longer after each failure, with jitter and an upper limit', async () => {
    await using server = await startWatchServer();
    const refuse = json(500, {});
    server.next('list', ...Array.from({ length: 6 }, () => refuse));
    let callCount = 0;
    const random = () => {
      callCount += 1;
      return 0.5;
    };
    await using cluster = await connectTo(server, { firstWaitMs: 20, longestWaitMs: 100, random });
    const started = performance.now();
    await using log = openWatchLog(cluster, TEAM);
    await log.until(({ listCount }) => listCount() === 1);
    // The jitter halves the delays 20, 40, 80, 100, 100, 100.
    expect(performance.now() - started).toBeGreaterThanOrEqual(210);
    expect(callCount).toBeGreaterThanOrEqual(6);
  });

  it('a watch waits before it reconnects to a server that closes each connection immediately', async () => {
    await using server = await startWatchServer();
    await using cluster = await connectTo(server, { firstWaitMs: 50, longestWaitMs: 100, random: () => 1 });
    const hangUp: Answer = (_, response) => response.end(`${JSON.stringify(bookmark('11'))}\n`);
    server.next('watch', ...Array.from({ length: 100 }, () => hangUp));
    const started = performance.now();
    await using log = openWatchLog(cluster, TEAM);
    await expect.poll(() => server.watches.length, { interval: 2 }).toBe(5);
    expect(performance.now() - started).toBeGreaterThanOrEqual(300);
    expect(log.errors).toEqual([]);
  });

  it('a watch does not share its connection with requests', async () => {
    await using server = await startWatchServer();
    await using cluster = await connectTo(server);
    const logs = Array.from({ length: 100 }, (_, n) => openWatchLog(cluster, { ...TEAM, secret: `s${n}` }));
    server.next('list', ...logs.map(() => json(200, list([]))));
    await expect.poll(() => server.watches.length, { interval: 10, timeout: 5_000 }).toBe(100);
    server.api.answer(json(200, { kind: 'Status' }));
    await Promise.all(Array.from({ length: 50 }, () => cluster.ping()));
    await Promise.all(logs.map((log) => log[Symbol.asyncDispose]()));
  });

  it('a watch ends when its cluster client is closed, even while it waits', async () => {
    await using server = await startWatchServer();
    const cluster = await connectTo(server, { firstWaitMs: 3_600_000, longestWaitMs: 3_600_000 });
    server.next('list', json(500, {}));
    const log = openWatchLog(cluster, TEAM);
    await log.until(({ errors }) => errors.length === 1);
    const other = openWatchLog(cluster, TEAM);
    await other.until(({ listCount }) => listCount() === 1);
    await cluster[Symbol.asyncDispose]();
  });
});
