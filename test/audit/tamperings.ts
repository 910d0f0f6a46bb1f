import { createHash, generateKeyPairSync } from 'node:crypto';
import { append, canonical, GENESIS, hashOf } from '../../src/audit/chain.ts';
import type { Checkpoint } from '../../src/audit/checkpoint/checkpoint.ts';
import { createSigner, keysById } from '../../src/audit/checkpoint/signing.ts';
import type { AuditRecord, Entry } from '../../src/audit/entry.ts';
import type { Evidence } from '../../src/audit/verify/evidence.ts';
import { fingerprint } from './sample.ts';

/** The rows of a store, by table. */
export interface Rows {
  records: Row[];
  record_sources: Row[];
  record_fingerprints: Row[];
  head: Row[];
  base: Row[];
  record_reviews: Row[];
  spans: Row[];
}
export type Row = Record<string, string | number | null>;

/** A tampering with a log of `LENGTH` records, and the report that verification must give. */
export interface Tampering {
  readonly what: string;
  readonly rows: Rows;
  readonly evidence: Evidence;
  readonly expected: { readonly kind: string; readonly sequence: number };
  /** True if the tampering is visible only in the store, because an export contains only the texts of the records. */
  readonly columnsOnly: boolean;
}

const SEARCH_TABLES = ['record_sources', 'record_fingerprints'] as const;

export const LENGTH = 30;
const SIGNED = [10, 20, 28];

/** Deterministic pseudo-random numbers (https://en.wikipedia.org/wiki/Xorshift). */
export function createRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** Different kinds of records, including reviews. */
export function entries(): readonly Entry[] {
  return Array.from({ length: LENGTH }, (_, index): Entry => {
    const n = index + 1;
    const common = {
      actor: { kind: 'cli', name: n % 2 === 0 ? 'ann' : 'bob' },
      requestId: `request-${Math.ceil(n / 2)}`,
      outcome: 'ok',
      sources: [{ store: 'team-vault', key: `payments/${n}`, version: String(n) }],
      keys: { added: [], changed: ['DB_PASSWORD'], removed: [] },
      durationMs: n,
      attempt: n,
    } as const;
    if (n % 5 === 0)
      return {
        ...common,
        action: 'review',
        sources: [],
        review: { sequence: n - 1, state: 'flagged' },
        note: 'why?',
      };
    const target = {
      mapping: `db-${n}`,
      namespace: 'payments',
      secret: `db-${n}`,
      before: fingerprint(n),
      after: fingerprint(n + 1),
      values: { DB_PASSWORD: fingerprint(1_000 + n), API_KEY: fingerprint(n % 7) },
    };
    return { ...common, ...target, action: 'update', phase: n % 2 === 0 ? 'outcome' : 'intent' };
  });
}

export interface Original {
  readonly rows: Rows;
  /** Two logs that are made from `ENTRIES`: one by another instance, and one by this instance at another time. */
  readonly others: { readonly foreign: Rows; readonly twin: Rows };
}

const signer = createSigner(generateKeyPairSync('ed25519').privateKey);
export const PUBLIC_KEY = signer.publicKey;

export function checkpointsOf({ records }: Rows): readonly Checkpoint[] {
  return SIGNED.map((sequence) =>
    signer.sign({
      sequence,
      hash: String(records[sequence - 1]?.hash),
      time: `2026-11-25T12:${sequence}:00.000Z`,
      instance: 'test',
    }),
  );
}

type Pick = (below: number) => number;
type TamperingResult = Partial<Omit<Tampering, 'what' | 'rows'>> & RequiredResult;
type RequiredResult = { readonly rows: Rows; readonly expected: Tampering['expected'] };
type TamperingKind = (rows: Rows, pick: Pick, original: Original) => TamperingResult;

/** A random sequence number between `from` and `until`. */
const randomSequence = (pick: Pick, from = 1, until = LENGTH): number => from + pick(until - from + 1);

