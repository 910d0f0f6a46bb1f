import type { Action, AuditRecord, Entry } from '../audit/entry.ts';
import { type AuditStore, pagesOf } from '../audit/store.ts';
import type { ErrorCode } from '../core/error-codes.ts';
import type { LiveSecret } from '../core/secret.ts';
import type { TargetId } from '../core/target.ts';
import { isMergeEnd } from './brake.ts';
import type { Removal } from './change.ts';
import { CHANGE_ACTIONS, lastChange, latestRecord } from './latest-records.ts';
import { containsWrite, SEEN_IN_CLUSTER, sourceText } from './write-verification.ts';

/**
 * The codes of failed writes with an unknown result: the cluster did not answer the write, and a check after the
 * failure did not find the written content.
 */
const UNKNOWN_RESULT_CODES: readonly ErrorCode[] = ['CLUSTER_UNAVAILABLE', 'INTERRUPTED', 'INTERNAL'];

const WRITE_ACTIONS = CHANGE_ACTIONS.filter((action) => action !== 'delete' && action !== 'rollback');

/**
 * Detects a late write: the API server carried it out after our connection was lost and our check had not found its
 * content. Returns the outcome to record. Returns undefined if no such write is recorded, if a newer change exists, or
 * if the target also looks as it did after the previous change.
 */
export async function lateWrite(
  audit: Pick<AuditStore, 'latest' | 'list'>,
  mapping: string,
  live: LiveSecret,
  instances: readonly string[],
): Promise<Entry | undefined> {
  const unknownResult = await latestUnknownResult(audit, mapping, live.id, WRITE_ACTIONS, instances);
  if (unknownResult?.failed.after === undefined || !containsWrite(live, unknownResult.failed))
    return undefined;
  const { failed, intent, previous } = unknownResult;
  // If the Secret was missing or had other content before the write, its current content cannot come from the previous
  // change.
  const isDistinguishable = intent.resourceVersion === undefined || failed.before !== failed.after;
  if (previous !== undefined && hasSameContent(previous, failed) && !(live.ours && isDistinguishable))
    return undefined;
  const { code: _, ...fields } = failed;
  return { ...fields, outcome: 'ok', resourceVersion: live.resourceVersion, note: SEEN_IN_CLUSTER };
}

/**
 * Detects a late removal: the target is gone after a failed deletion, or our keys are gone after a failed end of a
 * merge. It counts as our removal even if another client made it. Otherwise the brake would allow one removal too many.
 */
export async function lateRemoval(
  audit: Pick<AuditStore, 'latest' | 'list'>,
  { action, mapping, target }: Removal,
  instances: readonly string[],
): Promise<Entry | undefined> {
  const unknownResult = await latestUnknownResult(audit, mapping, target, [action], instances);
  if (unknownResult === undefined || !isRemoval(unknownResult.failed)) return undefined;
  const { code: _, ...fields } = unknownResult.failed;
  return { ...fields, outcome: 'ok', note: SEEN_IN_CLUSTER };
}

const REMOVAL_ACTIONS = ['delete', 'update'] as const;

function isRemoval(record: AuditRecord): boolean {
  return record.action === 'delete' || isMergeEnd(record);
}

/**
 * Returns the removals that were recorded as failed since a given time and may have taken effect later. Includes the
 * removals of all mappings.
 */
export async function possibleLateRemovals(
  audit: Pick<AuditStore, 'list'>,
  since: string,
  instances: readonly string[],
): Promise<readonly Removal[]> {
  const removals = new Map<string, Removal>();
  const kinds = REMOVAL_ACTIONS.flatMap((action) => UNKNOWN_RESULT_CODES.map((code) => ({ action, code })));
  for (const instance of instances)
    for (const { action, code } of kinds) {
      // Filter by code in the query, because the audit may contain many removals that the cluster refused.
      const failed = { action, code, phase: 'outcome', outcome: 'failed', since, instance } as const;
      for await (const page of pagesOf(audit, failed, PAGE_SIZE))
        for (const record of page) {
          const { mapping, namespace, secret } = record;
          if (!isRemoval(record)) continue;
          if (mapping === undefined || namespace === undefined || secret === undefined) continue;
          const removal = { action, mapping, target: { namespace, secret } };
          removals.set(JSON.stringify(removal), removal);
        }
    }
  return [...removals.values()];
}

interface UnknownResult {
  readonly failed: AuditRecord;
  readonly intent: AuditRecord;
  /** The last change before the failed write. */
  readonly previous: AuditRecord | undefined;
}

/**
 * Returns the latest write with an unknown result. Returns undefined if another change was made after that write began.
 */
async function latestUnknownResult(
  audit: Pick<AuditStore, 'latest' | 'list'>,
  mapping: string,
  target: TargetId,
  actions: readonly Action[],
  instances: readonly string[],
): Promise<UnknownResult | undefined> {
  const filter = { mapping, ...target, outcome: 'failed', phase: 'outcome' } as const;
  const records = await Promise.all(
    UNKNOWN_RESULT_CODES.map((code) => latestRecord(audit, { ...filter, code }, actions, instances)),
  );
  const [failed] = records
    .filter((auditRecord) => auditRecord !== undefined)
    .toSorted((a, b) => b.sequence - a.sequence);
  if (failed === undefined) return undefined;
  const intent = await intentOf(failed, audit);
  const previous = await lastChange(audit, mapping, target, instances);
  if (intent === undefined || (previous?.sequence ?? 0) > intent.sequence) return undefined;
  return { failed, intent, previous };
}

const PAGE_SIZE = 50;

async function intentOf(
  { requestId: request, mapping = '', namespace = '', secret = '', attempt }: AuditRecord,
  audit: Pick<AuditStore, 'list'>,
): Promise<AuditRecord | undefined> {
  const filter = { request, mapping, namespace, secret, phase: 'intent' } as const;
  const intents = await audit.list(filter, { limit: PAGE_SIZE });
  return intents.find((auditRecord) => auditRecord.attempt === attempt && auditRecord.action !== 'restart');
}

function hasSameContent(a: AuditRecord, b: AuditRecord): boolean {
  const sourcesOf = ({ sources }: AuditRecord) => sources.map(sourceText).sort().join();
  return a.after === b.after && sourcesOf(a) === sourcesOf(b);
}
