import type { AuditStore } from '../audit/store.ts';
import type { Cluster, WriteOptions } from '../cluster/cluster.ts';
import { AppError, isClusterOutage, MAX_UNANSWERED_CALLS, toAppError } from '../core/errors.ts';
import type { Fingerprinter } from '../core/fingerprint.ts';
import type { LiveSecret, MergeManifest } from '../core/secret.ts';
import { type BrakeDeps, brakeReason, type Population } from './brake.ts';
import { type Change, changesOf } from './change.ts';
import { closedWindow, type WindowDeps } from './guard.ts';
import { lookUpEach, possiblyLateRemovals, recordLateRemovals } from './late-removals.ts';
import type { Outcome, OutcomeKind, Proposal } from './outcome.ts';
import type { Recorder } from './recorder.ts';
import { applyPlan, dryRunRefusal, dryRunWrite, intentOrClosed } from './write.ts';
import { resolveFailedWrite, type WriteResult } from './write-verification.ts';

export interface DestroyDeps extends BrakeDeps, WindowDeps {
  readonly audit: BrakeDeps['audit'] & Pick<AuditStore, 'exclusively'>;
  readonly cluster: Cluster;
  readonly recorder: Recorder;
  readonly fingerprints: Fingerprinter;
  /**
   * Returns whether to carry out a proposal. Called before each removal, because the configuration may have changed. By
   * default, all proposals are carried out.
   */
  readonly isStillWanted?: ((proposal: Proposal) => boolean) | undefined;
  /** Called before the first removal, if the brake allows any. */
  readonly accept?: (() => Promise<void>) | undefined;
}

/**
 * Runs the deletion step. Only one process at a time runs it. The step counts the proposals and the recent deletions
 * within the brake's window. Then it either carries out all proposals or holds all of them.
 * @param note The note of the records of holds.
 */
export async function destroy(
  proposals: readonly Proposal[],
  population: Population,
  deps: DestroyDeps,
  note?: string,
): Promise<readonly Outcome[]> {
  const readLateRemovals = () => possiblyLateRemovals(deps);
  if (proposals.length === 0 && (await readLateRemovals()).length === 0) return [];
  return deps.audit.exclusively('destroy', async () => {
    const clusterError = await recordLateRemovals(await readLateRemovals(), deps);
    const alreadyRemoved = await findAlreadyRemoved(proposals, deps);
    const isDue = (proposal: Proposal) => !proposal.held && closedFor(proposal, deps) === undefined;
    const unheld = proposals.filter((proposal) => isDue(proposal) && !alreadyRemoved.has(proposal));
    const braked = await brakeReason(unheld, population, deps);
    if (braked === undefined && unheld.length > 0) await deps.accept?.();
    const outcomes: Outcome[] = [];
    const removeUntilAway = stopWhenAway((proposal) => remove(proposal, deps), clusterError);
    for (const proposal of proposals) {
      // Check this now, not only before the first removal: with many proposals, the last removal begins minutes later.
      if (deps.isStillWanted?.(proposal) === false) continue;
      const removal = alreadyRemoved.get(proposal);
      const closed = proposal.held ? undefined : closedFor(proposal, deps);
      if (removal !== undefined) outcomes.push({ ...outcomeOf(proposal, 'unchanged'), ...removal, keys: [] });
      else if (closed !== undefined) outcomes.push(await recordWait(proposal, closed, deps));
      else if (braked === undefined && !proposal.held) outcomes.push(await removeUntilAway(proposal));
      else outcomes.push(await recordHold(proposal, braked, deps, note));
    }
    return outcomes;
  });
}

/**
 * Stops calling `work` when the cluster is unavailable or several calls in a row got no answer. The remaining proposals
 * then fail with the same error. Later runs propose them again.
 */
