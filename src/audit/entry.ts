export const ACTOR_KINDS = ['schedule', 'event', 'drift', 'startup', 'operator', 'cli'] as const;

/** Who caused the action. */
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
 * The content of a record: names, versions, counts and keyed fingerprints, but never a value or a vendor's message. An
 * `intent` has the outcome `ok`, which only means that the intent was recorded.
 */
export interface Entry {
  readonly actor: Actor;
  readonly requestId: string;
  /** Only for changes to the cluster. */
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
   * For changes: the fingerprint of the new value of each key, so that a value can be traced to every target that held
   * it. At most `MAX_VALUES`; `counts.valuesLeftOut` says how many more there were.
   */
  readonly values?: Readonly<Record<string, string>>;
  /** Fingerprints of the target, or of the value for a `read`. */
  readonly before?: string;
  readonly after?: string;
  readonly counts?: Readonly<Record<string, number>>;
  readonly note?: string;
  /** For a `review`: the reviewed record and its new state. */
  readonly review?: { readonly sequence: number; readonly state: ReviewState };
  readonly durationMs: number;
  /** From 1. Open changes of the same request and target have different attempts. */
  readonly attempt: number;
  /** The object's `resourceVersion`: before the change in an intent, after it in an outcome. */
  readonly resourceVersion?: string;
}

/** An entry with its position in the chain. */
export interface AuditRecord extends Entry {
  /** From 1, without gaps. */
  readonly sequence: number;
  /** RFC 3339, UTC, milliseconds. */
  readonly time: string;
  readonly instance: string;
  /** The process that wrote the record. */
  readonly replica: string;
  /** SHA-256 in hex; 64 zeros for the first record. */
  readonly previousHash: string;
  readonly hash: string;
}

/** Bounds the size of a record, whatever a target holds. */
export const MAX_VALUES = 500;

export const NO_KEYS: KeyChanges = { added: [], changed: [], removed: [] };
