import { createHash } from 'node:crypto';
import type { Clock } from '../core/clock.ts';
import type { Mapping } from '../core/mapping.ts';
import { compareText } from '../core/target.ts';
import type { Broadcast } from '../queue/queue.ts';

/** The other replicas of this instance that share the queue. */
export interface Presence extends Disposable {
  /** Says again that this one is here. */
  announce(): void;
  /** Those that were heard of lately, this one included, sorted. */
  replicas(): readonly string[];
  /**
   * Those that say they work by another configuration than this one, sorted. A target that is new to one looks to the
   * other as if it had left.
   */
  differing(): readonly string[];
}

export interface PresenceOptions {
  readonly broadcast: Broadcast;
  readonly replica: string;
  readonly clock: Clock;
  /** What this one works by, now. */
  readonly currentDigest: () => string;
  /** Told once when another one is here that was here before: by a word of it since we came, since it may be gone. */
  readonly onOlderReplica: (replica: string) => void;
}

const TOPIC_PREFIX = 'r/';
/** A replica that was not heard of for so long has ended, in whatever way. */
const REPLICA_TTL_MS = 45_000;

/** Stands for the targets that these mappings want, wherever they were written down. */
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

export function createPresence({
  broadcast: broadcast,
  replica,
  clock,
  currentDigest: currentDigest,
  onOlderReplica: onOlder,
}: PresenceOptions): Presence {
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
    // What is not a time is nothing of ours.
    if (name === replica || !Number.isFinite(at)) return;
    const { text: first } = firstMessages.get(name) ?? { text };
    if (!firstMessages.has(name)) firstMessages.set(name, { at: clock.now(), text });
    // What an ended replica left in Redis is old. One that goes on speaking is here, whatever its clock says.
    if (first === text && !(Math.abs(clock.now() - at) < REPLICA_TTL_MS)) return;
    // One of an earlier release does not say.
    replicas.set(name, { at: clock.now(), works: parts[2] });
    if (isOlderReported || first === text || !(since < startedAt)) return;
    isOlderReported = true;
    onOlder(name);
  });
  let closed = false;
  const announce = (): void => {
    if (!closed) broadcast.publish(TOPIC_PREFIX + replica, `${startedAt} ${clock.now()} ${currentDigest()}`);
  };
  announce();
  return {
    announce() {
      announce();
      // One that said no more since we came may have ended long before.
      for (const [name, { at }] of firstMessages)
        if (clock.now() - (replicas.get(name)?.at ?? at) > REPLICA_TTL_MS) {
          forget(name);
          broadcast.publish(TOPIC_PREFIX + name, undefined);
        }
    },
    replicas: () => [replica, ...replicas.keys()].sort(),
    differing: () =>
      [...replicas]
        .filter(([, it]) => it.works !== undefined && it.works !== currentDigest())
        .map(([name]) => name)
        .toSorted(compareText),
    [Symbol.dispose]() {
      closed = true;
      broadcast.publish(TOPIC_PREFIX + replica, undefined);
      stop();
    },
  };
}
