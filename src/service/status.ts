import type { Clock } from '../core/clock.ts';
import { isErrorCode } from '../core/error-codes.ts';
import { AppError } from '../core/errors.ts';
import { largest, smallest } from '../core/lists.ts';
import type { Mapping } from '../core/mapping.ts';
import { compareTargets, type TargetId } from '../core/target.ts';
import type { DesiredTarget } from '../reconcile/targets.ts';
import { searchesOf, sourcesOf } from '../sync/desired.ts';
import { LABEL, parsePin } from '../sync/ownership-metadata.ts';
import { formatWorkload } from '../sync/restart.ts';
import { type ConfigSnapshot, targetKey } from './config-snapshot.ts';
import type { HeldStatus, MappingStatus, StatusWarning, SyncState, TargetStatus } from './service.ts';
import type { SourceAges } from './sweep/source-ages.ts';
import type { SweepState, TargetState } from './target-state.ts';
import type { TargetStates } from './target-states.ts';

/** A target is stale if it was not checked for this multiple of its interval. */
const STALE_FACTOR = 1.5;
const STALE_GRACE_MS = 30_000;

export interface StatusInput {
  readonly snapshot: ConfigSnapshot;
  readonly states: TargetStates;
  readonly clock: Clock;
  readonly ages?: Pick<SourceAges, 'expiresAt'>;
  /** The restarts that have failed, each with its target. */
  readonly failedRestarts?: readonly (TargetId & { readonly mapping: string; readonly error: AppError })[];
}

export interface HeldInput {
  readonly states: TargetStates;
  /** Returns the id that a person uses to release a held change. */
  readonly idOf: (held: TargetState) => string;
}

/** Returns the status of each target, sorted by namespace, then by name. */
export function targetStatuses({
  snapshot,
  states,
  clock,
  ages,
  failedRestarts = [],
}: StatusInput): readonly TargetStatus[] {
  // Look up each mapping once, because it can have thousands of targets.
  const expiries = new Map(snapshot.mappings.map((mapping) => [mapping.name, ages?.expiresAt(mapping)]));
  const restartErrors = new Map(
    failedRestarts.map(({ mapping, error, ...target }) => [targetKey(mapping, target), error]),
  );
  return snapshot.targets.map((desired) => {
    const expiresAt = firstExpiry(expiries.get(desired.mapping.name), desired, states);
    const ofTarget = {
      ...targetStatus(desired, snapshot, states, clock.now()),
      ...(expiresAt === undefined ? {} : { expiresAt: new Date(expiresAt).toISOString() }),
    };
    const error = restartErrors.get(targetKey(ofTarget.mapping, ofTarget));
    // After a failed restart, pods still use the old content. A problem of the target itself takes precedence.
    return error === undefined || ofTarget.code !== undefined
      ? ofTarget
      : { ...ofTarget, state: 'failed', ...error.toJSON() };
  });
}

export function targetStatus(
  { mapping, id, error }: DesiredTarget,
  snapshot: ConfigSnapshot,
  states: TargetStates,
  now: number,
): TargetStatus {
  const targetState = states.get(mapping.name, id);
  const names = snapshot.shardsOf(mapping);
  const shards = names.map((name) => states.sweepState(name));
  const okAt = lastOk(targetState, lastFullSweepAt(shards));
  // A target without sources cannot become stale. A target whose metadata was in sync at startup has had no run. Until a
  // sweep has checked its sources, its age counts from the start of the process.
  const age = now - (okAt ?? states.startedAt);
  const isLate = shards.length > 0 && age > STALE_FACTOR * mapping.refreshMs + STALE_GRACE_MS;
  const meta = states.meta(id);
  const exists = meta?.labels[LABEL.mapping] === mapping.name;
  // The pin according to the last run. Before the first run of this process, the annotation shows the pin.
  const shown = exists ? parsePin(meta.annotations) : undefined;
  const pinned = targetState === undefined || targetState.undecided ? shown : targetState.pinned;
  const state = stateOf(targetState, { isLate, exists, isPinned: pinned !== undefined });
  const failure = error?.toJSON() ?? targetState?.error;
  return {
    mapping: mapping.name,
    ...id,
    state: error === undefined ? state : 'waiting',
    lastSuccess: okAt === undefined ? null : new Date(okAt).toISOString(),
    staleSeconds: okAt === undefined ? null : Math.max(0, Math.floor((now - okAt) / 1_000)),
    ...(failure ?? (state === 'stale' ? staleReason(names, snapshot, states) : {})),
    ...(pinned === undefined ? {} : { pinned }),
  };
}

