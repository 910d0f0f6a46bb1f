import { GENESIS } from '../chain.ts';
import type { AuditRecord } from '../entry.ts';
import type { MovableAudit } from '../move/moving.ts';
import type { Page, RecordFilter, Review } from '../store.ts';
import { latest } from './latest.ts';
import * as queries from './queries.ts';
import { reviewOf } from './reviews.ts';
import { type Searched, search } from './search.ts';
import { readable, type StoredRow } from './stored.ts';

/** A part of the records, oldest first. */
export interface Part {
  readonly from: number;
  /** Another part came before it. */
  readonly within: boolean;
  readonly limit: number;
}

export interface Source extends Searched {
  readonly address: string;
  readonly readPart: (part: Part) => Promise<readonly StoredRow[]>;
}

/** How many records are read at once: between two pages others get their turn. */
const PAGE = 500;

/** Whoever wants to know of one record alone goes no further than the first page. */
const FIRST_PAGE = 4;

type Reading = Pick<
  MovableAudit,
  'list' | 'get' | 'latest' | 'openAttempts' | 'targets' | 'stored' | 'base' | 'reviews' | 'kept' | 'moving'
>;

/** What a store answers, whatever its database: that differs in how a query is run. */
export function createReading(source: Source): Reading {
  const { address, db, ask, readPart } = source;
  const toRecord = readable(address);

  async function list(filter: RecordFilter, page: Page): Promise<readonly AuditRecord[]> {
    return (await search(source, filter, page)).map(toRecord);
  }

  async function* stored(from: number): AsyncGenerator<StoredRow> {
    for (let next = from; ; ) {
      const limit = next === from ? FIRST_PAGE : PAGE;
      const page = await readPart({ from: next, within: next > from, limit });
      yield* page;
      const last = page.at(-1);
      if (last === undefined || page.length < limit) return;
      next = last.sequence + 1;
    }
  }

  return {
    list,
    async get(sequence) {
      const [found] = await ask(queries.recordQuery(db, sequence));
      return found && toRecord(found);
    },
    async latest(filter, actions) {
      const found = await latest(source, filter, actions);
      return found && toRecord(found);
    },
    async openAttempts(requestId, target) {
      const open = await ask(queries.openAttemptsQuery(db, requestId, target));
      return open.map(({ attempt }) => attempt);
    },
    async targets() {
      const found = await ask(queries.targetsQuery(db));
      return found.map(({ namespace, secret }) => ({ namespace, secret }));
    },
    stored,
    async base() {
      const [base] = await ask(queries.baseQuery(db));
      return base === undefined ? GENESIS : { sequence: base.sequence, hash: base.hash };
    },
    async reviews(sequences) {
      const found = new Map<number, Review>();
      for (let start = 0; start < sequences.length; start += PAGE) {
        const part = sequences.slice(start, start + PAGE);
        for (const { reviewed, ...row } of await ask(queries.reviewsQuery(db, part))) {
          const review = reviewOf(toRecord(row));
          if (review !== undefined) found.set(reviewed, review);
        }
      }
      return found;
    },
    async *kept() {
      for (let after = 0; ; ) {
        const page = await ask(queries.keptPageQuery(db, after, PAGE));
        yield* page.map(({ record: text, hash, open }) => ({
          text,
          hash,
          indexed: true,
          open: open !== null,
        }));
        const last = page.at(-1);
        if (last === undefined || page.length < PAGE) return;
        after = last.sequence;
      }
    },
    moving: async () => (await ask(queries.baseQuery(db)))[0]?.moving ?? undefined,
  };
}
