import { AppError } from '../../core/errors.ts';
import { fromStored, GENESIS, type Head, hashOf, type StoredRecord } from '../chain.ts';
import type { AuditRecord } from '../entry.ts';
import type { AuditStore } from '../store.ts';
import { type ShownRecord, withReviews } from './question.ts';

/** Where a record stands in the chain, and whether it fits there. That is no proof of the others: `audit verify` is. */
export interface ChainPosition {
  /** The neighbours' numbers; the first and the last record have one. */
  readonly previous?: number;
  readonly next?: number;
  /** Of the newest record. */
  readonly head: number;
  /** Its hash is that of its content, it names the record before, and the one after names it. */
  readonly fits: boolean;
}

export interface RecordDetail extends ShownRecord {
  /** Of an intent its outcome, of an outcome its intent, if it is there. */
  readonly counterpart?: ShownRecord;
  readonly chain: ChainPosition;
}

/** @throws AppError RECORD_MISSING */
export async function detail(
  audit: Pick<AuditStore, 'get' | 'list' | 'reviews' | 'stored' | 'head' | 'base'>,
  sequence: number,
): Promise<RecordDetail> {
  const record = await audit.get(sequence);
  if (record === undefined) throw new AppError('RECORD_MISSING', { about: `record ${sequence}` });
  const other = await counterpartOf(audit, record);
  const both = [record, ...(other === undefined ? [] : [other])];
  const [shown = record, counterpart] = await withReviews(audit, both);
  return {
    ...shown,
    ...(counterpart === undefined ? {} : { counterpart }),
    chain: await positionOf(audit, sequence),
  };
}

/** Of the same request, target and attempt; after a crash there may be two outcomes, of which the nearest counts. */
async function counterpartOf(
  audit: Pick<AuditStore, 'list'>,
  { requestId, namespace, secret, phase, attempt, sequence }: AuditRecord,
): Promise<AuditRecord | undefined> {
  if (phase === undefined) return undefined;
  const target = {
    ...(namespace === undefined ? {} : { namespace }),
    ...(secret === undefined ? {} : { secret }),
  };
  const where = phase === 'intent' ? { after: sequence } : { before: sequence };
  const found = await audit.list({ request: requestId, ...target }, { limit: 50, ...where });
  return found.find((one) => one.phase !== undefined && one.phase !== phase && one.attempt === attempt);
}

async function positionOf(
  audit: Pick<AuditStore, 'stored' | 'head' | 'base'>,
  sequence: number,
): Promise<ChainPosition> {
  const [head, base] = await Promise.all([audit.head(), audit.base()]);
  const from = Math.max(sequence - 1, base.sequence + 1, 1);
  const near = await take(audit.stored(from), 3);
  const at = from === sequence ? 0 : 1;
  const [own, after] = [near[at], near[at + 1]];
  const before: Head | undefined = at === 0 ? (sequence === 1 ? GENESIS : base) : headOf(near[0]);
  const follows = (later: StoredRecord, hash: string | undefined): boolean =>
    hashOf(later.text) === later.hash && fromStored(later.text, later.hash)?.previousHash === hash;
  return {
    ...(at === 0 ? {} : { previous: sequence - 1 }),
    ...(after === undefined ? {} : { next: sequence + 1 }),
    head: head.sequence,
    fits:
      own?.indexed === true &&
      follows(own, before?.hash) &&
      (after === undefined ? head.sequence === sequence && head.hash === own.hash : follows(after, own.hash)),
  };
}

function headOf(stored: StoredRecord | undefined): Head | undefined {
  const record = stored && fromStored(stored.text, stored.hash);
  return record && { sequence: record.sequence, hash: record.hash };
}

async function take<T>(items: AsyncIterable<T>, most: number): Promise<readonly T[]> {
  const found: T[] = [];
  for await (const item of items) {
    found.push(item);
    if (found.length === most) break;
  }
  return found;
}
