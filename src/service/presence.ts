import type { Clock } from '../core/clock.ts';
import type { Notices } from '../queue/queue.ts';

/** The other replicas of this instance that share the queue. */
export interface Presence extends Disposable {
  /** Says again that this one is here. */
  beat(): void;
  /** Those that were heard of lately, this one included, sorted. */
  replicas(): readonly string[];
}

export interface PresenceOptions {
  readonly notices: Notices;
  readonly replica: string;
  readonly clock: Clock;
  /** Told once when another one is here that was here before: by a word of it since we came, since it may be gone. */
  readonly onOlder: (replica: string) => void;
}

const FIELD = 'r/';
/** A replica that was not heard of for so long has ended, in whatever way. */
const GONE_MS = 45_000;

export function createPresence({ notices, replica, clock, onOlder }: PresenceOptions): Presence {
  const startedAt = clock.now();
  const heard = new Map<string, number>();
  const firstWords = new Map<string, string>();
  let told = false;
  const stop = notices.subscribe((field, text) => {
    if (!field.startsWith(FIELD)) return;
    const name = field.slice(FIELD.length);
    if (text === undefined) return void heard.delete(name);
    const [since = Number.NaN, at = Number.NaN] = text.split(' ').map(Number);
    // What an ended replica left in Redis is old; what is not a time is nothing of ours.
    if (!(Math.abs(clock.now() - at) < GONE_MS) || name === replica) return;
    heard.set(name, clock.now());
    const first = firstWords.get(name) ?? text;
    firstWords.set(name, first);
    if (told || first === text || !(since < startedAt)) return;
    told = true;
    onOlder(name);
  });
  let over = false;
  const beat = (): void => {
    if (!over) notices.post(FIELD + replica, `${startedAt} ${clock.now()}`);
  };
  beat();
  return {
    beat() {
      beat();
      for (const [name, at] of heard)
        if (clock.now() - at > GONE_MS) {
          heard.delete(name);
          firstWords.delete(name);
          notices.post(FIELD + name, undefined);
        }
    },
    replicas: () => [replica, ...heard.keys()].sort(),
    [Symbol.dispose]() {
      over = true;
      notices.post(FIELD + replica, undefined);
      stop();
    },
  };
}
