import type { AppError } from '../core/errors.ts';

/**
 * That something may have changed in a store. Names only: it decides nothing, and whoever takes it up reads afresh,
 * so one that is lost, doubled, late or made up does no harm.
 */
export interface Hint {
  readonly store: string;
  /** Every name under which a mapping may have the key (for AWS its name and its ARN). */
  readonly keys: readonly string[];
}

/** Which intake of `events` in the configuration it came by. */
export interface Origin {
  readonly kind: 'sqs' | 'eventGrid' | 'vault' | 'webhook';
  readonly name: string;
}

/** What became of one message: targets that are looked at because of it, or keys that nothing is made from. */
export interface Taken {
  readonly targets: number;
  readonly unknown: number;
}

/**
 * Where hints go. Never throws and never waits: what the queue cannot take now, it takes later.
 * @param requestId Of the request that brought them, where one did: what comes of them is on record under it.
 */
export type TakeHints = (hints: readonly Hint[], origin: Origin, requestId?: string) => Taken;

/** A loop that fetches hints (a queue, a stream), which shows that it goes on: a failed attempt is progress. */
export interface Intake extends AsyncDisposable {
  readonly origin: Origin;
}

/**
 * What became of a hint, or of a message that gave none, as metrics count it: `taken` · `unknown` nothing is made from
 * its key · `ignored` it tells of no change, or of another store · `malformed` not in a form that we know, or of a
 * webhook about a store that is not its own · `dropped` a malformed message that came too often · `refused` not proved,
 * too many, or not to be checked just now.
 */
export type EventOutcome = 'taken' | 'unknown' | 'ignored' | 'malformed' | 'dropped' | 'refused';

export interface IntakeDeps {
  readonly take: TakeHints;
  /** Of messages that give no hint; `take` counts the others. */
  readonly onOther: (outcome: Exclude<EventOutcome, 'taken' | 'unknown'>) => void;
  /** After each attempt, well or not. */
  readonly onProgress: (error?: AppError) => void;
}