function firstExpiry(
  ofSources: number | undefined,
  { mapping, id }: DesiredTarget,
  states: TargetStates,
): number | undefined {
  const ofCertificate = states.get(mapping.name, id)?.certificateExpiresAt;
  const times = [ofSources, ofCertificate].filter((at) => at !== undefined);
  return times.length === 0 ? undefined : smallest(times);
}

/** The time before the end of a value in which `status` warns. The alerts of the chart use the same time. */
export const EXPIRES_SOON_MS = 7 * 86_400_000;

/** Returns a warning if a value or certificate expires soon, or has expired. */
function expiryWarnings(expiresAt: number | undefined, now: number): readonly AppError[] {
  if (expiresAt === undefined || expiresAt - now > EXPIRES_SOON_MS) return [];
  const at = new Date(expiresAt).toISOString().replace('.000Z', 'Z');
  return [new AppError('EXPIRES_SOON', { detail: `at ${at}` })];
}

/** Returns the warnings about targets, sorted like the targets. */
export function targetWarnings(
  controller: {
    readonly states: TargetStates;
    readonly ages: Pick<SourceAges, 'policyWarning' | 'expiresAt'>;
    snapshot(): ConfigSnapshot;
  },
  now: number,
): readonly StatusWarning[] {
  const { states, ages } = controller;
  const { mappings, targets } = controller.snapshot();
  const expiries = new Map(mappings.map((mapping) => [mapping.name, ages.expiresAt(mapping)]));
  return targets.flatMap((desired) => {
    const { mapping, id } = desired;
    const { warnings = [], pinned } = states.get(mapping.name, id) ?? {};
    // A pinned version does not show the age of the current value.
    const aboutAge = pinned === undefined ? ages.policyWarning(mapping, id) : [];
    const aboutExpiry = expiryWarnings(firstExpiry(expiries.get(mapping.name), desired, states), now);
    return [...warnings, ...aboutAge, ...aboutExpiry].map(({ code, message }) => ({
      ...{ code, mapping: mapping.name, ...id, message },
    }));
  });
}

/** A warning about a target, in the JSON of `plan` and `sync`. */
type TargetWarning = TargetId & Required<Pick<StatusWarning, 'code' | 'mapping' | 'message'>>;

export function warningsData(
  targets: readonly {
    readonly mapping: string;
    readonly target: TargetId;
    readonly warnings?: readonly { readonly code: string; readonly message: string }[] | undefined;
  }[],
): readonly TargetWarning[] {
  return targets.flatMap(({ mapping, target, warnings = [] }) =>
    warnings.map(({ code, message }) => ({ code, mapping, ...target, message })),
  );
}

/** Returns the error of the last sweep, with its remedy. A code from a newer replica may be unknown here. */
function staleReason(
  shards: readonly string[],
  snapshot: ConfigSnapshot,
  states: TargetStates,
): Pick<TargetStatus, 'code' | 'message' | 'remedy'> {
  for (const shard of shards) {
    const code = states.sweepState(shard)?.code;
    if (code === undefined) continue;
    const store = snapshot.shards.get(shard)?.sweep.store;
    return isErrorCode(code) ? new AppError(code, { subject: `store ${store}` }).toJSON() : { code };
  }
  return {};
}

/** Returns the earliest of the shards' last complete checks, or `undefined` if a shard has had none. */
export function lastFullSweepAt(shards: readonly (SweepState | undefined)[]): number | undefined {
  const times = shards.map((shard) => shard?.okAt).filter((at) => at !== undefined);
  return times.length === 0 || times.length < shards.length ? undefined : smallest(times);
}

