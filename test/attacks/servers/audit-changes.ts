import fc from 'fast-check';
import { canonical, GENESIS, hashOf } from '../../../src/audit/chain.ts';
import type { Row, Tables } from './audit-database.ts';

/** Everything that the attacker can change: the database, and the lines of one checkpoint place. */
export interface Attacked {
  readonly tables: Tables;
  lines: string[];
}

/** One change by an attacker who has no key. */
export interface AttackChange {
  readonly name: string;
  readonly apply: (state: Attacked) => void;
}

/** Changes with random places. The log has `length` records. */
export function attackChanges(length: number): fc.Arbitrary<AttackChange> {
  const position = fc.integer({ min: 1, max: length });
  const change = (
    name: string,
    apply: (state: Attacked, a: number, b: number, salt: number) => void,
  ): fc.Arbitrary<AttackChange> =>
    fc
      .tuple(position, position, fc.nat(1_000_000))
      .map(([a, b, salt]) => ({ name: `${name} ${a} ${b}`, apply: (state) => apply(state, a, b, salt) }));
  return fc.oneof(
    change('delete records', ({ tables }, a, b) => remove(tables, (n) => n >= a && n < a + (b % 4) + 1)),
    change('delete records and relink', ({ tables }, a) => {
      remove(tables, (n) => n === a);
      relink(tables);
    }),
    change('cut off the end', ({ tables }, a) => {
      remove(tables, (n) => n > a);
      moveHead(tables);
    }),
    change('cut off the start', ({ tables }, a) => {
      const last = find(tables, a);
      if (last !== undefined) tables.base = [{ ...tables.base[0], sequence: a, hash: String(last.hash) }];
      remove(tables, (n) => n <= a);
    }),
    change('edit a text', ({ tables }, a, b, salt) => editText(tables, a, { durationMs: salt + b })),
    change('edit a text and relink', ({ tables }, a, b, salt) => {
      editText(tables, a, { durationMs: salt + b });
      relink(tables);
    }),
    change('change the action', ({ tables }, a) => {
      editText(tables, a, { action: 'sweep' });
      relink(tables);
    }),
    change('strip the HMACs and relink', ({ tables }, a) => {
      for (const row of tables.records)
        if (Number(row.sequence) >= a) editText(tables, Number(row.sequence), { hmac: undefined });
      relink(tables);
    }),
    change('edit a column', ({ tables }, a, b) => {
      const row = find(tables, a);
      const names = ['action', 'outcome', 'secret', 'mapping', 'code', 'time', 'request_id'];
      const name = names[b % names.length] ?? 'action';
      if (row !== undefined) row[name] = name === 'time' ? '2020-01-01T00:00:00.000Z' : 'other';
    }),
    change('hide a record from searches', ({ tables }, a) => {
      tables.record_sources = tables.record_sources.filter(({ sequence }) => Number(sequence) !== a);
      const row = find(tables, a);
      if (row !== undefined) Object.assign(row, { action: 'sweep', secret: null, mapping: null });
    }),
    change('append a copy', ({ tables }, a) => {
      const row = find(tables, a);
      if (row !== undefined) append(tables, JSON.parse(String(row.record)));
    }),
    change('append a copy without its HMAC', ({ tables }, a) => {
      const row = find(tables, a);
      if (row !== undefined) append(tables, { ...JSON.parse(String(row.record)), hmac: undefined });
    }),
    change('append a forged record', ({ tables }, a, b, salt) => append(tables, forged(a + b, salt))),
    change('insert a forged record', ({ tables }, a, b, salt) => insert(tables, a, forged(b, salt))),
    change('append many absences', ({ tables }, _, __, salt) => {
      for (let count = 0; count < 5; count += 1) append(tables, absence(count * 600_000, salt));
    }),
    change('swap two records', ({ tables }, a, b) => {
      const [one, other] = [find(tables, a), find(tables, b)];
      if (one === undefined || other === undefined) return;
      [one.record, other.record] = [other.record ?? '', one.record ?? ''];
      [one.hash, other.hash] = [other.hash ?? '', one.hash ?? ''];
    }),
    change('open an old intent again', ({ tables }, a) => {
      const intents = tables.records.filter(({ record }) => String(record).includes('"phase":"intent"'));
      const row = intents[a % Math.max(1, intents.length)];
      if (row === undefined) return;
      const { requestId, namespace, secret, attempt } = JSON.parse(String(row.record));
      tables.open_intents.push({
        ...{ sequence: Number(row.sequence), request_id: requestId, namespace, secret, attempt },
        replica: 'gone',
      });
    }),
    change('keep a copy of an old record', ({ tables }, a) => {
      const row = find(tables, a);
      if (row !== undefined) tables.kept.push({ ...row, slot: `slot ${a}` });
    }),
    change('forget the targets', ({ tables }) => {
      tables.targets = [];
    }),
    change('move the head', ({ tables }, a) => {
      const row = find(tables, a);
      tables.head = [{ ...tables.head[0], sequence: a, hash: String(row?.hash ?? GENESIS.hash) }];
    }),
    change('empty the checkpoints', (state) => {
      state.lines = [];
    }),
    change('keep old checkpoints only', (state, a) => {
      state.lines = state.lines.slice(0, a % (state.lines.length + 1));
    }),
    change('edit a checkpoint', (state, a, b) => {
      const at = a % Math.max(1, state.lines.length);
      const line = state.lines[at];
      if (line !== undefined) state.lines[at] = JSON.stringify({ ...JSON.parse(line), sequence: b });
    }),
  );
}

const NOTES = ['to record 1', 'retention: pruned records 1 to 9', 'audit accept --records'];

