import type { SecretMeta } from '../cluster/cluster.ts';
import { type Clock, createSteadyClock, isInFuture } from '../core/clock.ts';
import { createTargetMap, type TargetId } from '../core/target.ts';
import type { Broadcast } from '../queue/queue.ts';
import type { DesiredTarget } from '../reconcile/targets.ts';
import { LABEL } from '../sync/ownership-metadata.ts';
import { type ConfigSnapshot, desiredIn } from './config-snapshot.ts';
import type { TargetInputs } from './due-input.ts';
import { MAX_CONTEXT_AGE_MS } from './runs/sync-contexts.ts';
import {
  formatTargetState,
  parseSweepState,
  parseTargetState,
  type SweepState,
  type TargetState,
} from './target-state.ts';

export interface TargetStates {
  /** When this process started. States before this time are unknown. */
  readonly startedAt: number;
  /** This clock orders the inputs and the runs of this process. */
  readonly steadyClock: Clock;
  get(mapping: string, target: TargetId): TargetState | undefined;
  all(): Iterable<TargetState>;
  /**
   * @param freshAt Everything that the run used was read after this time. The default is 15 s ago, because a run may
   * share reads that are this old.
   */
  note(state: TargetState, freshAt?: number): void;
  lastRun(mapping: string, target: TargetId): LastRun | undefined;
  /** Returns what is known of a Secret. The caller may change it. */
  inputs(target: TargetId): TargetInputs;
  allInputs(): readonly TargetInputs[];
  /**
   * Forgets the targets that the configuration does not contain, unless they have a held change.
   *
   * @param removed The only targets that may be missing. By default all targets are compared.
   */
  retain(now: ConfigSnapshot, removed?: readonly DesiredTarget[]): void;
  /** Returns the last run of the target in a replica with another configuration, since this process started. */
  byOtherConfig(mapping: string, target: TargetId): TargetState | undefined;
  forget(mapping: string, target: TargetId): void;
  sweepState(shard: string): SweepState | undefined;
  noteSweep(shard: string, swept: SweepState): void;
  /** Keyed by shard. */
  sweeps(): Iterable<readonly [string, SweepState]>;
  forgetSweep(shard: string): void;
  /**
   * Returns the metadata from the watch. If the target's scope is listed (`Watches.isListed`), `undefined` means that
   * the Secret does not exist.
   */
  meta(target: TargetId): SecretMeta | undefined;
  setMeta(meta: SecretMeta): void;
  /** Notes that the Secret does not exist. */
  dropMeta(target: TargetId): void;
  /** Calls the listener for each new state, from this process or another. */
  onChange(listener: (state: TargetState) => void): () => void;
}

export interface LastRun {
  readonly state: TargetState;
  /** Everything that the run used was read after this time of the steady clock. */
  readonly freshAt: number;
}

const SWEEP_PREFIX = 's/';
/** Shared by all states, to save memory. */
const NO_KEYS: TargetState['keys'] = [];
/** Timestamps that are further in the future than this are ignored. */
const MAX_FUTURE_MS = 3_600_000;

/**
 * @param broadcast Omit it if no other process shares the queue.
 * @param heldId Computes the id of a held change whose keys do not fit into a message.
 * @param configHashOf Hash of the configuration that a mapping's runs use now. States from another configuration are
 * stored separately, because they do not describe the target of this configuration.
 */
export function createTargetStates(
  broadcast: Broadcast | undefined,
  clock: Clock,
  heldId: (held: TargetState) => string | undefined = () => undefined,
  configHashOf: (mapping: string) => string | undefined = () => undefined,
): TargetStates & Disposable {
  return new SharedTargetStates(broadcast, clock, heldId, configHashOf);
}

/**
 * Stores the last known state of each target. The states are in memory only, because they can be restored from the
 * cluster, the stores and the audit. Replicas exchange them by broadcast, to avoid repeated work.
 */
