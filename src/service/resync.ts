import { randomUUID } from 'node:crypto';
import type { SecretMeta, WatchScope } from '../cluster/cluster.ts';
import type { Clock } from '../core/clock.ts';
import { largest } from '../core/lists.ts';
import { formatTarget, type TargetId } from '../core/target.ts';
import { rankOf } from '../queue/queue.ts';
import { looksInSync } from '../reconcile/in-sync.ts';
import { byMapping, type DesiredTarget } from '../reconcile/targets.ts';
import { configHash, LABEL } from '../sync/ownership-metadata.ts';
import type { ConfigSnapshot } from './config-snapshot.ts';
import { due } from './due.ts';
import type { TargetInputs } from './due-input.ts';
import type { SourceTable } from './sweep/source-table.ts';
import type { TargetState } from './target-state.ts';
import type { TargetStates } from './target-states.ts';
import type { Trigger, Triggers } from './triggers.ts';
import { createMetadataFilter } from './watch/metadata-filter.ts';

export interface ResyncDeps {
  readonly snapshot: () => ConfigSnapshot;
  readonly states: TargetStates;
  readonly sources: SourceTable;
  readonly triggers: Pick<Triggers, 'triggerAll' | 'repeat'>;
  readonly clock: Clock;
  readonly instance: string;
  /** Maps each store name to the hash of the store's definition. */
  readonly storeHashes: () => ReadonlyMap<string, string>;
  readonly isListed: (target: TargetId) => boolean;
  /** Called with a target that looks in sync and has had no run in this process. */
  readonly onUnverified: (desired: DesiredTarget) => void;
  /** Called when a held target was deleted, because the deletion step must decide again. */
  readonly onHeldGone: () => void;
}

/** Triggers within this time share one request id, so that their sources are read once. */
const BURST_MS = 500;

/**
 * Adds a job for each target that is due. A target is checked after each new input. A periodic check of all targets
 * finds the targets whose jobs were lost.
 */
export class Resync {
  readonly #deps: ResyncDeps;
  readonly #filterMetadata = createMetadataFilter();
  readonly #looks: ForeignLooks;
  /** When each store or watch last recovered, by name. */
  readonly #storesUp = new Map<string, number>();
  readonly #watchesUp = new Map<string, number>();
  #burst = { requestId: '', at: Number.NEGATIVE_INFINITY };
  #lastWall: number;

  constructor(deps: ResyncDeps) {
    this.#deps = deps;
    this.#looks = new ForeignLooks(deps.states.steadyClock);
    this.#lastWall = deps.clock.now();
  }

  /** Checks these targets. Returns the number of targets for which it has added a job. */
  check(targets: Iterable<TargetId>, requestId = this.#burstId()): number {
    const now = this.#deps.snapshot();
    return this.checkDesired(new Set([...targets].flatMap((id) => now.forTarget(id))), requestId);
  }

  /** Adds a job for each Secret that is due for one of these mappings. Returns the number of jobs. */
  checkDesired(all: Iterable<DesiredTarget>, requestId: string, isSetBack = false): number {
    const found = new Map<string, FoundTrigger>();
    for (const desired of all) {
      if (desired.error !== undefined) continue;
      const next = this.#triggerOf(desired, requestId, isSetBack);
      if (next === undefined) continue;
      const name = formatTarget(desired.id);
      const other = found.get(name);
      if (other === undefined || rankOf(next) < rankOf(other)) found.set(name, next);
    }
    const { triggers } = this.#deps;
    // The jobs of one mapping are adjacent, because they share values.
    const due = byMapping([...found.values()]).filter((trigger) => this.#mayLook(trigger));
    triggers.triggerAll(due.filter(({ isLost }) => !isLost));
    triggers.repeat(due.filter(({ isLost }) => isLost));
    return due.length;
  }

  /**
   * Checks all targets.
   *
   * @param lostUntil Jobs that were added up to this time may be lost. The time is in milliseconds since 1970.
   */
  checkAll(lostUntil = Number.NEGATIVE_INFINITY): void {
    const { snapshot, states, clock } = this.#deps;
    const now = clock.now();
    const isSetBack = now < this.#lastWall;
    this.#lastWall = now;
    // If the time of a job is in the future, the clock was set back, and the job counts as lost.
    for (const { lastRequest } of states.allInputs())
      if (lastRequest !== undefined && (lastRequest.wallAt <= lostUntil || lastRequest.wallAt > now))
        lastRequest.isAccepted = false;
    this.checkDesired(snapshot().targets, randomUUID(), isSetBack);
  }

  /** Called when the watch reports a Secret. */
  changed(meta: SecretMeta): void {
    const desired = this.#deps.snapshot().forTarget(meta.id);
    // Do not store Secrets that are not targets, to save memory.
    if (desired.length === 0) return;
    this.#deps.states.setMeta(this.#filterMetadata(meta, desired));
    this.check([meta.id]);
  }

  /** Called when the watch reports that a Secret was deleted. */
  deleted(target: TargetId): void {
    const { snapshot, states } = this.#deps;
    if (snapshot().forTarget(target).length === 0) return;
    states.dropMeta(target);
    this.#checkMissing([target]);
  }

  /**
   * Called when the watches of these scopes have received their first lists. If no metadata is known of a target in
   * these scopes, its Secret does not exist.
   */
  listed(scopes: readonly WatchScope[]): void {
    const { snapshot, states } = this.#deps;
    const now = snapshot();
    const desired = scopes.flatMap(({ namespace, secret }) =>
      secret === undefined ? now.inNamespace(namespace) : now.forTarget({ namespace, secret }),
    );
    const missing = byMapping(desired)
      .map(({ id }) => id)
      .filter((id) => states.meta(id) === undefined);
    for (const id of missing) states.dropMeta(id);
    this.#checkMissing(missing);
  }

  /** Checks the failed targets of a store that works again. */
  storeRecovered(store: string): void {
    this.#storesUp.set(store, this.#deps.states.steadyClock.now());
    const now = this.#deps.snapshot();
    const users = now.targets.filter(({ id }) => now.storesOf(id).includes(store));
    this.check(users.map(({ id }) => id));
  }

  /** Checks the failed targets of a watch that works again. */
  watchRecovered(watch: string): void {
    this.#watchesUp.set(watch, this.#deps.states.steadyClock.now());
    const watched = this.#deps
      .snapshot()
      .targets.filter(({ id }) => watch === id.namespace || watch === formatTarget(id));
    this.check(watched.map(({ id }) => id));
  }

  #checkMissing(targets: readonly TargetId[]): void {
    const { snapshot, states } = this.#deps;
    const isHeld = (id: TargetId) =>
      snapshot()
        .forTarget(id)
        .some(({ mapping }) => {
          const run = states.get(mapping.name, id);
          return run?.alive && run.kind === 'held';
        });
    if (targets.some(isHeld)) this.#deps.onHeldGone();
    this.check(targets);
  }

