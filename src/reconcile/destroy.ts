import type { AuditStore } from '../audit/store.ts';
import type { Cluster, WriteOptions } from '../cluster/cluster.ts';
import { isAway, MOST_UNANSWERED } from '../core/away.ts';
import { AppError, toAppError } from '../core/errors.ts';
import type { Fingerprinter } from '../core/fingerprint.ts';
import { mapConcurrently } from '../core/map-concurrently.ts';
import type { LiveSecret, MergeManifest } from '../core/secret.ts';
import { formatTarget } from '../core/target.ts';
import { type BrakeDeps, type Population, whyBraked } from './brake.ts';
import { type Change, changesOf } from './change.ts';
import { maybeRemovedLate, type Removal, removedLate } from './made-late.ts';
import type { Outcome, OutcomeKind, Proposal } from './outcome.ts';
import type { Recorder } from './recorder.ts';
import { afterFailedWrite, lookFor, type Written } from './sighting.ts';
import { carryOut, refusedAgain, rehearse } from './write.ts';

export interface DestroyDeps extends BrakeDeps {
  readonly audit: Pick<AuditStore, 'list' | 'exclusively'>;
  readonly cluster: Cluster;
  readonly recorder: Recorder;
  readonly fingerprints: Fingerprinter;
  /** Asked before each: the configuration may want otherwise by then. Left out: all are meant to the end. */
  readonly isMeant?: ((proposal: Proposal) => boolean) | undefined;
}

/**
 * The one destroying step: by one process at a time, it sums what is proposed and what was destroyed within the
 * window, and then destroys all of it or holds all of it.
 * @param note Of the records of what is held.
 */
export async function destroy(
  proposals: readonly Proposal[],
  population: Population,
  deps: DestroyDeps,
  note?: string,
): Promise<readonly Outcome[]> {
  const late = () => maybeLate(deps);
  if (proposals.length === 0 && (await late()).length === 0) return [];
  return deps.audit.exclusively('destroy', async () => {
    const away = await closeLate(await late(), deps);
    const gone = await goneAmong(proposals, deps);
    const free = proposals.filter((it) => !it.held && !gone.has(it));
    const braked = await whyBraked(free, population, deps);
    const outcomes: Outcome[] = [];
    const removing = untilAway((proposal) => remove(proposal, deps), away);
    for (const proposal of proposals) {
      // Of many, the last ones come minutes after the first.
      if (deps.isMeant?.(proposal) === false) continue;
      const ended = gone.get(proposal);
      if (ended !== undefined) outcomes.push({ ...endOf(proposal, 'unchanged'), ...ended, keys: [] });
      else if (braked === undefined && !proposal.held) outcomes.push(await removing(proposal));
      else outcomes.push(await hold(proposal, braked, deps, note));
    }
    return outcomes;
  });
}

function maybeLate({ audit, clock, brake, instances }: BrakeDeps): Promise<readonly Removal[]> {
  const since = new Date(clock.now() - brake.windowMs).toISOString();
  return maybeRemovedLate(audit, since, instances);
}

/** How many were made that nobody answered, which whoever destroys next will find, too. */
export async function countLate(
  deps: BrakeDeps & { readonly audit: Pick<AuditStore, 'latest'>; readonly cluster: Pick<Cluster, 'read'> },
): Promise<number> {
  const { made } = await lookForLate(await maybeLate(deps), deps);
  const late = await Promise.all(made.map((it) => removedLate(deps.audit, it, deps.instances)));
  return late.filter((it) => it !== undefined).length;
}

/**
 * Of removals that nobody answered. What cannot be looked at now is looked at by the next one that destroys; gives why, where
 * the cluster is away: what it has removed late is not known then, and would not count for the brake.
 */
async function closeLate(
  removals: readonly Removal[],
  { cluster, recorder }: Pick<DestroyDeps, 'cluster' | 'recorder'>,
): Promise<AppError | undefined> {
  const { made, away } = await lookForLate(removals, { cluster });
  for (const removal of made) await recorder.gone(removal);
  return away;
}