function stopWhenAway(
  work: (proposal: Proposal) => Promise<Outcome>,
  away: AppError | undefined,
): (proposal: Proposal) => Promise<Outcome> {
  let unanswered = away === undefined ? 0 : MAX_UNANSWERED_CALLS;
  let lastError = away;
  return async (proposal) => {
    if (unanswered === MAX_UNANSWERED_CALLS) return outcomeOf(proposal, 'failed', lastError);
    const outcome = await work(proposal);
    lastError = outcome.error;
    unanswered = lastError !== undefined && isClusterOutage(lastError) ? unanswered + 1 : 0;
    return outcome;
  };
}

/**
 * Finds the proposals that another run has carried out. The audit contains these removals, so the brake counts them.
 */
export async function findAlreadyRemoved(
  proposals: readonly Proposal[],
  { cluster }: { readonly cluster: Pick<Cluster, 'read' | 'mergedKeys'> },
): Promise<ReadonlyMap<Proposal, { readonly alive: boolean }>> {
  const lookUp = async ({ live: { id, uid }, ending, replacement }: Proposal) => {
    try {
      const live = await cluster.read(id);
      if (live === undefined || live.deleting) return { alive: false };
      // The target has a new UID, so it was deleted and created again.
      if (replacement !== undefined && live.uid !== uid) return { alive: true };
      const isEnded = ending !== undefined && cluster.mergedKeys(live, ending.manager).length === 0;
      return isEnded ? { alive: false } : undefined;
    } catch (thrown) {
      // Ignore this error here, because the removal will report it.
      if (thrown instanceof AppError) return isClusterOutage(thrown) ? 'away' : undefined;
      throw thrown;
    }
  };
  const lookups = await lookUpEach(proposals, lookUp);
  const alreadyRemoved = new Map<Proposal, { readonly alive: boolean }>();
  for (const [index, proposal] of proposals.entries()) {
    const lookup = lookups[index];
    if (lookup !== undefined) alreadyRemoved.set(proposal, lookup);
  }
  return alreadyRemoved;
}

/** Carries out a proposal: ends a merge, or deletes the target and then creates the replacement if there is one. */
export async function remove(proposal: Proposal, deps: DestroyDeps, note?: string): Promise<Outcome> {
  const { replacement, live } = proposal;
  if (proposal.ending !== undefined) return endMerge(proposal, proposal.ending, deps, note);
  if (replacement === undefined) return removeOnly(proposal, deps, note);
  const { mapping, plan, desired } = replacement;
  const { id } = live;
  // Check before the deletion whether the replacement can be created. Because the old Secret still exists, the dry run
  // ends with a conflict, which `dryRunWrite` does not report.
  const refused = await dryRunWrite(plan, id, deps.cluster);
  if (refused !== undefined) {
    const { mapping: name, keys } = proposal;
    await deps.recorder.recordFailure(name, id, { kind: 'failed', error: refused, keys });
    return outcomeOf(proposal, 'failed', refused);
  }
  const removed = await removeOnly(proposal, deps, note);
  if (removed.kind !== 'deleted') return removed;
  // The replacement is a new Secret, but running pods have read the content of the deleted one.
  const previousContent = deps.fingerprints.target(id, live.data);
  const job = { mapping, id, attempt: 1, isRepair: false, previousContent };
  const written = await applyPlan(plan, { plan, desired, live: undefined }, job, deps);
  if (written.error === undefined) return { ...outcomeOf(proposal, 'updated'), ...written };
  return { ...outcomeOf(proposal, 'failed', written.error), alive: false };
}

/**
 * Deletes one target, and records the intent and the outcome. The request contains the UID that was read, so only the
 * Secret with this UID is deleted.
 */
async function removeOnly(proposal: Proposal, deps: DestroyDeps, note?: string): Promise<Outcome> {
  const { live } = proposal;
  const change = changeOf(proposal, 'delete', live.data, deps);
  const { error } = await recordChange(proposal, change, (how) => deps.cluster.remove(live, how), deps, note);
  return outcomeOf(proposal, error === undefined ? 'deleted' : 'failed', error);
}

