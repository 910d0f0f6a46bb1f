import { fromStored, type Head, hashOf } from './chain.ts';
import type { AuditRecord, RequestedAction } from './entry.ts';
import type { AuditStore } from './store.ts';

// Records that decisions follow are authentic (`authentic-audit.ts`), but somebody with access to the database can hide
// newer ones. The functions here read the texts of all records from some record on. A removed or changed record breaks
// the chain, and changed search columns have no effect.

type Scanned = Pick<AuditStore, 'storedRecords' | 'head'>;

/**
 * Reads all records from `from` to the head. Calls `onRecord` for each intact record, oldest first.
 * @returns The sequence of the last record that does not follow the record before it. Undefined if the chain is
 * unbroken.
 */
export async function findLastBreak(
  audit: Scanned,
  from: number,
  onRecord: (record: AuditRecord) => void,
): Promise<number | undefined> {
  const head = await audit.head();
  let last: Head | undefined;
  let broken: number | undefined;
  for await (const { text, hash } of audit.storedRecords(from, { textOnly: true })) {
    const record = fromStored(text, hash);
    const isIntact = record !== undefined && hashOf(text) === hash;
    const expected = last === undefined ? from : last.sequence + 1;
    const follows =
      isIntact && record.sequence === expected && (last === undefined || record.previousHash === last.hash);
    if (!follows) broken = Math.max(expected, record?.sequence ?? 0);
    if (isIntact) onRecord(record);
    last = { sequence: isIntact ? record.sequence : expected, hash };
    if (last.sequence >= head.sequence) break;
  }
  const isComplete = last?.sequence === head.sequence && last.hash === head.hash;
  return isComplete ? broken : Math.max(from, head.sequence) + 1;
}

/** The number of records that one step back reads. */
const STEP = 500;

/**
 * Returns the sequence from which on all records since a time follow, by the times in the records themselves.
 * @param since RFC 3339.
 */
export async function firstSequenceSince(
  audit: Scanned & Pick<AuditStore, 'list' | 'base'>,
  since: string,
): Promise<number> {
  const [first] = await audit.list({ since }, { limit: 1, after: 0 });
  const start = (await audit.base()).sequence + 1;
  let from = first?.sequence ?? (await audit.head()).sequence;
  // Search columns with wrong times can hide earlier records, so read the records themselves.
  while (from > start) {
    const earlier = Math.max(start, from - STEP);
    if (!(await hasRecordSince(audit, { from: earlier, to: from, since }))) return from;
    from = earlier;
  }
  return Math.max(from, start);
}

async function hasRecordSince(
  audit: Scanned,
  { from, to, since }: { readonly from: number; readonly to: number; readonly since: string },
): Promise<boolean> {
  let remaining = to - from;
  for await (const { text, hash } of audit.storedRecords(from, { textOnly: true })) {
    if (remaining === 0) return false;
    remaining -= 1;
    const time = fromStored(text, hash)?.time;
    if (typeof time === 'string' && Date.parse(time) >= Date.parse(since)) return true;
  }
  return false;
}

/** The last `rollback` or `unpin` record of a target. */
export interface LastPin {
  readonly record: AuditRecord;
  /** False for a record of a release that did not authenticate records. A person must confirm it. */
  readonly isConfirmed: boolean;
}

/** Finds which targets are pinned. Only a pin that no hidden record can have ended is returned. */
export interface LastPins {
  /** @throws AppError AUDIT_UNAVAILABLE; AUDIT_TRUNCATED if records are missing that this process has read. */
  last(mapping: string, target: { namespace: string; secret: string }): Promise<LastPin | undefined>;
  /** Returns the `rollback` records that are in force. */
  inForce(): Promise<readonly LastPin[]>;
}

/** `done`: the action was carried out or refused, so the approval is used up. */
export type ApprovalState = 'pending' | 'approved' | 'rejected' | 'done';

/** A request for the approval of an action on one target. */
export interface ApprovalRequest {
  /** The start of the hash of the request's record. So one id always means the same request. */
  readonly id: string;
  readonly record: AuditRecord;
  readonly requested: RequestedAction;
  readonly state: ApprovalState;
  /** The `approve` or `reject`. */
  readonly decision?: AuditRecord | undefined;
}

/** The requests for approval, as the audit records them. */
export interface ApprovalLog {
  /** Returns the requests that are not too old, oldest first. @throws AppError AUDIT_UNAVAILABLE */
  requests(): Promise<readonly ApprovalRequest[]>;
}