class SharedTargetStates implements TargetStates, Disposable {
  readonly startedAt: number;
  readonly steadyClock: Clock;
  readonly #byTopic = new Map<string, LastRun>();
  readonly #byOtherConfig = new Map<string, TargetState>();
  readonly #sweeps = new Map<string, SweepState>();
  readonly #inputs = createTargetMap<TargetInputs>();
  readonly #listeners = new Set<(state: TargetState) => void>();
  readonly #broadcast: Broadcast | undefined;
  readonly #clock: Clock;
  readonly #heldId: (held: TargetState) => string | undefined;
  readonly #configHashOf: (mapping: string) => string | undefined;
  readonly #stop: (() => void) | undefined;

  constructor(
    broadcast: Broadcast | undefined,
    clock: Clock,
    heldId: (held: TargetState) => string | undefined,
    configHashOf: (mapping: string) => string | undefined,
  ) {
    this.#broadcast = broadcast;
    this.#clock = clock;
    this.#heldId = heldId;
    this.#configHashOf = configHashOf;
    this.startedAt = clock.now();
    this.steadyClock = createSteadyClock(clock);
    this.#stop = broadcast?.subscribe((topic, message) => this.#receive(topic, message));
  }

  get(mapping: string, target: TargetId): TargetState | undefined {
    return this.lastRun(mapping, target)?.state;
  }

  lastRun(mapping: string, target: TargetId): LastRun | undefined {
    return this.#byTopic.get(topicOf(mapping, target));
  }

  all(): Iterable<TargetState> {
    return this.#byTopic.values().map(({ state }) => state);
  }

