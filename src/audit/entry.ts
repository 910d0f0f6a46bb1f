import type { ApprovalAction } from '../core/approval-rules.ts';
import type { AppError } from '../core/errors.ts';
import type { FieldChange } from '../core/json.ts';
import type { Person } from '../core/person.ts';
import type { ACTIONS, OUTCOMES, REVIEW_STATES } from '../core/words.ts';

export const ACTOR_KINDS = ['schedule', 'event', 'drift', 'startup', 'operator', 'cli'] as const;

/** The person or component that caused the action. */
export interface Actor extends Partial<Person> {
  readonly kind: (typeof ACTOR_KINDS)[number];
  readonly address?: string;
}

/** Whether a person asked for the action. Otherwise the service acts by itself. */
export function isPerson({ kind }: Actor): boolean {
  return kind === 'operator' || kind === 'cli';
}

export type Action = (typeof ACTIONS)[number];

/** The actions whose records describe the state of a target. */
export const TARGET_STATE_ACTIONS: readonly Action[] = [
  'create',
  'update',
  'delete',
  'repair',
  'adopt',
  'refuse',
  'hold',
  'giveUp',
  'sweep',
];

export type EntryOutcome = (typeof OUTCOMES)[number];

export interface EntrySource {
  readonly store: string;
  readonly key: string;
  readonly property?: string;
  readonly version: string;
}

export type ReviewState = (typeof REVIEW_STATES)[number];

export interface KeyChanges {
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
}

/** A new review state of a record. */
export interface ReviewEntry {
  readonly sequence: number;
  readonly state: ReviewState;
  /** The day on which somebody looks at the record again, as `2026-01-31`. */
  readonly followUp?: string;
}

/** What a person asks for in a `request`, for the target of the record. */
export interface RequestedAction {
  readonly action: ApprovalAction;
  /** What distinguishes the action from others on the target, such as the id of a held change. */
  readonly argument: string;
  /** The request is open until this time, in RFC 3339. */
  readonly until: string;
}

/**
 * The content of a record: names, versions, counts and keyed fingerprints, but never a secret value or a message of a
 * vendor. An `intent` always has the outcome `ok`, which means only that the intent was recorded.
 */
export interface Entry {
  readonly actor: Actor;
  readonly requestId: string;
  /** Set only for changes to the cluster. */
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
   * For changes: the fingerprint of each key's new value. It allows tracing a value to every target that contained it.
   * At most `MAX_VALUES` entries; `counts.valuesLeftOut` is the number of omitted ones.
   */
  readonly values?: Readonly<Record<string, string>>;
  /**
   * Fingerprints before and after the action: for a `read`, of the source's value, and for all other actions, of the
   * target.
   */
  readonly before?: string;
  readonly after?: string;
  readonly counts?: Readonly<Record<string, number>>;
  readonly note?: string;
  /** For a `review`: the sequence of the reviewed record, and the review state that this record now has. */
  readonly review?: ReviewEntry;
  /** For a `request`: what waits for approval. */
  readonly requested?: RequestedAction;
  /**
   * The sequence of a `request`: in the `approve` or `reject` that decided about it, and in the records of the action
   * that was approved.
   */
  readonly approval?: number;
  /** For a `read`: how many reads have failed since the failure began. Reads of ended processes may be missing. */
  readonly count?: number;
  /** For a `read`: when the failure began, in RFC 3339. */
  readonly since?: string;
  /** The changed fields of a `configure`, at most `MAX_CHANGES`. `counts.changesLeftOut` counts the rest. */
  readonly changes?: readonly FieldChange[];
  /** For a `configure`: the SHA-256 of the active configuration, in hex. */
  readonly configHash?: string;
  /** For a `configure`: what `SECRETBRIDGE_CONFIG_REVISION` says, for example a commit. */
  readonly revision?: string;
  readonly durationMs: number;
  /** Starts at 1. Distinguishes changes that one request makes to one target at the same time. */
  readonly attempt: number;
  /**
   * In an intent, the object's `resourceVersion` before the change. In an outcome, the `resourceVersion` after the
   * change.
   */
  readonly resourceVersion?: string;
}

/** An entry together with its position in the chain. */
export interface AuditRecord extends Entry {
  /** Starts at 1 and has no gaps. */
  readonly sequence: number;
  /** In RFC 3339 format, in UTC, with milliseconds. */
  readonly time: string;
  readonly instance: string;
  /** The process that wrote the record. */
  readonly replica: string;
  /** The SHA-256 of the previous record in hex, or 64 zeros for the first record. */
  readonly previousHash: string;
  /**
   * `<key id>:<hex>`, an HMAC-SHA-256 of the record without `hmac` and `hash` (`record-keys.ts`). Records of releases
   * without HMACs lack it.
   */
  readonly hmac?: string;
  readonly hash: string;
}

/** The maximum number of `values`. It limits the size of a record about a target with very many keys. */
export const MAX_VALUES = 500;

/** The maximum number of `changes`. */
export const MAX_CHANGES = 100;

export const NO_KEYS: KeyChanges = { added: [], changed: [], removed: [] };

/**
 * The commands that change nothing. The note of a `command` record starts with the command, and may continue with the
 * name of a mapping.
 */
const READ_ONLY_COMMANDS: readonly (string | undefined)[] = [
  'plan',
  'explain',
  'doctor',
  'sign-in',
  'sign-out',
];

/** Whether an entry announces a change to the cluster. Such an entry must be recorded before the change is made. */
export function startsChange({ phase, action, note, outcome }: Entry): boolean {
  if (action === 'command') return outcome === 'ok' && !READ_ONLY_COMMANDS.includes(note?.split(' ', 1)[0]);
  return phase === 'intent' || ['release', 'rollback', 'unpin', 'approve'].includes(action);
}

/** Whether an entry pins a target or ends a pin. */
export function isPinChange({ action, outcome }: Entry): boolean {
  return (action === 'rollback' || action === 'unpin') && outcome === 'ok';
}

/** A command that a person ran, with its mapping if the command names one. */
export interface Command {
  readonly name: string;
  readonly mapping?: string | undefined;
}

/** Formats a command in the way people type it: verb, mapping if any, options. */
export function commandOf(verb: string, mapping?: string, ...options: readonly (string | number)[]): Command {
  const parts = [verb, ...(mapping === undefined ? [] : [mapping]), ...options];
  return { name: parts.join(' '), mapping };
}

/** Returns the record of a command that a person ran. @param refusal Why the command was refused. */
export function commandEntry(
  { name, mapping }: Command,
  actor: Actor,
  requestId: string,
  refusal?: AppError,
): Entry {
  return {
    actor,
    requestId,
    action: 'command',
    ...(mapping === undefined ? {} : { mapping }),
    ...(refusal === undefined ? { outcome: 'ok' } : { outcome: 'refused', code: refusal.code }),
    note: name,
    sources: [],
    keys: NO_KEYS,
    durationMs: 0,
    attempt: 1,
  };
}
