import { randomUUID } from 'node:crypto';
import type { SecretMeta, WatchScope } from '../../cluster/cluster.ts';
import type { Clock } from '../../core/clock.ts';
import { formatTarget, type TargetId } from '../../core/target.ts';
import type { Reason } from '../../queue/queue.ts';
import { OBSTACLE_CODES } from '../../reconcile/latest-records.ts';
import { byMapping, type DesiredTarget } from '../../reconcile/targets.ts';
import { LABEL } from '../../sync/ownership-metadata.ts';
import type { TargetStates } from '../target-states.ts';
import type { ConfigSnapshot } from '../config-snapshot.ts';
import type { TargetState } from '../target-state.ts';
import type { Outbox } from '../outbox.ts';
import { looksInSync } from '../sweep/in-sync.ts';
import { createMetadataFilter } from './metadata-filter.ts';

export interface ObserverDeps {
  readonly snapshot: () => ConfigSnapshot;
  readonly states: TargetStates;
  readonly outbox: Pick<Outbox, 'trigger'>;
  readonly clock: Clock;
  readonly instance: string;
  /** Maps the name of each store to the hash of its definition. */
  readonly stores: () => ReadonlyMap<string, string>;
  /** One that is held is gone, by the destroying step or by hand: only that step knows, and decides anew. */
  readonly onHeldGone?: (() => void) | undefined;
  /** One looks in step that no run has looked at yet. */
  readonly onUnverified?: ((desired: DesiredTarget) => void) | undefined;
}

/** What the watches show, turned into work: a look at each target that is not as we would leave it. */
export interface Observer {
  meta(meta: SecretMeta): void;
  gone(target: TargetId): void;
  listed(scopes: readonly WatchScope[]): void;
  /** Looks at everything again: the configuration, or what it selects, has changed. */
  all(isListed: (target: TargetId) => boolean): void;
  /** Looks at the names that others had, and nobody has taken again since. */
  queueFreedNames(): void;
}

/** Whoever had a name may be about to make its Secret anew, as controllers and `kubectl replace --force` do. */
const FREED_WAIT_MS = 30_000;

export function createObserver({ snapshot, states, outbox, clock, ...deps }: ObserverDeps): Observer {
  const burstRequestId = createBursts(clock);
  const mayQueue = createAllowance(clock);
  const filterMetadata = createMetadataFilter();
  const freedNames = new Map<string, { readonly target: TargetId; readonly since: number }>();

  const queueRun = (target: TargetId, reason: Reason): void =>
    outbox.trigger(target, reason, burstRequestId());
  /** Whoever owns a Secret may change it all the time. We look again anyway, at its retry or its sweep. */
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

  /** Whether a run has looked at exactly this object, or is not to look at it for now. */
  const isAlreadySeen = (meta: SecretMeta, desired: readonly DesiredTarget[]): boolean =>
    desired.every(({ mapping, id }) => {
      const state = states.get(mapping.name, id);
      if ((state?.contestedUntil ?? 0) > clock.now()) return true;
      return state?.resourceVersion === meta.resourceVersion;
    });

  /** One that was refused for what it was and looks right now: somebody mended it. */
  const isFixed = (meta: SecretMeta, desired: readonly DesiredTarget[]): boolean =>
    desired.some(({ mapping, id }) => {
      const state = states.get(mapping.name, id);
      return state?.kind === 'refused' && state.resourceVersion !== meta.resourceVersion;
    });

  /** No run looks at what is in step when a process begins: what becomes of it since is drift nevertheless. */
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
    // One that could not be made is tried again in its own time.
    if (state === undefined) queueRun(desired.id, wasInSync(before, [desired]) ? 'drift' : 'first');
    // What is held ends by the destroying step; a repair would run into it.
    else if (state.alive && state.kind === 'held') deps.onHeldGone?.();
    else if (state.alive && (state.contestedUntil ?? 0) <= clock.now()) queueRun(desired.id, 'drift');
    // Nobody is told of it who could ask.
    else if (isRefusedForOthers(state)) noteFreed(desired.id);
  };
  /** A list that finds it free again does not begin the time anew: a watch may be cut off every few seconds. */
  const noteFreed = (target: TargetId): void => {
    const name = formatTarget(target);
    if (!freedNames.has(name)) freedNames.set(name, { target, since: clock.now() });
  };

  return {
    meta(meta) {
      freedNames.delete(formatTarget(meta.id));
      const desired = snapshot().forTarget(meta.id);
      // Secrets of others are none of our business, and would fill the memory.
      if (desired.length === 0) return;
      const before = states.meta(meta.id);
      states.setMeta(filterMetadata(meta, desired));
      judge(meta, desired, before);
    },
    gone(target) {
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

/** Whether a target was refused for what somebody else has there. */
function isRefusedForOthers({ kind, alive, error }: TargetState): boolean {
  return kind === 'refused' && !alive && OBSTACLE_CODES.includes(error?.code ?? '');
}

/** What is seen together gets one request id, so that what it needs is read once. */
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

/** Lets each name context so often, and then once in a while. */
function createAllowance(clock: Clock): (name: string) => boolean {
  // In the order of their last use.
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
