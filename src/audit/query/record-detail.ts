import { AppError } from '../../core/errors.ts';
import { fromStored, GENESIS, type Head, hashOf, type StoredRecord } from '../chain.ts';
import type { AuditRecord } from '../entry.ts';
import type { AuditStore } from '../store.ts';
import { type ReviewedRecord, withReviews } from './query.ts';

/**
 * The position of a record in the chain, and whether the record is consistent with its neighbors. Only `audit verify`
 * checks the whole chain.
 */
export interface ChainPosition {
  /** The sequence numbers of the neighbors. The first record has no `previous`, and the last one has no `next`. */
  readonly previous?: number;
  readonly next?: number;
  /** The sequence of the newest record. */
  readonly head: number;
  /** Whether the record's hash matches its content, and the hashes also link it to both neighbors. */
  readonly fits: boolean;
}

export interface RecordDetail extends ReviewedRecord {
  /** The outcome of this intent, or the intent of this outcome, if the store contains it. */
  readonly counterpart?: ReviewedRecord;
  readonly chain: ChainPosition;
}

/** @throws AppError RECORD_MISSING */
export async function readRecordDetail(
  audit: Pick<AuditStore, 'get' | 'list' | 'reviews'>,
  sequence: number,
  position: (sequence: number) => Promise<ChainPosition>,
): Promise<RecordDetail> {
  const record = await audit.get(sequence);
  if (record === undefined) throw new AppError('RECORD_MISSING', { subject: `record ${sequence}` });
  const counterpartRecord = await counterpartOf(audit, record);
  const both = [record, ...(counterpartRecord === undefined ? [] : [counterpartRecord])];
  const [reviewed = record, counterpart] = await withReviews(audit, both);
  return {
    ...reviewed,
    ...(counterpart === undefined ? {} : { counterpart }),
    chain: await position(sequence),
  };
}

/**
 * Finds the outcome of an intent, or the intent of an outcome. Both have the same request, target and attempt, and both
 * or neither are restarts. After a crash, one intent may have two outcomes. In this case, the outcome with the nearest
 * sequence is used.
 */
export async function counterpartOf(
  audit: Pick<AuditStore, 'list'>,
  { requestId, namespace, secret, action, phase, attempt, sequence }: AuditRecord,
): Promise<AuditRecord | undefined> {
  if (phase === undefined) return undefined;
  const target = {
    ...(namespace === undefined ? {} : { namespace }),
    ...(secret === undefined ? {} : { secret }),
  };
  const where = phase === 'intent' ? { after: sequence } : { before: sequence };
  const found = await audit.list({ request: requestId, ...target }, { limit: 50, ...where });
  return found.find(
    (candidate) =>
      candidate.phase !== undefined &&
      candidate.phase !== phase &&
      candidate.attempt === attempt &&
      (candidate.action === 'restart') === (action === 'restart'),
  );
}

export async function positionOf(
  audit: Pick<AuditStore, 'storedRecords' | 'head' | 'base'>,
  sequence: number,
): Promise<ChainPosition> {
  const [head, base] = await Promise.all([audit.head(), audit.base()]);
  const from = Math.max(sequence - 1, base.sequence + 1, 1);
  const neighbors = await take(audit.storedRecords(from), 3);
  const ownIndex = from === sequence ? 0 : 1;
  const [own, after] = [neighbors[ownIndex], neighbors[ownIndex + 1]];
  const before: Head | undefined = ownIndex === 0 ? (sequence === 1 ? GENESIS : base) : headOf(neighbors[0]);
  const follows = (later: StoredRecord, hash: string | undefined): boolean =>
    hashOf(later.text) === later.hash && fromStored(later.text, later.hash)?.previousHash === hash;
  return {
    ...(ownIndex === 0 ? {} : { previous: sequence - 1 }),
    ...(after === undefined ? {} : { next: sequence + 1 }),
    head: head.sequence,
    fits:
      own?.columnsMatch === true &&
      follows(own, before?.hash) &&
      (after === undefined ? head.sequence === sequence && head.hash === own.hash : follows(after, own.hash)),
  };
}

function headOf(stored: StoredRecord | undefined): Head | undefined {
  const record = stored && fromStored(stored.text, stored.hash);
  return record && { sequence: record.sequence, hash: record.hash };
}

async function take<T>(items: AsyncIterable<T>, limit: number): Promise<readonly T[]> {
  const taken: T[] = [];
  for await (const item of items) {
    taken.push(item);
    if (taken.length === limit) break;
  }
  return taken;
}
