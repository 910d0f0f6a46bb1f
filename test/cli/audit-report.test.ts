import { describe, expect, it } from 'vitest';
import { DB, FOREIGN, HEAD, openBench } from './harness.ts';

const DAY = 86_400_000;

describe('audit report', () => {
  it('`audit report` prints a summary of the events as plain text for an email, the most important event first', async () => {
    await using bench = await openBench(`${HEAD}defaults: { maxAge: 5d }
${DB}  - name: theirs
    target: { namespace: apps }
    data: { KEY: { store: local, key: db.json, property: user } }
`);
    await bench.write('cluster/apps/theirs.yaml', FOREIGN);
    await bench.run('sync');
    bench.clock.set(bench.clock.now() + 6 * DAY);
    await bench.run('sync');
    await bench.run('audit', 'review', '2', '--state', 'flagged', '--note', 'not announced');
    const { code, stdout } = await bench.run('audit', 'report', '--since', '7d');
    expect(code).toBe(0);
    expect(stdout.split('\n')[0]).toBe('Audit report, 2027-02-28 12:00:00 to 2027-03-07 12:00:00 UTC');
    expect(stdout).toMatch(/^Review: \d+ unreviewed, 0 reviewed, 1 flagged\.$/m);
    expect(stdout).toContain('Flagged: 1\n  2027-03-01 12:00:00  ann: sync  (2) "not announced"\n');
    expect(stdout).toMatch(/^Refused: 1\n {2}NOT_OWNED {2}apps\/theirs {2}2027-03-01 12:00:00 {2}\(\d+\)$/m);
    expect(stdout).toMatch(
      /^Older than `maxAge`: 1\n {2}local: db.json .* since 2027-03-01 12:00:00, 6 days of 5$/m,
    );
    expect(stdout).toContain('Read for the first time: 1\n  2027-03-01 12:00:00  local: db.json\n');
    expect(stdout).toMatch(/^Changed: 1\n {2}apps\/db {2}1 change, .* {2}\+PASSWORD \+USER$/m);
    expect(stdout).toMatch(/^Commands: 2$/m);
    expect(stdout).toContain('The configuration was loaded 1 time');
  });

  it('`audit report` lists keys that a search found and that were not rotated in time', async () => {
    await using bench = await openBench(`${HEAD}defaults: { maxAge: 5d }
mappings:
  - name: flags
    target: { namespace: apps }
    dataFrom: [ { store: local, find: { path: flags, name: '^a' } } ]
`);
    await bench.write('store/flags/a', '1');
    await bench.write('store/flags/b', '1');
    await bench.run('sync');
    bench.clock.set(bench.clock.now() + 6 * DAY);
    const { json } = await bench.run('audit', 'report', '--output', 'json');
    expect(json).toMatchObject({ notRotated: { total: 1, items: [{ store: 'local', key: 'flags/a' }] } });
  });

  it('with `--output json`, `audit report` prints the data of the text report, and works without a configuration', async () => {
    await using bench = await openBench();
    await bench.run('sync');
    await bench.write('secretbridge.yaml', 'broken');
    const { code, json } = await bench.run(
      ...[
        'audit',
        'report',
        '--audit',
        'state/audit.db',
        '--output',
        'json',
        '--until',
        '2027-03-01T12:00:00Z',
      ],
    );
    expect(code).toBe(0);
    expect(json).toMatchObject({
      since: '2027-02-22T12:00:00.000Z',
      until: '2027-03-01T12:00:00.000Z',
      changes: { total: 1, byAction: { create: 1 } },
      commands: { total: 1, items: [{ by: 'ann', what: 'sync' }] },
      notRotated: { total: 0, items: [] },
    });
    expect(await bench.run('audit', 'report')).toMatchObject({ code: 3 });
    expect(await bench.run('audit', 'report', '--audit', 'state/audit.db', '--since', 'x')).toMatchObject({
      code: 64,
    });
  });
});
