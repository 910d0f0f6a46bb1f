export const ACTOR_KINDS = ['schedule', 'event', 'drift', 'startup', 'operator', 'cli'] as const;

/** Who caused it. */
export interface Actor {
  readonly kind: (typeof ACTOR_KINDS)[number];
  readonly name?: string;
  readonly address?: string;
}

export const ACTIONS = [
  'read',
  'create',
  'update',
  'delete',
  'repair',
  'adopt',
  'refuse',
  'hold',
  'release',
  'restart',
  'giveUp',
  'sweep',
  'configure',
  'command',
  'export',
  'review',
  'rollback',
  'unpin',
] as const;
export type Action = (typeof ACTIONS)[number];

export const OUTCOMES = ['ok', 'failed', 'refused', 'held'] as const;
export type EntryOutcome = (typeof OUTCOMES)[number];

export interface EntrySource {
  readonly store: string;
  readonly key: string;
  readonly property?: string;
  readonly version: string;
}

export const REVIEW_STATES = ['unreviewed', 'reviewed', 'flagged'] as const;
export type ReviewState = (typeof REVIEW_STATES)[number];

export interface KeyChanges {
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
}

/**
 * What is to be recorded: names, versions, counts and keyed fingerprints, never a value and never a vendor's
 * message. An `intent` has the outcome `ok`: that it was recorded is all it says.
 */
export interface Entry {
  readonly actor: Actor;
  readonly requestId: string;
  /** For changes to the cluster only. */
  readonly phase?: 'intent' | 'outcome';
  readonly action: Action;
  readonly mapping?: string;
  readonly namespace?: string;
  readonly secret?: string;
  readonly store?: string;
  readonly key?: string;
  readonly outcome: EntryOutcome;
  readonly code?: string;
  readonly sources: readonly EntrySource[];
  readonly keys: KeyChanges;
  /**
   * Of a change: the fingerprint of the value that each key is given, so that a value is found in every target that
   * held it. At most `MOST_VALUES`; how many more there are says `counts.valuesLeftOut`.
   */
  readonly values?: Readonly<Record<string, string>>;
  /** Fingerprints of the target, or of the value for a `read`. */
  readonly before?: string;
  readonly after?: string;
  readonly counts?: Readonly<Record<string, number>>;
  readonly note?: string;
  /** Of a `review`: the record that a person has looked at, and what it is now. */
  readonly review?: { readonly sequence: number; readonly state: ReviewState };
  readonly durationMs: number;
  /** From 1. No two changes of one request and target that are open have the same. */
  readonly attempt: number;
  /** The object's `resourceVersion`: the one that an intent is about to replace, the one that an outcome left. */
  readonly resourceVersion?: string;
}

/** An entry in its place in the chain. */
export interface AuditRecord extends Entry {
  /** From 1, without gaps. */
  readonly sequence: number;
  /** RFC 3339, UTC, milliseconds. */
  readonly time: string;
  readonly instance: string;
  /** The process that wrote it. */
  readonly replica: string;
  /** SHA-256 in hex; 64 zeros for the first record. */
  readonly previousHash: string;
  readonly hash: string;
}

/** A record stays small whatever a target holds. */
export const MOST_VALUES = 500;

export const NO_KEYS: KeyChanges = { added: [], changed: [], removed: [] };
