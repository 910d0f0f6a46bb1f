import { type Action, type AuditRecord, TARGET_STATE_ACTIONS } from '../audit/entry.ts';
import type { AuditStore, RecordFilter } from '../audit/store.ts';
import type { Clock } from '../core/clock.ts';
import type { ErrorCode } from '../core/error-codes.ts';
import type { Source } from '../core/mapping.ts';
import type { TargetId } from '../core/target.ts';

type AuditReader = Pick<AuditStore, 'latest' | 'list'>;

/**
 * Returns the newest matching record of these instances. Other instances may share the audit and have targets with the
 * same names.
 */
export async function latestRecord(
  audit: Pick<AuditStore, 'latest'>,
  filter: RecordFilter,
  actions: readonly Action[],
  instances: readonly string[],
): Promise<AuditRecord | undefined> {
  const records = await Promise.all(
    instances.map((instance) => audit.latest({ ...filter, instance }, actions)),
  );
  return records.reduce<AuditRecord | undefined>(
    (last, record) => (record !== undefined && record.sequence > (last?.sequence ?? 0) ? record : last),
    undefined,
  );
}

/** The actions that change a target, and `rollback`, which records that a person requested a change. */
export const CHANGE_ACTIONS: readonly Action[] = [
  'create',
  'update',
  'delete',
  'repair',
  'adopt',
  'rollback',
];

/**
 * The note of a replaced change ends with this text. The outcome of such a change was found only after the next change
 * of the target. So its record is newer than the record of the next change.
 */
export const REPLACED_SINCE = ', replaced since';

const PAGE_SIZE = 50;

/**
 * Returns the last change that a mapping made to a target. The order of the records may differ from the order of the
 * changes.
 */
export async function lastChange(
  audit: AuditReader,
  mapping: string,
  target: TargetId,
  instances: readonly string[],
): Promise<AuditRecord | undefined> {
  const filter = { mapping, ...target, outcome: 'ok', phase: 'outcome' } as const;
  const last = await latestRecord(audit, filter, CHANGE_ACTIONS, instances);
  if (last === undefined || !isReplaced(last)) return last;
  const page = { limit: PAGE_SIZE, before: last.sequence };
  const results = await Promise.all(instances.map((instance) => audit.list({ ...filter, instance }, page)));
  const changes = results
    .flat()
    .filter((auditRecord) => CHANGE_ACTIONS.includes(auditRecord.action) && !isReplaced(auditRecord));
  return changes.toSorted((a, b) => b.sequence - a.sequence)[0] ?? last;
}

/**
 * Whether the record reports a change that another change has replaced. Such a record no longer describes the current
 * state of its target.
 */
export function isReplaced({ note }: AuditRecord): boolean {
  return note?.endsWith(REPLACED_SINCE) === true;
}

const WRITE_ACTIONS = CHANGE_ACTIONS.filter((action) => action !== 'delete');

/**
 * Whether the last write of a target lacked a source that an earlier write used. False if the last change deleted the
 * target.
 */
export async function isWrittenWithout(
  audit: AuditReader,
  mapping: string,
  target: TargetId,
  { store, key }: Pick<Source, 'store' | 'key'>,
  instances: readonly string[],
): Promise<boolean> {
  const last = await lastChange(audit, mapping, target, instances);
  if (last?.after === undefined) return false;
  const filter = { mapping, ...target, outcome: 'ok', phase: 'outcome' } as const;
  const lastWrite = await latestRecord(audit, filter, WRITE_ACTIONS, instances);
  const lastWriteWithSource = await latestRecord(audit, { ...filter, store, key }, WRITE_ACTIONS, instances);
  return lastWriteWithSource !== undefined && lastWriteWithSource.sequence !== lastWrite?.sequence;
}

/** Whether our last change deleted the target without recreating it. */
export async function isRemoved(
  audit: AuditReader,
  mapping: string,
  target: TargetId,
  instances: readonly string[],
): Promise<boolean> {
  const last = await lastChange(audit, mapping, target, instances);
  return last?.action === 'delete' && last.after === undefined;
}