  #triggerOf(desired: DesiredTarget, requestId: string, isSetBack: boolean): FoundTrigger | undefined {
    const { mapping, id } = desired;
    const { snapshot, states, sources, clock, isListed } = this.#deps;
    const inputs = states.inputs(id);
    const lastRun = states.lastRun(mapping.name, id);
    const run = lastRun?.state;
    const isInSync = () => this.#isInSync(desired, inputs, run);
    const found = due({
      desired,
      inputs,
      run,
      sources,
      isInSync,
      isSetBack,
      freshAt: lastRun?.freshAt ?? Number.NEGATIVE_INFINITY,
      change: snapshot().changeOf(desired),
      isMissing: inputs.meta === undefined && isListed(id),
      storeUpAt: () => latest(this.#storesUp, snapshot().storesOf(id)),
      watchUpAt: () => latest(this.#watchesUp, [id.namespace, formatTarget(id)]),
      now: states.steadyClock.now(),
      wallNow: clock.now(),
    });
    if (run === undefined && isInSync()) {
      inputs.inSyncWith = configHash(mapping);
      this.#deps.onUnverified(desired);
    }
    if (found === undefined) return undefined;
    const { reason, since } = found;
    const { lastRequest } = inputs;
    // This process has already added a job for this input, and no run has followed.
    const isLost = lastRequest !== undefined && since <= lastRequest.at;
    const request = {
      requestId: found.requestId ?? requestId,
      ...(isLost && { requestId: lastRequest.requestId }),
    };
    return { mapping, id, target: id, group: mapping.include?.path, reason, isLost, ...request };
  }

  /** Compares each version of the metadata only once. */
  #isInSync({ mapping }: DesiredTarget, inputs: TargetInputs, run: TargetState | undefined): boolean {
    const { meta, compared: last } = inputs;
    if (meta === undefined) return false;
    const { instance, storeHashes } = this.#deps;
    const stores = storeHashes();
    const [hasRun, pinned] = [run !== undefined, run?.pinned];
    const isSame = last?.meta === meta && last.mapping === mapping && last.stores === stores;
    if (isSame && last.hasRun === hasRun && last.pinned === pinned) return last.isInSync;
    const pin = hasRun ? { to: pinned } : undefined;
    const isInSync = looksInSync(meta, { mapping, instance, stores, pin });
    inputs.compared = { meta, mapping, stores, hasRun, pinned, isInSync };
    return isInSync;
  }

  /**
   * Limits the runs that are caused by changes of a Secret that somebody else owns, because the owner may change it
   * constantly. Retries and sweeps are not limited.
   */
  #mayLook({ target: id, reason }: FoundTrigger): boolean {
    const { meta } = this.#deps.states.inputs(id);
    if (reason !== 'drift' || meta === undefined) return true;
    const isForeign =
      meta.labels[LABEL.instance] !== this.#deps.instance ||
      this.#deps
        .snapshot()
        .forTarget(id)
        .some(({ mapping }) => mapping.target.mode === 'merge');
    return !isForeign || this.#looks.take(formatTarget(id));
  }

  #burstId(): string {
    const at = this.#deps.states.steadyClock.now();
    if (at - this.#burst.at > BURST_MS) this.#burst = { requestId: randomUUID(), at };
    return this.#burst.requestId;
  }
}

interface FoundTrigger extends Trigger, DesiredTarget {
  /** Whether the queue may have lost the previous job for the same input. */
  readonly isLost: boolean;
}

function latest(times: ReadonlyMap<string, number>, names: readonly string[]): number {
  return largest(names.map((name) => times.get(name) ?? Number.NEGATIVE_INFINITY));
}

const MAX_LOOKS = 5;
const LOOK_INTERVAL_MS = 12_000;

/** Limits how often each Secret is checked: a burst of checks is allowed, and then one check per interval. */
class ForeignLooks {
  readonly #clock: Clock;
  /** Sorted by the time of the last check. */
  readonly #used = new Map<string, { readonly left: number; readonly at: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  take(name: string): boolean {
    const now = this.#clock.now();
    for (const [other, { at }] of this.#used) {
      if (now - at < MAX_LOOKS * LOOK_INTERVAL_MS) break;
      this.#used.delete(other);
    }
    const before = this.#used.get(name) ?? { left: MAX_LOOKS, at: now };
    const left = Math.min(MAX_LOOKS, before.left + (now - before.at) / LOOK_INTERVAL_MS);
    this.#used.delete(name);
    this.#used.set(name, { left: left >= 1 ? left - 1 : left, at: now });
    return left >= 1;
  }
}