/**
 * Returns the time when the target last matched its sources. A sweep that finds no changes confirms that the target
 * still matches.
 */
export function lastOk(
  targetState: TargetState | undefined,
  sweptAt: number | undefined,
): number | undefined {
  if (targetState?.error !== undefined) return targetState.okAt;
  const times = [targetState?.okAt, sweptAt].filter((at) => at !== undefined);
  return times.length === 0 ? undefined : largest(times);
}

function stateOf(
  targetState: TargetState | undefined,
  { isLate, exists, isPinned }: { isLate: boolean; exists: boolean; isPinned: boolean },
): SyncState {
  const inSync = isPinned ? 'pinned' : isLate ? 'stale' : 'synced';
  if (targetState === undefined) return exists ? inSync : 'waiting';
  if (targetState.contestedUntil !== undefined) return 'contested';
  if (targetState.drifted) return 'drifted';
  if (targetState.proposed || targetState.kind === 'held') return 'held';
  if (targetState.kind === 'refused') return 'refused';
  if (targetState.kind === 'waiting') return 'waiting';
  // The Secret was deleted because its source is missing. The next run will report the missing source.
  if (targetState.kind === 'deleted') return 'waiting';
  if (targetState.kind === 'failed') {
    if (targetState.error?.code === 'SECRET_MISSING') return 'waiting';
    // The old content still exists and is kept while a store fails or a source is missing. If the run could not read
    // the cluster, the watch shows whether the Secret exists.
    const stillExists = targetState.alive || (exists && targetState.error?.code === 'CLUSTER_UNAVAILABLE');
    const keepsContent = stillExists && (!targetState.person || targetState.error?.code === 'SOURCE_ABSENT');
    return keepsContent ? 'stale' : 'failed';
  }
  return inSync;
}

/** Returns the status of each mapping. A target without a mapping belongs to a mapping in a disabled file. */
export function mappingStatuses(
  mappings: readonly Mapping[],
  targets: readonly TargetStatus[],
): readonly MappingStatus[] {
  const byMapping = Map.groupBy(targets, ({ mapping }) => mapping);
  const configured = mappings.map((mapping) => ({
    mapping: mapping.name,
    refreshSeconds: mapping.refreshMs / 1_000,
    ...sourcesAndSearches(mapping),
    ...(mapping.restart.length === 0 ? {} : { workloads: mapping.restart.map(formatWorkload) }),
    targets: byMapping.get(mapping.name) ?? [],
  }));
  for (const { mapping } of configured) byMapping.delete(mapping);
  const kept = [...byMapping].map(([mapping, own]) => ({ mapping, sources: [], searches: [], targets: own }));
  return [...configured, ...kept];
}

/** Returns the sources and searches of a mapping, without duplicates. Several values may be properties of one key. */
export function sourcesAndSearches(mapping: Mapping): Pick<MappingStatus, 'sources' | 'searches'> {
  const named = sourcesOf(mapping).map(({ store, key }) => ({ store, key }));
  return {
    sources: [...new Map(named.map((source) => [`${source.store} ${source.key}`, source])).values()],
    searches: searchesOf(mapping).map(({ store, find: { path, name } }) => ({
      store,
      path,
      ...(name === undefined ? {} : { name }),
    })),
  };
}

export function heldStatuses({ states, idOf }: HeldInput): readonly HeldStatus[] {
  return [...states.all()]
    .filter(({ kind, proposed }) => kind === 'held' && !proposed)
    .map((targetState) => ({
      id: targetState.heldId ?? idOf(targetState),
      mapping: targetState.mapping,
      ...targetState.target,
      action: 'delete',
      keys: targetState.keys,
      ...(targetState.hold === undefined
        ? {}
        : { reason: targetState.hold.reason, since: new Date(targetState.hold.since).toISOString() }),
    }))
    .toSorted(compareTargets);
}