const TAMPERINGS: Readonly<Record<string, TamperingKind>> = {
  'edit a field': (rows, pick) => {
    const n = randomSequence(pick);
    const record = recordAt(rows, n);
    const names = Object.keys(record);
    const name = names[pick(names.length)] ?? 'note';
    const values = ['changed', 4_711, null, [['x']], { a: 1 }, undefined, true];
    setText(rows, n, canonical({ ...record, [name]: values[pick(values.length)] }));
    return { rows, expected: { kind: 'edited', sequence: n } };
  },
  'add a field': (rows, pick) => {
    const n = randomSequence(pick);
    setText(rows, n, canonical({ ...recordAt(rows, n), [`extra${pick(9)}`]: 'x' }));
    return { rows, expected: { kind: 'edited', sequence: n } };
  },
  'change one byte': (rows, pick) => {
    const n = randomSequence(pick);
    const text = String(row(rows, n).record);
    const at = pick(text.length);
    const old = text.charCodeAt(at);
    setText(
      rows,
      n,
      `${text.slice(0, at)}${String.fromCharCode(old === 0x30 ? 0x31 : 0x30)}${text.slice(at + 1)}`,
    );
    return { rows, expected: { kind: 'edited', sequence: n } };
  },
  'edit a hash': (rows, pick) => {
    const n = randomSequence(pick);
    row(rows, n).hash = createHash('sha256')
      .update(String(pick(1e9)))
      .digest('hex');
    return { rows, expected: { kind: 'edited', sequence: n } };
  },
  'edit and recompute the hash': (rows, pick) => {
    const n = randomSequence(pick, 2, LENGTH - 1);
    rehash(rows, n, { note: `nothing happened ${pick(9)}` });
    return { rows, expected: { kind: 'edited', sequence: n } };
  },
  'edit a search column': (rows, pick) => {
    const n = randomSequence(pick);
    const columns = Object.keys(row(rows, n)).filter(
      (name) => !['sequence', 'hash', 'record'].includes(name),
    );
    const column = columns[pick(columns.length)] ?? '';
    const before = row(rows, n)[column] ?? null;
    row(rows, n)[column] =
      typeof before === 'number'
        ? before + 1
        : before === null
          ? otherValue(column)
          : isOptional(column) && pick(2) === 0
            ? null
            : `${before}x`;
    return { rows, columnsOnly: true, expected: { kind: 'edited', sequence: n } };
  },
  'edit a source row': (rows, pick) => {
    const found = rows.record_sources[pick(rows.record_sources.length)];
    if (found === undefined) throw new Error('no sources');
    const n = Number(found.sequence);
    const variant = pick(3);
    if (variant === 0) rows.record_sources.splice(rows.record_sources.indexOf(found), 1);
    else if (variant === 1) found.key = 'other';
    else rows.record_sources.push({ ...found, store: 'other' });
    return { rows, columnsOnly: true, expected: { kind: 'edited', sequence: n } };
  },
  'edit a fingerprint row': (rows, pick) => {
    const found = rows.record_fingerprints[pick(rows.record_fingerprints.length)];
    if (found === undefined) throw new Error('no fingerprints');
    const n = Number(found.sequence);
    const variant = pick(3);
    if (variant === 0) rows.record_fingerprints.splice(rows.record_fingerprints.indexOf(found), 1);
    else if (variant === 1) found.fingerprint = fingerprint(9_999);
    else rows.record_fingerprints.push({ ...found, fingerprint: fingerprint(9_999) });
    return { rows, columnsOnly: true, expected: { kind: 'edited', sequence: n } };
  },
  'edit a review row': (rows, pick) => {
    const found = rows.record_reviews[pick(rows.record_reviews.length)];
    if (found === undefined) throw new Error('no review rows');
    const [n, review] = [Number(found.sequence), Number(found.review)];
    const variant = pick(4);
    if (variant === 0) rows.record_reviews.splice(rows.record_reviews.indexOf(found), 1);
    else if (variant === 1) found.state = 'reviewed';
    else if (variant === 2) found.review = review - 1;
    else rows.record_reviews.push({ sequence: n - 1, state: 'flagged', review });
    const sequence = [review, n, n, n - 1][variant] ?? n;
    return { rows, columnsOnly: true, expected: { kind: 'edited', sequence } };
  },
  'edit a span row': (rows, pick) => {
    const [span] = rows.spans;
    if (span === undefined) throw new Error('no spans');
    const variant = pick(3);
    if (variant === 0) rows.spans = [];
    else
      span[variant === 1 ? 'since' : 'until'] =
        variant === 1 ? '2099-01-01T00:00:00.000Z' : '2000-01-01T00:00:00.000Z';
    return { rows, columnsOnly: true, expected: { kind: 'edited', sequence: 1 } };
  },
  'change a review': (rows, pick) => {
    const n = 5 * randomSequence(pick, 1, LENGTH / 5);
    const record = recordAt(rows, n);
    const change = [
      { review: { sequence: n - 1, state: 'reviewed' } },
      { review: { sequence: n - 2, state: 'flagged' } },
      { note: 'fine' },
      { review: null },
    ];
    const changed = { ...record, ...change[pick(change.length)] };
    if (n < LENGTH && pick(2) === 0) rehash(rows, n, changed);
    else setText(rows, n, canonical(changed));
    return { rows, expected: { kind: 'edited', sequence: n } };
  },
  delete: (rows, pick) => {
    const n = randomSequence(pick, 1, LENGTH - 1);
    const to = Math.min(LENGTH - 1, n + pick(4));
    keepRecords(rows, (sequence) => sequence < n || sequence > to);
    // An export may start at any record, so an export cannot show that its first records are missing.
    return { rows, columnsOnly: n === 1, expected: { kind: 'deleted', sequence: n } };
  },
  'delete and renumber': (rows, pick) => {
    const n = randomSequence(pick, 1, LENGTH - 1);
    keepRecords(rows, (sequence) => sequence !== n);
    for (const sequence of range(n + 1, LENGTH)) moveRecord(rows, sequence, sequence - 1, true);
    return { rows, expected: { kind: 'deleted', sequence: n } };
  },
  'delete the first records and move the base': (rows, pick) => {
    const n = randomSequence(pick, 11, 19);
    rows.base = [{ ...rows.base[0], sequence: n, hash: String(row(rows, n).hash) }];
    keepRecords(rows, (sequence) => sequence > n);
    return { rows, columnsOnly: true, expected: { kind: 'deleted', sequence: 1 } };
  },
  'delete up to a checkpoint and move the base': (rows, pick) => {
    const n = SIGNED[pick(SIGNED.length)] ?? 0;
    rows.base = rows.base.map((base) => ({ ...base, sequence: n, hash: String(row(rows, n).hash) }));
    keepRecords(rows, (sequence) => sequence > n);
    return { rows, columnsOnly: true, expected: { kind: 'deleted', sequence: 1 } };
  },
  'insert a copy': (rows, pick) => {
    const [from, to] = [randomSequence(pick), randomSequence(pick)];
    const copy = { ...row(rows, from) };
    shift(rows, to);
    rows.records.push({ ...copy, sequence: to });
    // If a record follows its copy, both are equal, and the second of them counts as inserted.
    return { rows, expected: { kind: 'inserted', sequence: from === to ? to + 1 : to } };
  },
  'insert a forged record': (rows, pick, { others }) => {
    const n = randomSequence(pick, 2);
    const before = String(row(rows, n - 1).hash);
    const model = others.twin.records[n - 1];
    const linked = pick(2) === 0;
    shift(rows, n);
    const text = canonical({
      ...JSON.parse(String(model?.record)),
      sequence: n,
      previousHash: linked ? before : 'f'.repeat(64),
    });
    rows.records.push({ ...model, sequence: n, record: text, hash: hashOf(text) } as Row);
    return { rows, expected: { kind: 'inserted', sequence: n } };
  },
  swap: (rows, pick) => {
    const a = randomSequence(pick);
    const b = otherSequence(pick, a);
    const renumber = pick(2) === 0;
    moveRecord(rows, a, 1_000, false);
    moveRecord(rows, b, a, renumber);
    moveRecord(rows, 1_000, b, renumber);
    return { rows, expected: { kind: 'reordered', sequence: Math.min(a, b) } };
  },
  reorder: (rows, pick) => {
    const from = randomSequence(pick);
    const to = otherSequence(pick, from);
    moveRecord(rows, from, 1_000, false);
    const between = from < to ? range(from + 1, to) : range(to, from - 1).toReversed();
    for (const sequence of between) moveRecord(rows, sequence, sequence + (from < to ? -1 : 1), false);
    moveRecord(rows, 1_000, to, false);
    return { rows, expected: { kind: 'reordered', sequence: Math.min(from, to) } };
  },
  truncate: (rows, pick) => {
    const n = randomSequence(pick, 1, LENGTH - 1);
    keepRecords(rows, (sequence) => sequence <= n);
    // In half of the cases, the tampering also moves the head back. In these cases, only a checkpoint reveals the
    // tampering.
    const movesHead = n < 28 && pick(2) === 0;
    if (movesHead) moveHead(rows);
    return { rows, columnsOnly: !movesHead && n >= 28, expected: { kind: 'truncated', sequence: n + 1 } };
  },
  'delete everything': (rows) => {
    keepRecords(rows, () => false);
    return { rows, columnsOnly: true, expected: { kind: 'truncated', sequence: 1 } };
  },
  'move the head back': (rows, pick) => {
    const n = pick(LENGTH);
    rows.head = rows.head.map((head) => ({
      ...head,
      sequence: n,
      hash: n === 0 ? GENESIS.hash : String(row(rows, n).hash),
    }));
    return { rows, columnsOnly: true, expected: { kind: 'edited', sequence: n + 1 } };
  },
  'delete the head': (rows) => {
    rows.head = [];
    return { rows, columnsOnly: true, expected: { kind: 'edited', sequence: 1 } };
  },
  'edit the head': (rows, pick) => {
    const ahead = pick(2) === 0;
    const [head] = rows.head;
    if (head !== undefined && ahead) head.sequence = LENGTH + 1 + pick(9);
    if (head !== undefined && !ahead) head.hash = hashOf(String(pick(1e9)));
    const expected = ahead
      ? { kind: 'truncated', sequence: LENGTH + 1 }
      : { kind: 'edited', sequence: LENGTH };
    return { rows, columnsOnly: true, expected };
  },
  'splice in the chain of another instance': (rows, pick, { others }) => {
    const n = randomSequence(pick, 3, LENGTH - 1);
    splice(rows, others.foreign, n);
    return { rows, expected: { kind: 'inserted', sequence: n } };
  },
  'splice in a chain of the same instance': (rows, pick, { others }) => {
    const n = randomSequence(pick, 3, LENGTH - 1);
    splice(rows, others.twin, n);
    return { rows, expected: { kind: 'edited', sequence: n - 1 } };
  },
  'rewrite the tail': (rows, pick) => {
    const n = randomSequence(pick, 1, 28);
    rewrite(rows, n, pick(9));
    if (pick(2) === 0) moveHead(rows);
    return { rows, expected: { kind: 'checkpoint', sequence: SIGNED.find((at) => at >= n) ?? 0 } };
  },
  'rewrite the tail and truncate it': (rows, pick) => {
    const n = randomSequence(pick, 1, 19);
    const end = n + pick(28 - n);
    rewrite(rows, n, pick(9));
    keepRecords(rows, (sequence) => sequence <= end);
    moveHead(rows);
    const signed = SIGNED.find((at) => at >= n && at <= end);
    const expected =
      signed === undefined
        ? { kind: 'truncated', sequence: end + 1 }
        : { kind: 'checkpoint', sequence: signed };
    return { rows, expected };
  },
  'forge a checkpoint': (rows, pick) => {
    const checkpoints = [...checkpointsOf(rows)];
    const at = pick(checkpoints.length);
    const forged = checkpoints[at];
    if (forged === undefined) throw new Error('no checkpoint');
    const change = [
      { hash: 'a'.repeat(64) },
      { time: '2027-01-01T00:00:00.000Z' },
      { accepts: 99 },
      { keyId: 'f'.repeat(16) },
      { instance: 'other' },
    ];
    checkpoints[at] = { ...forged, ...change[pick(change.length)] };
    const evidence = { checkpoints, keys: keysById([signer.publicKey]) };
    return { rows, evidence, expected: { kind: 'checkpoint', sequence: forged.sequence } };
  },
};

