import { AppError } from '../../core/errors.ts';
import type { RecordFilter } from '../store.ts';
import { changesFor, type LinkedAudit, membersAmong } from './change-links.ts';
import type { Change } from './change-types.ts';
import type { PageRequest } from './query.ts';

export interface ChangePage {
  /** The changes, newest first. */
  readonly changes: readonly Change[];
  /** The cursor of the next page. A page may be short although there is a next one. */
  readonly next?: string;
}

export interface ChangeQuery {
  readonly filter: RecordFilter;
  /** Whether to return only changes that a person should look at (`needsAttention`), and that have no review. */
  readonly isOpen?: boolean;
}

/** The number of records that one page reads at most, so that a page takes a bounded time. */
const MAX_READ = 3_000;
/** A row of equal facts may need more records. */
const MAX_READ_FACTOR = 5;
const MIN_BATCH = 50;
const MAX_BATCH = 500;

/** The maximum number of equal facts that one row stands for. A fixed limit gives the same rows for every page size. */
export const MAX_FOLDED = 500;

/**
 * Returns a page of changes. A record belongs to the change that contains it, and a change matches a filter if the
 * record that stands for it matches. Equal facts that follow each other are one row.
 */
export async function listChanges(
  audit: LinkedAudit,
  query: ChangeQuery,
  { limit, cursor }: PageRequest,
): Promise<ChangePage> {
  const leads = new Leads(audit, query, cursor === undefined ? undefined : Number(cursor));
  const rows: Change[][] = [];
  for (;;) {
    const row = rows.at(-1);
    const change = await leads.next(row !== undefined && factOf(row[0]) !== undefined);
    if (row !== undefined && change !== undefined && canFold(row, change)) row.push(change);
    else if (change !== undefined && rows.length < limit) rows.push([change]);
    else {
      const last = change === undefined ? leads.unread : row?.at(-1)?.sequence;
      return { changes: rows.map(fold), ...(last === undefined ? {} : { next: String(last) }) };
    }
  }
}

/** Reads the records that stand for changes, newest first, one batch at a time. */
class Leads {
  readonly #audit: LinkedAudit;
  readonly #query: ChangeQuery;
  #before: number | undefined;
  #pending: Change[] = [];
  #isEnd = false;
  #read = 0;
  #batch = MIN_BATCH;

  constructor(audit: LinkedAudit, query: ChangeQuery, before: number | undefined) {
    this.#audit = audit;
    this.#query = query;
    this.#before = before;
  }

  /** The cursor for the records that were not read, if there are any. */
  get unread(): number | undefined {
    return this.#isEnd ? undefined : this.#before;
  }

  /**
   * Returns the next change. Undefined at the end, or after too many records.
   * @param isFolding Whether the change may belong to the last row. Then more records are read.
   */
  async next(isFolding: boolean): Promise<Change | undefined> {
    const maximum = isFolding ? MAX_READ * MAX_READ_FACTOR : MAX_READ;
    while (this.#pending.length === 0) {
      if (this.#isEnd || this.#read >= maximum) return undefined;
      this.#pending = [...(await this.#readBatch())];
    }
    return this.#pending.shift();
  }

  async #readBatch(): Promise<readonly Change[]> {
    const { filter, isOpen = false } = this.#query;
    const page = { limit: this.#batch, ...(this.#before === undefined ? {} : { before: this.#before }) };
    const selected: RecordFilter = isOpen ? { ...filter, attention: true, review: 'unreviewed' } : filter;
    const records = await this.#audit.list(selected, page);
    this.#read += records.length;
    this.#isEnd = records.length < this.#batch;
    this.#before = records.at(-1)?.sequence;
    const members = await membersAmong(this.#audit.index, records, selected);
    const leads = records.filter(({ sequence }) => !members.has(sequence));
    // A change costs several searches, so read more at once only where few records stand for changes.
    this.#batch = leads.length * 4 < this.#batch ? Math.min(MAX_BATCH, this.#batch * 2) : MIN_BATCH;
    return changesFor(this.#audit, leads);
  }
}

/** Whether a change is the same fact as those of a row. */
function canFold(row: readonly Change[], change: Change): boolean {
  const [newest] = row;
  if (newest === undefined || row.length >= MAX_FOLDED) return false;
  const fact = factOf(change);
  return fact !== undefined && fact === factOf(newest);
}

/** Returns what equal facts have in common. Undefined: the change never folds. */
export function factOf(change: Change | undefined): string | undefined {
  if (change === undefined) return undefined;
  const { action, outcome, code, note, actor, store, namespace, secret, mapping, review, requestId } = change;
  const subject = { action, outcome, code, state: review?.state };
  if (action === 'review') return JSON.stringify([subject, actor, note, requestId]);
  if (action === 'sweep' && secret === undefined) return JSON.stringify([subject, store]);
  if (outcome === 'ok' || outcome === 'pending') return undefined;
  if (action === 'command' || action === 'export') return JSON.stringify([subject, actor, note, mapping]);
  return JSON.stringify([subject, secret === undefined ? [store] : [mapping, namespace, secret]]);
}

function fold(row: readonly Change[]): Change {
  const [newest] = row;
  const oldest = row.at(-1);
  if (newest === undefined || oldest === undefined)
    throw new AppError('INTERNAL', { detail: 'a row without a change' });
  if (row.length === 1) return newest;
  const records = [...new Set(row.flatMap((change) => change.records))].sort((a, b) => a - b);
  return {
    ...newest,
    records,
    count: Math.max(row.length, newest.count),
    since: oldest.since ?? oldest.time,
  };
}
