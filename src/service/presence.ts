import { createHash } from 'node:crypto';
import type { Clock } from '../core/clock.ts';
import type { Mapping } from '../core/mapping.ts';
import { compareText } from '../core/target.ts';
import type { Notices } from '../queue/queue.ts';

/** The other replicas of this instance that share the queue. */
export interface Presence extends Disposable {
  /** Says again that this one is here. */
  beat(): void;
  /** Those that were heard of lately, this one included, sorted. */
  replicas(): readonly string[];
  /**
   * Those that say they work by another configuration than this one, sorted. A target that is new to one looks to the
   * other as if it had left.
   */
  differing(): readonly string[];
}

export interface PresenceOptions {
  readonly notices: Notices;
  readonly replica: string;
  readonly clock: Clock;
  /** What this one works by, now. */
  readonly works: () => string;
  /** Told once when another one is here that was here before: by a word of it since we came, since it may be gone. */
  readonly onOlder: (replica: string) => void;
}

const FIELD = 'r/';
/** A replica that was not heard of for so long has ended, in whatever way. */
const GONE_MS = 45_000;

/** Stands for the targets that these mappings want, wherever they were written down. */
export function worksBy(instances: readonly string[], mappings: readonly Mapping[]): string {
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

export function createPresence({ notices, replica, clock, works, onOlder }: PresenceOptions): Presence {
  const startedAt = clock.now();
  const heard = new Map<string, { readonly at: number; readonly works: string | undefined }>();
  const firstWords = new Map<string, { readonly at: number; readonly text: string }>();
  let told = false;
  const forget = (name: string): void => {
    heard.delete(name);
    firstWords.delete(name);
  };
  const stop = notices.subscribe((field, text) => {
    if (!field.startsWith(FIELD)) return;
    const name = field.slice(FIELD.length);
    if (text === undefined) return forget(name);
    const words = text.split(' ');
    const [since = Number.NaN, at = Number.NaN] = words.map(Number);
    // What is not a time is nothing of ours.
    if (name === replica || !Number.isFinite(at)) return;
    const { text: first } = firstWords.get(name) ?? { text };
    if (!firstWords.has(name)) firstWords.set(name, { at: clock.now(), text });
    // What an ended replica left in Redis is old. One that goes on speaking is here, whatever its clock says.
    if (first === text && !(Math.abs(clock.now() - at) < GONE_MS)) return;
    // One of an earlier release does not say.
    heard.set(name, { at: clock.now(), works: words[2] });
    if (told || first === text || !(since < startedAt)) return;
    told = true;
    onOlder(name);
  });
  let over = false;
  const beat = (): void => {
    if (!over) notices.post(FIELD + replica, `${startedAt} ${clock.now()} ${works()}`);
  };
  beat();
  return {
    beat() {
      beat();
      // One that said no more since we came may have ended long before.
      for (const [name, { at }] of firstWords)
        if (clock.now() - (heard.get(name)?.at ?? at) > GONE_MS) {
          forget(name);
          notices.post(FIELD + name, undefined);
        }
    },
    replicas: () => [replica, ...heard.keys()].sort(),
    differing: () =>
      [...heard]
        .filter(([, it]) => it.works !== undefined && it.works !== works())
        .map(([name]) => name)
        .toSorted(compareText),
    [Symbol.dispose]() {
      over = true;
      notices.post(FIELD + replica, undefined);
      stop();
    },
  };
}
