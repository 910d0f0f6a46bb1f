import type { AuditRecord, Entry } from '../audit/entry.ts';
import type { AuditStore } from '../audit/store.ts';
import type { ErrorCode } from '../core/error-codes.ts';
import type { LiveSecret } from '../core/secret.ts';
import { CHANGES, lastChange, lastWord } from './last-word.ts';
import { holds, SEEN_IN_CLUSTER, sourceText } from './sighting.ts';

/** Why a write is on record as failed that nobody has answered, and that a look has not found. */
const UNANSWERED: readonly ErrorCode[] = ['CLUSTER_UNAVAILABLE', 'INTERRUPTED', 'INTERNAL'];

const WRITES = CHANGES.filter((action) => action !== 'delete' && action !== 'rollback');

/**
 * An API server that was cut off from us goes on with what it has begun, so that a write may be made after the look that
 * did not find it. Gives the outcome that it should have had; nothing where no such write is on record, where another one
 * was made since, or where the target does not tell it from the one before.
 */
export async function madeLate(
  audit: Pick<AuditStore, 'latest' | 'list'>,
  mapping: string,
  live: LiveSecret,
  instances: readonly string[],
): Promise<Entry | undefined> {
  const about = { mapping, ...live.id, outcome: 'failed', phase: 'outcome' } as const;
  const words = await Promise.all(
    UNANSWERED.map((code) => lastWord(audit, { ...about, code }, WRITES, instances)),
  );
  const [failed] = words
    .filter((it) => it !== undefined)
    .toSorted((one, other) => other.sequence - one.sequence);
  if (failed?.after === undefined || !holds(live, failed)) return undefined;
  const made = await lastChange(audit, mapping, live.id, instances);
  if (made !== undefined && (made.sequence > failed.sequence || isAlike(made, failed))) return undefined;
  const { code: _, ...same } = failed;
  return { ...same, outcome: 'ok', resourceVersion: live.resourceVersion, note: SEEN_IN_CLUSTER };
}

function isAlike(one: AuditRecord, other: AuditRecord): boolean {
  const sourcesOf = ({ sources }: AuditRecord) => sources.map(sourceText).sort().join();
  return one.after === other.after && sourcesOf(one) === sourcesOf(other);
}
