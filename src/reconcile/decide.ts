import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Cluster } from '../cluster/cluster.ts';
import { AppError, toAppError } from '../core/errors.ts';
import { type Fingerprinter, fingerprintsAhead } from '../core/fingerprint.ts';
import type { Mapping } from '../core/mapping.ts';
import type { LiveSecret } from '../core/secret.ts';
import { type Instances, instancesOf, type TargetId } from '../core/target.ts';
import { noTracer, type SpanAttributes, type Tracer } from '../core/tracer.ts';
import type { Desired } from '../sync/desired.ts';
import { foundNothing } from '../sync/find.ts';
import { mergedView } from '../sync/merge.ts';
import { mergesIn } from '../sync/merge-record.ts';
import { LABEL, mergeManager } from '../sync/ownership-metadata.ts';
import { type Pinned, pinMapping } from '../sync/pin.ts';
import { plan } from '../sync/plan.ts';
import {
  type FormerMerge,
  isForeign,
  type MergeOwner,
  type Plan,
  type PlanInput,
} from '../sync/plan-types.ts';
import { lookUpAbsences } from './absent-sources.ts';
import { forbiddenMerge, type GatherDeps, gather } from './gather.ts';
import { type RecordedPin, readPinned } from './pins.ts';
import type { RecordLookup } from './record-lookup.ts';
import type { Recorder } from './recorder.ts';
import { render } from './render.ts';

/** The dependencies of a decision. All targets of a sync context share them. */
export interface DecideDeps extends GatherDeps, Instances {
  readonly cluster: Pick<Cluster, 'read' | 'mergedKeys' | 'exclusivelyOwned'>;
  readonly fingerprints: Fingerprinter;
  /** Maps each store name to the hash of the store's definition. */
  readonly stores: ReadonlyMap<string, string>;
  readonly records: RecordLookup;
  /** Whether a configured mapping wants a target. */
  readonly isDesired: (mapping: string, id: TargetId) => boolean;
  readonly tracer?: Tracer;
}

/** The recorder of the reads, if any. It may hold their records back until somebody waits for them. */
type RecordedDeps = DecideDeps & { readonly recorder?: Pick<Recorder, 'flushReads'> };

/** The plan for a target, and the data on which it is based. */
export interface Decision {
  readonly plan: Plan;
  readonly desired: Desired;
  readonly live: LiveSecret | undefined;
  /** The record to which the target is pinned. */
  readonly pinned?: number;
  /** The mapping with the versions to which the target is pinned. */
  readonly mapping?: Mapping;
}

export interface PendingDecision extends Decision {
  /** Resolves when the audit has durably stored the records of all reads of this decision. */
  readonly whenRecorded: () => Promise<void>;
}

/** Reads the sources and plans the change, without making it. `plan` prints the result, and `sync` applies it. */
export async function decide(mapping: Mapping, id: TargetId, deps: RecordedDeps): Promise<Decision> {
  const { whenRecorded, ...decision } = await decideBeforeRecorded(mapping, id, deps);
  await whenRecorded();
  return decision;
}

/**
 * Does the same as `decide`, but does not wait until the records of its reads are durable. Callers must wait for
 * `whenRecorded` before they act.
 */
export async function decideBeforeRecorded(
  mapping: Mapping,
  id: TargetId,
  deps: RecordedDeps,
): Promise<PendingDecision> {
  const records: Promise<void>[] = [];
  const read: DecideDeps['read'] = async (refs) => {
    const results = await deps.read(refs);
    // Ask for this promise now. If another run reads the same references later, `whenRecorded` would return the promise
    // of that read. Callers see failures through `whenRecorded`.
    const all = deps.whenRecorded(refs);
    records.push(all);
    void Promise.allSettled([all]);
    return results;
  };
  const decision = await decideWithReads(mapping, id, { ...deps, read });
  return {
    ...decision,
    async whenRecorded() {
      deps.recorder?.flushReads();
      await Promise.all(records);
    },
  };
}

async function decideWithReads(configured: Mapping, id: TargetId, deps: DecideDeps): Promise<Decision> {
  // Start reading the target now and wait for the result later. Meanwhile the reads of several targets can be combined.
  const liveRead = readLive(id, deps);
  const pin = await deps.records.readPin(configured.name, id);
  const pinnedTo = pin === undefined ? {} : { pinned: pin.to };
  const pinnedMapping = pin && applyPin(configured, pin, deps);
  if (pinnedMapping instanceof AppError) {
    const { live } = await liveRead;
    return {
      plan: failPlan(pinnedMapping),
      desired: { kind: 'failed', error: pinnedMapping },
      live,
      ...pinnedTo,
    };
  }
  const { mapping } = pinnedMapping ?? { mapping: configured };
  const reads = pin && pinnedMapping ? { ...deps, read: readPinned(pin, pinnedMapping, deps) } : deps;
  const { tracer = noTracer } = deps;
  const gathered = await tracer.span('gather', {}, async () => {
    const desired = await gather(
      mapping,
      id,
      async () => ownView((await liveRead).live, mapping, deps),
      reads,
    );
    const rendered = await render(mapping, id, desired);
    return { desired, rendered, ...(await liveRead) };
  });
  const { desired, rendered, live } = gathered;
  const error = gathered.error ?? forbiddenMerge(mapping, live, deps);
  if (error !== undefined) return { plan: failPlan(error), desired, live, mapping, ...pinnedTo };
  const { instance, formerInstances, stores } = deps;
  const values = desired.kind === 'ready' ? [...desired.data.values(), ...(live?.data.values() ?? [])] : [];
  const fingerprints = await fingerprintsAhead(values, deps.fingerprints);
  const isDesiredBy = (otherMapping: string): boolean => deps.isDesired(otherMapping, id);
  const input = {
    ...{ id, mapping, desired, rendered, live, instance, formerInstances, isDesiredBy, stores, fingerprints },
    ...mergeInput(live, mapping, deps),
    ...(await lookUpAbsences({ id, mapping, desired, live }, deps.records)),
    ...(pin === undefined ? {} : { pin: { to: pin.to, mapping: configured } }),
  };
  const planned = await tracer.span('plan', {}, async () => plan(input), { resultAttributes: asAttributes });
  if (fingerprints !== deps.fingerprints) await nextTurn();
  const decided = isWithoutKeys(planned)
    ? await decideEmpty(planned, desired, configured, id, deps)
    : planned;
  return { plan: decided, desired, live, mapping, ...pinnedTo };
}

