import { findLastBreak } from '../audit/decisions.ts';
import type { AuditRecord, Entry, KeyChanges } from '../audit/entry.ts';
import { type AuditStore, pagesOf } from '../audit/store.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { MAX_UNANSWERED_CALLS } from '../core/errors.ts';
import type { Workload } from '../core/mapping.ts';
import type { TargetId } from '../core/target.ts';
import { createUnresolvedIntents, restartIntents, SAME_BYTES, type UnresolvedIntents } from './change.ts';
import { lastChange, REPLACED_SINCE } from './latest-records.ts';
import { type Applied, SEEN_IN_CLUSTER, verifyWrite, type WriteVerification } from './write-verification.ts';

export interface RecoverDeps {
  readonly audit: AuditStore;
  readonly cluster: Pick<Cluster, 'read'>;
  /** The current name of the instance, and its former names. */
  readonly instances: readonly string[];
  /**
   * Returns the workloads that a mapping restarts. If the recovery finds that a change was applied, these workloads are
   * restarted as after any other change.
   */
  readonly restartOf?: (mapping: string) => readonly Workload[];
  /** The changes of this process without a recorded outcome. */
  readonly unresolvedIntents?: UnresolvedIntents;
  /**
   * Called for a change that turned out not to be applied. The record of its failure becomes the latest record of the
   * target, even if another process has already brought the target in sync.
   */
  readonly onNotApplied?: (mapping: string, target: TargetId) => void;
}

/**
 * Reads the cluster to find the outcome of each unresolved intent, and records the outcome. An intent is unresolved
 * after a crash, or if its outcome could not be recorded. It stays unresolved while the cluster does not answer.
 * Intents of other instances are skipped, because they may concern another cluster. Resolves with the number of intents
 * that were resolved.
 */
export async function recoverIntents({
  audit,
  cluster,
  instances,
  restartOf = () => [],
  unresolvedIntents = createUnresolvedIntents(),
  onNotApplied = () => undefined,
}: RecoverDeps): Promise<number> {
  // Skip restart intents. They are pending restarts, which the restart cycle carries out.
  const readOwnIntents = async () =>
    (await unresolvedIntents.refresh(() => audit.unresolvedIntents(unresolvedIntents.has))).filter(
      ({ instance, action }) => instances.includes(instance) && action !== 'restart',
    );
  if ((await readOwnIntents()).length === 0) return 0;
  // Only one process at a time may resolve intents. Otherwise two processes would each record an outcome of the same
  // intent.
  return audit.exclusively('recover', async () =>
    closeAll(await readOwnIntents(), {
      audit,
      cluster,
      instances,
      restartOf,
      unresolvedIntents,
      onNotApplied,
    }),
  );
}

async function closeAll(
  intents: readonly AuditRecord[],
  { audit, cluster, instances, restartOf, unresolvedIntents, onNotApplied }: Required<RecoverDeps>,
): Promise<number> {
  let closed = 0;
  let unanswered = 0;
  // Newest first: if several intents have the same content, only the newest one was applied. If an earlier one had been
  // applied before the newest began, there would have been nothing left to write.
  for (const intent of intents.toSorted((a, b) => b.sequence - a.sequence)) {
    const verification = await verifyIntent(intent, cluster);
    unanswered = verification.kind === 'unknown' && verification.isAway ? unanswered + 1 : 0;
    if (unanswered === MAX_UNANSWERED_CALLS) break;
    if (verification.kind === 'unknown') continue;
    const { isClosed, isHidden } = await findOutcome(intent, audit);
    if (isClosed) continue;
    const isApplied =
      verification.kind === 'applied' && !(await isFromLaterChange(intent, { audit, instances }));
    const applied = isApplied ? verification : await appliedBeforeNext(intent, audit);
    const outcome = outcomeOf(intent, applied, {
      isOurs: unresolvedIntents.has(intent),
      isReplaced: !isApplied,
    });
    // After a deletion there is no restart, because no content is left that pods could read. After a replaced change,
    // the next change restarts the workloads, unless it wrote the same content.
    const isContentCurrent =
      isApplied || (applied !== undefined && (await isContentUnchangedSince(intent, { audit, instances })));
    const needsRestart =
      isContentCurrent && !isHidden && intent.action !== 'delete' && intent.note !== SAME_BYTES;
    const restart = needsRestart ? restartOf(intent.mapping ?? '') : [];
    await audit.append([outcome, ...restartIntents(outcome, restart)]);
    closed += 1;
    const { mapping = '', namespace = '', secret = '' } = intent;
    if (outcome.outcome === 'failed') onNotApplied(mapping, { namespace, secret });
  }
  return closed;
}

/**
 * Searches all records since an intent for its outcome. Somebody with access to the database can make an old intent look
 * unresolved. `isHidden`: records are missing, which may have contained the outcome.
 */
