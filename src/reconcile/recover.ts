import type { AuditRecord, Entry, KeyChanges } from '../audit/entry.ts';
import { type AuditStore, pagesOf } from '../audit/store.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { MOST_UNANSWERED } from '../core/away.ts';
import type { Workload } from '../core/mapping.ts';
import type { TargetId } from '../core/target.ts';
import { SAME_BYTES } from './change.ts';
import { lastChange, REPLACED_SINCE } from './last-word.ts';
import { createLeftOpen, type LeftOpen } from './left-open.ts';
import { restartIntents } from './restart-intents.ts';
import { type Applied, lookFor, SEEN_IN_CLUSTER, type Sighting } from './sighting.ts';

export interface RecoverDeps {
  readonly audit: AuditStore;
  readonly cluster: Pick<Cluster, 'read'>;
  /** This one and those that it was before. */
  readonly instances: readonly string[];
  /** What a mapping wants restarted, since a change that is found to be made counts like any other. */
  readonly restartOf?: (mapping: string) => readonly Workload[];
  /** What this process left open itself. */
  readonly leftOpen?: LeftOpen;
  /**
   * Told of what was not made. That is the last word about its target then, though another process may have brought it into
   * step long before: only a look at it tells.
   */
  readonly onNotMade?: (mapping: string, target: TargetId) => void;
}

/**
 * Gives each intent that was left open its outcome, by looking at the cluster: by a process that crashed, and by
 * this one when it could not record what became of a change. Those that cannot be looked at now stay open, and so do
 * those of other instances, whose cluster may be another. Resolves with how many were closed.
 */
export async function recoverIntents({
  audit,
  cluster,
  instances,
  restartOf = () => [],
  leftOpen = createLeftOpen(),
  onNotMade = () => undefined,
}: RecoverDeps): Promise<number> {
  // The restart of a workload is work that waits; whoever takes it up looks at the workload.
  const left = async () =>
    (await leftOpen.look(() => audit.unresolved(leftOpen.has))).filter(
      ({ instance, action }) => instances.includes(instance) && action !== 'restart',
    );
  if ((await left()).length === 0) return 0;
  // One at a time, since two that look together would each record what became of it.
  return audit.exclusively('recover', async () =>
    closeAll(await left(), { audit, cluster, instances, restartOf, leftOpen, onNotMade }),
  );
}

async function closeAll(
  intents: readonly AuditRecord[],
  { audit, cluster, instances, restartOf, leftOpen, onNotMade }: Required<RecoverDeps>,
): Promise<number> {
  let closed = 0;
  let unanswered = 0;
  // Of several that meant the same, the newest: it would not have been begun if an earlier one had been seen.
  for (const intent of intents.toSorted((one, other) => other.sequence - one.sequence)) {
    const sighting = await sightingOf(intent, cluster);
    unanswered = sighting.kind === 'unknown' && sighting.isAway ? unanswered + 1 : 0;
    if (unanswered === MOST_UNANSWERED) break;
    if (sighting.kind === 'unknown') continue;
    const isMade = sighting.kind === 'applied' && !(await isOfLater(intent, { audit, instances }));
    const found = isMade ? sighting : await foundByNext(intent, audit);
    const outcome = outcomeOf(intent, found, { isOurs: leftOpen.has(intent), isReplaced: !isMade });
    // A deletion between two versions of a target is no content that pods could read; and what the next change has
    // replaced is restarted for by that one, unless that left the content as it was.
    const isContent = isMade || (found !== undefined && (await isContentStill(intent, { audit, instances })));
    const isOther = isContent && intent.action !== 'delete' && intent.note !== SAME_BYTES;
    const restart = isOther ? restartOf(intent.mapping ?? '') : [];
    await audit.append([outcome, ...restartIntents(outcome, restart)]);
    closed += 1;
    const { mapping = '', namespace = '', secret = '' } = intent;
    if (outcome.outcome === 'failed') onNotMade(mapping, { namespace, secret });
  }
  return closed;
}

async function sightingOf(intent: AuditRecord, cluster: Pick<Cluster, 'read'>): Promise<Sighting> {
  const { namespace, secret, after, sources, resourceVersion, action, mapping = '' } = intent;
  if (namespace === undefined || secret === undefined) return { kind: 'unknown' };
  const change = {
    target: { namespace, secret },
    action,
    mapping,
    sources,
    ...(after === undefined ? {} : { after }),
    ...(resourceVersion === undefined ? {} : { replaces: resourceVersion }),
  };
  return lookFor(change, cluster);
}

