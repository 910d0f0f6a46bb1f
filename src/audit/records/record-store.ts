import { GENESIS, type Head } from '../chain.ts';
import type { AuditRecord } from '../entry.ts';
import { auditUnavailable } from '../errors.ts';
import type { MovableAudit } from '../move/movable-audit.ts';
import type { StoredRetainedRecord } from '../retention/retained-records.ts';
import type { Page, RecordFilter, Review } from '../store.ts';
import { importRecords, importRetained } from './append.ts';
import type { AuditDatabase } from './database.ts';
import { pruneRecords } from './prune.ts';
import * as queries from './queries.ts';
import { reviewOf } from './reviews.ts';
import { latest, search } from './search.ts';
import { sql } from './sql.ts';
import { readChunk, recordParser, type StoredRow } from './stored-rows.ts';

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
  | 'storedRecords'
  | 'head'
  | 'base'
  | 'reviews'
  | 'retainedRecords'
  | 'moveSource'
>;

type RecordStore = RecordReader &
  Pick<MovableAudit, 'prune' | 'importRecords' | 'importRetained' | 'setMoveSource'>;

export interface RecordStoreOptions {
  readonly address: string;
  readonly database: AuditDatabase;
  readonly isReadOnly: boolean;
}

/** The operations of an audit store that both databases share. */
export function createRecordStore({ address, database, isReadOnly }: RecordStoreOptions): RecordStore {
  const reader = createRecordReader(address, database);

  function writable(): AuditDatabase {
    if (isReadOnly)
      throw auditUnavailable('it was opened for reading only').withSubject(`audit store ${address}`);
    return database;
  }

  return {
    ...reader,
    prune: async (until) => pruneRecords(writable(), reader.storedRecords, until),
    importRecords: async (records, base) => importRecords(writable(), records, base),
    importRetained: async (records) => importRetained(writable(), records),
    setMoveSource: async (source) =>
      writable().transact(async ({ query }) => {
        await query(sql`update base set moving = ${source ?? null}`);
      }),
  };
}

function createRecordReader(address: string, database: AuditDatabase): RecordReader {
  const toRecord = recordParser(address);
  const { query } = database;

  async function list(filter: RecordFilter, page: Page): Promise<readonly AuditRecord[]> {
    return (await search(database, filter, page)).map(toRecord);
  }

  async function* storedRecords(from: number): AsyncGenerator<StoredRow> {
    for (let next = from; ; ) {
      const limit = next === from ? FIRST_PAGE : PAGE;
      const chunk = { from: next, isContinuation: next > from, limit };
      const page = await database.snapshot((snapshot) => readChunk(snapshot, chunk));
      yield* page;
      const last = page.at(-1);
      if (last === undefined || page.length < limit) return;
      next = last.sequence + 1;
    }
  }

  async function* retainedRecords(): AsyncGenerator<StoredRetainedRecord> {
    for (let after = 0; ; ) {
      const page = await query(queries.retainedPageQuery(after, PAGE));
      for (const { record: text, hash, open } of page)
        yield { text, hash, columnsMatch: true, open: open !== null };
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) return;
      after = last.sequence;
    }
  }

  async function reviews(sequences: readonly number[]): Promise<ReadonlyMap<number, Review>> {
    const found = new Map<number, Review>();
    for (let start = 0; start < sequences.length; start += PAGE) {
      const part = sequences.slice(start, start + PAGE);
      for (const { reviewed, ...row } of await query(queries.reviewsQuery(part))) {
        const review = reviewOf(toRecord(row));
        if (review !== undefined) found.set(reviewed, review);
      }
    }
    return found;
  }

  return {
    list,
    storedRecords,
    retainedRecords,
    reviews,
    async get(sequence) {
      const [row] = await query(queries.recordQuery(sequence));
      return row && toRecord(row);
    },
    async latest(filter, actions) {
      const row = await latest(database, filter, actions);
      return row && toRecord(row);
    },
    async openAttempts(requestId, target) {
      const open = await query(queries.openAttemptsQuery(requestId, target));
      return open.map(({ attempt }) => attempt);
    },
    async targets() {
      const rows = await query(queries.targetsQuery);
      return rows.map(({ namespace, secret }) => ({ namespace, secret }));
    },
    head: async () => headOf((await query(queries.headQuery))[0]),
    base: async () => headOf((await query(queries.baseQuery))[0]),
    moveSource: async () => (await query(queries.baseQuery))[0]?.moving ?? undefined,
  };
}

function headOf(row: Head | undefined): Head {
  return row === undefined ? GENESIS : { sequence: row.sequence, hash: row.hash };
}