async function lookForLate(
  removals: readonly Removal[],
  { cluster }: { readonly cluster: Pick<Cluster, 'read'> },
): Promise<{ readonly made: readonly Removal[]; readonly away: AppError | undefined }> {
  let away: AppError | undefined;
  const seen = await lookAtEach(removals, async (it) => {
    const found = await lookFor({ ...it, sources: [] }, cluster);
    if (found.kind !== 'unknown' || !found.isAway) return found;
    away = new AppError('CLUSTER_UNAVAILABLE', { about: formatTarget(it.target) });
    return 'away';
  });
  return { made: removals.filter((_, index) => seen[index]?.kind === 'applied'), away };
}

/**
 * Begins no more when the cluster has not answered for some in a row, or is known to be away. What was not begun fails for the
 * same, and is proposed again.
 */
function untilAway(
  work: (proposal: Proposal) => Promise<Outcome>,
  away: AppError | undefined,
): (proposal: Proposal) => Promise<Outcome> {
  let unanswered = away === undefined ? 0 : MOST_UNANSWERED;
  let last = away;
  return async (proposal) => {
    if (unanswered === MOST_UNANSWERED) return endOf(proposal, 'failed', last);
    const outcome = await work(proposal);
    last = outcome.error;
    unanswered = last !== undefined && isAway(last) ? unanswered + 1 : 0;
    return outcome;
  };
}

/** What another run has ended since it was proposed here: it counts already, and is on record. */
export async function goneAmong(
  proposals: readonly Proposal[],
  { cluster }: { readonly cluster: Pick<Cluster, 'read' | 'mergedKeys'> },
): Promise<ReadonlyMap<Proposal, { readonly alive: boolean }>> {
  const look = async ({ live: { id, uid }, ending, replacement }: Proposal) => {
    try {
      const live = await cluster.read(id);
      if (live === undefined || live.deleting) return { alive: false };
      // It was made anew already.
      if (replacement !== undefined && live.uid !== uid) return { alive: true };
      const isEnded = ending !== undefined && cluster.mergedKeys(live, ending.manager).length === 0;
      return isEnded ? { alive: false } : undefined;
    } catch (thrown) {
      // Whoever destroys it will see.
      if (thrown instanceof AppError) return isAway(thrown) ? 'away' : undefined;
      throw thrown;
    }
  };
  const seen = await lookAtEach(proposals, look);
  const gone = new Map<Proposal, { readonly alive: boolean }>();
  for (const [index, proposal] of proposals.entries()) {
    const found = seen[index];
    if (found !== undefined) gone.set(proposal, found);
  }
  return gone;
}

/** Secrets that are read at a time. */
const READS = 16;

/** In their order; of those behind some in a row for which the cluster did not answer, nothing is asked. */
async function lookAtEach<In, Out>(
  items: readonly In[],
  look: (item: In) => Promise<Out | 'away'>,
): Promise<readonly (Out | undefined)[]> {
  let unanswered = 0;
  return mapConcurrently(items, READS, async (item) => {
    if (unanswered >= MOST_UNANSWERED) return undefined;
    const found = await look(item);
    unanswered = found === 'away' ? unanswered + 1 : 0;
    return found === 'away' ? undefined : found;
  });
}

/** Carries out a proposal: the deletion, and what takes the place of the target at once. */
export async function remove(proposal: Proposal, deps: DestroyDeps, note?: string): Promise<Outcome> {
  const { replacement, live } = proposal;
  if (proposal.ending !== undefined) return endMerge(proposal, proposal.ending, deps, note);
  if (replacement === undefined) return removeOnly(proposal, deps, note);
  const { mapping, plan, desired } = replacement;
  const { id } = live;
  // While the old one is still there: that it is, is what the cluster says when nothing else is wrong.
  const refused = await rehearse(plan, id, deps.cluster);
  if (refused !== undefined) {
    const { mapping: name, keys } = proposal;
    await deps.recorder.setback(name, id, { kind: 'failed', error: refused, keys });
    return endOf(proposal, 'failed', refused);
  }
  const removed = await removeOnly(proposal, deps, note);
  if (removed.kind !== 'deleted') return removed;
  // What pods have read is what it held before, although it is created.
  const held = deps.fingerprints.target(id, live.data);
  const job = { mapping, id, attempt: 1, repairs: false, held };
  const written = await carryOut(plan, { plan, desired, live: undefined }, job, deps);
  if (written.error === undefined) return { ...endOf(proposal, 'updated'), ...written };
  return { ...endOf(proposal, 'failed', written.error), alive: false };
}

