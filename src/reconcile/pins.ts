import type { AuditRecord, Entry } from '../audit/entry.ts';
import type { AuditStore } from '../audit/store.ts';
import type { TargetId } from '../core/target.ts';
import type { Pin } from '../sync/pin.ts';

// `rollback` and `unpin` are records, and the last one of a target decides. Nothing else holds a pin.

/** Whether a target is pinned, by the last word of these instances. @throws AppError AUDIT_UNAVAILABLE */
export async function readPin(
  audit: Pick<AuditStore, 'latest'>,
  mapping: string,
  { namespace, secret }: TargetId,
  instances: readonly string[],
): Promise<Pin | undefined> {
  let last: AuditRecord | undefined;
  for (const instance of instances) {
    const about = { mapping, namespace, secret, outcome: 'ok', instance } as const;
    const found = await audit.latest(about, ['rollback', 'unpin']);
    if (found !== undefined && found.sequence > (last?.sequence ?? 0)) last = found;
  }
  return last?.action === 'rollback' ? pinOf(last) : undefined;
}

/** What the note of a rollback says beside its sources: the record that it goes back to, and which stores these were. */
export function pinNote({ to, stores }: Pick<Pin, 'to' | 'stores'>): string {
  return [`to record ${to}`, ...[...stores].map(([name, hash]) => `${name}@${shortened(hash)}`)].join(' ');
}

/** Enough of a store's definition to tell it from another one under the same name. */
export function shortened(definition: string): string {
  return definition.slice(0, 8);
}

function pinOf({ sources, note = '' }: Pick<Entry, 'sources' | 'note'>): Pin | undefined {
  const [, to, stores = ''] = /^to record (\d+)(.*)$/.exec(note) ?? [];
  if (to === undefined) return undefined;
  const pairs = [...stores.matchAll(/ ([^ @]+)@([^ @]+)/g)].map(
    ([, name = '', hash = '']) => [name, hash] as const,
  );
  return { to: Number(to), sources, stores: new Map(pairs) };
}
