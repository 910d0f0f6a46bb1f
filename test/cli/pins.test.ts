import { describe, expect, it } from 'vitest';
import type { AuditRecord } from '../../src/audit/entry.ts';
import { openService } from './fake-service.ts';
import { type Bench, DB, FOREIGN, HEAD, openBench, type Result } from './harness.ts';

const put = (bench: Bench, password: string): Promise<void> =>
  bench.write('store/db.json', JSON.stringify({ user: 'ann', password }));

async function records(bench: Bench, ...args: readonly string[]): Promise<readonly AuditRecord[]> {
  const { json } = await bench.run('audit', 'list', ...args, '--output', 'json');
  return (json as { records: readonly AuditRecord[] }).records;
}

/** Returns the sequence number of the last change of a target. */
async function lastChange(bench: Bench): Promise<number> {
  const all = await records(bench, '--mapping', 'db');
  return all.find(({ phase }) => phase === 'outcome')?.sequence ?? 0;
}

/**
 * Opens a bench and syncs two values of its source, one after the other. Returns the bench and the records of both
 * changes.
 */
async function openRotated(config = HEAD + DB) {
  const bench = await openBench(config);
  await bench.run('sync');
  const first = await lastChange(bench);
  await put(bench, 'second');
  await bench.run('sync');
  return { bench, first, second: await lastChange(bench) };
}

const rollBack = (bench: Bench, to: number, ...args: readonly string[]): Promise<Result> =>
  bench.run('rollback', 'db', '--to', String(to), ...args);

