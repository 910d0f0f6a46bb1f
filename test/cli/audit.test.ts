import { describe, expect, it } from 'vitest';
import { type Bench, DB, FOREIGN, HEAD, openBench } from './harness.ts';

interface Shown {
  readonly sequence: number;
  readonly action: string;
  readonly [field: string]: unknown;
}

const DAY = 86_400_000;

/** Day 1: a first sync with one refused target. Day 2: a rotation. The current time is noon on day 3. */
async function openStory(): Promise<Bench> {
  const bench = await openBench(`${HEAD}${DB}  - name: theirs
    target: { namespace: shop }
    data: { KEY: { store: local, key: other.json, property: key } }
`);
  await bench.write('store/other.json', '{"key":"k"}');
  await bench.write('cluster/shop/theirs.yaml', FOREIGN.replace('namespace: apps', 'namespace: shop'));
  await bench.run('sync');
  bench.clock.set(bench.clock.now() + DAY);
  await bench.write('store/db.json', '{"user":"ann","password":"second"}');
  await bench.run('sync', '--mapping', 'db');
  bench.clock.set(bench.clock.now() + DAY);
  return bench;
}

async function list(bench: Bench, ...args: readonly string[]): Promise<readonly Shown[]> {
  const { code, json } = await bench.run('audit', 'list', '--output', 'json', ...args);
  expect(code).toBe(0);
  return (json as { records: Shown[] }).records;
}

describe('audit list', () => {
  it('`audit list` lists records, newest first', async () => {
    await using bench = await openStory();
    const records = await list(bench);
    expect(records.map(({ sequence }) => sequence)).toEqual(
      Array.from(records, (_, index) => records.length - index),
    );
    const { code, stdout } = await bench.run('audit', 'list');
    expect(code).toBe(0);
    const lines = stdout.split('\n').map((line) => line.replace(/ {2,}/g, ' ').trim());
    expect(lines[0]).toBe('SEQUENCE TIME ACTION OUTCOME SUBJECT ACTOR DETAILS');
    expect(lines[1]).toBe('13 2027-03-02 12:00:00 sweep ok ann 1 target: 1 updated');
    expect(lines[2]).toBe('12 2027-03-02 12:00:00 update ok apps/db ann ~PASSWORD');
    expect(lines[3]).toBe('11 2027-03-02 12:00:00 update (intent) ok apps/db ann ~PASSWORD');
    expect(stdout).toContain('NOT_OWNED');
    expect(stdout).not.toMatch(/first|second/);
  });

  it.each([
    [['--mapping', 'theirs'], ['refuse']],
    [['--namespace', 'shop'], ['refuse']],
    [
      ['--secret', 'db', '--action', 'update'],
      ['update', 'update'],
    ],
    [['--store', 'local', '--key', 'other.json'], ['read']],
    [
      ['--key', 'db.json', '--action', 'read'],
      ['read', 'read'],
    ],
    [
      ['--action', 'command'],
      ['command', 'command'],
    ],
    [['--outcome', 'refused'], ['refuse']],
    [['--code', 'NOT_OWNED'], ['refuse']],
    [
      ['--actor', 'ann', '--action', 'sweep'],
      ['sweep', 'sweep'],
    ],
    [['--actor', 'bob'], []],
    [['--since', '30h', '--action', 'sweep'], ['sweep']],
    [
      ['--since', '7d', '--action', 'sweep'],
      ['sweep', 'sweep'],
    ],
    [['--until', '2027-03-02', '--action', 'sweep'], ['sweep']],
    [['--since', '2027-03-02T12:00:00Z', '--action', 'sweep'], ['sweep']],
    [['--since', '2027-03-02T13:00:00+01:00', '--action', 'sweep'], ['sweep']],
    [['--since', '5m'], []],
    [['--namespace', 'shop', '--outcome', 'ok'], []],
  ])('`audit list` filters by %j', async (args, actions) => {
    await using bench = await openStory();
    expect((await list(bench, ...args)).map(({ action }) => action)).toEqual(actions);
  });

  it('`audit list` rejects an unknown error code', async () => {
    await using bench = await openStory();
    expect(await bench.run('audit', 'list', '--code', 'NOT_OWNDE')).toMatchObject({
      code: 64,
      stderr: expect.stringContaining('Did you mean NOT_OWNED?'),
    });
  });

  it('`audit list` finds the records of one request id, and the records of one value', async () => {
    await using bench = await openStory();
    const [sweep] = await list(bench, '--limit', '1');
    const ofRequest = await list(bench, '--request', String(sweep?.requestId));
    expect(ofRequest.map(({ action }) => action)).toEqual(['sweep', 'update', 'update', 'read', 'command']);
    const read = ofRequest.find(({ action }) => action === 'read');
    expect((await list(bench, '--fingerprint', String(read?.after))).map(({ action }) => action)).toEqual([
      'read',
    ]);
  });

  it('`audit list` lists all records page by page', async () => {
    await using bench = await openStory();
    const all = await list(bench);
    const seen: number[] = [];
    let cursor: string[] = [];
    for (;;) {
      const { json } = await bench.run('audit', 'list', '--limit', '5', '--output', 'json', ...cursor);
      const { records, next } = json as { records: Shown[]; next?: string };
      seen.push(...records.map(({ sequence }) => sequence));
      if (next === undefined) break;
      cursor = ['--cursor', next];
    }
    expect(seen).toEqual(all.map(({ sequence }) => sequence));
    expect((await bench.run('audit', 'list', '--limit', '5')).stdout).toContain('Next page: --cursor 9');
    const exact = await bench.run('audit', 'list', '--limit', String(all.length), '--output', 'json');
    expect(exact.json).not.toHaveProperty('next');
  });

  it('`audit list` needs no configuration if a store is given on the command line', async () => {
    await using bench = await openStory();
    await bench.write('secretbridge.yaml', 'broken');
    const { code, stdout } = await bench.run('audit', 'list', '--audit', 'state/audit.db', '--limit', '1');
    expect(code).toBe(0);
    expect(stdout).toContain('sweep');
  });

  it('`audit list` exits with 1 if the store does not exist, and does not create the store', async () => {
    await using bench = await openBench();
    const { code, stdout, stderr } = await bench.run('audit', 'list');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('AUDIT_UNAVAILABLE');
    expect(await bench.run('audit', 'list')).toMatchObject({ code: 1 });
  });

  it('`audit list` reports that no record matches', async () => {
    await using bench = await openStory();
    expect(await bench.run('audit', 'list', '--actor', 'bob')).toMatchObject({
      code: 0,
      stdout: 'No record matches.\n',
    });
  });
});

