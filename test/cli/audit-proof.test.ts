import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { chmod, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import { canonical, hashOf } from '../../src/audit/chain.ts';
import { truncateLog } from '../audit/truncate-log.ts';
import { type Bench, DB, HEAD, openBench } from './harness.ts';

const STORE = 'state/audit.db';
const CHECKPOINTS = 'state/checkpoints.jsonl';
/** The last record of the first sync. */
const LAST = 6;

function sql(bench: Bench, text: string): void {
  const db = new DatabaseSync(join(bench.folder, STORE));
  db.exec(text);
  db.close();
}

const cut = (bench: Bench, after: number): void => truncateLog(join(bench.folder, STORE), after);

/** Opens a bench after a sync with a checkpoint. The source has changed after that checkpoint. */
async function synced(config?: string): Promise<Bench> {
  const bench = await openBench(config);
  expect((await bench.run('sync')).code).toBe(0);
  await bench.write('store/db.json', '{"user":"bob","password":"second"}');
  return bench;
}

async function verified(bench: Bench, ...args: readonly string[]) {
  const { code, json, stderr } = await bench.run('audit', 'verify', '--output', 'json', ...args);
  return { code, stderr, ...(json as Record<string, unknown>) };
}

const target = (bench: Bench) => bench.read('cluster/apps/db.yaml');

it('`audit verify` rejects a pipe as a usage error, because it must read the log twice', async () => {
  await using bench = await synced();
  execFileSync('sh', ['-c', 'mkfifo "$0"', join(bench.folder, 'pipe')]);
  const { code, stderr } = await bench.run('audit', 'verify', '--audit', 'pipe');
  expect({ code, stderr }).toEqual({ code: 64, stderr: expect.stringMatching(/^error: --audit: .*pipe/) });
});

it.each(['csv', 'ocsf'])(
  '`audit verify` reports a usage error instead of an altered log if the export is given as %s',
  async (format) => {
    await using bench = await synced();
    await bench.run('audit', 'export', '--format', format, '--out', 'export');
    expect(await bench.run('audit', 'verify', '--audit', 'export')).toMatchObject({
      code: 64,
      stdout: '',
      stderr: `error: --audit: export looks like an export as ${format.toUpperCase()}, which cannot be verified: export with --format jsonl\n`,
    });
  },
);

it('`audit verify` explains that a filtered export has gaps', async () => {
  await using bench = await synced();
  const filter = ['--secret', 'db'];
  await bench.run('audit', 'export', '--format', 'jsonl', '--out', 'part.jsonl', ...filter);
  await bench.run('sync');
  await bench.run('audit', 'export', '--format', 'jsonl', '--out', 'gaps.jsonl', ...filter);
  expect((await bench.run('audit', 'verify', '--audit', 'part.jsonl')).code).toBe(2);
  const { code, stdout } = await bench.run('audit', 'verify', '--audit', 'gaps.jsonl');
  expect(code).toBe(4);
  expect(stdout).toContain('was deleted');
  expect(stdout).toContain('A filtered export also has gaps');
  sql(bench, 'delete from records where sequence = 2');
  expect((await bench.run('audit', 'verify')).stdout).not.toContain('filtered');
});

describe('checkpoints of one-shot runs', () => {
  it('a one-shot run ends by writing its checkpoints next to the audit store, into files that only their owner can access', async () => {
    await using bench = await synced();
    const [line] = (await bench.read(CHECKPOINTS)).trim().split('\n');
    expect(JSON.parse(line ?? '')).toMatchObject({ instance: 'prod', sequence: LAST });
    for (const file of [CHECKPOINTS, 'state/checkpoint.key'])
      expect((await stat(join(bench.folder, file))).mode & 0o777).toBe(0o600);
  });

  it('a one-shot run writes no checkpoints if checkpoints are disabled', async () => {
    await using bench = await synced(`${HEAD}audit: { checkpoints: [] }\n${DB}`);
    await expect(bench.read(CHECKPOINTS)).rejects.toThrow('ENOENT');
    await expect(bench.read('state/checkpoint.key')).rejects.toThrow('ENOENT');
    expect((await bench.run('audit', 'verify')).stdout).toContain('Not verified: without a checkpoint');
  });

  it('a one-shot run writes its checkpoints to stderr if the configured location is stdout', async () => {
    await using bench = await openBench(`${HEAD}audit: { checkpoints: [ { kind: stdout } ] }\n${DB}`);
    const { json, stderr } = await bench.run('sync', '--output', 'json');
    expect(json).toMatchObject({ ok: true });
    expect(stderr).toMatch(/^\{"checkpoint":\{"base":/m);
  });

  it('a checkpoint location of kind ConfigMap is a configuration error if the cluster supports no ConfigMaps', async () => {
    await using bench = await openBench(
      `${HEAD}audit: { checkpoints: [ { kind: configMap, name: proof } ] }\n${DB}`,
    );
    const { code, stderr } = await bench.run('sync');
    expect(code).toBe(3);
    expect(stderr).toContain('a ConfigMap needs `cluster.kind: kubernetes`');
  });

  it('a one-shot run prints a warning but does not fail if its checkpoints cannot be written', async () => {
    await using bench = await synced(
      `${HEAD}audit: { checkpoints: [ { kind: file, path: ./outside/checkpoints.jsonl } ] }\n${DB}`,
    );
    const file = join(bench.folder, 'outside/checkpoints.jsonl');
    const before = await readFile(file, 'utf8');
    await chmod(file, 0o400);
    const { code, stderr } = await bench.run('sync', '--log-level', 'warn');
    expect(code).toBe(0);
    // The rest of the test does not work for root, because root can write to any file.
    if (process.getuid?.() === 0) return;
    expect(stderr).toContain('a checkpoint of the audit log could not be written');
    expect(await readFile(file, 'utf8')).toBe(before);
  });
});

describe('audit verify', () => {
  it('`audit verify` verifies a store, and reports the last record that a checkpoint covers', async () => {
    await using bench = await synced();
    expect(await verified(bench)).toMatchObject({ code: 0, ok: true, records: LAST, checkpoints: 1 });
    const { stdout } = await bench.run('audit', 'verify');
    expect(stdout).toContain(`The chain is intact: ${LAST} records, 1 to ${LAST}.`);
    expect(stdout).toContain(
      `1 signed checkpoint of 1 matches; the last one covers all records up to ${LAST}`,
    );
  });

  it('`audit verify` reports records after the last checkpoint as not verified', async () => {
    await using bench = await synced();
    const checkpoints = await bench.read(CHECKPOINTS);
    await bench.run('sync');
    await bench.write(CHECKPOINTS, checkpoints);
    expect((await bench.run('audit', 'verify')).stdout).toMatch(
      /Not verified: records 7 to \d+ are newer than that checkpoint/,
    );
  });

  it.each([
    [
      'edited',
      `update records set record = replace(record, '"apps"', '"apple"') where sequence = 4`,
      { kind: 'edited', sequence: 4 },
    ],
    ['deleted', 'delete from records where sequence = 2', { kind: 'deleted', sequence: 2 }],
    ['cut off', 'delete from records where sequence > 5', { kind: 'truncated', sequence: LAST }],
  ])('`audit verify` detects that a record was %s', async (_, text, problem) => {
    await using bench = await synced();
    sql(bench, text);
    expect(await verified(bench)).toMatchObject({ code: 4, ok: false, problem });
  });

  it('`audit verify` detects rewritten records at the end of the log if a copy of a checkpoint was kept elsewhere', async () => {
    await using bench = await synced();
    cut(bench, 4);
    await bench.write('away.jsonl', await bench.read(CHECKPOINTS));
    await bench.write(CHECKPOINTS, '');
    await bench.run('sync');
    expect(await verified(bench)).toMatchObject({ code: 0, ok: true });
    const verification = await verified(bench, '--checkpoints', 'away.jsonl');
    expect(verification).toMatchObject({
      code: 4,
      problem: { kind: 'checkpoint', sequence: LAST, after: 0 },
    });
    const { stdout } = await bench.run('audit', 'verify', '--checkpoints', 'away.jsonl');
    expect(stdout).toContain(`The first altered record is between 1 and ${LAST}`);
    expect(stdout).toContain('Good: 0 records.');
  });

  it('`audit verify` reports a configured location that contains no checkpoint', async () => {
    const places = 'checkpoints: [ { kind: file, path: ./a.jsonl }, { kind: file, path: ./b.jsonl } ]';
    await using bench = await synced(`${HEAD}audit: { ${places} }\n${DB}`);
    expect(await verified(bench)).not.toHaveProperty('missing');
    const [a, b] = ['a', 'b'].map((name) => `file ${join(bench.folder, name)}.jsonl`);
    // The checkpoint in location `b` still proves the records up to the sequence number of this checkpoint.
    await bench.write('a.jsonl', '');
    expect(await verified(bench)).toMatchObject({ code: 0, ok: true, checkpoints: 1, missing: [a] });
    const one = (await bench.run('audit', 'verify')).stdout;
    expect(one).toContain('1 signed checkpoint of 1 matches');
    expect(one).toContain(`No checkpoint found in ${a}`);

    await rm(join(bench.folder, 'b.jsonl'));
    expect(await verified(bench)).toMatchObject({
      code: 2,
      ok: true,
      covered: false,
      checkpoints: 0,
      missing: [a, b],
    });
    const { stdout } = await bench.run('audit', 'verify');
    expect(stdout).toMatch(/^Not verified: without a checkpoint/m);
    expect(stdout).toContain(`No checkpoint found in ${a} or ${b}`);
    expect(stdout).toContain('check two things: secretbridge can write to it, and no one has emptied it');
  });

  it('`audit verify` finds checkpoints and their key beside a SQLite file', async () => {
    await using bench = await synced();
    expect(await verified(bench, '--audit', STORE)).toMatchObject({ code: 0, covered: true, checkpoints: 1 });
    await rm(join(bench.folder, CHECKPOINTS));
    expect(await verified(bench, '--audit', STORE)).toMatchObject({ code: 2, ok: true, covered: false });
  });

  it('`audit verify` finds the checkpoints of a PostgreSQL store in a file, on a machine without a cluster', async () => {
    await using bench = await synced();
    const keys =
      'fingerprint: [ { file: state/fingerprint.key } ], checkpoint: { file: state/checkpoint.key }';
    const audit = 'audit: { store: { kind: postgres, url: { env: DATABASE_URL } } }';
    const config = `${HEAD.replace(/cluster: .*/, 'cluster: { kind: kubernetes }')}${audit}\nkeys: { ${keys} }\n${DB}`;
    await bench.write('postgres.yaml', config);
    const { stdout } = await bench.run('audit', 'export');
    await bench.write('export.jsonl', stdout);
    const proof = await verified(bench, '--audit', 'export.jsonl', '--config', 'postgres.yaml');
    expect(proof).toMatchObject({ code: 0, covered: true, stderr: '' });
  });

  it('`audit verify` checks the HMACs of records with the key of the configuration or of an option', async () => {
    await using bench = await synced(`${HEAD}audit: { checkpoints: [] }\n${DB}`);
    const { record, hash } = forgedRecord(bench, LAST);
    sql(bench, `update records set record = '${record}', hash = '${hash}' where sequence = ${LAST}`);
    sql(bench, `update head set hash = '${hash}'`);
    const problem = { kind: 'edited', sequence: LAST };
    expect(await verified(bench)).toMatchObject({ code: 4, problem });
    expect(await verified(bench, '--audit', STORE)).toMatchObject({ code: 2, ok: true });
    const key = ['--fingerprint-key', 'state/fingerprint.key'];
    expect(await verified(bench, '--audit', STORE, ...key)).toMatchObject({ code: 4, problem });
  });

  it('`audit verify` accepts several checkpoint files even if one contains no checkpoint', async () => {
    await using bench = await synced();
    await bench.write('quiet.log', 'nothing\n');
    const verification = await verified(bench, '--checkpoints', 'quiet.log', '--checkpoints', CHECKPOINTS);
    expect(verification).toMatchObject({ code: 0, ok: true, checkpoints: 1 });
    expect(verification.stderr).toContain('No checkpoint found in quiet.log.');
  });

  it('`audit verify` needs only key and checkpoint files, and no configuration, to verify a complete or partial export', async () => {
    await using bench = await synced();
    const lines = new DatabaseSync(join(bench.folder, STORE))
      .prepare('select record, hash from records order by sequence')
      .all()
      .map(({ record, hash }) => `${JSON.stringify({ ...JSON.parse(String(record)), hash })}\n`);
    await bench.write('export.jsonl', lines.join(''));
    await bench.write('part.jsonl', lines.slice(2).join(''));
    await bench.write('edited.jsonl', lines.join('').replace('"apps"', '"apple"'));
    await bench.write('key.pem', (await bench.run('audit', 'verify', '--public-key')).stdout);
    const proof = ['--checkpoints', CHECKPOINTS, '--key', 'key.pem'];
    await writeFile(join(bench.folder, 'secretbridge.yaml'), 'not: valid');
    expect(await verified(bench, '--audit', 'export.jsonl', ...proof)).toMatchObject({
      code: 0,
      ok: true,
      records: LAST,
      checkpoints: 1,
    });
    expect(await verified(bench, '--audit', 'part.jsonl', ...proof)).toMatchObject({
      code: 0,
      records: LAST - 2,
      from: 3,
      cutProved: false,
    });
    expect((await bench.run('audit', 'verify', '--audit', 'part.jsonl')).stdout).toContain(
      'The log begins at record 3. Its link to record 2 is not proved.',
    );
    expect(await verified(bench, '--audit', 'edited.jsonl', ...proof)).toMatchObject({
      code: 4,
      problem: { kind: 'edited' },
    });
    await bench.write('short.jsonl', lines.slice(0, 3).join(''));
    expect(await verified(bench, '--audit', 'short.jsonl', ...proof)).toMatchObject({
      code: 4,
      problem: { kind: 'truncated', sequence: 4 },
    });
  });

  it('`audit verify` detects that all records were removed from an export if checkpoints of these records are given', async () => {
    await using bench = await synced();
    await bench.write('key.pem', (await bench.run('audit', 'verify', '--public-key')).stdout);
    for (const text of ['', '\n']) {
      await bench.write('empty.jsonl', text);
      const empty = ['--audit', 'empty.jsonl'];
      expect(await verified(bench, ...empty, '--checkpoints', CHECKPOINTS, '--key', 'key.pem')).toMatchObject(
        { code: 4, ok: false, records: 0, problem: { kind: 'truncated', sequence: 1 } },
      );
      expect((await bench.run('audit', 'verify', ...empty)).code).toBe(1);
    }
    expect((await bench.run('audit', 'list', '--audit', 'empty.jsonl')).code).not.toBe(0);
  });

  it('`audit verify` accepts line separator characters inside records, and LF or CRLF between records', async () => {
    await using bench = await synced();
    await bench.run('audit', 'review', '1', '--state', 'reviewed', '--note', 'from\u2028a\u2029document');
    const text = (await bench.run('audit', 'export', '--format', 'jsonl')).stdout;
    expect(text).toContain('\u2028');
    await bench.write('export.jsonl', text);
    await bench.write('windows.jsonl', text.replaceAll('\n', '\r\n'));
    for (const file of ['export.jsonl', 'windows.jsonl'])
      expect(await verified(bench, '--audit', file)).toMatchObject({ code: 2, ok: true, covered: false });
  });

  it.each([
    ['in front', (line: string) => line.replace('{', '{"outcome":"failed",')],
    ['at the end', (line: string) => line.replace(/\}$/, ',"hash":"0"}')],
    ['within', (line: string) => line.replace('"keys":{', '"keys":{"added":["X"],')],
    ['with another spelling', (line: string) => line.replace('{', '{"\\u006futcome":"failed",')],
  ])('`audit verify` detects a duplicate JSON member in a line of an export (%s)', async (_, edit) => {
    await using bench = await synced();
    const lines = (await bench.run('audit', 'export', '--format', 'jsonl')).stdout.trim().split('\n');
    const edited = lines.map((line, index) => (index === 2 ? edit(line) : line));
    expect(edited[2]).not.toBe(lines[2]);
    await bench.write('edited.jsonl', edited.join('\n'));
    await bench.write('part.jsonl', edited.slice(2).join('\n'));
    for (const file of ['edited.jsonl', 'part.jsonl'])
      expect(await verified(bench, '--audit', file)).toMatchObject({
        code: 4,
        ok: false,
        problem: { kind: 'edited', sequence: 3 },
      });
  });

  it('`audit verify` ignores checkpoints of unknown keys, and reports the missing key', async () => {
    await using bench = await synced();
    const { publicKey } = generateKeyPairSync('ed25519');
    const otherKey = publicKey.export({ type: 'spki', format: 'pem' }).toString();
    expect(await verified(bench, '--key', otherKey)).toMatchObject({
      code: 4,
      problem: { kind: 'checkpoint', sequence: LAST, unknownKey: true },
    });
    expect((await bench.run('audit', 'verify', '--key', otherKey)).stdout).toMatch(
      /^The audit log cannot be trusted: the checkpoint of record 6 matches, but its signing key is unknown\./,
    );
    await bench.run('audit', 'export', '--format', 'jsonl', '--out', 'export.jsonl');
    const { stdout } = await bench.run(
      ...['audit', 'verify', '--audit', 'export.jsonl', '--checkpoints', CHECKPOINTS],
    );
    expect(stdout).toContain('0 signed checkpoints of 1 match.');
    expect(stdout).toContain('Not verified: 1 signature, because no key is known (--key).');
  });

  it('`audit verify` reports an altered log even if a key is unknown', async () => {
    await using bench = await synced();
    sql(bench, `update records set record = replace(record, '"apps"', '"apple"') where sequence = 4`);
    const { publicKey } = generateKeyPairSync('ed25519');
    const otherKey = publicKey.export({ type: 'spki', format: 'pem' }).toString();
    expect(await verified(bench, '--key', otherKey)).toHaveProperty('problem', {
      kind: 'edited',
      sequence: 4,
    });
    const { stdout } = await bench.run('audit', 'verify', '--key', otherKey);
    expect(stdout).toMatch(/^The audit log was altered: record 4 was edited\./);
  });

  it('`audit verify` accepts checkpoints that were signed with an earlier key', async () => {
    await using bench = await synced();
    const { privateKey } = generateKeyPairSync('ed25519');
    await bench.write('state/checkpoint.key', privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
    expect((await bench.run('sync')).code).toBe(0);
    const lines = (await bench.read(CHECKPOINTS))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).keyId);
    expect(new Set(lines).size).toBe(2);
    expect(await verified(bench)).toMatchObject({ ok: true, checkpoints: 2, unchecked: 0 });
  });

  it('`audit verify` prints the public key for external verification', async () => {
    await using bench = await synced();
    const { stdout, json } = await bench.run('audit', 'verify', '--public-key', '--output', 'json');
    expect(json).toMatchObject({ keyId: expect.stringMatching(/^[0-9a-f]{16}$/) });
    expect(stdout).not.toContain('PRIVATE');
  });

  it.each([
    [['--checkpoints', 'none.jsonl'], 'ENOENT'],
    [['--checkpoints', 'secretbridge.yaml'], 'no checkpoint found'],
    [['--key', 'secretbridge.yaml'], 'no Ed25519 public key'],
    [['--key', 'none.pem'], 'ENOENT'],
  ])('`audit verify` rejects the options %j', async (args, message) => {
    await using bench = await synced();
    const { code, stderr } = await bench.run('audit', 'verify', ...args);
    expect(code).toBe(64);
    expect(stderr).toContain(message);
  });
});

describe('a truncated audit log', () => {
  it('a truncated audit log blocks changes to the cluster until a person accepts the loss', async () => {
    await using bench = await synced();
    const before = await target(bench);
    cut(bench, LAST - 1);
    for (const command of [['sync'], ['prune', '--yes'], ['release', '5f2c9a01d3e4']]) {
      const { code, stderr } = await bench.run(...command);
      expect({ command, code }).toEqual({ command, code: 4 });
      expect(stderr).toContain('AUDIT_TRUNCATED');
    }
    expect((await bench.run('plan')).code).toBe(2);
    expect(await target(bench)).toBe(before);
    const refused = ['--action', 'command', '--outcome', 'refused'];
    const listed = await bench.run('audit', 'list', ...refused, '--output', 'json');
    expect(listed.json).toMatchObject({
      records: [
        { note: 'release 5f2c9a01d3e4', code: 'NOT_HELD' },
        { note: 'prune', code: 'AUDIT_TRUNCATED' },
        { note: 'sync', code: 'AUDIT_TRUNCATED' },
      ],
    });

    const { code, stdout, json } = await bench.run('audit', 'accept', '--output', 'json');
    expect(code).toBe(0);
    expect(json).toMatchObject({ accepted: true, missing: [{ sequence: LAST }] });
    expect(stdout).toContain('checkpoints.jsonl');
    expect((await bench.run('audit', 'list', '--code', 'AUDIT_TRUNCATED')).stdout).toContain('ann');

    expect((await bench.run('sync')).code).toBe(0);
    expect(await target(bench)).not.toBe(before);
    expect(await verified(bench)).toMatchObject({ code: 0, ok: true, accepted: 1 });
    expect((await bench.run('audit', 'accept')).stdout).toContain('Nothing to accept');
  });

  it('a truncated audit log can be accepted by a person even if a checkpoint covers the lost records', async () => {
    await using bench = await synced();
    sql(
      bench,
      'delete from records where sequence > 3; update head set sequence = 3, hash = (select hash from records where sequence = 3)',
    );
    expect((await bench.run('audit', 'accept')).code).toBe(0);
    expect((await bench.run('sync')).code).toBe(0);
    expect(await verified(bench)).toMatchObject({ code: 0, ok: true, accepted: 1 });
  });

  it('`audit verify` reports an accepted loss with the missing records and the name of the person', async () => {
    await using bench = await synced();
    cut(bench, LAST - 1);
    const { stdout } = await bench.run('audit', 'accept');
    expect(stdout).toMatch(
      /ends at record 5\. Missing or altered:\n {2}record 6, by a checkpoint of .* in file/,
    );
    expect(stdout).toContain('Accepted by ann in record 6.');
  });

  it('an unreadable checkpoint file counts as a truncated audit log, so the sync stops', async () => {
    await using bench = await openBench(
      `${HEAD}audit: { checkpoints: [ { kind: file, path: ./store } ] }\n${DB}`,
    );
    const { code, stderr } = await bench.run('sync');
    expect(code).toBe(1);
    expect(stderr).toContain('AUDIT_UNAVAILABLE');
    await expect(target(bench)).rejects.toThrow('ENOENT');
  });
});

/** Returns a record with another note and the right hash, as somebody without keys can make it. */
function forgedRecord(bench: { readonly folder: string }, sequence: number) {
  const db = new DatabaseSync(join(bench.folder, STORE));
  const row = db.prepare('select record from records where sequence = ?').get(sequence);
  db.close();
  const record = canonical({ ...JSON.parse(String(row?.record)), durationMs: 4_711 });
  return { record, hash: hashOf(record) };
}