describe('rollback in this process', () => {
  it('`rollback` reads the versions of a record from the store and writes their values, and later runs keep these values', async () => {
    const { bench, first } = await openRotated();
    await using _ = bench;
    await put(bench, 'first');
    const { code, stdout } = await rollBack(bench, first);
    expect([code, stdout]).toEqual([0, expect.stringContaining(`pinned to record ${first}`)]);
    expect(await bench.read('cluster/apps/db.yaml')).toContain(`secretbridge.dev/pin: "${first}"`);
    expect(await bench.read('cluster/apps/db.yaml')).toContain(Buffer.from('first').toString('base64'));

    await put(bench, 'third');
    expect(await bench.run('plan')).toMatchObject({
      code: 4,
      stdout: expect.stringContaining('VERSION_GONE'),
    });
    expect(await bench.run('sync')).toMatchObject({ code: 4 });
    expect(await bench.read('cluster/apps/db.yaml')).toContain(Buffer.from('first').toString('base64'));
    expect((await bench.run('unpin', 'db')).code).toBe(0);
    expect(await bench.read('cluster/apps/db.yaml')).toContain(Buffer.from('third').toString('base64'));
    expect(await bench.read('cluster/apps/db.yaml')).not.toContain('secretbridge.dev/pin');
  });

  it('`rollback` prints its result in the format of `sync`, with the record to which each target is pinned', async () => {
    const { bench, second } = await openRotated();
    await using _ = bench;
    const rollback = await rollBack(bench, second, '--output', 'json');
    expect(rollback.json).toMatchObject({
      ok: true,
      requestId: expect.any(String),
      summary: { created: 0, updated: 1, deleted: 0, unchanged: 0, refused: 0, held: 0, failed: 0 },
      targets: [{ mapping: 'db', namespace: 'apps', secret: 'db', outcome: 'updated', pinned: second }],
    });
    expect((await bench.run('plan', '--output', 'json')).json).toMatchObject({
      changes: 0,
      targets: [{ action: 'unchanged', pinned: second }],
    });
    expect((await bench.run('plan')).stdout).toContain(
      `unchanged apps/db  mapping db, pinned to record ${second}`,
    );
    expect((await bench.run('sync')).stdout).toBe(
      `unchanged apps/db  mapping db, pinned to record ${second}\n\n1 target: 1 unchanged.\n`,
    );
    expect((await bench.run('explain', 'db', '--output', 'json')).json).toMatchObject({
      targets: [{ state: 'pinned', pinned: second }],
    });
    const unpin = await bench.run('unpin', 'db', '--output', 'json');
    expect(unpin.json).toMatchObject({ ok: true, targets: [{ outcome: 'updated' }] });
    expect(unpin.stdout).not.toContain('pinned');
    expect((await records(bench, '--action', 'rollback')).map(({ actor }) => actor)).toEqual([
      { kind: 'cli', name: 'ann' },
    ]);
    expect((await bench.run('audit', 'verify')).code).toBe(0);
  });

  it('`rollback` reports a version that no longer exists, and changes no target', async () => {
    const { bench, first } = await openRotated();
    await using _ = bench;
    const before = await bench.read('cluster/apps/db.yaml');
    const { code, stdout, stderr } = await rollBack(bench, first);
    expect([code, stdout]).toEqual([4, '']);
    expect(stderr).toContain('VERSION_GONE');
    expect(await bench.read('cluster/apps/db.yaml')).toBe(before);
    const [record] = await records(bench, '--action', 'rollback');
    expect(record).toMatchObject({ outcome: 'refused', code: 'VERSION_GONE', mapping: 'db' });
    expect((await bench.run('sync')).code).toBe(0);
  });

  it.each([
    ['a record that does not exist', '9999', 4, 'RECORD_MISSING'],
    ['a record that is no change', '1', 4, 'NOT_A_CHANGE'],
  ])('`rollback` rejects %s', async (_, to, code, errorCode) => {
    const { bench } = await openRotated();
    await using __ = bench;
    expect(await rollBack(bench, Number(to))).toMatchObject({
      code,
      stderr: expect.stringContaining(errorCode),
    });
    const json = await rollBack(bench, Number(to), '--output', 'json');
    expect(`${json.stdout}${json.stderr}`).toContain(errorCode);
  });

  it('`rollback` rejects missing and unknown arguments as usage errors', async () => {
    const { bench } = await openRotated();
    await using _ = bench;
    for (const line of [
      'rollback db',
      'rollback --to 4',
      'rollback db --to 0',
      'rollback db --to -1',
      'rollback db --to 1.5',
      'rollback db --to 1e300',
      'rollback db --to first',
      'rollback db other --to 4',
      'rollback other --to 4',
      'rollback db --to 4 --namespace other',
      'unpin',
      'unpin db --to 4',
      'unpin other',
    ])
      expect(await bench.run(...line.split(' ')), line).toMatchObject({ code: 64, stdout: '' });
    expect(await records(bench, '--action', 'rollback')).toEqual([]);
  });

  it('`rollback` requires the namespace option if the mapping has targets in several namespaces', async () => {
    const { bench, second } = await openRotated(
      HEAD + DB.replace('namespace: apps', 'namespaces: [apps, web]'),
    );
    await using _ = bench;
    expect(await rollBack(bench, second)).toMatchObject({
      code: 64,
      stderr: expect.stringContaining('apps, web'),
    });
    expect((await rollBack(bench, second, '--namespace', 'web')).code).toBe(0);
    const { json } = await bench.run('plan', '--output', 'json');
    expect(json).toMatchObject({ targets: [{ namespace: 'apps' }, { namespace: 'web', pinned: second }] });
    expect((await bench.run('unpin', 'db', '--namespace', 'apps')).code).toBe(4);
    expect((await bench.run('unpin', 'db', '--namespace', 'apps')).stderr).toContain('in namespace apps');
    const { length } = await records(bench);
    expect(await bench.run('unpin', 'db', '--namespace', 'wbe')).toMatchObject({
      code: 64,
      stderr: 'error: mapping db has no target in that namespace: apps, web\n',
    });
    expect(await records(bench)).toHaveLength(length);
    expect((await bench.run('unpin', 'db')).code).toBe(0);
  });

  it('`rollback` refuses sources that the tenant is not allowed to read, and does not read them', async () => {
    const { bench, second } = await openRotated();
    await using _ = bench;
    await bench.write(
      'secretbridge.yaml',
      `${HEAD}access: [ { namespaces: [apps], stores: [local], keys: ['other/**'] } ]\n${DB}`,
    );
    const { length } = await records(bench, '--action', 'read');
    expect(await rollBack(bench, second)).toMatchObject({
      code: 4,
      stderr: expect.stringContaining('NOT_ALLOWED'),
    });
    expect(await records(bench, '--action', 'read')).toHaveLength(length);
  });

  it('`rollback` exits with 4 if another field manager owns one of the merged keys', async () => {
    const merge = DB.replace('namespace: apps', 'namespace: apps, secret: theirs, mode: merge');
    await using bench = await openBench(HEAD + merge);
    await bench.write('cluster/apps/theirs.yaml', FOREIGN);
    expect((await bench.run('sync')).code).toBe(0);
    const change = await lastChange(bench);
    const mixed = `${merge}      KEY: { store: local, key: db.json, property: user }\n`;
    await bench.write('secretbridge.yaml', HEAD + mixed);
    expect(await rollBack(bench, change)).toMatchObject({
      code: 4,
      stderr: expect.stringMatching(/CONFLICT.*hold KEY with[\s\S]*have their owner release them/),
    });
    expect(await records(bench, '--action', 'rollback')).toMatchObject([
      { outcome: 'refused', code: 'CONFLICT' },
    ]);
  });

  it('`rollback` refuses versions that come from a different store of the same name', async () => {
    const { bench, second } = await openRotated();
    await using _ = bench;
    expect((await rollBack(bench, second)).code).toBe(0);
    await bench.write('other/db.json', '{"user":"ann","password":"second"}');
    await bench.write('secretbridge.yaml', (HEAD + DB).replace('./store', './other'));
    expect(await bench.run('sync')).toMatchObject({
      code: 4,
      stdout: expect.stringContaining('VERSION_GONE'),
    });
  });
});

