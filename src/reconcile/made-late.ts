import type { Action, AuditRecord, Entry } from '../audit/entry.ts';
import { type AuditStore, pagesOf } from '../audit/store.ts';
import type { ErrorCode } from '../core/error-codes.ts';
import type { LiveSecret } from '../core/secret.ts';
import type { TargetId } from '../core/target.ts';
import { isEndOfMerge } from './brake.ts';
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
  const open = await lastUnanswered(audit, mapping, live.id, WRITES, instances);
  if (open?.failed.after === undefined || !holds(live, open.failed)) return undefined;
  const { failed, intent, made } = open;
  // Where nothing was there then, or another content, that of the one before is no longer there.
  const isOther = intent.resourceVersion === undefined || failed.before !== failed.after;
  if (made !== undefined && isAlike(made, failed) && !(live.ours && isOther)) return undefined;
  const { code: _, ...same } = failed;
  return { ...same, outcome: 'ok', resourceVersion: live.resourceVersion, note: SEEN_IN_CLUSTER };
}

/**
 * The same of a deletion, or of the end of a merge, by a target that is gone: somebody else may have taken it away, and then
 * it counts as ours. It would count for nobody otherwise, and the brake would let go another one in its place.
 */
export async function removedLate(
  audit: Pick<AuditStore, 'latest' | 'list'>,
  { action, mapping, target }: Removal,
  instances: readonly string[],
): Promise<Entry | undefined> {
  const open = await lastUnanswered(audit, mapping, target, [action], instances);
  if (open === undefined || !isRemoval(open.failed)) return undefined;
  const { code: _, ...same } = open.failed;
  return { ...same, outcome: 'ok', note: SEEN_IN_CLUSTER };
}

export interface Removal {
  readonly action: 'delete' | 'update';
  readonly mapping: string;
  readonly target: TargetId;
}

const REMOVALS = ['delete', 'update'] as const;

function isRemoval(record: AuditRecord): boolean {
  return record.action === 'delete' || isEndOfMerge(record);
}

/** Those of all mappings that may have been made so since then. */
export async function maybeRemovedLate(
  audit: Pick<AuditStore, 'list'>,
  since: string,
  instances: readonly string[],
): Promise<readonly Removal[]> {
  const found = new Map<string, Removal>();
  const kinds = REMOVALS.flatMap((action) => UNANSWERED.map((code) => ({ action, code })));
  for (const instance of instances)
    for (const { action, code } of kinds) {
      // By the code: of removals that the cluster refused there may be many.
      const failed = { action, code, phase: 'outcome', outcome: 'failed', since, instance } as const;
      for await (const page of pagesOf(audit, failed, FURTHER))
        for (const record of page) {
          const { mapping, namespace, secret } = record;
          if (!isRemoval(record)) continue;
          if (mapping === undefined || namespace === undefined || secret === undefined) continue;
          const removal = { action, mapping, target: { namespace, secret } };
          found.set(JSON.stringify(removal), removal);
        }
    }
  return [...found.values()];
}

interface Unanswered {
  readonly failed: AuditRecord;
  readonly intent: AuditRecord;
  /** The last change before it. */
  readonly made: AuditRecord | undefined;
}

/** Nothing where another change was made since it was begun. */
async function lastUnanswered(
  audit: Pick<AuditStore, 'latest' | 'list'>,
  mapping: string,
  target: TargetId,
  actions: readonly Action[],
  instances: readonly string[],
): Promise<Unanswered | undefined> {
  const about = { mapping, ...target, outcome: 'failed', phase: 'outcome' } as const;
  const words = await Promise.all(
    UNANSWERED.map((code) => lastWord(audit, { ...about, code }, actions, instances)),
  );
  const [failed] = words
    .filter((it) => it !== undefined)
    .toSorted((one, other) => other.sequence - one.sequence);
  if (failed === undefined) return undefined;
  const intent = await intentOf(failed, audit);
  const made = await lastChange(audit, mapping, target, instances);
  if (intent === undefined || (made?.sequence ?? 0) > intent.sequence) return undefined;
  return { failed, intent, made };
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
