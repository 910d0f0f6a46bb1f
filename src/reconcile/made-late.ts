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
  const intent = await intentOf(failed, audit);
  const made = await lastChange(audit, mapping, live.id, instances);
  if (intent === undefined || (made?.sequence ?? 0) > intent.sequence) return undefined;
  // Where nothing was there then, or another content, that of the one before is no longer there.
  const isOther = intent.resourceVersion === undefined || failed.before !== failed.after;
  if (made !== undefined && isAlike(made, failed) && !(live.ours && isOther)) return undefined;
  const { code: _, ...same } = failed;
  return { ...same, outcome: 'ok', resourceVersion: live.resourceVersion, note: SEEN_IN_CLUSTER };
}

const FURTHER = 50;

async function intentOf(
  { requestId: request, mapping = '', namespace = '', secret = '', attempt }: AuditRecord,
  audit: Pick<AuditStore, 'list'>,
): Promise<AuditRecord | undefined> {
  const about = { request, mapping, namespace, secret, phase: 'intent' } as const;
  const intents = await audit.list(about, { limit: FURTHER });
  return intents.find((it) => it.attempt === attempt && it.action !== 'restart');
}

function isAlike(one: AuditRecord, other: AuditRecord): boolean {
  const sourcesOf = ({ sources }: AuditRecord) => sources.map(sourceText).sort().join();
  return one.after === other.after && sourcesOf(one) === sourcesOf(other);
}