describe('unpin in this process', () => {
  it('`unpin` reports that no target is pinned', async () => {
    const { bench } = await openRotated();
    await using _ = bench;
    expect(await bench.run('unpin', 'db')).toMatchObject({
      code: 4,
      stderr: expect.stringContaining('NOT_PINNED'),
    });
  });
});

describe('the last pin record', () => {
  it('the last pin record is kept even if retention removes older records', async () => {
    const { bench, second } = await openRotated(
      `${HEAD}audit: { store: { kind: sqlite, path: ./state/audit.db }, checkpoints: [ { kind: file, path: ./state/checkpoints.jsonl } ], retention: 31d }\n${DB}`,
    );
    await using _ = bench;
    expect((await rollBack(bench, second)).code).toBe(0);
    await bench.clock.advance(40 * 86_400_000);
    for (let days = 0; days < 3; days += 1) {
      expect((await bench.run('sync')).code).toBe(0);
      await bench.clock.advance(86_400_000);
    }
    const rollbacks = await records(bench, '--action', 'rollback');
    expect(rollbacks).toMatchObject([{ counts: { copyOf: expect.any(Number) }, actor: { name: 'ann' } }]);
    expect((await bench.run('plan', '--output', 'json')).json).toMatchObject({
      targets: [{ pinned: second }],
    });
  });

  it('the last pin record is copied by `audit migrate`', async () => {
    const { bench, second } = await openRotated();
    await using _ = bench;
    expect((await rollBack(bench, second)).code).toBe(0);
    expect(
      (await bench.run('audit', 'migrate', '--from', 'state/audit.db', '--to', 'state/moved.db')).code,
    ).toBe(0);
    await bench.write(
      'secretbridge.yaml',
      `${HEAD}audit: { store: { kind: sqlite, path: ./state/moved.db } }\n${DB}`,
    );
    expect((await bench.run('plan', '--output', 'json')).json).toMatchObject({
      targets: [{ pinned: second }],
    });
  });

  it('the last pin record still applies after the installation got another name', async () => {
    const { bench, second } = await openRotated();
    await using _ = bench;
    expect((await rollBack(bench, second)).code).toBe(0);
    const renamed = HEAD.replace('instance: prod', 'instance: new\nformerInstances: [prod]');
    await bench.write('secretbridge.yaml', renamed + DB);
    expect((await bench.run('sync', '--output', 'json')).json).toMatchObject({
      ok: true,
      targets: [{ outcome: 'updated', pinned: second }],
    });
    expect((await bench.run('unpin', 'db')).code).toBe(0);
    expect((await bench.run('plan')).code).toBe(0);
  });
});

