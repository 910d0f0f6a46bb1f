import type { TargetId } from '../../core/target.ts';
import type { AuditRecord, EntrySource } from '../entry.ts';
import { WRITE_ACTIONS } from '../record-index.ts';
import type { LinkedAudit } from './change-links.ts';

/** A key of a Secret, with the fingerprint of its value and the write that gave it this value. */
export interface PresentKey {
  readonly name: string;
  readonly fingerprint?: string;
  readonly since: string;
  readonly sequence: number;
}

/** The content of a Secret according to the audit. */
export interface PresentContent {
  /** The last write, if the Secret still exists because of it. */
  readonly sequence: number;
  readonly time: string;
  readonly action: AuditRecord['action'];
  readonly keys: readonly PresentKey[];
  readonly sources: readonly EntrySource[];
}

/** The number of writes that are read. A key that none of them wrote is not listed. */
const WRITES = 60;

/** Returns what the last writes of a target say about its content. Undefined if it was deleted or never written. */
export async function presentContent(
  { index }: Pick<LinkedAudit, 'index'>,
  target: TargetId,
): Promise<PresentContent | undefined> {
  const done = await doneWrites(index, target, WRITES);
  const [last] = done;
  if (last === undefined || last.action === 'delete') return undefined;
  const { sequence, time, action, sources } = last;
  return { sequence, time, action, keys: keysAfter(done), sources };
}

/** Returns the successful writes of a target, newest first. @param before Ignore this sequence and later ones. */
export async function doneWrites(
  index: LinkedAudit['index'],
  target: TargetId,
  limit: number,
  before = Number.MAX_SAFE_INTEGER,
): Promise<readonly AuditRecord[]> {
  const writes = await index.targetNeighbors(target, {
    ...{ side: 'before', sequence: before, actions: WRITE_ACTIONS, limit },
  });
  return writes.filter(({ phase, outcome }) => phase === 'outcome' && outcome === 'ok');
}

/** @param writes Newest first. */
function keysAfter(writes: readonly AuditRecord[]): readonly PresentKey[] {
  const keys = new Map<string, PresentKey | undefined>();
  for (const { action, keys: changed, values = {}, time, sequence } of writes) {
    if (action === 'delete') break;
    for (const name of changed.removed) if (!keys.has(name)) keys.set(name, undefined);
    for (const name of [...changed.added, ...changed.changed, ...Object.keys(values)]) {
      if (keys.has(name)) continue;
      const fingerprint = Object.hasOwn(values, name) ? values[name] : undefined;
      keys.set(name, { name, ...(fingerprint === undefined ? {} : { fingerprint }), since: time, sequence });
    }
  }
  return [...keys.values()].flatMap((key) => key ?? []).sort((a, b) => (a.name < b.name ? -1 : 1));
}
