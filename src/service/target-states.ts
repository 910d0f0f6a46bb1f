import type { SecretMeta } from '../cluster/cluster.ts';
import { type Clock, isInFuture } from '../core/clock.ts';
import { createTargetMap, formatTarget, type TargetId } from '../core/target.ts';
import type { Broadcast } from '../queue/queue.ts';
import {
  type TargetState,
  formatTargetState,
  parseTargetState,
  parseSweepState,
  type SweepState,
} from './target-state.ts';

export interface TargetStates {
  /** Since when anything can be known. */
  readonly startedAt: number;
  get(mapping: string, target: TargetId): TargetState | undefined;
  all(): Iterable<TargetState>;
  note(state: TargetState): void;
  /** The last run of another replica by another configuration, since this process began. */
  byOtherConfig(mapping: string, target: TargetId): TargetState | undefined;
  forget(mapping: string, target: TargetId): void;
  sweepState(shard: string): SweepState | undefined;
  noteSweep(shard: string, swept: SweepState): void;
  /** By shard. */
  sweeps(): Iterable<readonly [string, SweepState]>;
  forgetSweep(shard: string): void;
  /** As the watch has it. `undefined` where `Watches.isListed`: it is not there. */
  meta(target: TargetId): SecretMeta | undefined;
  setMeta(meta: SecretMeta): void;
  dropMeta(target: TargetId): void;
  metas(): Iterable<SecretMeta>;
  /** Told each outcome, of this process or another. */
  onChange(listener: (state: TargetState) => void): () => void;
}

/**
 * What the replicas know of the targets. All of it can be found out again from the cluster, the stores and the audit,
 * so it is kept nowhere; the notices only save each replica from finding it out itself.
 * @param broadcast Left out where no other process is there to hear them.
 * @param heldId Names a held change whose keys are too many to be told.
 * @param configHashOf What a run of a mapping goes by now. An outcome of another process that went by something else, as a
 * replica that has not got the configuration yet or one of before a start, tells nothing of a target.
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
  const metas = createTargetMap<SecretMeta>();
  const listeners = new Set<(state: TargetState) => void>();

  /** Whether what stands was told later. A time that is yet to come, by a clock set back, is later than nothing. */
  const isLater = (current: number, received: number): boolean =>
    current > received && !isInFuture(current, clock.now());
  const store = (topic: string, state: TargetState): void => {
    // Who waits is told which keys; of a target that is well nobody asks again, and there may be hundreds of each.
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
    // What was left before a start is looked at all the same.
    else if (received.endedAt > startedAt) byOtherConfig.set(topic, { ...received, keys: [] });
    if (isOtherConfig) return;
    const before = byTopic.get(topic);
    // Notices of two processes may cross on the way, and ours comes back to us, shortened.
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
      broadcast?.publish(topic, textOf(state));
    },
    byOtherConfig: (mapping, target) => byOtherConfig.get(topicOf(mapping, target)),
    forget(mapping, target) {
      const topic = topicOf(mapping, target);
      byOtherConfig.delete(topic);
      if (byTopic.delete(topic)) broadcast?.publish(topic, undefined);
    },
    sweepState: (shard) => sweeps.get(SWEEP_PREFIX + shard),
    noteSweep(shard, swept) {
      sweeps.set(SWEEP_PREFIX + shard, swept);
      broadcast?.publish(SWEEP_PREFIX + shard, JSON.stringify(swept));
    },
    sweeps: () => [...sweeps].map(([topic, swept]) => [topic.slice(SWEEP_PREFIX.length), swept] as const),
    forgetSweep(shard) {
      if (sweeps.delete(SWEEP_PREFIX + shard)) broadcast?.publish(SWEEP_PREFIX + shard, undefined);
    },
    meta: metas.get,
    setMeta: (meta) => metas.set(meta.id, meta),
    dropMeta: metas.delete,
    metas: metas.values,
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
/** What ended then ended never. */
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