/** Whether the latest record of a target reports a problem. */
export async function isUnresolved(
  audit: Pick<AuditStore, 'latest'>,
  mapping: string,
  target: TargetId,
  instances: readonly string[],
): Promise<boolean> {
  const record = await latestRecord(audit, { mapping, ...target }, TARGET_STATE_ACTIONS, instances);
  return record !== undefined && record.outcome !== 'ok';
}

/**
 * The codes of refusals because of an existing Secret that we are not allowed to change. A user may delete this Secret,
 * so that our target can be created.
 */
export const OBSTACLE_CODES: readonly string[] = [
  'NOT_OWNED',
  'TARGET_CLAIMED',
  'IMMUTABLE',
] satisfies ErrorCode[];

/**
 * `refused`: another Secret blocked the target, and a user may have deleted that Secret. `ended`: the target was
 * deleted together with its namespace.
 */
export type ExpectedLoss = 'refused' | 'ended';

/**
 * Returns the reason why a target is missing, if the audit shows that it was not deleted by hand. A reason does not
 * apply if our target has existed after the record of this reason. Failed attempts for other reasons are ignored.
 */
export async function expectedLoss(
  audit: AuditReader,
  mapping: string,
  target: TargetId,
  instances: readonly string[],
): Promise<ExpectedLoss | undefined> {
  const filter = { mapping, ...target };
  const refused = await latestRecord(audit, { ...filter, outcome: 'refused' }, ['refuse'], instances);
  const missingNamespace = {
    ...filter,
    outcome: 'failed',
    code: 'NAMESPACE_MISSING' satisfies ErrorCode,
  } as const;
  const namespaceGone = await latestRecord(
    audit,
    missingNamespace,
    ['refuse', 'create', 'repair'],
    instances,
  );
  const refusedAt = OBSTACLE_CODES.includes(refused?.code ?? '') ? (refused?.sequence ?? 0) : 0;
  const endedAt = namespaceGone?.sequence ?? 0;
  if (refusedAt + endedAt === 0) return undefined;
  const written = await lastChange(audit, mapping, target, instances);
  const lastInSync = await latestRecord(audit, { ...filter, outcome: 'ok' }, ['sweep'], instances);
  if (Math.max(refusedAt, endedAt) < Math.max(written?.sequence ?? 0, lastInSync?.sequence ?? 0))
    return undefined;
  return endedAt > refusedAt ? 'ended' : 'refused';
}

const REPAIRS = { most: 5, withinMs: 10 * 60_000 };

/**
 * If a client replaces the whole Secret, our labels are lost. Then the repair is recorded as an adoption, if the
 * mapping may adopt the Secret.
 */
const REPAIR_ACTIONS = ['repair', 'adopt'] as const;

/**
 * Whether another client keeps undoing our repairs, because we repaired the target more than five times in ten minutes.
 * The repairs are counted in the audit, so repairs of earlier processes and of other replicas count too.
 */
export async function isContested(
  audit: Pick<AuditStore, 'list'>,
  { namespace, secret }: TargetId,
  clock: Clock,
  instances: readonly string[],
): Promise<boolean> {
  const since = new Date(clock.now() - REPAIRS.withinMs).toISOString();
  const filters = instances.flatMap((instance) =>
    REPAIR_ACTIONS.map((action) => ({ namespace, secret, action, outcome: 'ok', since, instance }) as const),
  );
  // Each repair has two records, and the intents of failed repairs are listed too. So the limit is larger than the
  // number of repairs.
  const page = { limit: 4 * REPAIRS.most };
  const results = await Promise.all(filters.map((filter) => audit.list(filter, page)));
  const repairs = results.flat();
  return repairs.filter(({ phase }) => phase === 'outcome').length > REPAIRS.most;
}
