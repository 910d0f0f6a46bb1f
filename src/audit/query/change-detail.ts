import { AppError } from '../../core/errors.ts';
import type { AuditRecord } from '../entry.ts';
import { isWrite } from '../record-index.ts';
import { changesFor, type LinkedAudit, membersAmong, writeOf } from './change-links.ts';
import type { Change } from './change-types.ts';
import { type ChainPosition, counterpartOf, type RecordDetail, readRecordDetail } from './record-detail.ts';

export interface ChangeDetail extends Change {
  /** The record that was asked for. */
  readonly record: RecordDetail;
}

/**
 * Returns the change to which a record belongs, and the record itself. A read that several changes used stands for
 * itself.
 * @throws AppError RECORD_MISSING
 */
export async function readChange(
  audit: LinkedAudit & Parameters<typeof readRecordDetail>[0],
  sequence: number,
  position: (sequence: number) => Promise<ChainPosition>,
): Promise<ChangeDetail> {
  const [record, stored] = await Promise.all([
    readRecordDetail(audit, sequence, position),
    audit.get(sequence),
  ]);
  const [change] = await changesFor(audit, stored === undefined ? [] : [await leadOf(audit, stored)]);
  if (change === undefined) throw new AppError('RECORD_MISSING', { subject: `record ${sequence}` });
  return { ...change, record };
}

/** Returns the record that stands for the change of this record. */
async function leadOf(audit: LinkedAudit, record: AuditRecord): Promise<AuditRecord> {
  if (record.action === 'restart') return (await writeOf(audit.index, record)) ?? record;
  if (!isWrite(record) || record.phase !== 'intent') return record;
  const isMember = (await membersAmong(audit.index, [record], {})).has(record.sequence);
  return isMember ? ((await counterpartOf(audit, record)) ?? record) : record;
}