describe('rollback and unpin with --server', () => {
  const ANSWER = {
    ok: true,
    requestId: 'r1',
    summary: { created: 0, updated: 1, deleted: 0, unchanged: 0, refused: 0, held: 0, failed: 0 },
    targets: [
      { mapping: 'db', namespace: 'apps', secret: 'db', outcome: 'updated', keys: [], pinned: 41, later: 1 },
    ],
    held: [],
    warnings: [],
    pending: 0,
  };
  const ask = (bench: Bench, ...args: readonly string[]) =>
    bench.runWith({ env: { SECRETBRIDGE_TOKEN: 'a-token-of-ann' } }, ...args);

  it('if --server is given, `rollback` and `unpin` run in the service, and send only the options that the user gave', async () => {
    await using bench = await openBench();
    await using service = await openService({
      'POST /api/v1/mappings/db/rollback': { body: ANSWER },
      'POST /api/v1/mappings/db/unpin': { body: ANSWER },
    });
    const rollback = ['rollback', 'db', '--to', '41', '--server', service.url];
    const human = await ask(bench, ...rollback);
    expect(human).toMatchObject({ code: 0, stdout: expect.stringContaining('pinned to record 41') });
    const json = await ask(bench, ...rollback, '--namespace', 'apps', '--output', 'json');
    expect(json.json).toMatchObject({ targets: [{ pinned: 41, outcome: 'updated' }] });
    expect((await ask(bench, 'unpin', 'db', '--server', service.url)).code).toBe(0);
    expect((await ask(bench, 'unpin', 'db', '--namespace', 'apps', '--server', service.url)).code).toBe(0);
    const orders = service.requests.filter(({ line }) => line.startsWith('POST'));
    expect(orders.map(({ line }) => line.split('/').at(-1))).toEqual([
      'rollback',
      'rollback',
      'unpin',
      'unpin',
    ]);
    expect(service.bodies.map((body) => JSON.parse(body) as object)).toEqual([
      { to: 41 },
      { to: 41, namespace: 'apps' },
      {},
      { namespace: 'apps' },
    ]);
  });

  it.each([
    ['VERSION_GONE', 409, 4],
    ['NOT_A_CHANGE', 409, 4],
    ['NOT_PINNED', 409, 4],
    ['ROLLBACK_AMBIGUOUS', 409, 4],
    ['CONFLICT', 409, 4],
    ['CONFLICT', 503, 1],
    ['RECORD_MISSING', 404, 4],
    ['STORE_UNAVAILABLE', 503, 1],
    ['AUDIT_UNAVAILABLE', 503, 1],
    ['INVALID_REQUEST', 400, 64],
    ['NOT_FOUND', 404, 64],
  ])(
    'error %s of the service sets the exit code of `rollback` and `unpin`',
    async (errorCode, status, code) => {
      await using bench = await openBench();
      const body = { code: errorCode, message: 'as the service says', remedy: 'do this', requestId: 'r1' };
      await using service = await openService({
        'POST /api/v1/mappings/db/rollback': { status, body },
        'POST /api/v1/mappings/db/unpin': { status, body },
      });
      for (const args of [
        ['rollback', 'db', '--to', '41'],
        ['unpin', 'db'],
      ]) {
        const result = await ask(bench, ...args, '--server', service.url);
        expect([errorCode, result.code]).toEqual([errorCode, code]);
        expect(result.stderr).toContain(
          errorCode === 'NOT_FOUND' ? 'there is no mapping "db" in the service' : 'as the service says',
        );
        if (code !== 64) expect(result.stderr).toContain('do this');
      }
    },
  );
});