async function findOutcome(
  { sequence, requestId, namespace, secret, attempt }: AuditRecord,
  audit: Pick<AuditStore, 'storedRecords' | 'head'>,
): Promise<{ readonly isClosed: boolean; readonly isHidden: boolean }> {
  let isClosed = false;
  const broken = await findLastBreak(audit, sequence, (record) => {
    const isSameChange =
      record.action !== 'restart' && record.requestId === requestId && record.attempt === attempt;
    const isSameTarget = record.namespace === namespace && record.secret === secret;
    if (record.phase === 'outcome' && isSameChange && isSameTarget) isClosed = true;
  });
  return { isClosed, isHidden: broken !== undefined };
}

async function verifyIntent(intent: AuditRecord, cluster: Pick<Cluster, 'read'>): Promise<WriteVerification> {
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
  return verifyWrite(change, cluster);
}

/**
 * Whether a later recorded change of another process explains the current state of the cluster. The resource version
 * proves nothing, because other writers also change the Secret, for example other merging mappings.
 */
async function isFromLaterChange(
  { sequence, mapping = '', namespace = '', secret = '', action, after }: AuditRecord,
  { audit, instances }: Pick<RecoverDeps, 'audit' | 'instances'>,
): Promise<boolean> {
  const last = await lastChange(audit, mapping, { namespace, secret }, instances);
  if (last === undefined || last.sequence < sequence) return false;
  return action === 'delete' ? last.action === 'delete' : last.after === after;
}

/** Whether the last change is newer than this one and wrote the same content again. */
async function isContentUnchangedSince(
  { mapping = '', namespace = '', secret = '', after }: AuditRecord,
  { audit, instances }: Pick<RecoverDeps, 'audit' | 'instances'>,
): Promise<boolean> {
  const last = await lastChange(audit, mapping, { namespace, secret }, instances);
  return last !== undefined && last.before === after && last.after === after;
}

const PAGE = 100;

/**
 * Whether this change was applied before the next change of the same target replaced it. A deletion was applied if the
 * next change of any mapping found no Secret. For a change without new values the answer is no, because the next change
 * looks the same whether or not this one was applied.
 */
async function appliedBeforeNext(
  intent: AuditRecord,
  audit: Pick<AuditStore, 'list'>,
): Promise<Applied | undefined> {
  const { sequence, instance, mapping, namespace, secret, before, after, resourceVersion, action } = intent;
  if (mapping === undefined || namespace === undefined || secret === undefined) return undefined;
  const isDeletion = action === 'delete';
  if (!isDeletion && (after === undefined || after === before)) return undefined;
  let next: AuditRecord | undefined;
  const filter = { instance, namespace, secret, phase: 'intent' } as const;
  const intents = isDeletion ? filter : { ...filter, mapping };
  for await (const page of pagesOf(audit, intents, PAGE)) {
    const later = page.filter((record) => record.sequence > sequence);
    next = later.findLast(({ action }) => action !== 'restart') ?? next;
    if (later.length < page.length) break;
  }
  if (next === undefined) return undefined;
  if (isDeletion) return next.resourceVersion === undefined ? { kind: 'applied' } : undefined;
  // If the next change replaced no version, it found no Secret. If it replaced the same version as this change, this
  // change was not applied.
  if (next.resourceVersion === undefined || next.resourceVersion === resourceVersion) return undefined;
  if (next.before === after) return { kind: 'applied', resourceVersion: next.resourceVersion };
  return isUnderForeignEdit(intent, next) ? { kind: 'applied' } : undefined;
}

/**
 * Whether this change was applied, and somebody edited the target by hand before the next change. If this change
 * created the target and the next change found a target, this change was applied. Otherwise compare the keys: if the
 * next change led to the same content but changed fewer keys, this change had already written some of them.
 */
function isUnderForeignEdit({ resourceVersion, keys, after }: AuditRecord, next: AuditRecord): boolean {
  if (resourceVersion === undefined) return next.action === 'update' || next.action === 'repair';
  const nextKeys = new Set(keysOf(next.keys));
  return next.after === after && keysOf(keys).some((key) => !nextKeys.has(key));
}

function keysOf({ added, changed, removed }: KeyChanges): readonly string[] {
  return [...added, ...changed, ...removed];
}

function outcomeOf(
  intent: AuditRecord,
  applied: Applied | undefined,
  { isOurs, isReplaced }: { readonly isOurs: boolean; readonly isReplaced: boolean },
): Entry {
  const { resourceVersion: _, ...fields } = intent;
  const how = isOurs ? SEEN_IN_CLUSTER : 'found after a crash';
  const base = {
    ...fields,
    ...(isOurs ? {} : { actor: { kind: 'startup' } as const }),
    note: applied !== undefined && isReplaced ? how + REPLACED_SINCE : how,
    phase: 'outcome',
  } as const;
  if (applied === undefined) return { ...base, outcome: 'failed', code: 'INTERRUPTED' };
  const { resourceVersion } = applied;
  return { ...base, outcome: 'ok', ...(resourceVersion === undefined ? {} : { resourceVersion }) };
}
