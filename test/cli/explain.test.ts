import { once } from 'node:events';
import { rename, rm, symlink } from 'node:fs/promises';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openSqliteAudit } from '../../src/audit/sqlite/sqlite.ts';
import { AppError } from '../../src/core/errors.ts';
import { entry } from '../audit/sample.ts';
import { recordKeysIn } from '../fakes/record-keys.ts';
import { waitUntil } from '../wait-until.ts';
import { type Bench, Collector, DB, HEAD, openBench } from './harness.ts';

const REPORT = DB.replace('  - name: db\n', '  - name: db\n    onDrift: report\n');
const TARGET = 'cluster/apps/db.yaml';

/** Opens a bench, and syncs its target. */
async function synced(config?: string): Promise<Bench> {
  const bench = await openBench(config);
  expect((await bench.run('sync')).code).toBe(0);
  return bench;
}

async function explained(bench: Bench) {
  const { code: exit, json } = await bench.run('explain', 'db', '--output', 'json');
  const { targets } = json as { readonly targets: readonly object[] };
  return { exit, ...targets[0] };
}

async function editByHand(bench: Bench): Promise<void> {
  const text = await bench.read(TARGET);
  await bench.write(TARGET, text.replace(/USER: .*/, 'USER: ZXZl'));
}

it('`explain` reports a manual edit as drifted if the mapping has `onDrift: report`', async () => {
  await using bench = await synced(HEAD + REPORT);
  expect(await explained(bench)).toMatchObject({ exit: 0, state: 'synced' });
  await editByHand(bench);
  expect(await explained(bench)).toMatchObject({
    exit: 4,
    state: 'drifted',
    code: 'DRIFTED',
    message: expect.stringContaining('apps/db'),
    remedy: expect.stringContaining('Undo the change'),
  });
});

it('`explain` reports a manual edit as stale if the mapping has `onDrift: repair`', async () => {
  await using bench = await synced();
  await editByHand(bench);
  const target = await explained(bench);
  expect(target).toMatchObject({ exit: 0, state: 'stale' });
  expect(target).not.toHaveProperty('code');
});

it('`explain` reports a deleted target as drifted if the service has recorded the deletion', async () => {
  await using bench = await synced(`${HEAD}http: { listen: '127.0.0.1:0' }\n${REPORT}`);
  await rm(join(bench.folder, TARGET));
  const stop = new AbortController();
  const stderr = new Collector();
  const running = bench.runWith({ stderr, signal: stop.signal }, 'serve', '--grace', '1s');
  await waitUntil(() => expect(stderr.text).toContain('DRIFTED'));
  stop.abort();
  expect((await running).code).toBe(0);
  expect(await explained(bench)).toMatchObject({ exit: 4, state: 'drifted', code: 'DRIFTED' });
});

it('`explain` reports a target as stale if its store is down, and as failed if the target is also missing', async () => {
  await using bench = await synced();
  await rename(join(bench.folder, 'store'), join(bench.folder, 'away'));
  expect(await explained(bench)).toMatchObject({ exit: 1, state: 'stale', code: 'STORE_UNAVAILABLE' });
  await rm(join(bench.folder, TARGET));
  expect(await explained(bench)).toMatchObject({ exit: 1, state: 'failed', code: 'STORE_UNAVAILABLE' });
});

it('`explain` shows why the cluster refused the last write, until a write succeeds', async () => {
  await using bench = await openBench();
  // A dangling symbolic link at the path of the folder makes every write fail.
  await symlink('nowhere/at/all', join(bench.folder, 'cluster'));
  const { code: exit, json } = await bench.run('sync', '--output', 'json');
  const [{ code } = {}] = (json as { targets: readonly { readonly code?: string }[] }).targets;
  expect(code).toBeDefined();
  expect(await explained(bench)).toMatchObject({
    ...{ exit, state: 'failed', code },
    message: expect.stringContaining('apps/db: '),
  });
  await rm(join(bench.folder, 'cluster'));
  await bench.run('sync');
  expect(await explained(bench)).toMatchObject({ exit: 0, state: 'synced' });
});

it('`explain` says that a restart has failed', async () => {
  const restart = DB.replace(
    '  - name: db\n',
    '  - name: db\n    restart: [ { kind: Deployment, name: web } ]\n',
  );
  await using bench = await synced(HEAD + restart);
  const path = join(bench.folder, 'state/audit.db');
  const keys = await recordKeysIn(join(bench.folder, 'state'));
  {
    await using audit = await openSqliteAudit({
      path,
      instance: 'prod',
      replica: 'a',
      clock: bench.clock,
      keys,
    });
    const about = { namespace: 'apps', secret: 'db', mapping: 'db', note: 'Deployment/web' };
    const missing = { phase: 'outcome', outcome: 'failed', code: 'WORKLOAD_MISSING' } as const;
    await audit.append([entry({ ...about, ...missing, action: 'restart' })]);
  }
  const failed = { state: 'failed', code: 'WORKLOAD_MISSING', remedy: expect.any(String) };
  expect(await explained(bench)).toMatchObject({ exit: 4, ...failed });
});