/** Removes only our keys from a shared Secret. */
async function endMerge(
  proposal: Proposal,
  manifest: MergeManifest,
  deps: DestroyDeps,
  note?: string,
): Promise<Outcome> {
  const { live, keys } = proposal;
  const ownKeys = new Set(keys.map(({ name }) => name));
  const data = new Map([...live.data].filter(([name]) => ownKeys.has(name)));
  const change = changeOf(proposal, 'update', data, deps);
  const merge = (how?: WriteOptions) => deps.cluster.merge(live, manifest, how);
  const { error } = await recordChange(proposal, change, merge, deps, note);
  return outcomeOf(proposal, error === undefined ? 'updated' : 'failed', error);
}

function changeOf(
  { mapping, live, keys, replacement, approval }: Proposal,
  action: 'delete' | 'update',
  before: LiveSecret['data'],
  { clock, fingerprints }: DestroyDeps,
): Change {
  const replacementData = replacement?.plan.manifest.data;
  return {
    action,
    mapping,
    target: live.id,
    sources: [],
    keys: changesOf(keys),
    before: fingerprints.target(live.id, before),
    // `after` records that the target must exist again, in case its recreation fails or is interrupted.
    ...(replacementData === undefined ? {} : { after: fingerprints.target(live.id, replacementData) }),
    replaces: live.resourceVersion,
    uid: live.uid,
    approval,
    attempt: 1,
    startedAt: clock.now(),
  };
}

function outcomeOf({ mapping, live, keys }: Proposal, kind: OutcomeKind, error?: AppError): Outcome {
  const alive = kind !== 'deleted';
  return { kind, mapping, target: live.id, keys, alive, ...(error === undefined ? {} : { error }) };
}

/**
 * Runs the work. Records the intent before the work and the outcome after it. If the cluster still refuses the change
 * for the same reason as last time, records nothing.
 */
async function recordChange(
  { mapping, live, keys }: Proposal,
  planned: Change,
  work: (how?: WriteOptions) => Promise<{ readonly kind: 'removed' | 'written' | 'conflict' | 'missing' }>,
  { recorder, cluster }: DestroyDeps,
  note: string | undefined,
): Promise<WriteResult> {
  const { failed } = await recorder.resolvePrevious(mapping, live.id, { live: undefined, restart: [] });
  const error = await dryRunRefusal(failed, work);
  if (error !== undefined) {
    await recorder.recordFailure(mapping, live.id, { kind: 'failed', error, keys });
    return { error };
  }
  const change = await intentOrClosed(planned, recorder);
  if (change instanceof AppError) return { error: change };
  try {
    const { kind } = await work();
    const error = kind === 'conflict' ? new AppError('CONFLICT') : undefined;
    await recorder.outcome(change, { ...(error ? { error } : {}), ...(note === undefined ? {} : { note }) });
    return error === undefined ? {} : { error };
  } catch (thrown) {
    const error = toAppError(thrown);
    if (error.code === 'AUDIT_UNAVAILABLE') throw error;
    return resolveFailedWrite(error, change, { recorder, cluster });
  }
}

/** Returns the error of a removal that must wait for its window. */
export function closedFor(
  { mapping, live: { id } }: Proposal,
  deps: Pick<DestroyDeps, 'windows' | 'clock'>,
): AppError | undefined {
  return closedWindow({ mapping, namespace: id.namespace, isExempt: false }, deps);
}

async function recordWait(
  proposal: Proposal,
  error: AppError,
  { recorder }: Pick<DestroyDeps, 'recorder'>,
): Promise<Outcome> {
  const { mapping, live, keys } = proposal;
  await recorder.recordFailure(mapping, live.id, { kind: 'refused', error, keys });
  return outcomeOf(proposal, 'waiting', error);
}

async function recordHold(
  { mapping, live, keys, held, ending }: Proposal,
  braked: string | undefined,
  { recorder }: DestroyDeps,
  note: string | undefined,
): Promise<Outcome> {
  const noKey = `no key${ending === undefined ? '' : ' of ours'} would be left`;
  const error = new AppError('HELD', { detail: held || braked === undefined ? noKey : braked });
  const heldSince = await recorder.recordFailure(mapping, live.id, { kind: 'held', error, keys, note });
  return { kind: 'held', mapping, target: live.id, keys, error, alive: true, heldSince };
}
