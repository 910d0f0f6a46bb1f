import { randomUUID } from 'node:crypto';
import type { SecretMeta, WatchScope } from '../../cluster/cluster.ts';
import type { Clock } from '../../core/clock.ts';
import { formatTarget, type TargetId } from '../../core/target.ts';
import type { Reason } from '../../queue/queue.ts';
import { looksInSync } from '../../reconcile/in-sync.ts';
import { OBSTACLE_CODES } from '../../reconcile/latest-records.ts';
import { byMapping, type DesiredTarget } from '../../reconcile/targets.ts';
import { LABEL } from '../../sync/ownership-metadata.ts';
import type { ConfigSnapshot } from '../config-snapshot.ts';
import type { Outbox } from '../outbox.ts';
import type { TargetState } from '../target-state.ts';
import type { TargetStates } from '../target-states.ts';
import { createMetadataFilter } from './metadata-filter.ts';

export interface ObserverDeps {
  readonly snapshot: () => ConfigSnapshot;
  readonly states: TargetStates;
  readonly outbox: Pick<Outbox, 'trigger'>;
  readonly clock: Clock;
  readonly instance: string;
  /** Maps each store name to the hash of the store's definition. */
  readonly stores: () => ReadonlyMap<string, string>;
  /** Called when a held target was deleted, because the deletion step must decide again. */
  readonly onHeldGone?: (() => void) | undefined;
  /** Called with a target that looks in sync and has had no run in this process. */
  readonly onUnverified?: ((desired: DesiredTarget) => void) | undefined;
}

/** Queues runs for targets that are not in sync, according to watch events. */
export interface Observer {
  meta(meta: SecretMeta): void;
  deleted(target: TargetId): void;
  listed(scopes: readonly WatchScope[]): void;
  /** Checks all listed targets again after a change of the configuration or of the selected namespaces. */
  all(isListed: (target: TargetId) => boolean): void;
  /** Queues runs for targets that were refused because of another owner, once the name has been free for a while. */
  queueFreedNames(): void;
}

/**
 * Wait this long, because the previous owner may recreate its Secret immediately. Controllers and `kubectl replace
 * --force` do that.
 */
const FREED_WAIT_MS = 30_000;

