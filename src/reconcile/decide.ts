import type { Cluster } from '../cluster/cluster.ts';
import { AppError, toAppError } from '../core/errors.ts';
import type { Fingerprinter } from '../core/fingerprint.ts';
import { type Instances, instancesOf } from '../core/instances.ts';
import type { Mapping, Source } from '../core/mapping.ts';
import type { StoreRef } from '../core/reading.ts';
import type { LiveSecret } from '../core/secret.ts';
import type { TargetId } from '../core/target.ts';
import { noTracer, type SpanAttributes, type Tracer } from '../core/tracer.ts';
import type { Desired } from '../sync/desired.ts';
import { type FormerMerge, type Merger, mergedView, mergeManager, mergesIn } from '../sync/merge.ts';
import { type Pinned, pinned } from '../sync/pin.ts';
import { type Plan, type PlanInput, plan } from '../sync/plan.ts';
import { type GatherDeps, gather } from './gather.ts';
import { type RecordedPin, readAsThen } from './pins.ts';

/** What deciding needs of the world, the same for every target of a pass. */
export interface DecideDeps extends GatherDeps, Instances {
  readonly cluster: Pick<Cluster, 'read' | 'mergedKeys' | 'heldAlone'>;
  readonly fingerprints: Fingerprinter;
  /** Store name to the hash of its definition. */
  readonly stores: ReadonlyMap<string, string>;
  /** Whether the readings on record prove that a source is gone. */
  readonly provenAbsent: (source: Source, mapping: Mapping) => Promise<boolean>;
  /** The last word of the audit on whether a target is pinned. */
  readonly pin: (mapping: string, id: TargetId) => Promise<RecordedPin | undefined>;
  /** Whether the last write of a target on record has deleted it, as it was meant. */
  readonly isRemoved: (mapping: string, id: TargetId) => Promise<boolean>;
  /** Whether the last write of a target on record was without a source that an earlier one was made from. */
  readonly isWrittenWithout: (mapping: string, id: TargetId, source: Source) => Promise<boolean>;
  /** Whether a mapping of the configuration wants a target. */
  readonly wants: (mapping: string, id: TargetId) => boolean;
  /** Resolves when what was read under these references is durable on record. */
  readonly recorded: (refs: readonly StoreRef[]) => Promise<void>;
  readonly tracer?: Tracer;
}

/** What a target was decided on, so that a change can be recorded with it. */
export interface Decision {
  readonly plan: Plan;
  readonly desired: Desired;
  readonly live: LiveSecret | undefined;
  /** The record to whose versions it is pinned. */
  readonly pinned?: number;
  /** With the versions of the pin. */
  readonly mapping?: Mapping;
}

export interface Unrecorded extends Decision {
  /** Resolves when everything that was read for it is durable on record. */
  readonly recorded: () => Promise<void>;
}

/** Gathers everything and plans; changes nothing. `plan` shows this, `sync` carries it out. */
export async function decide(wanted: Mapping, id: TargetId, deps: DecideDeps): Promise<Decision> {
  const { recorded, ...decision } = await decideUnrecorded(wanted, id, deps);
  await recorded();
  return decision;
}

/** The same while the records of its reads are on their way: before they are there, nobody may act on it. */
export async function decideUnrecorded(wanted: Mapping, id: TargetId, deps: DecideDeps): Promise<Unrecorded> {
  const records: Promise<void>[] = [];
  const read: DecideDeps['read'] = async (refs) => {
    const results = await deps.read(refs);
    // At once, since these are the records of what was read now. Whoever asks is told of those that failed.
    const all = deps.recorded(refs);
    records.push(all);
    void Promise.allSettled([all]);
    return results;
  };
  const decision = await decideBy(wanted, id, { ...deps, read });
  return {
    ...decision,
    async recorded() {
      await Promise.all(records);
    },
  };
}

