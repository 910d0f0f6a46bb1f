import { describe, expect, it } from 'vitest';
import { openWatchLog } from '../conformance/cluster-watch-log.ts';
import { json, status } from './api-server.ts';
import { bookmark, connectTo, SWIFT, startWatchServer } from './watch-server.ts';

const TEAM = { namespace: 'team' };

describe('a watch', () => {
  it('keeps the watch open while bookmarks arrive, but closes it if only incomplete lines arrive', async () => {
    await using server = await startWatchServer();
    await using cluster = await connectTo(server, { ...SWIFT, silenceMs: 1_500 });
    await using log = openWatchLog(cluster, TEAM);
    await log.until(({ listCount }) => listCount() === 1);
    await expect.poll(() => server.watches.length, { interval: 2 }).toBe(1);
    const before = log.progressCount();
    const bookmarks = setInterval(() => server.send(bookmark('20')), 50);
    await log.until(({ progressCount }) => progressCount() > before + 40);
    clearInterval(bookmarks);
    expect(log.listCount()).toBe(1);
    const drip = setInterval(() => server.sendText(' '), 20);
    await log.until(({ listCount }) => listCount() === 2);
    clearInterval(drip);
  });

  it('reconnects the watch only after the delay that the server requests', async () => {
    await using server = await startWatchServer();
    server.next('list', json(429, status(429, 'TooManyRequests'), { 'retry-after': '1' }));
    await using cluster = await connectTo(server);
    const started = performance.now();
    await using log = openWatchLog(cluster, TEAM);
    await log.until(({ listCount }) => listCount() > 0);
    expect(performance.now() - started).toBeGreaterThanOrEqual(1_000);
  });
});
