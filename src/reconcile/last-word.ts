import type { Action, AuditRecord } from '../audit/entry.ts';
import type { AuditStore, RecordFilter } from '../audit/store.ts';

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
