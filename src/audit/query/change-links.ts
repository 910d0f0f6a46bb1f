import { largest } from '../../core/lists.ts';
import type { AuditRecord } from '../entry.ts';
import { isPerson } from '../entry.ts';
import { isWrite, type RecordIndex, WRITE_ACTIONS } from '../record-index.ts';
import type { AuditStore, RecordFilter } from '../store.ts';
import type { Change, Surroundings } from './change-types.ts';
import { changeOf, intentsOf, isRestartOf, NO_SURROUNDINGS } from './changes.ts';

// Finds the records that belong to a change. `changes.ts` builds the change from them.

export type LinkedAudit = Pick<AuditStore, 'list' | 'reviews' | 'index'>;

/** How many earlier writes of a target are read for the fingerprints before a change. */
const EARLIER = 16;
const RESTARTS = 100;
/** How many earlier writes are read to find the write that caused a restart. */
const CAUSES_OF_RESTART = 20;
const CONFIGURATIONS = 100;
const DECISIONS = 12;

/**
 * Returns the records that stand for no change, because they belong to another record. An intent belongs to its outcome,
 * a restart to its write, and a read to the write that used its value.
 */
export async function membersAmong(
  index: RecordIndex,
  records: readonly AuditRecord[],
  filter: RecordFilter,
): Promise<ReadonlySet<number>> {
  const intents = records.filter((record) => isIntentOfWrite(record));
  const open = await index.openIntents(intents.map(({ sequence }) => sequence));
  const members = intents.filter(({ sequence }) => !open.has(sequence));
  const others = await Promise.all(
    records.map(async (record) => ((await isMember(index, record, filter)) ? [record] : [])),
  );
  return new Set([...members, ...others.flat()].map(({ sequence }) => sequence));
}

function isIntentOfWrite(record: AuditRecord): boolean {
  return record.phase === 'intent' && isWrite(record) && record.secret !== undefined;
}

async function isMember(
  index: RecordIndex,
  record: AuditRecord,
  { action, outcome, code, attention }: RecordFilter,
): Promise<boolean> {
  if (record.action === action) return false;
  // The write succeeded, so such a filter finds the failed restart only if it stands for itself.
  const isSelected = attention === true || outcome !== undefined || code !== undefined;
  if (isSelected && record.outcome !== 'ok') return false;
  if (record.action === 'restart') return (await writeOf(index, record)) !== undefined;
  if (record.action === 'read' && record.outcome === 'ok') return isUsed(index, record);
  return false;
}

/** Returns the write that caused a restart. */
export async function writeOf(index: RecordIndex, restart: AuditRecord): Promise<AuditRecord | undefined> {
  const target = targetOf(restart);
  if (target === undefined) return undefined;
  const earlier = await index.targetNeighbors(target, {
    ...{ side: 'before', sequence: restart.sequence, actions: WRITE_ACTIONS, limit: CAUSES_OF_RESTART },
  });
  return earlier.find((write) => isRestartOf(restart, write));
}

/** Whether the next record about this version of the source is a write, which used the value. */
async function isUsed(index: RecordIndex, { sources: [source], sequence }: AuditRecord): Promise<boolean> {
  if (source === undefined) return false;
  const actions = ['read', ...WRITE_ACTIONS] as const;
  const next = await index.nearestUse(source, { side: 'after', sequence, actions });
  return next !== undefined && isWrite(next);
}

/** Returns the changes for which these records stand. Each record must be one that stands for a change. */
export async function changesFor(
  audit: LinkedAudit,
  records: readonly AuditRecord[],
): Promise<readonly Change[]> {
  const newest = largest([0, ...records.map(({ sequence }) => sequence)]);
  const [reviews, configurations] = await Promise.all([
    audit.reviews(records.map(({ sequence }) => sequence)),
    records.some(isWrite) ? audit.index.configurations(newest, CONFIGURATIONS) : [],
  ]);
  return Promise.all(
    records.map(async (record) => {
      const configuration = configurations.find(({ sequence }) => sequence < record.sequence);
      const around = await surroundingsOf(audit.index, record);
      return changeOf(record, { ...around, configuration, review: reviews.get(record.sequence) });
    }),
  );
}

async function surroundingsOf(index: RecordIndex, record: AuditRecord): Promise<Surroundings> {
  const target = targetOf(record);
  if (!isWrite(record) || target === undefined) return NO_SURROUNDINGS;
  const { sequence } = record;
  const [earlier, restarts, decisions] = await Promise.all([
    index.targetNeighbors(target, { side: 'before', sequence, actions: WRITE_ACTIONS, limit: EARLIER }),
    mayRestart(record)
      ? index.targetNeighbors(target, { side: 'after', sequence, actions: ['restart'], limit: RESTARTS })
      : [],
    decisionsOf(index, record),
  ]);
  return {
    earlier,
    restarts: restarts.filter((restart) => isRestartOf(restart, record)),
    reads: await readsOf(index, record, earlier),
    decisions,
  };
}

function mayRestart({ phase, outcome, keys }: AuditRecord): boolean {
  const isContentChange = keys.added.length + keys.changed.length + keys.removed.length > 0;
  return phase === 'outcome' && outcome === 'ok' && isContentChange;
}

/** Returns the reads of the values that a write used: the last read of each version before the write. */
async function readsOf(
  index: RecordIndex,
  record: AuditRecord,
  earlier: readonly AuditRecord[],
): Promise<readonly number[]> {
  const writes = [record, ...intentsOf(record, earlier)];
  const sources = new Map(
    record.sources.map(({ store, key, version }) => [
      JSON.stringify([store, key, version]),
      { store, key, version },
    ]),
  );
  const reads = await Promise.all(
    [...sources.values()].flatMap((source) =>
      writes.map(({ sequence }) => index.nearestUse(source, { side: 'before', sequence, actions: ['read'] })),
    ),
  );
  return reads.flatMap((read) => (read === undefined ? [] : [read.sequence]));
}

/** Returns the records of the request, the approval and the release that led to a change. */
async function decisionsOf(index: RecordIndex, record: AuditRecord): Promise<readonly AuditRecord[]> {
  const target = targetOf(record);
  const { approval, note, sequence, requestId } = record;
  if (target === undefined || (approval === undefined && note !== 'released')) return [];
  const before = await index.targetNeighbors(target, {
    ...{ side: 'before', sequence, actions: ['request', 'approve', 'release'], limit: DECISIONS },
  });
  const isAbout = (decision: AuditRecord): boolean => {
    if (approval !== undefined && decision.sequence === approval) return true;
    if (decision.approval !== undefined && decision.approval === approval) return true;
    return decision.action === 'release' && decision.requestId === requestId;
  };
  return before.filter((decision) => isAbout(decision) && isPerson(decision.actor)).toReversed();
}

function targetOf({ namespace, secret }: AuditRecord) {
  return namespace === undefined || secret === undefined ? undefined : { namespace, secret };
}
