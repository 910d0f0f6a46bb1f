import type { SecretMeta } from '../cluster/cluster.ts';
import { type Clock, isInFuture } from '../core/clock.ts';
import { createTargetMap, formatTarget, type TargetId } from '../core/target.ts';
import type { Broadcast } from '../queue/queue.ts';
import {
  formatTargetState,
  parseSweepState,
  parseTargetState,
  type SweepState,
  type TargetState,
} from './target-state.ts';

export interface TargetStates {
  /** When this process started. Earlier states are unknown. */
  readonly startedAt: number;
  get(mapping: string, target: TargetId): TargetState | undefined;
  all(): Iterable<TargetState>;
  note(state: TargetState): void;
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
  dropMeta(target: TargetId): void;
  metas(): Iterable<SecretMeta>;
  /** Calls the listener for each new state, from this process or another. */
  onChange(listener: (state: TargetState) => void): () => void;
}

/**
 * Stores the last known state of each target. The states are in memory only, because they can be restored from the
 * cluster, the stores and the audit. Replicas exchange them by broadcast, to avoid repeated work.
 *
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
  const byTopic = new Map<string, TargetState>();
  const byOtherConfig = new Map<string, TargetState>();
  const startedAt = clock.now();
  const sweeps = new Map<string, SweepState>();
  const metadata = createTargetMap<SecretMeta>();
  const listeners = new Set<(state: TargetState) => void>();

  /**
   * Whether the current entry is newer than the received one. If the current entry is in the future, the clock was set
   * back, and the received entry counts as newer.
   */
  const isLater = (current: number, received: number): boolean =>
    current > received && !isInFuture(current, clock.now());
  const store = (topic: string, state: TargetState): void => {
    // Store the keys only while a deletion is held or proposed, because a target may have hundreds of keys.
    const isOpen = state.kind === 'held' || state.proposed === true;
    byTopic.set(topic, isOpen ? state : { ...state, keys: [] });
    for (const listener of listeners) listener(state);
  };
  const receiveState = (topic: string, received: TargetState | undefined): void => {
    if (received === undefined || topic !== topicOf(received.mapping, received.target)) return;
    if (received.endedAt > clock.now() + MAX_FUTURE_MS) return;
    const by = configHashOf(received.mapping);
    const isOtherConfig = by !== undefined && received.by !== by;
    if (!isOtherConfig) byOtherConfig.delete(topic);
    // Ignore runs from before the start of this process, because all targets are checked at startup.
    else if (received.endedAt > startedAt) byOtherConfig.set(topic, { ...received, keys: [] });
    if (isOtherConfig) return;
    const before = byTopic.get(topic);
    // Messages of two processes may arrive out of order. Our own messages return to us with fewer keys.
    if (before !== undefined && (isLater(before.endedAt, received.endedAt) || isSame(before, received)))
      return;
    store(topic, received);
  };
  const receive = (topic: string, text: string | undefined): void => {
    const isSweep = topic.startsWith(SWEEP_PREFIX);
    if (text === undefined)
      for (const states of isSweep ? [sweeps] : [byTopic, byOtherConfig]) states.delete(topic);
    else if (!isSweep) receiveState(topic, parseTargetState(text));
    else {
      const received = parseSweepState(text);
      if (received === undefined || received.at > clock.now() + MAX_FUTURE_MS) return;
      if (!isLater(sweeps.get(topic)?.at ?? 0, received.at)) sweeps.set(topic, received);
    }
  };
  const stop = broadcast?.subscribe(receive);
  const textOf = (state: TargetState): string => {
    const by = configHashOf(state.mapping);
    return formatTargetState(by === undefined ? state : { ...state, by }, heldId);
  };

  return {
    startedAt,
    get: (mapping, target) => byTopic.get(topicOf(mapping, target)),
    all: () => byTopic.values(),
    note(state) {
      const topic = topicOf(state.mapping, state.target);
      store(topic, state);
      broadcast?.send(topic, textOf(state));
    },
    byOtherConfig: (mapping, target) => byOtherConfig.get(topicOf(mapping, target)),
    forget(mapping, target) {
      const topic = topicOf(mapping, target);
      byOtherConfig.delete(topic);
      if (byTopic.delete(topic)) broadcast?.send(topic, undefined);
    },
    sweepState: (shard) => sweeps.get(SWEEP_PREFIX + shard),
    noteSweep(shard, swept) {
      sweeps.set(SWEEP_PREFIX + shard, swept);
      broadcast?.send(SWEEP_PREFIX + shard, JSON.stringify(swept));
    },
    sweeps: () => [...sweeps].map(([topic, swept]) => [topic.slice(SWEEP_PREFIX.length), swept] as const),
    forgetSweep(shard) {
      if (sweeps.delete(SWEEP_PREFIX + shard)) broadcast?.send(SWEEP_PREFIX + shard, undefined);
    },
    meta: metadata.get,
    setMeta: (meta) => metadata.set(meta.id, meta),
    dropMeta: metadata.delete,
    metas: metadata.values,
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    [Symbol.dispose]() {
      stop?.();
    },
  };
}

const SWEEP_PREFIX = 's/';
/** Timestamps further in the future are ignored. */
const MAX_FUTURE_MS = 3_600_000;

function topicOf(mapping: string, target: TargetId): string {
  return `t/${mapping}/${formatTarget(target)}`;
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