/** The number of kinds of tampering. */
export const KINDS = Object.keys(TAMPERINGS).length;

/** `npm run test:long` tries more positions. */
export const isLong = process.env.SECRETBRIDGE_TEST_LONG === '1';

/** Yields `count` tamperings. It cycles through all kinds and chooses the positions at random. */
export function* tamperings(original: Original, count: number, seed = 20_261_125): Generator<Tampering> {
  const pick = createRandom(seed);
  const kinds = Object.entries(TAMPERINGS);
  const evidence = { checkpoints: checkpointsOf(original.rows), keys: keysById([signer.publicKey]) };
  for (let index = 0; index < count; index += 1) {
    const [what, variant] = kinds[index % kinds.length] ?? [];
    if (what === undefined || variant === undefined) return;
    yield { what, columnsOnly: false, evidence, ...variant(structuredClone(original.rows), pick, original) };
  }
}

function row(rows: Rows, sequence: number): Row {
  const found = rows.records.find((record) => record.sequence === sequence);
  if (found === undefined) throw new Error(`no record ${sequence}`);
  return found;
}

function recordAt(rows: Rows, sequence: number): Record<string, unknown> {
  return JSON.parse(String(row(rows, sequence).record));
}

function setText(rows: Rows, sequence: number, text: string): void {
  row(rows, sequence).record = text;
}