  note(state: TargetState, freshAt = this.steadyClock.now() - MAX_CONTEXT_AGE_MS): void {
    const topic = topicOf(state.mapping, state.target);
    this.#store(topic, state, freshAt);
    if (this.#broadcast === undefined) return;
    const by = this.#configHashOf(state.mapping) ?? state.by;
    this.#broadcast.send(topic, formatTargetState({ ...state, by }, this.#heldId));
  }

  byOtherConfig(mapping: string, target: TargetId): TargetState | undefined {
    return this.#byOtherConfig.get(topicOf(mapping, target));
  }

  forget(mapping: string, target: TargetId): void {
    const topic = topicOf(mapping, target);
    this.#byOtherConfig.delete(topic);
    if (this.#byTopic.delete(topic)) this.#broadcast?.send(topic, undefined);
  }

  sweepState(shard: string): SweepState | undefined {
    return this.#sweeps.get(SWEEP_PREFIX + shard);
  }

  noteSweep(shard: string, swept: SweepState): void {
    this.#sweeps.set(SWEEP_PREFIX + shard, swept);
    this.#broadcast?.send(SWEEP_PREFIX + shard, JSON.stringify(swept));
  }

  sweeps(): Iterable<readonly [string, SweepState]> {
    return [...this.#sweeps].map(([topic, swept]) => [topic.slice(SWEEP_PREFIX.length), swept] as const);
  }

  forgetSweep(shard: string): void {
    if (this.#sweeps.delete(SWEEP_PREFIX + shard)) this.#broadcast?.send(SWEEP_PREFIX + shard, undefined);
  }

  inputs(target: TargetId): TargetInputs {
    const known = this.#inputs.get(target);
    if (known !== undefined) return known;
    const added = { target, metaAt: Number.NEGATIVE_INFINITY };
    this.#inputs.set(target, added);
    return added;
  }

  allInputs(): readonly TargetInputs[] {
    return this.#inputs.values();
  }

  meta(target: TargetId): SecretMeta | undefined {
    return this.#inputs.get(target)?.meta;
  }

  setMeta(meta: SecretMeta): void {
    const known = this.inputs(meta.id);
    known.meta = meta;
    known.metaAt = this.steadyClock.now();
    known.missingSince = undefined;
    const owner = meta.labels[LABEL.mapping];
    if (owner !== undefined) known.ownedBy = owner;
  }

  dropMeta(target: TargetId): void {
    const known = this.inputs(target);
    known.meta = undefined;
    known.metaAt = this.steadyClock.now();
    known.missingSince ??= known.metaAt;
  }

  retain(now: ConfigSnapshot, removed?: readonly DesiredTarget[]): void {
    const secrets = removed?.map(({ id }) => id) ?? this.allInputs().map(({ target }) => target);
    for (const id of secrets) if (now.forTarget(id).length === 0) this.#inputs.delete(id);
    const states = removed?.flatMap(({ mapping, id }) => this.get(mapping.name, id) ?? []) ?? this.all();
    for (const state of states)
      if (state.kind !== 'held' && desiredIn(now, state) === undefined)
        this.forget(state.mapping, state.target);
  }

  onChange(listener: (state: TargetState) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  [Symbol.dispose](): void {
    this.#stop?.();
  }

  #store(topic: string, state: TargetState, freshAt: number): void {
    // Store the keys only while a deletion is held or proposed, because a target may have hundreds of keys.
    const isOpen = state.kind === 'held' || state.proposed === true;
    this.#byTopic.set(topic, { state: isOpen ? state : { ...state, keys: NO_KEYS }, freshAt });
    for (const listener of this.#listeners) listener(state);
  }

  #receive(topic: string, message: string | undefined): void {
    const isSweep = topic.startsWith(SWEEP_PREFIX);
    if (message === undefined)
      for (const states of isSweep ? [this.#sweeps] : [this.#byTopic, this.#byOtherConfig])
        states.delete(topic);
    else if (isSweep) this.#receiveSweep(topic, parseSweepState(message));
    else this.#receiveState(topic, parseTargetState(message));
  }

  #receiveSweep(topic: string, received: SweepState | undefined): void {
    if (received === undefined || this.#isTooFarAhead(received.at)) return;
    if (!this.#isLater(this.#sweeps.get(topic)?.at ?? 0, received.at)) this.#sweeps.set(topic, received);
  }

  #receiveState(topic: string, received: TargetState | undefined): void {
    if (received === undefined || topic !== topicOf(received.mapping, received.target)) return;
    if (this.#isTooFarAhead(received.endedAt)) return;
    const by = this.#configHashOf(received.mapping);
    if (by !== undefined && received.by !== by) {
      // Ignore runs from before the start of this process, because all targets are checked at startup.
      if (received.endedAt > this.startedAt) this.#byOtherConfig.set(topic, { ...received, keys: NO_KEYS });
      return;
    }
    this.#byOtherConfig.delete(topic);
    const before = this.#byTopic.get(topic)?.state;
    // Messages of two processes may arrive out of order. Our own messages return to us with fewer keys.
    if (before !== undefined && (this.#isLater(before.endedAt, received.endedAt) || isSame(before, received)))
      return;
    const tookMs = Math.max(0, received.endedAt - received.startedAt);
    // The run of another process may use values that were read this long before the run.
    const sharedSince = this.steadyClock.now() - tookMs - MAX_CONTEXT_AGE_MS;
    // All jobs of one request are added before the first of them reads. So this run has used no value that was read
    // before our job was added.
    const lastRequest = this.#inputs.get(received.target)?.lastRequest;
    const isOurs = lastRequest?.requestId === received.requestId;
    this.#store(topic, received, isOurs ? Math.max(sharedSince, lastRequest.at) : sharedSince);
  }

  #isTooFarAhead(at: number): boolean {
    return at > this.#clock.now() + MAX_FUTURE_MS;
  }

  /**
   * Whether the current entry is newer than the received one. A current entry in the future means that the clock was
   * set back. The received entry then counts as newer.
   */
  #isLater(current: number, received: number): boolean {
    return current > received && !isInFuture(current, this.#clock.now());
  }
}

function topicOf(mapping: string, target: TargetId): string {
  // Other than a template, `join` makes one string without parts, which takes less memory.
  return ['t', mapping, target.namespace, target.secret].join('/');
}

function isSame(a: TargetState, b: TargetState): boolean {
  return (
    a.requestId === b.requestId &&
    a.startedAt === b.startedAt &&
    a.endedAt === b.endedAt &&
    a.kind === b.kind &&
    a.proposed === b.proposed &&
    a.retryAt === b.retryAt
  );
}