/**
 * Whether what was found is on record as made by a later change: another process has made it meanwhile. Not by the
 * version of the Secret, which goes on with what others write into it, another mapping that merges among them.
 */
async function isOfLater(
  { sequence, mapping = '', namespace = '', secret = '', action, after }: AuditRecord,
  { audit, instances }: Pick<RecoverDeps, 'audit' | 'instances'>,
): Promise<boolean> {
  const last = await lastChange(audit, mapping, { namespace, secret }, instances);
  if (last === undefined || last.sequence < sequence) return false;
  return action === 'delete' ? last.action === 'delete' : last.after === after;
}

/** Whether the last change, which came after it, wrote the same content anew. */
async function isContentStill(
  { mapping = '', namespace = '', secret = '', after }: AuditRecord,
  { audit, instances }: Pick<RecoverDeps, 'audit' | 'instances'>,
): Promise<boolean> {
  const last = await lastChange(audit, mapping, { namespace, secret }, instances);
  return last !== undefined && last.before === after && last.after === after;
}

const PAGE = 100;

/**
 * What the next change of the same target found in place, where that is what this one would have made: it was made, and
 * has been replaced since. Of a deletion that is nothing, whichever mapping has the target then. One that would have
 * changed no value is not told from one that was not made.
 */
async function foundByNext(
  intent: AuditRecord,
  audit: Pick<AuditStore, 'list'>,
): Promise<Applied | undefined> {
  const { sequence, instance, mapping, namespace, secret, before, after, resourceVersion, action } = intent;
  if (mapping === undefined || namespace === undefined || secret === undefined) return undefined;
  const isDeletion = action === 'delete';
  if (!isDeletion && (after === undefined || after === before)) return undefined;
  let next: AuditRecord | undefined;
  const about = { instance, namespace, secret, phase: 'intent' } as const;
  const intents = isDeletion ? about : { ...about, mapping };
  for await (const page of pagesOf(audit, intents, PAGE)) {
    const later = page.filter((record) => record.sequence > sequence);
    next = later.findLast(({ action }) => action !== 'restart') ?? next;
    if (later.length < page.length) break;
  }
  if (next === undefined) return undefined;
  if (isDeletion) return next.resourceVersion === undefined ? { kind: 'applied' } : undefined;
  // Made anew after a deletion, it has nothing before it, and no version that it replaces.
  if (next.resourceVersion === undefined || next.resourceVersion === resourceVersion) return undefined;
  if (next.before === after) return { kind: 'applied', resourceVersion: next.resourceVersion };
  return isBelowEdit(intent, next) ? { kind: 'applied' } : undefined;
}

/**
 * Whether the next change found this one under the edit of somebody else. Where there was nothing, nobody else makes a
 * target of ours; and of what this one was to change, the next one that wants the same found some as it should be.
 */
function isBelowEdit({ resourceVersion, keys, after }: AuditRecord, next: AuditRecord): boolean {
  if (resourceVersion === undefined) return next.action === 'update' || next.action === 'repair';
  const left = new Set(keysOf(next.keys));
  return next.after === after && keysOf(keys).some((key) => !left.has(key));
}

function keysOf({ added, changed, removed }: KeyChanges): readonly string[] {
  return [...added, ...changed, ...removed];
}

function outcomeOf(
  intent: AuditRecord,
  made: Applied | undefined,
  { isOurs, isReplaced }: { readonly isOurs: boolean; readonly isReplaced: boolean },
): Entry {
  const { resourceVersion: _, ...same } = intent;
  const how = isOurs ? SEEN_IN_CLUSTER : 'found after a crash';
  const base = {
    ...same,
    ...(isOurs ? {} : { actor: { kind: 'startup' } as const }),
    note: made !== undefined && isReplaced ? how + REPLACED_SINCE : how,
    phase: 'outcome',
  } as const;
  if (made === undefined) return { ...base, outcome: 'failed', code: 'INTERRUPTED' };
  const { resourceVersion } = made;
  return { ...base, outcome: 'ok', ...(resourceVersion === undefined ? {} : { resourceVersion }) };
}