function rehash(rows: Rows, sequence: number, part: object): void {
  const text = canonical({ ...recordAt(rows, sequence), ...part });
  Object.assign(row(rows, sequence), { record: text, hash: hashOf(text) });
}

function keepRecords(rows: Rows, which: (sequence: number) => boolean): void {
  rows.records = rows.records.filter(({ sequence }) => which(Number(sequence)));
  for (const table of SEARCH_TABLES)
    rows[table] = rows[table].filter(({ sequence }) => which(Number(sequence)));
}

/**
 * Moves the row of a record and the rows of its sources. With `renumber`, also changes the sequence number in the text
 * of the record.
 */
function moveRecord(rows: Rows, from: number, to: number, renumber: boolean): void {
  const moved = row(rows, from);
  moved.sequence = to;
  if (renumber) moved.record = canonical({ ...JSON.parse(String(moved.record)), sequence: to });
  for (const table of SEARCH_TABLES)
    for (const searchRow of rows[table]) if (searchRow.sequence === from) searchRow.sequence = to;
}

function shift(rows: Rows, from: number): void {
  for (const sequence of range(from, LENGTH).toReversed()) moveRecord(rows, sequence, sequence + 1, false);
}

function splice(rows: Rows, otherRows: Rows, from: number): void {
  keepRecords(rows, (sequence) => sequence < from);
  const { records, ...beside } = structuredClone(otherRows);
  rows.records.push(...records.filter(({ sequence }) => Number(sequence) >= from));
  for (const table of SEARCH_TABLES)
    rows[table].push(...beside[table].filter(({ sequence }) => Number(sequence) >= from));
}

