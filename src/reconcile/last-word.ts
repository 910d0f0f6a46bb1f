import type { Action, AuditRecord } from '../audit/entry.ts';
import type { AuditStore, RecordFilter } from '../audit/store.ts';
import type { ErrorCode } from '../core/error-codes.ts';
import type { Source } from '../core/mapping.ts';
import type { TargetId } from '../core/target.ts';

type Words = Pick<AuditStore, 'latest' | 'list'>;

/** The newest record of these instances that fits: others that share the audit may have targets of the same name. */
export async function lastWord(
  audit: Pick<AuditStore, 'latest'>,
  about: RecordFilter,
  actions: readonly Action[],
  instances: readonly string[],
): Promise<AuditRecord | undefined> {
  const words = await Promise.all(instances.map((instance) => audit.latest({ ...about, instance }, actions)));
  return words.reduce<AuditRecord | undefined>(
    (last, word) => (word !== undefined && word.sequence > (last?.sequence ?? 0) ? word : last),
    undefined,
  );
}

/** The actions that tell in what state a target is. */
export const TARGET_ACTIONS: readonly Action[] = [
  'create',
  'update',
  'delete',
  'repair',
  'adopt',
  'refuse',
  'hold',
  'giveUp',
  'sweep',
];

/** The actions that change a target, and the one by which a person asks for that. */
export const CHANGES: readonly Action[] = ['create', 'update', 'delete', 'repair', 'adopt', 'rollback'];

/** Ends the note of a change that was found out only when another had replaced it: its record stands behind that one's. */
export const REPLACED_SINCE = ', replaced since';

const FURTHER = 50;

/** The last write of a target for a mapping, as it was made and not as it was recorded. */
export async function lastChange(
  audit: Words,
  mapping: string,
  target: TargetId,
  instances: readonly string[],
): Promise<AuditRecord | undefined> {
  const about = { mapping, ...target, outcome: 'ok', phase: 'outcome' } as const;
  const last = await lastWord(audit, about, CHANGES, instances);
  if (last === undefined || !isReplaced(last)) return last;
  const page = { limit: FURTHER, before: last.sequence };
  const found = await Promise.all(instances.map((instance) => audit.list({ ...about, instance }, page)));
  const changes = found.flat().filter((it) => CHANGES.includes(it.action) && !isReplaced(it));
  return changes.toSorted((one, other) => other.sequence - one.sequence)[0] ?? last;
}

/** Whether it says nothing of what its target is now. */
export function isReplaced({ note }: AuditRecord): boolean {
  return note?.endsWith(REPLACED_SINCE) === true;
}

const WRITES = CHANGES.filter((action) => action !== 'delete');

/** Whether the last write of a target that was not to end it was without a source that an earlier one was made from. */
export async function isWrittenWithout(
  audit: Words,
  mapping: string,
  target: TargetId,
  { store, key }: Pick<Source, 'store' | 'key'>,
  instances: readonly string[],
): Promise<boolean> {
  const last = await lastChange(audit, mapping, target, instances);
  if (last?.after === undefined) return false;
  const about = { mapping, ...target, outcome: 'ok', phase: 'outcome' } as const;
  const written = await lastWord(audit, about, WRITES, instances);
  const from = await lastWord(audit, { ...about, store, key }, WRITES, instances);
  return from !== undefined && from.sequence !== written?.sequence;
}

/** Whether we deleted a target last, and not to make it anew at once. */
export async function isRemoved(
  audit: Words,
  mapping: string,
  target: TargetId,
  instances: readonly string[],
): Promise<boolean> {
  const last = await lastChange(audit, mapping, target, instances);
  return last?.action === 'delete' && last.after === undefined;
}

/** Whether the last word about a target is that something is wrong with it. */
export async function isUnended(
  audit: Pick<AuditStore, 'latest'>,
  mapping: string,
  target: TargetId,
  instances: readonly string[],
): Promise<boolean> {
  const word = await lastWord(audit, { mapping, ...target }, TARGET_ACTIONS, instances);
  return word !== undefined && word.outcome !== 'ok';
}

/** Of what stands in the place of a target, is not ours to change, and may be deleted to make room for ours. */
export const LET_BE: readonly string[] = ['NOT_OWNED', 'TARGET_CLAIMED', 'IMMUTABLE'] satisfies ErrorCode[];

/** `refused`: what stood in its place last was let be, and may be deleted · `ended`: it went with its namespace. */
export type LetBe = 'refused' | 'ended';

/**
 * Why a target that is gone was not taken away by hand, where nothing of ours has been there since. Other attempts that
 * failed tell nothing.
 */
export async function whyLetBe(
  audit: Words,
  mapping: string,
  target: TargetId,
  instances: readonly string[],
): Promise<LetBe | undefined> {
  const about = { mapping, ...target };
  const refused = await lastWord(audit, { ...about, outcome: 'refused' }, ['refuse'], instances);
  const missing = { ...about, outcome: 'failed', code: 'NAMESPACE_MISSING' satisfies ErrorCode } as const;
  const ended = await lastWord(audit, missing, ['refuse', 'create', 'repair'], instances);
  const refusedAt = LET_BE.includes(refused?.code ?? '') ? (refused?.sequence ?? 0) : 0;
  const endedAt = ended?.sequence ?? 0;
  if (refusedAt + endedAt === 0) return undefined;
  const written = await lastChange(audit, mapping, target, instances);
  const inStep = await lastWord(audit, { ...about, outcome: 'ok' }, ['sweep'], instances);
  if (Math.max(refusedAt, endedAt) < Math.max(written?.sequence ?? 0, inStep?.sequence ?? 0))
    return undefined;
  return endedAt > refusedAt ? 'ended' : 'refused';
}
