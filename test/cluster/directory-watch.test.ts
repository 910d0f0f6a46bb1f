import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createDirectoryCluster } from '../../src/cluster/directory/directory.ts';
import { change, manifest, readNow } from '../conformance/cluster-harness.ts';
import { metaOf, openWatchLog, type WatchLog } from '../conformance/cluster-watch-log.ts';

const id = { namespace: 'team', secret: 'app' };
const BROKEN = 'kind: Secret\nmetadata: {';

async function open() {
  const path = await mkdtemp(join(tmpdir(), 'secretbridge-watch-'));
  await mkdir(join(path, 'team'));
  const cluster = createDirectoryCluster({ path, clock: { now: () => 0 } });
  await cluster.create(id, manifest());
  return {
    cluster,
    hand: (name: string, text: string) => writeFile(join(path, 'team', `${name}.yaml`), text),
    async [Symbol.asyncDispose]() {
      await cluster[Symbol.asyncDispose]();
      await rm(path, { recursive: true, force: true });
    },
  };
}

const relabelled = (version: string) => (log: WatchLog) => log.now().get('app')?.labels.v === version;
const failsFor = (about: string) => (log: WatchLog) => log.errors.some((error) => error.subject === about);

describe('an unreadable file', () => {
  it('reports an unreadable file with its name, and still reports the other files in its folder', async () => {
    await using d = await open();
    await d.hand('theirs', BROKEN);
    await using log = openWatchLog(d.cluster, { namespace: 'team' });
    await log.until(({ listCount }) => listCount() === 1);
    expect([...log.now().keys()]).toEqual(['app']);
    await log.until(failsFor('team/theirs'));
    await d.cluster.replace(await readNow(d.cluster, id), change({ labels: { v: '2' } }));
    await log.until(relabelled('2'));
    expect(new Set(log.errors.map(({ code }) => code))).toEqual(new Set(['CLUSTER_UNAVAILABLE']));
  });

  it('does not report an unreadable file as deleted, and reports its changes after it becomes readable', async () => {
    await using d = await open();
    await using log = openWatchLog(d.cluster, { namespace: 'team' });
    await log.until(({ listCount }) => listCount() === 1);
    const before = metaOf(log, 'app');
    await d.hand('app', BROKEN);
    await log.until(failsFor('team/app'));
    expect(metaOf(log, 'app')).toEqual(before);
    await d.hand('app', 'apiVersion: v1\nkind: Secret\nmetadata: { name: app, labels: { v: "3" } }\n');
    await log.until(relabelled('3'));
    expect(log.records.map(({ kind }) => kind)).toEqual(['listed', 'changed']);
    const [errors, progressed] = [log.errors.length, log.progressCount()];
    await log.until((now) => now.progressCount() > progressed);
    expect(log.errors).toHaveLength(errors);
  });
});
