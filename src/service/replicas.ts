import { createHash } from 'node:crypto';
import type { Clock } from '../core/clock.ts';
import type { Mapping } from '../core/mapping.ts';
import { compareText } from '../core/target.ts';
import type { Broadcast } from '../queue/queue.ts';

/** Tracks the replicas of this instance that share the queue. */
export interface Replicas extends Disposable {
  /** Announces this replica again. */
  announce(): void;
  /** Replicas with a recent announcement, including this one, sorted. */
  replicas(): readonly string[];
  /**
   * Replicas with another configuration, sorted. A target that is new in one configuration looks orphaned to a replica
   * with another one.
   */
  differing(): readonly string[];
}

export interface ReplicasOptions {
  readonly broadcast: Broadcast;
  readonly replica: string;
  readonly clock: Clock;
  /** Returns the digest of the configuration in use. */
  readonly currentDigest: () => string;
  /**
   * Called once if a live replica started before this one. A replica is live if it sends an announcement after our
   * start.
   */
  readonly onOlderReplica: (replica: string) => void;
}

const TOPIC_PREFIX = 'r/';
/** A replica counts as ended after this time without an announcement. */
const REPLICA_TTL_MS = 45_000;

/** Returns a digest of the targets that the mappings want. The order and the files of the mappings do not matter. */
export function configDigest(instances: readonly string[], mappings: readonly Mapping[]): string {
  const wants = mappings
    .map(({ name, target: { namespaces, namespaceSelector, secret, mode } }) =>
      JSON.stringify([name, namespaces, namespaceSelector ?? null, secret, mode]),
    )
    .toSorted(compareText);
  return createHash('sha256')
    .update(JSON.stringify([instances.toSorted(compareText), wants]))
    .digest('hex')
    .slice(0, 16);
}

export function trackReplicas({
  broadcast,
  replica,
  clock,
  currentDigest,
  onOlderReplica,
}: ReplicasOptions): Replicas {
  const startedAt = clock.now();
  const replicas = new Map<string, { readonly at: number; readonly works: string | undefined }>();
  const firstMessages = new Map<string, { readonly at: number; readonly text: string }>();
  let isOlderReported = false;
  const forget = (name: string): void => {
    replicas.delete(name);
    firstMessages.delete(name);
  };
  const stop = broadcast.subscribe((field, text) => {
    if (!field.startsWith(TOPIC_PREFIX)) return;
    const name = field.slice(TOPIC_PREFIX.length);
    if (text === undefined) return forget(name);
    const parts = text.split(' ');
    const [since = Number.NaN, at = Number.NaN] = parts.map(Number);
    // Ignore messages of another format.
    if (name === replica || !Number.isFinite(at)) return;
    const { text: first } = firstMessages.get(name) ?? { text };
    if (!firstMessages.has(name)) firstMessages.set(name, { at: clock.now(), text });
    // Ignore an old message that an ended replica has left in Redis. A replica that sends new messages is live, even if
    // its clock is wrong.
    if (first === text && !(Math.abs(clock.now() - at) < REPLICA_TTL_MS)) return;
    // Earlier releases do not announce a digest.
    replicas.set(name, { at: clock.now(), works: parts[2] });
    if (isOlderReported || first === text || !(since < startedAt)) return;
    isOlderReported = true;
    onOlderReplica(name);
  });
  let closed = false;
  const announce = (): void => {
    if (!closed) broadcast.send(TOPIC_PREFIX + replica, `${startedAt} ${clock.now()} ${currentDigest()}`);
  };
  announce();
  return {
    announce() {
      announce();
      // Forget a replica that has sent nothing since our start, because it may have ended long ago.
      for (const [name, { at }] of firstMessages)
        if (clock.now() - (replicas.get(name)?.at ?? at) > REPLICA_TTL_MS) {
          forget(name);
          broadcast.send(TOPIC_PREFIX + name, undefined);
        }
    },
    replicas: () => [replica, ...replicas.keys()].sort(),
    differing: () =>
      [...replicas]
        .filter(([, other]) => other.works !== undefined && other.works !== currentDigest())
        .map(([name]) => name)
        .toSorted(compareText),
    [Symbol.dispose]() {
      closed = true;
      broadcast.send(TOPIC_PREFIX + replica, undefined);
      stop();
    },
  };
}
