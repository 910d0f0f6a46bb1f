import type { FieldChange } from '../../core/json.ts';
import type { Actor, AuditRecord, EntryOutcome, EntrySource } from '../entry.ts';
import type { Review } from '../store.ts';

/** One key of a target, with fingerprints. */
export interface KeyChange {
  readonly name: string;
  readonly change: 'added' | 'changed' | 'removed' | 'kept';
  readonly before?: string;
  readonly after?: string;
}

export interface ChangedSource extends EntrySource {
  /** The version that the previous write of the target used, if it was another one. */
  readonly previousVersion?: string;
}

export interface Restart {
  readonly kind: string;
  readonly name: string;
  readonly outcome: EntryOutcome | 'pending';
  readonly code?: string;
}

export interface Cause {
  readonly kind: 'schedule' | 'event' | 'drift' | 'person' | 'configuration' | 'recovery' | 'unknown';
  /** The configuration change, if the configuration is the cause and the caller may see it. */
  readonly sequence?: number;
  readonly revision?: string;
  readonly changes?: readonly FieldChange[];
}

/** A person who took part in a change, besides its actor. */
export interface Participant {
  readonly role: 'requested' | 'approved' | 'rejected' | 'released';
  readonly name: string;
  readonly time: string;
  readonly sequence: number;
}

export interface Change {
  /** The sequence of the record that stands for the change: its outcome, or its intent while it has no outcome. */
  readonly sequence: number;
  /** The sequences of all records of the change, in ascending order. */
  readonly records: readonly number[];
  readonly time: string;
  readonly durationMs?: number;
  readonly action: AuditRecord['action'];
  readonly outcome: EntryOutcome | 'pending';
  readonly code?: string;
  readonly note?: string;
  readonly actor: Pick<Actor, 'kind' | 'name'>;
  readonly requestId: string;
  readonly cause: Cause;
  readonly people?: readonly Participant[];
  readonly mapping?: string;
  readonly namespace?: string;
  readonly secret?: string;
  readonly store?: string;
  readonly key?: string;
  readonly keys: readonly KeyChange[];
  readonly sources: readonly ChangedSource[];
  readonly restarts: readonly Restart[];
  readonly counts?: Readonly<Record<string, number>>;
  /** For a change of the configuration. */
  readonly configuration?: {
    readonly hash?: string;
    readonly revision?: string;
    readonly changes: readonly FieldChange[];
  };
  /** How many equal facts this change stands for. */
  readonly count: number;
  /** When the first of them happened. */
  readonly since?: string;
  /** For a review: the record that was reviewed. */
  readonly reviewOf?: number;
  readonly review?: Omit<Review, 'sequence'>;
}

/** The records around the record that stands for a change. */
export interface Surroundings {
  /** The earlier writes of the same target, newest first. */
  readonly earlier: readonly AuditRecord[];
  /** The restarts that the change caused, oldest first. */
  readonly restarts: readonly AuditRecord[];
  /** The sequences of the reads whose values the change used. */
  readonly reads: readonly number[];
  /** The records of people who decided about the change. */
  readonly decisions: readonly AuditRecord[];
  /** The last configuration that came into force before the change. */
  readonly configuration?: AuditRecord | undefined;
  readonly review?: Review | undefined;
}
