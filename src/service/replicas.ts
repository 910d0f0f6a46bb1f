import { createHash } from 'node:crypto';
import type { Clock } from '../core/clock.ts';
import { createListHash } from '../core/lists.ts';
import type { Mapping } from '../core/mapping.ts';
import { compareText } from '../core/target.ts';
import type { Broadcast } from '../queue/queue.ts';

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

/** Tracks the replicas of this instance that share the queue. */
export class Replicas implements Disposable {
  readonly #options: ReplicasOptions;
  readonly #startedAt: number;
  readonly #stop: () => void;
  /** The live replicas by name. */
  readonly #live = new Map<string, { readonly at: number; readonly digest: string | undefined }>();
  readonly #firstMessages = new Map<string, { readonly at: number; readonly text: string }>();
  #isOlderReported = false;
  #closed = false;

  constructor(options: ReplicasOptions) {
    this.#options = options;
    this.#startedAt = options.clock.now();
    this.#stop = options.broadcast.subscribe((topic, text) => {
      if (!topic.startsWith(TOPIC_PREFIX)) return;
      const name = topic.slice(TOPIC_PREFIX.length);
      if (text === undefined) this.#forget(name);
      else this.#receive(name, text);
    });
    this.#sendAnnouncement();
  }

  /** Announces this replica again. */
  announce(): void {
    const { broadcast, clock } = this.#options;
    this.#sendAnnouncement();
    // Forget a replica that has sent nothing since our start, because it may have ended long ago.
    for (const [name, { at }] of this.#firstMessages)
      if (clock.now() - (this.#live.get(name)?.at ?? at) > REPLICA_TTL_MS) {
        this.#forget(name);
        broadcast.send(TOPIC_PREFIX + name, undefined);
      }
  }

  /** Returns the replicas with a recent announcement, including this one, sorted by name. */
  replicas(): readonly string[] {
    return [this.#options.replica, ...this.#live.keys()].sort();
  }

  /**
   * Returns the replicas with another configuration, sorted by name. If a target is new in one configuration, it looks
   * orphaned to a replica with another configuration.
   */
  differing(): readonly string[] {
    const ours = this.#options.currentDigest();
    return [...this.#live]
      .filter(([, { digest }]) => digest !== undefined && digest !== ours)
      .map(([name]) => name)
      .toSorted(compareText);
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#options.broadcast.send(TOPIC_PREFIX + this.#options.replica, undefined);
    this.#stop();
  }

  #sendAnnouncement(): void {
    const { broadcast, replica, clock, currentDigest } = this.#options;
    if (!this.#closed)
      broadcast.send(TOPIC_PREFIX + replica, `${this.#startedAt} ${clock.now()} ${currentDigest()}`);
  }

  #receive(name: string, text: string): void {
    const { replica, clock, onOlderReplica } = this.#options;
    const parts = text.split(' ');
    const [since = Number.NaN, at = Number.NaN] = parts.map(Number);
    // Ignore messages of another format.
    if (name === replica || !Number.isFinite(at)) return;
    const { text: first } = this.#firstMessages.get(name) ?? { text };
    if (!this.#firstMessages.has(name)) this.#firstMessages.set(name, { at: clock.now(), text });
    // Ignore an old message that an ended replica has left in Redis. A replica that sends new messages is live, even if
    // its clock is wrong.
    if (first === text && !(Math.abs(clock.now() - at) < REPLICA_TTL_MS)) return;
    // Earlier releases do not announce a digest.
    this.#live.set(name, { at: clock.now(), digest: parts[2] });
    if (this.#isOlderReported || first === text || !(since < this.#startedAt)) return;
    this.#isOlderReported = true;
    onOlderReplica(name);
  }

  #forget(name: string): void {
    this.#live.delete(name);
    this.#firstMessages.delete(name);
  }
}

/** Returns a digest of the targets that the mappings want. The order and the files of the mappings do not matter. */
export function configDigest(instances: readonly string[], mappings: readonly Mapping[]): string {
  return createHash('sha256')
    .update(JSON.stringify(instances.toSorted(compareText)))
    .update(hashOfTargets(mappings))
    .digest('hex')
    .slice(0, 16);
}

const hashOfTargets = createListHash(
  ({ name, target: { namespaces, namespaceSelector, secret, mode } }: Mapping) =>
    JSON.stringify([name, namespaces, namespaceSelector ?? null, secret, mode]),
);