/** One deletion between its two records. It carries the identity of the object that was read. */
async function removeOnly(proposal: Proposal, deps: DestroyDeps, note?: string): Promise<Outcome> {
  const { live } = proposal;
  const change = changeOf(proposal, 'delete', live.data, deps);
  const { error } = await recorded(proposal, change, (how) => deps.cluster.remove(live, how), deps, note);
  return endOf(proposal, error === undefined ? 'deleted' : 'failed', error);
}

/** Our keys go, and nothing else does. */
async function endMerge(
  proposal: Proposal,
  manifest: MergeManifest,
  deps: DestroyDeps,
  note?: string,
): Promise<Outcome> {
  const { live, keys } = proposal;
  const ours = new Set(keys.map(({ name }) => name));
  const data = new Map([...live.data].filter(([name]) => ours.has(name)));
  const change = changeOf(proposal, 'update', data, deps);
  const { error } = await recorded(
    proposal,
    change,
    (how) => deps.cluster.merge(live, manifest, how),
    deps,
    note,
  );
  return endOf(proposal, error === undefined ? 'updated' : 'failed', error);
}

function changeOf(
  { mapping, live, keys, replacement }: Proposal,
  action: 'delete' | 'update',
  before: LiveSecret['data'],
  { clock, fingerprints }: DestroyDeps,
): Change {
  const next = replacement?.plan.manifest.data;
  return {
    action,
    mapping,
    target: live.id,
    sources: [],
    keys: changesOf(keys),
    before: fingerprints.target(live.id, before),
    // Whoever has to make it later, because that failed or was cut off, knows by this that it was not to stay away.
    ...(next === undefined ? {} : { after: fingerprints.target(live.id, next) }),
    replaces: live.resourceVersion,
    uid: live.uid,
    attempt: 1,
    startedAt: clock.now(),
  };
}

function endOf({ mapping, live, keys }: Proposal, kind: OutcomeKind, error?: AppError): Outcome {
  const alive = kind !== 'deleted';
  return { kind, mapping, target: live.id, keys, alive, ...(error === undefined ? {} : { error }) };
}

/** Between its intent and its outcome; with neither, where the cluster refuses what it refused the last time. */
async function recorded(
  { mapping, live, keys }: Proposal,
  planned: Change,
  work: (how?: WriteOptions) => Promise<{ readonly kind: 'removed' | 'written' | 'conflict' | 'missing' }>,
  { recorder, cluster }: DestroyDeps,
  note: string | undefined,
): Promise<Written> {
  const { failed } = await recorder.seen(mapping, live.id, { live: undefined, restart: [] });
  const error = await refusedAgain(failed, work);
  if (error !== undefined) {
    await recorder.setback(mapping, live.id, { kind: 'failed', error, keys });
    return { error };
  }
  const change = await recorder.intent(planned);
  try {
    const { kind } = await work();
    const error = kind === 'conflict' ? new AppError('CONFLICT') : undefined;
    await recorder.outcome(change, { ...(error ? { error } : {}), ...(note === undefined ? {} : { note }) });
    return error === undefined ? {} : { error };
  } catch (thrown) {
    const error = toAppError(thrown);
    if (error.code === 'AUDIT_UNAVAILABLE') throw error;
    return afterFailedWrite(error, change, { recorder, cluster });
  }
}

async function hold(
  { mapping, live, keys, held }: Proposal,
  braked: string | undefined,
  { recorder }: DestroyDeps,
  note: string | undefined,
): Promise<Outcome> {
  const detail = held || braked === undefined ? 'no key would be left' : braked;
  const error = new AppError('HELD', { detail });
  await recorder.setback(mapping, live.id, { kind: 'held', error, keys, note });
  return { kind: 'held', mapping, target: live.id, keys, error, alive: true };
}