async function decideBy(wanted: Mapping, id: TargetId, deps: DecideDeps): Promise<Decision> {
  // Together, so that the reads of several targets meet and can be batched.
  const reading = readLive(id, deps);
  const pin = await deps.pin(wanted.name, id);
  const shown = pin === undefined ? {} : { pinned: pin.to };
  const then = pin && withPin(wanted, pin, deps);
  if (then instanceof AppError) {
    const { live } = await reading;
    return { plan: failing(then), desired: { kind: 'failed', error: then }, live, ...shown };
  }
  const { mapping } = then ?? { mapping: wanted };
  const reads = pin && then ? { ...deps, read: readAsThen(pin, then, deps) } : deps;
  const { tracer = noTracer } = deps;
  const seen = await tracer.span('gather', {}, async () => {
    const want = await gather(mapping, id, async () => ownPart((await reading).live, mapping, deps), reads);
    return { want, ...(await reading) };
  });
  const { want, live, error } = seen;
  if (error !== undefined) return { plan: failing(error), desired: want, live, mapping, ...shown };
  const { instance, formerInstances, stores, fingerprints } = deps;
  const wantedBy = (other: string): boolean => deps.wants(other, id);
  const proven = await gone(want, mapping, deps);
  // What is there and somebody else's was never made from anything.
  const isLost = live === undefined || mapping.target.mode === 'merge';
  const without = isLost ? await writtenWithout(proven, mapping, id, deps) : [];
  const input = {
    id,
    mapping,
    desired: want,
    live,
    instance,
    formerInstances,
    wantedBy,
    stores,
    fingerprints,
    ...mergedBy(live, mapping, deps),
    proven: (source: Source) => proven.includes(source),
    writtenWithout: (source: Source) => without.includes(source),
    ...(pin === undefined ? {} : { pin: { to: pin.to, mapping: wanted } }),
  };
  const planned = await tracer.span('plan', {}, async () => plan(input), { ends: asAttributes });
  const isEnded = isWithoutKeys(planned) && (await deps.isRemoved(wanted.name, id));
  return { plan: isEnded ? NOTHING : planned, desired: want, live, mapping, ...shown };
}

/** A plan that leaves no key is a deletion: once that was released, it would not do to make an empty one. */
function isWithoutKeys(it: Plan): boolean {
  return it.kind === 'create' && it.manifest.data.size === 0;
}

const NOTHING: Plan = { kind: 'unchanged', keys: [] };

function asAttributes(it: Plan): SpanAttributes {
  return { outcome: it.kind, ...('error' in it ? { code: it.error.code } : {}) };
}

function failing(error: AppError): Plan {
  return { kind: 'fail', keys: [], error };
}

function withPin(mapping: Mapping, pin: RecordedPin, { stores }: DecideDeps): Pinned | AppError {
  try {
    return pinned(mapping, pin, stores);
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
}

/** The keys that field managers hold: the mapping's of now, those of former names of the instance, and of mappings that left. */
function mergedBy(
  live: LiveSecret | undefined,
  { name, target }: Mapping,
  { cluster, wants, ...instances }: DecideDeps,
): Pick<PlanInput, 'merged' | 'former' | 'left' | 'heldAlone'> {
  if (live === undefined || target.mode !== 'merge') return { merged: [] };
  const { instance } = instances;
  const heldBy = (its: string, mapping = name): FormerMerge => ({
    instance: its,
    mapping,
    keys: cluster.mergedKeys(live, mergeManager(its, mapping)),
  });
  const ours = instancesOf(instances);
  const former = ours.filter((its) => its !== instance).map((its) => heldBy(its));
  const left = mergesIn(live)
    .filter((it) => ours.includes(it.instance) && it.mapping !== name && !wants(it.mapping, live.id))
    .map((it) => heldBy(it.instance, it.mapping));
  const heldAlone = (merges: readonly Merger[]) =>
    cluster.heldAlone(
      live,
      merges.map((it) => mergeManager(it.instance, it.mapping)),
    );
  return {
    merged: heldBy(instance).keys,
    former: former.filter(({ keys }) => keys.length > 0),
    left,
    heldAlone,
  };
}

/** What of the target this mapping made. */
function ownPart(live: LiveSecret | undefined, mapping: Mapping, deps: DecideDeps): LiveSecret | undefined {
  if (live === undefined || mapping.target.mode !== 'merge') return live;
  const { instance } = deps;
  return mergedView(live, { instance, mapping: mapping.name, ...mergedBy(live, mapping, deps) });
}

/** The absent sources whose absence is proved. */
async function gone(
  want: Desired,
  mapping: Mapping,
  { provenAbsent }: DecideDeps,
): Promise<readonly Source[]> {
  const absent = want.kind === 'ready' ? want.absent : [];
  const verdicts = await Promise.all(absent.map((source) => provenAbsent(source, mapping)));
  return absent.filter((_, index) => verdicts[index]);
}

/** Those whose keys a target lost with them, by the records. */
async function writtenWithout(
  absent: readonly Source[],
  { name, onSourceMissing }: Mapping,
  id: TargetId,
  { isWrittenWithout }: DecideDeps,
): Promise<readonly Source[]> {
  if (onSourceMissing !== 'removeKeys') return [];
  const verdicts = await Promise.all(absent.map((source) => isWrittenWithout(name, id, source)));
  return absent.filter((_, index) => verdicts[index]);
}

async function readLive(
  id: TargetId,
  { cluster }: Pick<DecideDeps, 'cluster'>,
): Promise<{ readonly live: LiveSecret | undefined; readonly error?: AppError }> {
  try {
    return { live: await cluster.read(id) };
  } catch (thrown) {
    const error = toAppError(thrown);
    // That it was stopped is nothing of this target's.
    if (error.code === 'INTERRUPTED') throw error;
    return { live: undefined, error };
  }
}
