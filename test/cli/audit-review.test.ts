import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { LIVE, openService } from './fake-service.ts';
import { HEAD, openBench } from './harness.ts';

const RECORD = { sequence: 2, action: 'read', outcome: 'ok', reviewed: { state: 'flagged', by: 'ann' } };
const ENV = { SECRETBRIDGE_TOKEN: 'token-of-ann' };

describe('audit review', () => {
  it('`audit review` records the review itself, with the user as the actor, if no service answers', async () => {
    await using bench = await openBench();
    await bench.run('sync');
    const { code, stdout } = await bench.run('audit', 'review', '2', '--state', 'flagged', '--note', 'why?');
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'Record 2 is now flagged.\n' });
    const { json } = await bench.run('audit', 'list', '--review', 'flagged', '--output', 'json');
    expect(json).toMatchObject({
      records: [{ sequence: 2, reviewed: { state: 'flagged', by: 'ann', note: 'why?' } }],
    });
    const shown = await bench.run('audit', 'show', '2');
    expect(shown.stdout).toMatch(/^reviewed +flagged by ann: why\? \(2027-03-01 12:00:00, record \d+\)$/m);
    const reviews = await bench.run('audit', 'list', '--action', 'review');
    expect(reviews.stdout).toMatch(/review +ok +record 2 +ann +flagged why\?$/m);
  });

  it('`audit list` shows the note of a review even if the note looks like a note of the program itself', async () => {
    await using bench = await openBench();
    await bench.run('sync');
    await rm(join(bench.folder, 'store', 'db.json'));
    await bench.run('sync');
    const note = 'definition of the store was changed on purpose';
    await bench.run('audit', 'review', '2', '--state', 'flagged', '--note', note);
    const reviews = await bench.run('audit', 'list', '--action', 'review');
    expect(reviews.stdout).toContain(note);
    const filter = ['--action', 'read', '--code', 'SOURCE_ABSENT'];
    const { json } = await bench.run('audit', 'list', ...filter, '--output', 'json');
    expect(json).toMatchObject({ records: [{ note: expect.stringMatching(/^definition [0-9a-f]+$/) }] });
    const { stdout } = await bench.run('audit', 'list', ...filter);
    expect(stdout).toContain('SOURCE_ABSENT');
    expect(stdout).not.toContain('definition');
  });

  it('`audit review` accepts a range of records, and skips reviews in that range', async () => {
    await using bench = await openBench();
    await bench.run('sync');
    await bench.run('audit', 'review', '1', '--state', 'reviewed');
    const { json } = await bench.run(
      ...['audit', 'review', '1-2', '4-7', '--state', 'reviewed', '--output', 'json'],
    );
    const { records } = json as { records: { sequence: number; reviewed: { state: string } }[] };
    expect(records.map(({ sequence }) => sequence)).toEqual([1, 2, 4, 5, 6]);
    expect(records.every(({ reviewed }) => reviewed.state === 'reviewed')).toBe(true);
  });

  it('a checkpoint covers a review in the same way as the records of a sync', async () => {
    await using bench = await openBench();
    await bench.run('sync');
    const { json } = await bench.run('audit', 'review', '1', '--state', 'reviewed', '--output', 'json');
    const [{ reviewed }] = (json as { records: [{ reviewed: { sequence: number } }] }).records;
    const verified = await bench.run('audit', 'verify', '--output', 'json');
    expect(verified.json).toMatchObject({ ok: true, sealed: { sequence: reviewed.sequence } });
  });

  it('`audit review` records the review and prints a warning if no checkpoint can be written', async () => {
    await using bench = await openBench();
    await bench.run('sync');
    const config = await bench.read('secretbridge.yaml');
    const place = 'audit: { checkpoints: [ { kind: file, path: ./store/db.json/checkpoints.jsonl } ] }';
    await bench.write('secretbridge.yaml', `${config}${place}\n`);
    expect(await bench.run('audit', 'review', '1', '--state', 'reviewed')).toMatchObject({
      code: 0,
      stdout: 'Record 1 is now reviewed.\n',
      stderr: expect.stringContaining('the review is recorded, and the next checkpoint will cover it'),
    });
  });

  it('`audit review` prints one line for many records', async () => {
    await using bench = await openBench();
    await bench.run('sync');
    expect(await bench.run('audit', 'review', '1-3', '5', '--state', 'reviewed')).toMatchObject({
      code: 0,
      stdout: 'Records 1-3, 5 are now reviewed.\n',
    });
  });

  it('`audit review` records no review if one of the given records is missing', async () => {
    await using bench = await openBench();
    await bench.run('sync');
    expect(await bench.run('audit', 'review', '1', '99', '--state', 'flagged')).toMatchObject({ code: 4 });
    const { json } = await bench.run('audit', 'list', '--action', 'review', '--output', 'json');
    expect(json).toEqual({ records: [] });
  });

  it('`audit review` exits with 4 if the record is missing, and with 64 if the number or the state is omitted', async () => {
    await using bench = await openBench();
    await bench.run('sync');
    const say = (...args: string[]) => bench.run('audit', 'review', ...args);
    expect(await say('99', '--state', 'reviewed')).toMatchObject({
      code: 4,
      stderr: expect.stringContaining('RECORD_MISSING'),
    });
    expect(await say('1')).toMatchObject({ code: 64 });
    expect(await say('1', '--state', 'unreviewed')).toMatchObject({ code: 64 });
    for (const wrong of ['x', '0', '3-2', '1-5000', '1-', '-1'])
      expect(await say('--state', 'reviewed', '--', wrong)).toMatchObject({ code: 64 });
    await say('1', '--state', 'reviewed');
    const last = await bench.run('audit', 'list', '--limit', '1', '--output', 'json');
    const { sequence } = (last.json as { records: [{ sequence: number }] }).records[0];
    expect(await say(String(sequence), '--state', 'flagged')).toMatchObject({ code: 4 });
  });

  it('`audit review` sends the review to the service that answers at `http.listen`', async () => {
    await using service = await openService({
      ...LIVE,
      'POST /api/v1/audit/records/2/review': { body: RECORD },
    });
    await using bench = await openBench(`${HEAD}http: { listen: "127.0.0.1:${service.port}" }\n`);
    const { code, json } = await bench.runWith(
      { env: ENV },
      ...['audit', 'review', '2', '--state', 'flagged', '--note', 'why?', '--output', 'json'],
    );
    expect(code).toBe(0);
    expect(json).toEqual({ records: [RECORD] });
    expect(service.bodies.map((body) => JSON.parse(body))).toEqual([{ state: 'flagged', note: 'why?' }]);
    const post = service.requests.find(({ line }) => line.startsWith('POST'));
    expect(post?.headers).toMatchObject({
      authorization: 'Bearer token-of-ann',
      'content-type': 'application/json',
    });
  });

  it('`audit review` reviews a range of records through the service named by `--server`, and skips records that are reviews', async () => {
    await using service = await openService({
      'GET /api/v1/audit/records/2': { body: RECORD },
      'GET /api/v1/audit/records/3': { body: { ...RECORD, sequence: 3, action: 'review' } },
      'POST /api/v1/audit/records/2/review': { body: RECORD },
    });
    await using bench = await openBench();
    const { code, stdout } = await bench.runWith(
      { env: ENV },
      ...['audit', 'review', '2-3', '--state', 'flagged', '--server', service.url],
    );
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'Record 2 is now flagged.\n' });
  });
});