describe('audit show', () => {
  it('`audit show` prints one complete record', async () => {
    await using bench = await openStory();
    const [, update] = await list(bench);
    const { code, json } = await bench.run('audit', 'show', '12', '--output', 'json');
    expect(code).toBe(0);
    expect(json).toMatchObject(update ?? {});
    expect(json).toMatchObject({
      sequence: 12,
      time: '2027-03-02T12:00:00.000Z',
      instance: 'prod',
      actor: { kind: 'cli', name: 'ann' },
      phase: 'outcome',
      action: 'update',
      mapping: 'db',
      namespace: 'apps',
      secret: 'db',
      outcome: 'ok',
      keys: { added: [], changed: ['PASSWORD'], removed: [] },
      attempt: 1,
      previousHash: expect.stringMatching(/^[0-9a-f]{64}$/),
      hash: expect.stringMatching(/^[0-9a-f]{64}$/),
      counterpart: { sequence: 11, phase: 'intent', action: 'update' },
      chain: { previous: 11, next: 13, head: 13, fits: true },
    });
    const { stdout } = await bench.run('audit', 'show', '12');
    expect(stdout).toMatch(/^sequence +12$/m);
    expect(stdout).toMatch(/^actor +cli ann$/m);
    expect(stdout).toMatch(/^changed +PASSWORD$/m);
    expect(stdout).toMatch(/^review +unreviewed$/m);
    expect(stdout).toMatch(/^ +INTENT 11 +OUTCOME 12$/m);
    expect(stdout).toContain('Record 12 of 13, after 11 and before 13: it matches its neighbors.');
    expect(stdout).toMatch(/^source +local: db.json # password version [0-9a-f]{8}:/m);
  });

  it('`audit show` exits with 4 if the record does not exist', async () => {
    await using bench = await openStory();
    const { code, json, stderr } = await bench.run('audit', 'show', '99', '--output', 'json');
    expect(code).toBe(4);
    expect(json).toMatchObject({ error: { code: 'RECORD_MISSING', remedy: expect.any(String) } });
    expect(stderr).toContain('RECORD_MISSING');
  });
});

it('`audit show` shows how long a store took to answer a read', async () => {
  await using bench = await openBench();
  const { clock } = bench;
  const ticking = {
    ...clock,
    now() {
      clock.set(clock.now() + 5);
      return clock.now();
    },
  };
  await bench.runWith({ clock: ticking }, 'sync');
  const [read] = await list(bench, '--action', 'read');
  expect(read?.durationMs).toBeGreaterThan(0);
});

it('`audit show` shows every field of a record on its own line', async () => {
  await using bench = await openBench();
  const names = Array.from({ length: 200 }, (_, n) => `KEY_${String(n).padStart(3, '0')}`);
  const all = `dataFrom: [ { store: local, key: many.json } ]`;
  await bench.write(
    'secretbridge.yaml',
    `${HEAD}mappings: [ { name: many, target: { namespace: apps }, ${all} } ]`,
  );
  await bench.write('store/many.json', JSON.stringify(Object.fromEntries(names.map((name) => [name, 'x']))));
  await bench.run('sync');
  const [created] = await list(bench, '--action', 'create');
  const sequence = String(created?.sequence);
  const note = `looked at\n  by two people: ${'and then '.repeat(200)}the end`;
  await bench.run('audit', 'review', sequence, '--state', 'flagged', '--note', note);
  const { stdout } = await bench.run('audit', 'show', sequence);
  for (const name of names) expect(stdout).toContain(name);
  expect(stdout).toContain('flagged by ann: looked at by two people: and then');
  expect(stdout).toMatch(/the end \(2027-03-01 12:00:00, record \d+\)$/m);
  // `…` shows that a text in a list was cut.
  expect((await bench.run('audit', 'list', '--review', 'flagged')).stdout).toMatch(/KEY_\d*[^\n]*…$/m);
});
