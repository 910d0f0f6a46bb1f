import { GENESIS } from '../chain.ts';
import type { AuditRecord } from '../entry.ts';
import type { MovableAudit } from '../move/movable-audit.ts';
import type { Page, RecordFilter, Review } from '../store.ts';
import { latest } from './latest.ts';
import * as queries from './queries.ts';
import { reviewOf } from './reviews.ts';
import { type SearchContext, search } from './search.ts';
import { recordParser, type StoredRow } from './stored-rows.ts';

/** A request for a range of records, oldest first. */
export interface Chunk {
  readonly from: number;
  /** Whether this chunk continues an earlier one. */
  readonly isContinuation: boolean;
  readonly limit: number;
}

export interface RecordSource extends SearchContext {
  readonly address: string;
  readonly readChunk: (part: Chunk) => Promise<readonly StoredRow[]>;
}

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
  | 'base'
  | 'reviews'
  | 'retainedRecords'
  | 'moveSource'
>;

/**
 * The read operations of an audit store, shared by both databases. The databases differ only in how they run a query.
 */
export function createRecordReader(source: RecordSource): RecordReader {
  const { address, db, runQuery, readChunk } = source;
  const toRecord = recordParser(address);

  async function list(filter: RecordFilter, page: Page): Promise<readonly AuditRecord[]> {
    return (await search(source, filter, page)).map(toRecord);
  }

  async function* stored(from: number): AsyncGenerator<StoredRow> {
    for (let next = from; ; ) {
      const limit = next === from ? FIRST_PAGE : PAGE;
      const page = await readChunk({ from: next, isContinuation: next > from, limit });
      yield* page;
      const last = page.at(-1);
      if (last === undefined || page.length < limit) return;
      next = last.sequence + 1;
    }
  }

  return {
    list,
    async get(sequence) {
      const [row] = await runQuery(queries.recordQuery(db, sequence));
      return row && toRecord(row);
    },
    async latest(filter, actions) {
      const row = await latest(source, filter, actions);
      return row && toRecord(row);
    },
    async openAttempts(requestId, target) {
      const open = await runQuery(queries.openAttemptsQuery(db, requestId, target));
      return open.map(({ attempt }) => attempt);
    },
    async targets() {
      const rows = await runQuery(queries.targetsQuery(db));
      return rows.map(({ namespace, secret }) => ({ namespace, secret }));
    },
    storedRecords: stored,
    async base() {
      const [base] = await runQuery(queries.baseQuery(db));
      return base === undefined ? GENESIS : { sequence: base.sequence, hash: base.hash };
    },
    async reviews(sequences) {
      const reviews = new Map<number, Review>();
      for (let start = 0; start < sequences.length; start += PAGE) {
        const part = sequences.slice(start, start + PAGE);
        for (const { reviewed, ...row } of await runQuery(queries.reviewsQuery(db, part))) {
          const review = reviewOf(toRecord(row));
          if (review !== undefined) reviews.set(reviewed, review);
        }
      }
      return reviews;
    },
    async *retainedRecords() {
      for (let after = 0; ; ) {
        const page = await runQuery(queries.retainedPageQuery(db, after, PAGE));
        yield* page.map(({ record: text, hash, open }) => ({
          text,
          hash,
          columnsMatch: true,
          open: open !== null,
        }));
        const last = page.at(-1);
        if (last === undefined || page.length < PAGE) return;
        after = last.sequence;
      }
    },
    moveSource: async () => (await runQuery(queries.baseQuery(db)))[0]?.moving ?? undefined,
  };
}