it('`explain` shows a contested target and its remedy', async () => {
  await using bench = await synced();
  {
    const path = join(bench.folder, 'state/audit.db');
    const keys = await recordKeysIn(join(bench.folder, 'state'));
    const options = { path, instance: 'prod', replica: 'a', clock: bench.clock, keys };
    await using audit = await openSqliteAudit(options);
    const target = { namespace: 'apps', secret: 'db', mapping: 'db' };
    const repair = entry({ ...target, action: 'repair', phase: 'outcome' });
    await audit.append(Array.from({ length: 6 }, () => repair));
  }
  expect(await explained(bench)).toMatchObject({
    exit: 4,
    state: 'contested',
    code: 'CONTESTED',
    message: expect.stringContaining('apps/db'),
    remedy: expect.stringContaining('stop one of the two'),
  });
});

it('`explain` ends on an abort, even if a store does not answer', async () => {
  const requested = Promise.withResolvers<void>();
  const sockets: Socket[] = [];
  await using server = createServer((socket) => {
    sockets.push(socket);
    requested.resolve();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await using bench = await openBench(`${HEAD.replace(
    /stores:.*/,
    `stores:
  - name: hangs
    kind: vault
    address: http://127.0.0.1:${port}
    auth: { method: token, token: { env: TOKEN } }`,
  )}mappings:
  - { name: db, target: { namespace: apps }, data: { A: { store: hangs, key: a, property: b } } }
`);
  const stop = new AbortController();
  const running = bench.runWith({ env: { TOKEN: 't' }, signal: stop.signal }, 'explain', 'db');
  await requested.promise;
  stop.abort(new AppError('INTERRUPTED'));
  expect(await running).toMatchObject({ code: 1, stderr: expect.stringMatching(/^error INTERRUPTED/) });
  for (const socket of sockets) socket.destroy();
});

it('`explain` names sources that the access rules do not allow, and does not read them', async () => {
  const access = 'access: [ { namespaces: [apps], stores: [local], keys: [other.json] } ]\n';
  const other = '      OTHER: { store: local, key: other.json }\n';
  await using bench = await openBench(HEAD + access + DB + other);
  await bench.write('store/other.json', '{}');
  const refused = { store: 'local', key: 'db.json', state: 'failed', code: 'NOT_ALLOWED' };
  expect(await explained(bench)).toMatchObject({
    exit: 4,
    state: 'failed',
    code: 'NOT_ALLOWED',
    sources: [
      { ...refused, property: 'user' },
      { ...refused, property: 'password' },
      { store: 'local', key: 'other.json', state: 'unread' },
    ],
  });
  const { stdout } = await bench.run('explain', 'db');
  expect(stdout).toContain('failed  local: db.json # user  NOT_ALLOWED');
  expect((await bench.run('audit', 'list', '--key', 'db.json')).stdout).toBe('No record matches.\n');
  expect((await bench.run('audit', 'list', '--key', 'other.json')).stdout).toBe('No record matches.\n');
});

it('`explain` shows which source caused an error, and the error code of an absent key', async () => {
  const more =
    '      X: { store: local, key: db.json, property: x }\n      Y: { store: local, key: gone.json }\n';
  await using bench = await openBench(HEAD + DB + more);
  expect(await explained(bench)).toMatchObject({
    exit: 4,
    code: 'PROPERTY_MISSING',
    sources: [
      { property: 'user', state: 'found' },
      { property: 'password', state: 'found' },
      { property: 'x', state: 'failed', code: 'PROPERTY_MISSING' },
      { key: 'gone.json', state: 'absent', code: 'SOURCE_ABSENT' },
    ],
  });
  const { stdout } = await bench.run('explain', 'db');
  expect(stdout).toContain('failed  local: db.json # x  PROPERTY_MISSING');
});

it('`explain` reports a target as stale, and `plan` reports an update, if a recreation is due and needs no release', async () => {
  const mapping = (name: string, more: string) => `
  - name: ${name}
    target: { namespace: apps${more} }
    data: { USER: { store: local, key: db.json, property: user } }`;
  await using bench = await synced(
    `${HEAD}mappings:${mapping('db', ', immutable: true, recreate: true')}${mapping('other', '')}\n`,
  );
  await bench.write('store/db.json', '{"user":"eve"}');
  expect(await bench.run('plan', '--mapping', 'db', '--output', 'json')).toMatchObject({
    code: 2,
    json: { targets: [{ action: 'update' }], held: [] },
  });
  const target = await explained(bench);
  expect(target).toMatchObject({ exit: 0, state: 'stale' });
  expect(target).not.toHaveProperty('code');
});