/** A record with a random purpose, in the form that a process without keys can write. */
function forged(kind: number, salt: number): object {
  const target = { mapping: 'db', namespace: 'apps', secret: 'db' };
  const version = String((salt % 3) + 1);
  const source = { store: 'vault', key: 'db', property: 'password', version };
  const sources = [source, { ...source, property: 'user' }];
  const fingerprint = `${'0badcafe'}:${String(salt).padStart(64, '0')}`;
  const variants = [
    { ...target, action: 'rollback', sources, note: NOTES[0] },
    { ...target, action: 'unpin' },
    { ...target, action: 'update', phase: 'intent', sources, after: fingerprint, note: 'x' },
    { ...target, action: 'delete', phase: 'outcome' },
    {
      ...target,
      action: 'restart',
      phase: 'intent',
      after: fingerprint,
      note: 'Deployment/web',
      attempt: 1,
    },
    { ...target, action: 'release', note: 'id' },
    {
      action: 'sweep',
      note: NOTES[1],
      counts: { last: 9, records: 9, first: 1 },
      actor: { kind: 'schedule' },
    },
    { action: 'command', note: NOTES[2], counts: { records: 3 } },
    { action: 'command', note: 'sync db', mapping: 'db', actor: { kind: 'operator', name: 'ann' } },
    absence(0, salt),
  ];
  const hmac = salt % 2 === 0 ? {} : { hmac: `0badcafe:${'a'.repeat(64)}` };
  return { ...variants[kind % variants.length], ...hmac };
}

function absence(agoMs: number, salt: number): object {
  return {
    action: 'read',
    ...{
      store: 'vault',
      key: 'old',
      outcome: 'failed',
      code: 'SOURCE_ABSENT',
      note: 'definition definition',
    },
    time: new Date(Date.parse('2026-01-01T00:00:00.000Z') - agoMs - salt).toISOString(),
  };
}

function find({ records }: Tables, sequence: number): Row | undefined {
  return records.find((row) => row.sequence === sequence);
}

function remove(tables: Tables, which: (sequence: number) => boolean): void {
  for (const table of ['records', 'record_sources', 'record_fingerprints', 'record_reviews'] as const)
    tables[table] = tables[table].filter(({ sequence }) => !which(Number(sequence)));
}

function editText(tables: Tables, sequence: number, members: object): void {
  const row = find(tables, sequence);
  if (row !== undefined) row.record = canonical({ ...JSON.parse(String(row.record)), ...members });
}

/** Numbers and links all records again, and moves the head, as somebody without keys can do. */
function relink(tables: Tables): void {
  let { sequence, hash } = { sequence: Number(tables.base[0]?.sequence), hash: String(tables.base[0]?.hash) };
  for (const row of tables.records.toSorted((a, b) => Number(a.sequence) - Number(b.sequence))) {
    sequence += 1;
    const text = canonical({ ...JSON.parse(String(row.record)), sequence, previousHash: hash });
    hash = hashOf(text);
    Object.assign(row, { sequence, record: text, hash });
  }
  tables.head = [{ ...tables.head[0], sequence, hash }];
}

function moveHead(tables: Tables): void {
  const last = tables.records.toSorted((a, b) => Number(b.sequence) - Number(a.sequence))[0];
  const { sequence = 0, hash = GENESIS.hash } = last ?? {};
  tables.head = [{ ...tables.head[0], sequence, hash }];
}

/** Appends a record with its search rows. */
function append(tables: Tables, part: object): void {
  const sequence = Math.max(0, ...tables.records.map((row) => Number(row.sequence))) + 1;
  const before = find(tables, sequence - 1);
  push(tables, sequence, String(before?.hash ?? GENESIS.hash), part);
  moveHead(tables);
}

function insert(tables: Tables, at: number, part: object): void {
  for (const table of ['records', 'record_sources', 'record_fingerprints'] as const)
    for (const row of tables[table]) if (Number(row.sequence) >= at) row.sequence = Number(row.sequence) + 1;
  push(tables, at, String(find(tables, at - 1)?.hash ?? GENESIS.hash), part);
  relink(tables);
}

function push(tables: Tables, sequence: number, previousHash: string, part: object): void {
  const record = {
    ...{ actor: { kind: 'cli', name: 'ann' }, requestId: 'forged', outcome: 'ok', sources: [] },
    ...{ keys: { added: [], changed: [], removed: [] }, durationMs: 0, attempt: 1 },
    ...{ instance: 'prod', replica: 'process-1', time: '2026-01-01T00:00:00.000Z' },
    ...part,
    ...{ sequence, previousHash },
  } as Record<string, unknown> & { sources: { store: string; key: string; version: string }[] };
  const text = canonical(record);
  const column = (name: string) => (record[name] === undefined ? null : String(record[name]));
  tables.records.push({
    ...{ sequence, record: text, hash: hashOf(text), time: column('time'), action: column('action') },
    ...{ actor_kind: 'cli', actor_name: 'ann', request_id: column('requestId'), outcome: column('outcome') },
    ...{ code: column('code'), mapping: column('mapping'), namespace: column('namespace') },
    secret: column('secret'),
  });
  const own = record.store === undefined ? [] : [{ store: record.store, key: record.key, version: '' }];
  const sources = new Map([...own, ...record.sources].map((source) => [JSON.stringify(source), source]));
  const rows = new Map(
    [...sources.values()].map(({ store, key, version }) => [
      JSON.stringify([store, key, version]),
      { sequence, store: String(store), key: String(key), version, action: String(record.action) },
    ]),
  );
  tables.record_sources.push(...rows.values());
}