/**
 * Decides about the creation of an empty Secret. It is not created if a person released the deletion of the target, or
 * if a search found nothing that had to find something.
 */
async function decideEmpty(
  planned: Plan,
  desired: Desired,
  { name }: Mapping,
  id: TargetId,
  { records }: DecideDeps,
): Promise<Plan> {
  if (await records.isRemoved(name, id)) return UNCHANGED;
  const [search] = desired.kind === 'ready' ? (desired.fruitless ?? []) : [];
  return search === undefined ? planned : failPlan(foundNothing(search));
}

/** Whether the plan would create an empty Secret. */
function isWithoutKeys(candidate: Plan): boolean {
  return candidate.kind === 'create' && candidate.manifest.data.size === 0;
}

const UNCHANGED: Plan = { kind: 'unchanged', keys: [] };

function asAttributes(result: Plan): SpanAttributes {
  return { outcome: result.kind, ...('error' in result ? { code: result.error.code } : {}) };
}

function failPlan(error: AppError): Plan {
  return { kind: 'fail', keys: [], error };
}

function applyPin(mapping: Mapping, pin: RecordedPin, { stores }: DecideDeps): Pinned | AppError {
  if (!pin.isConfirmed) return new AppError('PIN_UNCONFIRMED', { subject: `mapping ${mapping.name}` });
  try {
    return pinMapping(mapping, pin, stores);
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
}

/**
 * Returns the keys in a shared Secret that our field managers own. There are separate field managers for this mapping,
 * for former instance names, and for orphaned mappings.
 */
function mergeInput(
  live: LiveSecret | undefined,
  { name, target }: Mapping,
  { cluster, isDesired, ...instances }: DecideDeps,
): Pick<PlanInput, 'merged' | 'former' | 'orphaned' | 'exclusivelyOwned'> {
  if (live === undefined || target.mode !== 'merge') return { merged: [] };
  const { instance } = instances;
  const heldBy = (holder: string, mapping = name): FormerMerge => ({
    instance: holder,
    mapping,
    keys: cluster.mergedKeys(live, mergeManager(holder, mapping)),
  });
  const ownInstances = instancesOf(instances);
  const former = ownInstances.filter((former) => former !== instance).map((former) => heldBy(former));
  const orphaned = mergesIn(live)
    .filter(
      (merge) =>
        ownInstances.includes(merge.instance) && merge.mapping !== name && !isDesired(merge.mapping, live.id),
    )
    .map((merge) => heldBy(merge.instance, merge.mapping));
  const exclusivelyOwned = (merges: readonly MergeOwner[]) =>
    cluster.exclusivelyOwned(
      live,
      merges.map((merger) => mergeManager(merger.instance, merger.mapping)),
    );
  return {
    merged: heldBy(instance).keys,
    former: former.filter(({ keys }) => keys.length > 0),
    orphaned,
    exclusivelyOwned,
  };
}

/** Returns the part of the live Secret that this mapping wrote. In own mode, returns the whole Secret. */
function ownView(live: LiveSecret | undefined, mapping: Mapping, deps: DecideDeps): LiveSecret | undefined {
  if (live === undefined || mapping.target.mode !== 'merge') return live;
  const { instance } = deps;
  return mergedView(live, { instance, mapping: mapping.name, ...mergeInput(live, mapping, deps) });
}

async function readLive(
  id: TargetId,
  { cluster }: Pick<DecideDeps, 'cluster'>,
): Promise<{ readonly live: LiveSecret | undefined; readonly error?: AppError }> {
  try {
    return { live: await cluster.read(id) };
  } catch (thrown) {
    const error = toAppError(thrown);
    // An interruption is not an error of this target.
    if (error.code === 'INTERRUPTED') throw error;
    return { live: undefined, error };
  }
}

/** Whether the target exists and is ours. */
export function isPresentAndOurs(
  { plan, live }: Pick<Decision, 'plan' | 'live'>,
  mapping: Mapping,
  instances: Instances,
): boolean {
  return live !== undefined && !isForeign(plan) && !isUnadopted(plan, live, mapping, instances);
}

/** Whether the adoption of the Secret was refused, for example because of its type. Such a Secret is not ours. */
function isUnadopted(
  { kind }: Plan,
  { labels }: LiveSecret,
  { target }: Mapping,
  instances: Instances,
): boolean {
  const isLabelled =
    labels[LABEL.mapping] !== undefined && instancesOf(instances).includes(labels[LABEL.instance] ?? '');
  return kind === 'refuse' && target.mode === 'own' && !isLabelled;
}
