import { expect, it } from 'vitest';
import { waitUntil } from '../wait-until.ts';
import { Collector, DB, HEAD, openBench } from './harness.ts';

const KEYS = `keys:
  fingerprint: [ { file: ./fingerprint.key } ]
  checkpoint: { file: ./checkpoint.key }
http: { listen: '127.0.0.1:0' }
`;
/** A file at the path of the folder makes the audit store unavailable. */
const WRONG = `${HEAD}audit: { store: { kind: sqlite, path: ./store/db.json/audit.db }, checkpoints: [] }\n${KEYS}${DB}`;
const RIGHT = `${HEAD}audit: { store: { kind: sqlite, path: ./state/audit.db }, checkpoints: [] }\n${KEYS}${DB}`;

it('a service that waits for its audit store applies a configuration with another audit store', async () => {
  await using bench = await openBench(WRONG);
  const stop = new AbortController();
  const stderr = new Collector();
  const running = bench.runWith({ stderr, signal: stop.signal }, 'serve', '--grace', '1s');
  await waitUntil(() => expect(stderr.text).toContain('the service cannot start yet; retrying'));

  await bench.write('secretbridge.yaml', RIGHT);
  await waitUntil(() => expect(stderr.text).toContain('the service is running'));
  await waitUntil(async () => expect(await bench.read('cluster/apps/db.yaml')).toContain('kind: Secret'));
  stop.abort();
  expect((await running).code).toBe(0);
});

it('a service that waits for its audit store ends on SIGTERM', async () => {
  await using bench = await openBench(WRONG);
  const stop = new AbortController();
  const stderr = new Collector();
  const running = bench.runWith({ stderr, signal: stop.signal }, 'serve', '--grace', '1s');
  await waitUntil(() => expect(stderr.text).toContain('the service cannot start yet; retrying'));
  stop.abort();
  expect((await running).code).toBe(0);
});

it('a service records which mappings and sections changed in its configuration', async () => {
  const settings = RIGHT.replace('apps }', 'apps, labels: { team: a } }');
  await using bench = await openBench(settings);
  const stop = new AbortController();
  const stderr = new Collector();
  const running = bench.runWith({ stderr, signal: stop.signal }, 'serve', '--grace', '1s');
  const notes = async () => {
    const { json } = await bench.run('audit', 'list', '--action', 'configure', '--output', 'json');
    return (json as { records: { note?: string }[] }).records.map(({ note }) => note);
  };
  const opened = 'stores: 1, mappings: 1';
  await waitUntil(async () => expect(await notes()).toEqual([opened]));
  const changed = settings.replace('team: a', 'team: b');
  await bench.write('secretbridge.yaml', changed);
  const event = 'stores: 0 added, 0 changed, 0 removed; mappings: 0 added, 1 changed (db), 0 removed';
  await waitUntil(async () => expect(await notes()).toEqual([event, opened]));
  const more = DB.replace('mappings:\n', '').replace('name: db', 'name: more');
  await bench.write('secretbridge.yaml', `brake: { share: 0.2 }\n${changed}${more}`);
  const both = 'stores: 0 added, 0 changed, 0 removed; mappings: 1 added (more), 0 changed, 0 removed';
  const reopened = `stores: 1, mappings: 2; reopened; ${both}; changed: brake`;
  await waitUntil(async () => expect(await notes()).toEqual([reopened, event, opened]));
  stop.abort();
  expect((await running).code).toBe(0);
});

it('a service syncs all targets of a store whose path has changed, and `plan` then finds no changes', async () => {
  await using bench = await openBench(RIGHT);
  await bench.run('sync');
  const mark = async () =>
    /secretbridge.dev\/stores: (.*)/.exec(await bench.read('cluster/apps/db.yaml'))?.[1];
  const before = await mark();
  expect(before).toBeDefined();
  const stop = new AbortController();
  const stderr = new Collector();
  const running = bench.runWith({ stderr, signal: stop.signal }, 'serve', '--grace', '1s');
  await waitUntil(() => expect(stderr.text).toContain('the service is running'));
  const [address] = /http:[^"]+/.exec(stderr.text) ?? [];
  // The first check of the sources is complete, so only the configuration change can start another check.
  await waitUntil(async () =>
    expect(await (await fetch(`${address}/metrics`)).text()).toMatch(
      /sync_total\{.*outcome="unchanged".*\} 1/,
    ),
  );
  await bench.write('moved/db.json', await bench.read('store/db.json'));
  await bench.write('secretbridge.yaml', RIGHT.replace('path: ./store }', 'path: ./moved }'));
  await waitUntil(async () => expect(await mark()).not.toBe(before));
  expect((await bench.run('plan')).code).toBe(0);
  stop.abort();
  expect((await running).code).toBe(0);
});