/** Recomputes every hash from a record on, as an attacker could who knows the format. */
function rewrite(rows: Rows, from: number, salt: number): void {
  let head = from === 1 ? GENESIS : { sequence: from - 1, hash: String(row(rows, from - 1).hash) };
  for (const sequence of range(from, LENGTH)) {
    const record = recordAt(rows, sequence) as unknown as AuditRecord;
    const entry = sequence === from ? { ...record, durationMs: 100_000 + salt } : record;
    const { stored, record: rewritten } = append(head, entry, record);
    Object.assign(row(rows, sequence), { record: stored.text, hash: stored.hash });
    head = rewritten;
  }
}

function moveHead(rows: Rows): void {
  const last = rows.records.reduce((a, b) => (Number(b.sequence) > Number(a.sequence) ? b : a));
  rows.head = [{ ...rows.head[0], sequence: Number(last.sequence), hash: String(last.hash) } as Row];
}

function range(from: number, to: number): readonly number[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index);
}

function otherSequence(pick: Pick, from: number): number {
  const to = randomSequence(pick, 1, LENGTH - 1);
  return to >= from ? to + 1 : to;
}

const isOptional = (column: string): boolean => /^(mapping|namespace|secret|fingerprint)/.test(column);

function otherValue(column: string): string | number {
  return column.startsWith('review') ? 1 : 'x';
}
