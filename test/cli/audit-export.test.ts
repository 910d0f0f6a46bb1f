import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { type Bench, openBench } from './harness.ts';

async function openSynced(): Promise<Bench> {
  const bench = await openBench();
  await bench.run('sync');
  return bench;
}

describe('audit export', () => {
  it('`audit export` prints every record as a line, oldest first, and nothing else on stdout', async () => {
    await using bench = await openSynced();
    const { json } = await bench.run('audit', 'list', '--output', 'json');
    const { records } = json as { records: object[] };
    const { code, stdout, stderr } = await bench.run('audit', 'export', '--format', 'jsonl');
    expect(code).toBe(0);
    const lines = stdout.split('\n').slice(0, -1);
    expect(lines.map((line) => JSON.parse(line))).toEqual(records.toReversed());
    expect(stderr).toBe(`exporting ${records.length}/${records.length}\n`);
  });

  it('`audit export` adds no record to the log, and works without a configuration', async () => {
    await using bench = await openSynced();
    const before = await bench.run('audit', 'export', '--format', 'jsonl');
    await bench.write('secretbridge.yaml', 'broken');
    const after = await bench.run('audit', 'export', '--format', 'jsonl', '--audit', 'state/audit.db');
    expect(after).toMatchObject({ code: 0, stdout: before.stdout });
  });

  it.each([
    ['list', '--audit', 'out.jsonl'],
    ['show', '1', '--audit', 'out.jsonl'],
    ['report', '--audit', 'out.jsonl'],
    ['export', '--format', 'csv', '--audit', 'out.jsonl'],
    ['migrate', '--to', 'new.db', '--from', 'out.jsonl'],
  ])(
    '`audit %s` rejects an export as its input, because only `audit verify` reads exports',
    async (...args) => {
      await using bench = await openSynced();
      await bench.run('audit', 'export', '--format', 'jsonl', '--out', 'out.jsonl');
      expect((await bench.run('audit', 'verify', '--audit', 'out.jsonl')).code).toBe(2);
      const option = args.at(-2);
      expect(await bench.run('audit', ...args)).toMatchObject({
        code: 64,
        stdout: '',
        stderr: `error: ${option}: out.jsonl looks like an export, which only \`audit verify\` reads: name the audit store it was exported from\n`,
      });
      await expect(bench.read('new.db')).rejects.toThrow('ENOENT');
    },
  );

  it.each([
    ['list', '--audit', 'none.db'],
    ['show', '1', '--audit', 'none.db'],
    ['report', '--audit', 'none.db'],
    ['verify', '--audit', 'none.db'],
    ['export', '--format', 'csv', '--audit', 'none.db'],
    ['migrate', '--to', 'new.db', '--from', 'none.db'],
  ])('`audit %s` reports a usage error if the store does not exist', async (...args) => {
    await using bench = await openSynced();
    const option = args.at(-2);
    const named = (stderr: string) => ({ code: 64, stdout: '', stderr });
    expect(await bench.run('audit', ...args)).toMatchObject(
      named(`error: ${option} none.db cannot be read: no such file or folder (ENOENT)\n`),
    );
    expect(await bench.run('audit', ...args.slice(0, -1), 'state')).toMatchObject(
      named(`error: ${option} state cannot be read: it is a folder\n`),
    );
    for (const path of ['none.db', 'new.db']) await expect(bench.read(path)).rejects.toThrow('ENOENT');
  });

  it('`audit export` accepts the same filters as `audit list`', async () => {
    await using bench = await openSynced();
    await bench.run('audit', 'review', '3', '--state', 'flagged');
    const { stdout } = await bench.run('audit', 'export', '--format', 'csv', '--review', 'flagged');
    expect(stdout.split('\r\n')).toHaveLength(3);
    expect(stdout).toContain('\r\n3,2027-03-01T12:00:00.000Z,read,');
    const none = await bench.run('audit', 'export', '--format', 'jsonl', '--since', '2028-01-01');
    expect(none).toMatchObject({ code: 0, stdout: '' });
  });

  it('`audit export --out` writes either a complete file that only its owner can read, or no file', async () => {
    await using bench = await openSynced();
    const { code, stdout } = await bench.run('audit', 'export', '--format', 'ocsf', '--out', 'events.jsonl');
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'Wrote 6 records to events.jsonl.\n' });
    expect((await stat(join(bench.folder, 'events.jsonl'))).mode & 0o777).toBe(0o600);
    const lines = (await bench.read('events.jsonl')).split('\n').slice(0, -1);
    expect(lines.map((line) => JSON.parse(line).class_uid)).toEqual(Array(6).fill(3004));
    const machine = await bench.run(
      ...['audit', 'export', '--format', 'csv', '--out', 'a.csv', '--output', 'json'],
    );
    expect(machine.json).toEqual({ format: 'csv', records: 6, file: 'a.csv' });
    expect(await bench.run('audit', 'export', '--format', 'csv', '--out', 'nowhere/a.csv')).toMatchObject({
      code: 64,
      stderr: 'error: nowhere/a.csv cannot be written: no such file or folder (ENOENT)\n',
    });
  });

  it('`audit export` overwrites an earlier export, but no other file', async () => {
    await using bench = await openSynced();
    const run = (format: string, out: string) =>
      bench.run('audit', 'export', '--format', format, '--out', out);
    for (const format of ['jsonl', 'csv', 'ocsf', 'jsonl'])
      expect(await run(format, 'export')).toMatchObject({ code: 0 });
    await bench.write('empty', '');
    expect(await run('csv', 'empty')).toMatchObject({ code: 0 });
    const before = await bench.read('secretbridge.yaml');
    for (const name of ['secretbridge.yaml', 'state/audit.db'])
      expect(await run('csv', name)).toMatchObject({
        code: 64,
        stderr: `error: ${name} exists and is not an export: choose another file with --out\n`,
      });
    expect(await bench.read('secretbridge.yaml')).toBe(before);
    for (const name of ['state', '/dev/null'])
      expect(await run('csv', name)).toMatchObject({
        code: 64,
        stderr: expect.stringContaining('is not a file'),
      });
    expect(await bench.run('audit', 'verify')).toMatchObject({ code: 0 });
  });

  it('`audit export` waits for a slow reader, and ends without an error if the reader closes the output', async () => {
    await using bench = await openSynced();
    let taken = 0;
    const slow = new Writable({
      highWaterMark: 1,
      write: (chunk, _, done) => {
        taken += String(chunk).length;
        setImmediate(done);
      },
    });
    expect(await bench.runWith({ stdout: slow }, 'audit', 'export', '--format', 'jsonl')).toMatchObject({
      code: 0,
    });
    expect(taken).toBeGreaterThan(1_000);
    const closedReader = new Writable({
      write: (_chunk, _encoding, done) => done(Object.assign(new Error('gone'), { code: 'EPIPE' })),
    });
    expect(
      await bench.runWith({ stdout: closedReader }, 'audit', 'export', '--format', 'jsonl'),
    ).toMatchObject({
      code: 0,
    });
  });

  it('`audit export` exports JSON lines by default', async () => {
    await using bench = await openSynced();
    const named = await bench.run('audit', 'export', '--format', 'jsonl');
    expect(await bench.run('audit', 'export')).toMatchObject({ code: 0, stdout: named.stdout });
  });

  it('`audit export` rejects an unknown format as a usage error', async () => {
    await using bench = await openSynced();
    expect(await bench.run('audit', 'export', '--format', 'xml')).toMatchObject({ code: 64 });
  });
});