export function createObserver({ snapshot, states, outbox, clock, ...deps }: ObserverDeps): Observer {
  const burstRequestId = createBursts(clock);
  const mayQueue = createAllowance(clock);
  const filterMetadata = createMetadataFilter();
  const freedNames = new Map<string, { readonly target: TargetId; readonly since: number }>();

  const queueRun = (target: TargetId, reason: Reason): void =>
    outbox.trigger(target, reason, burstRequestId());
  /**
   * Limits the rate of runs, because the owner may change its Secret constantly. Retries and sweeps run in any case.
   */
  const queueForeign = (meta: SecretMeta): void => {
    if (mayQueue(formatTarget(meta.id))) queueRun(meta.id, 'drift');
  };
  const isForeign = ({ labels }: SecretMeta, desired: readonly DesiredTarget[]): boolean =>
    labels[LABEL.instance] !== deps.instance ||
    desired.some(({ mapping }) => mapping.target.mode === 'merge');

  const isInSync = (meta: SecretMeta, desired: readonly DesiredTarget[]): boolean =>
    desired.every(({ mapping, id }) => {
      const state = states.get(mapping.name, id);
      const pin = state && { to: state.pinned };
      return looksInSync(meta, { mapping, instance: deps.instance, stores: deps.stores(), pin });
    });

  /** Whether no run is needed now: a run has already read exactly this version, or the target is contested. */
  const isAlreadySeen = (meta: SecretMeta, desired: readonly DesiredTarget[]): boolean =>
    desired.every(({ mapping, id }) => {
      const state = states.get(mapping.name, id);
      if ((state?.contestedUntil ?? 0) > clock.now()) return true;
      return state?.resourceVersion === meta.resourceVersion;
    });

  /** Whether a refused target has changed and is in sync now. */
  const isFixed = (meta: SecretMeta, desired: readonly DesiredTarget[]): boolean =>
    desired.some(({ mapping, id }) => {
      const state = states.get(mapping.name, id);
      return state?.kind === 'refused' && state.resourceVersion !== meta.resourceVersion;
    });

  /**
   * Whether the target was in sync before the change. If it was in sync at startup, it has had no run, but its change
   * is still drift.
   */
  const wasInSync = (before: SecretMeta | undefined, desired: readonly DesiredTarget[]): boolean =>
    before !== undefined && isInSync(before, desired);

  const judge = (meta: SecretMeta, desired: readonly DesiredTarget[], before?: SecretMeta): void => {
    const unrun = desired.filter(({ mapping, id }) => states.get(mapping.name, id) === undefined);
    const isNew = unrun.length > 0 && !wasInSync(before, desired);
    if (isInSync(meta, desired)) {
      if (isFixed(meta, desired)) queueRun(meta.id, 'drift');
      for (const desiredTarget of unrun) deps.onUnverified?.(desiredTarget);
    } else if (isAlreadySeen(meta, desired)) return;
    else if (isNew) queueRun(meta.id, 'first');
    else if (isForeign(meta, desired)) queueForeign(meta);
    else queueRun(meta.id, 'drift');
  };

  const missing = (desired: DesiredTarget, before?: SecretMeta): void => {
    const state = states.get(desired.mapping.name, desired.id);
    // Queue a target that has had no run. A target that a run could not write waits for its own retry.
    if (state === undefined) queueRun(desired.id, wasInSync(before, [desired]) ? 'drift' : 'first');
    // Only the deletion step ends a hold. A repair would conflict with it.
    else if (state.alive && state.kind === 'held') deps.onHeldGone?.();
    else if (state.alive && (state.contestedUntil ?? 0) <= clock.now()) queueRun(desired.id, 'drift');
    // Remember the name, because no further event reports that it is free.
    else if (isRefusedForOthers(state)) noteFreed(desired.id);
  };
  /** Notes that the name is free. Keeps the time of the first note, because a watch may reconnect every few seconds. */
  const noteFreed = (target: TargetId): void => {
    const name = formatTarget(target);
    if (!freedNames.has(name)) freedNames.set(name, { target, since: clock.now() });
  };

  return {
    meta(meta) {
      freedNames.delete(formatTarget(meta.id));
      const desired = snapshot().forTarget(meta.id);
      // Do not store Secrets that are not targets, to save memory.
      if (desired.length === 0) return;
      const before = states.meta(meta.id);
      states.setMeta(filterMetadata(meta, desired));
      judge(meta, desired, before);
    },
    deleted(target) {
      const before = states.meta(target);
      states.dropMeta(target);
      for (const desired of snapshot().forTarget(target)) missing(desired, before);
    },
    listed(scopes) {
      const current = snapshot();
      const desired = scopes.flatMap(({ namespace, secret }) =>
        secret === undefined ? current.inNamespace(namespace) : current.forTarget({ namespace, secret }),
      );
      for (const desiredTarget of byMapping(desired))
        if (states.meta(desiredTarget.id) === undefined) missing(desiredTarget);
    },
    all(isListed) {
      for (const desired of snapshot().targets) {
        if (desired.error !== undefined || !isListed(desired.id)) continue;
        const meta = states.meta(desired.id);
        if (meta === undefined) missing(desired);
        else judge(meta, snapshot().forTarget(desired.id));
      }
    },
    queueFreedNames() {
      for (const [name, { target, since }] of freedNames) {
        if (Math.abs(clock.now() - since) < FREED_WAIT_MS) continue;
        freedNames.delete(name);
        if (snapshot().forTarget(target).length > 0) queueRun(target, 'drift');
      }
    },
  };
}

/** Whether a target was refused because another owner's Secret has its name. */
function isRefusedForOthers({ kind, alive, error }: TargetState): boolean {
  return kind === 'refused' && !alive && OBSTACLE_CODES.includes(error?.code ?? '');
}

/** Events within this time share one request id, so that their sources are read once. */
const BURST_MS = 500;

function createBursts(clock: Clock): () => string {
  let id = '';
  let at = Number.NEGATIVE_INFINITY;
  return () => {
    if (Math.abs(clock.now() - at) > BURST_MS) {
      id = randomUUID();
      at = clock.now();
    }
    return id;
  };
}

const MAX_BURST_LOOKS = 5;
const LOOK_INTERVAL_MS = 12_000;

/** For each name, allows a burst of events, then one event per interval. */
function createAllowance(clock: Clock): (name: string) => boolean {
  // The map is in order of last use.
  const used = new Map<string, { readonly left: number; readonly at: number }>();
  return (name) => {
    const now = clock.now();
    const before = used.get(name);
    const gained = before === undefined ? MAX_BURST_LOOKS : Math.abs(now - before.at) / LOOK_INTERVAL_MS;
    const remaining = Math.min(MAX_BURST_LOOKS, (before?.left ?? 0) + gained);
    used.delete(name);
    for (const [other, { at }] of used) {
      if (Math.abs(now - at) < MAX_BURST_LOOKS * LOOK_INTERVAL_MS) break;
      used.delete(other);
    }
    const isAllowed = remaining >= 1;
    used.set(name, { left: isAllowed ? remaining - 1 : remaining, at: now });
    return isAllowed;
  };
}
