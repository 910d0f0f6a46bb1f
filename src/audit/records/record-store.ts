import { GENESIS, type Head } from '../chain.ts';
import type { AuditRecord, Entry } from '../entry.ts';
import { auditUnavailable, withStoreAddress } from '../errors.ts';
import type { MovableAudit } from '../move/movable-audit.ts';
import type { StoredRetainedRecord } from '../retention/retained-records.ts';
import { sanitizeEntry } from '../sanitize-entry.ts';
import type { Review, ScanOptions } from '../store.ts';
import { importRecords, importRetained } from './append.ts';
import { keepConfiguration, readConfiguration, readConfigurationHash } from './configurations.ts';
import type { AuditDatabase } from './database.ts';
import { latest } from './latest.ts';
import { pruneRecords } from './prune.ts';
import * as queries from './queries.ts';
import { createRecordIndex } from './record-index.ts';
import { reviewOf } from './reviews.ts';
import { search } from './search.ts';
import { sql } from './sql.ts';
import { readChunk, recordParser, type StoredRow } from './stored-rows.ts';
import { createSummaries } from './summaries.ts';

/** How many records one query reads. The event loop can run other work between two pages. */
const PAGE = 500;

/** The first page is small, because some callers need only one record. */
const FIRST_PAGE = 4;

type RecordReader = Pick<
  MovableAudit,
  | 'list'
  | 'get'
  | 'latest'
  | 'openAttempts'
  | 'targets'
  | 'configuration'
  | 'keptConfiguration'
  | 'storedRecords'
  | 'head'
  | 'base'
  | 'reviews'
  | 'index'
  | 'summaries'
  | 'retainedRecords'
  | 'moveSource'
>;

type RecordStore = RecordReader &
  Pick<
    MovableAudit,
    | 'address'
    | 'append'
    | 'keepConfiguration'
    | 'prune'
    | 'importRecords'
    | 'importRetained'
    | 'setMoveSource'
  >;

export interface RecordStoreOptions {
  readonly access: StoreAccess;
  readonly database: AuditDatabase;
  /** Appends sanitized entries. These entries may share a transaction with the entries of other callers. */
  readonly append: (entries: readonly Entry[]) => Promise<readonly AuditRecord[]>;
}

/** The operations of an audit store that both databases share. */
export function createRecordStore({ access, database, append }: RecordStoreOptions): RecordStore {
  const { address, use, assertWritable } = access;
  const reader = createRecordReader(address, database);
  const write = <T>(work: () => Promise<T>): Promise<T> =>
    use(async () => {
      assertWritable();
      return await work();
    });
  return {
    ...reader,
    address,
    append: (entries) =>
      write(async () => {
        // Sanitize before batching, so that a malformed entry fails only its own caller.
        const sanitized = entries.map(sanitizeEntry);
        return sanitized.length === 0 ? [] : await append(sanitized);
      }),
    keepConfiguration: (instance, change) => write(() => keepConfiguration(database, instance, change)),
    prune: (until) => write(() => pruneRecords(database, reader.storedRecords, until)),
    importRecords: (records, base) => write(() => importRecords(database, records, base)),
    importRetained: (records) => write(() => importRetained(database, records)),
    setMoveSource: (source) =>
      write(() =>
        database.transact(async ({ query }) => {
          await query(sql`update base set moving = ${source ?? null}`);
        }),
      ),
  };
}

/** Decides whether an operation may use the store. */
export interface StoreAccess {
  readonly address: string;
  /** Runs an operation, and names the store in its errors. Fails after the store was closed. */
  use<T>(work: () => Promise<T>): Promise<T>;
  assertWritable(): void;
  /** Makes later operations fail. Returns false if the store was already closed. */
  close(): boolean;
}

export function createStoreAccess(address: string, isReadOnly: boolean): StoreAccess {
  let closed = false;
  return {
    address,
    use: (work) =>
      withStoreAddress(address, () => (closed ? Promise.reject(auditUnavailable('it is closed')) : work())),
    assertWritable() {
      if (isReadOnly) throw auditUnavailable('it was opened for reading only');
    },
    close() {
      const wasOpen = !closed;
      closed = true;
      return wasOpen;
    },
  };
}

function createRecordReader(address: string, database: AuditDatabase): RecordReader {
  const toRecord = recordParser(address);
  const { query } = database;
  return {
    list: async (filter, page) => (await search(database, filter, page)).map(toRecord),
    storedRecords: (from, options) => storedRecords(database, from, options),
    retainedRecords: () => retainedRecords(database),
    async get(sequence) {
      const [row] = await query(queries.recordQuery(sequence));
      return row && toRecord(row);
    },
    async latest(filter, actions, before) {
      const row = await latest(database, filter, actions, before);
      return row && toRecord(row);
    },
    async openAttempts(requestId, target) {
      const open = await database.queryBatched(queries.openAttemptsQuery(requestId, target));
      return open.map(({ attempt }) => attempt);
    },
    async targets() {
      const rows = await query(queries.targetsQuery);
      return rows.map(({ namespace, secret }) => ({ namespace, secret }));
    },
    configuration: (instance) => readConfiguration(database, instance),
    keptConfiguration: (instance) => readConfigurationHash(query, instance),
    async reviews(sequences) {
      const found = new Map<number, Review>();
      for (let start = 0; start < sequences.length; start += PAGE) {
        const part = sequences.slice(start, start + PAGE);
        for (const { reviewed, ...row } of await query(queries.reviewsQuery(part))) {
          const review = reviewOf(toRecord(row));
          if (review !== undefined) found.set(reviewed, review);
        }
      }
      return found;
    },
    index: createRecordIndex(database, toRecord),
    summaries: createSummaries(database),
    head: async () => headOf((await query(queries.headQuery))[0]),
    base: async () => headOf((await query(queries.baseQuery))[0]),
    moveSource: async () => (await query(queries.baseQuery))[0]?.moving ?? undefined,
  };
}

async function* storedRecords(
  database: AuditDatabase,
  from: number,
  { textOnly = false }: ScanOptions = {},
): AsyncGenerator<StoredRow> {
  for (let next = from; ; ) {
    const limit = next === from ? FIRST_PAGE : PAGE;
    const chunk = { from: next, isContinuation: next > from, limit, textOnly };
    const page = await database.snapshot((query) => readChunk(query, chunk));
    yield* page;
    const last = page.at(-1);
    if (last === undefined || page.length < limit) return;
    next = last.sequence + 1;
  }
}

async function* retainedRecords({ query }: AuditDatabase): AsyncGenerator<StoredRetainedRecord> {
  for (let after = 0; ; ) {
    const page = await query(queries.retainedPageQuery(after, PAGE));
    for (const { record: text, hash, open } of page)
      yield { text, hash, columnsMatch: true, open: open !== null };
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return;
    after = last.sequence;
  }
}

function headOf(row: Head | undefined): Head {
  return row === undefined ? GENESIS : { sequence: row.sequence, hash: row.hash };
}
