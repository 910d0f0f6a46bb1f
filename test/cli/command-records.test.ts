import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import { truncateLog } from '../audit/truncate-log.ts';
import { waitUntil } from '../wait-until.ts';
import { type Bench, Collector, DB, HEAD, openBench } from './harness.ts';

const OTHER = `  - name: other
    target: { namespace: web }
    data: { USER: { store: local, key: db.json, property: user } }
`;

async function commands(bench: Bench, ...filter: readonly string[]) {
  const args = ['audit', 'list', '--action', 'command', ...filter, '--output', 'json'];
  const { records } = (await bench.run(...args)).json as {
    records: readonly { note?: string; mapping?: string }[];
  };
  return records.map(({ note, mapping }) => [note, mapping]);
}

describe('audit records of commands', () => {
  it('the audit record of a command contains the mapping name, and a filter for this mapping finds the record', async () => {
    await using bench = await openBench(HEAD + DB + OTHER);
    await bench.run('sync');
    const { json } = await bench.run('audit', 'list', '--mapping', 'db', '--output', 'json');
    const [{ sequence }] = (json as { records: [{ sequence: number }] }).records;
    await bench.run('plan');
    await bench.run('plan', '--mapping', 'other');
    await bench.run('plan', '--mapping', 'db');
    await bench.run('explain', 'db');
    await bench.run('sync', '--mapping', 'db');
    await bench.run('rollback', 'db', '--to', String(sequence));
    await bench.run('unpin', 'db');
    expect(await commands(bench, '--mapping', 'db')).toEqual([
      ['unpin db', 'db'],
      [`rollback db --to ${sequence}`, 'db'],
      ['sync db', 'db'],
      ['explain db', 'db'],
      ['plan db', 'db'],
    ]);
    expect(await commands(bench, '--mapping', 'other')).toEqual([['plan other', 'other']]);
    expect((await commands(bench)).slice(-2)).toEqual([
      ['plan', undefined],
      ['sync', undefined],
    ]);
  });

  it('read-only commands add records while the audit log is not trusted, and other commands are refused', async () => {
    await using bench = await openBench();
    await bench.run('sync');
    truncateLog(join(bench.folder, 'state/audit.db'), 3);
    expect(await bench.run('plan', '--mapping', 'db')).toMatchObject({ code: 0 });
    expect(await bench.run('explain', 'db')).toMatchObject({ code: 0 });
    expect(await bench.run('sync', '--mapping', 'db')).toMatchObject({
      code: 4,
      stderr: expect.stringContaining('AUDIT_TRUNCATED'),
    });
  });

  it('the audit record of a command omits an argument that is not an id, because it may be a secret value', async () => {
    await using bench = await openBench();
    await bench.run('sync');
    const { code, stdout, stderr } = await bench.run('release', 'hunter2', '--output', 'json');
    expect(code).toBe(4);
    expect(stdout + stderr).toContain('NOT_HELD');
    expect(stdout + stderr).not.toContain('hunter2');
    expect((await commands(bench))[0]).toEqual(['release', undefined]);
    await bench.run('release', '5f2c9a01d3e4');
    expect((await commands(bench))[0]).toEqual(['release 5f2c9a01d3e4', undefined]);
    const { stdout: all } = await bench.run('audit', 'export', '--format', 'jsonl');
    expect(all).not.toContain('hunter2');
  });

  it('a command that is refused is recorded as refused, with the code', async () => {
    await using bench = await openBench();
    await bench.run('sync');
    await bench.run('unpin', 'db');
    await bench.run('release', '5f2c9a01d3e4');
    const { json } = await bench.run(
      'audit',
      'list',
      '--action',
      'command',
      '--outcome',
      'refused',
      '--output',
      'json',
    );
    expect((json as { records: object[] }).records).toMatchObject([
      { note: 'release 5f2c9a01d3e4', outcome: 'refused', code: 'NOT_HELD' },
      { note: 'unpin db', mapping: 'db', outcome: 'refused', code: 'NOT_PINNED' },
    ]);
  });

  it('a one-shot `sync` records its configuration when the configuration has changed', async () => {
    await using bench = await openBench();
    const env = { SECRETBRIDGE_CONFIG_REVISION: 'abc123' };
    const configured = async () => {
      const { json } = await bench.run('audit', 'list', '--action', 'configure', '--output', 'json');
      return (json as { records: { configHash: string; revision?: string; changes?: object[] }[] }).records;
    };
    await bench.runWith({ env }, 'sync');
    await bench.runWith({ env }, 'sync');
    const [first, ...none] = await configured();
    expect(none).toEqual([]);
    expect(first).toMatchObject({ revision: 'abc123', configHash: expect.stringMatching(/^[0-9a-f]{64}$/) });
    await bench.write(
      'secretbridge.yaml',
      `${await bench.read('secretbridge.yaml')}\nbrake: { share: 0.5 }\n`,
    );
    await bench.run('sync');
    const [second] = await configured();
    expect(second?.configHash).not.toBe(first?.configHash);
    expect(first).not.toHaveProperty('changes');
    expect(second?.changes).toEqual([{ path: 'brake.share', before: '0.1', after: '0.5' }]);
    // The list names the first changes.
    const { stdout } = await bench.run('audit', 'list', '--action', 'configure');
    expect(stdout).toContain('brake.share: 0.1 → 0.5');
    // Somebody has changed the text of the last configuration in the database.
    using database = new DatabaseSync(join(bench.folder, 'state/audit.db'));
    database.exec("update configurations set content = replace(content, '0.5', '0.7')");
    const text = (await bench.read('secretbridge.yaml')).replace('share: 0.5', 'share: 0.6');
    await bench.write('secretbridge.yaml', text);
    await bench.run('sync', '--mapping', 'db');
    expect((await configured())[0]).not.toHaveProperty('changes');
  });

  it('a service names the fields that have changed since the last recorded configuration', async () => {
    const http = "http: { listen: '127.0.0.1:0' }\n";
    await using bench = await openBench(HEAD + http + DB);
    await bench.run('sync');
    await bench.write('secretbridge.yaml', `${HEAD}${http}brake: { window: 2h }\n${DB}`);
    const stop = new AbortController();
    const stderr = new Collector();
    const running = bench.runWith({ stderr, signal: stop.signal }, 'serve', '--grace', '1s');
    await waitUntil(() => expect(stderr.text).toContain('the service is running'));
    stop.abort();
    await running;
    const { json } = await bench.run('audit', 'list', '--action', 'configure', '--output', 'json');
    expect(json).toMatchObject({
      records: [{ changes: [{ path: 'brake.window', before: '1d', after: '2h' }] }, {}],
    });
  });

  it('the record of an update that changes no data names the other changes', async () => {
    await using bench = await openBench();
    await bench.run('sync');
    const labelled = (await bench.read('secretbridge.yaml')).replace(
      'namespace: apps',
      'namespace: apps, labels: { team: pay }',
    );
    await bench.write('secretbridge.yaml', labelled);
    await bench.run('sync');
    const { stdout } = await bench.run('audit', 'list', '--action', 'update');
    expect(stdout).toContain('label team');
  });
});
