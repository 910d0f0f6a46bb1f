import type { AppError } from '../core/errors.ts';
import type { TargetId } from '../core/target.ts';
import type { Origin } from '../events/hint.ts';
import type { KeyPlan } from '../sync/compare.ts';

export type Health = 'up' | 'degraded' | 'down';

/** In what state a target is. */
export const SYNC_STATES = [
  'synced',
  'stale',
  'failed',
  'refused',
  'held',
  'pinned',
  'waiting',
  'contested',
  'drifted',
] as const;
export type SyncState = (typeof SYNC_STATES)[number];

/** One target of a mapping, as `status` shows it. */
export interface TargetStatus {
  readonly mapping: string;
  readonly namespace: string;
  readonly secret: string;
  readonly state: SyncState;
  /** RFC 3339: when it was last known to be what its sources say; `null`: it never was. */
  readonly lastSuccess: string | null;
  /** Whole seconds since then. */
  readonly staleSeconds: number | null;
  readonly code?: string;
  readonly message?: string;
  readonly remedy?: string;
  /** The sequence of the record to whose versions it is pinned. */
  readonly pinned?: number;
}

export interface StoreStatus {
  readonly name: string;
  readonly kind: string;
  readonly state: Health;
  /** RFC 3339; `null`: there was none yet. */
  readonly lastSuccess: string | null;
  readonly code?: string;
  /** Whether calls are refused for now because the last ones failed. */
  readonly breakerOpen: boolean;
  /** How most of its keys are looked at for changes: `list`, `describe`, `batch` or `read`. */
  readonly way?: string;
  /** Requests of this replica within the last hour. */
  readonly callsPerHour?: number;
  /** Requests an hour that looking for changes takes while there are none, of all replicas together. */
  readonly expectedCallsPerHour?: number;
}

/** A way in which events come, as the replica that answers has it. */
export interface IntakeStatus {
  readonly kind: Origin['kind'];
  readonly name: string;
  /** `degraded`: it failed of late and is tried again · `down`: for longer, or until a person mends it. */
  readonly state: Health;
  /** RFC 3339: when an event last came that was really one, whatever it was about. */
  readonly lastEvent?: string;
  readonly code?: string;
}

/** A change that waits for a person. */
export interface HeldStatus {
  readonly id: string;
  readonly mapping: string;
  readonly namespace: string;
  readonly secret: string;
  readonly action: string;
  readonly keys: readonly KeyPlan[];
}

/** What `status` prints. */
export interface Status {
  readonly instance: string;
  readonly version: string;
  readonly replica: string;
  readonly engine: { readonly kind: string; readonly state: Health; readonly code?: string };
  readonly audit: {
    readonly kind: string;
    /** `degraded`: a place of its checkpoints does not take them. */
    readonly state: Health;
    readonly sequence: number;
    readonly code?: string;
  };
  readonly cluster: { readonly kind: string; readonly state: Health; readonly code?: string };
  readonly config: {
    /** Whether the files as they are now are valid; otherwise the last valid ones are in force. */
    readonly valid: boolean;
    readonly problems: readonly object[];
    /** Replicas that work by another one. While there are any, nothing is deleted as what left the configuration. */
    readonly differing: readonly string[];
  };
  readonly stores: readonly StoreStatus[];
  readonly events: readonly IntakeStatus[];
  readonly targets: readonly TargetStatus[];
  readonly held: readonly HeldStatus[];
}

/** One mapping with its targets, for the API. */
export interface MappingStatus {
  readonly mapping: string;
  readonly refreshSeconds: number;
  /** Each key that it names, once. */
  readonly sources: readonly { readonly store: string; readonly key: string }[];
  /** Where it looks for keys; without a path, everywhere in the store. */
  readonly searches: readonly { readonly store: string; readonly path: string; readonly name?: string }[];
  readonly targets: readonly TargetStatus[];
}

/** Who asks, for the audit. */
export interface Requester {
  readonly name: string;
  readonly address?: string;
}

export interface RollbackRequest {
  /** The sequence of a record that names the versions. */
  readonly to: number;
  /** Where the mapping has several targets. */
  readonly namespace?: string | undefined;
}

/** What `sync` prints, for those targets that were asked for. */
export interface SyncAnswer {
  readonly ok: boolean;
  readonly requestId: string;
  readonly summary: Readonly<Record<string, number>>;
  readonly targets: readonly object[];
  readonly held: readonly HeldStatus[];
  /** Targets whose run had not ended when the answer was due; it goes on. */
  readonly pending: number;
}

/** Orphaned targets that were not deleted. */
export interface SkippedTargets {
  /** What stays until its mapping has made the target that it wants instead. */
  readonly waiting?: readonly (TargetId & { readonly mapping: string; readonly until: TargetId })[];
  /** A target, or a whole namespace, that could not be read. */
  readonly unseen?: readonly { readonly what: string; readonly code: string }[];
}

/** What `prune` prints: what it would delete. */
export interface OrphansAnswer extends SkippedTargets {
  readonly changes: number;
  readonly targets: readonly (TargetId & {
    readonly mapping: string;
    readonly action: string;
    readonly keys: readonly KeyPlan[];
  })[];
  readonly held: readonly HeldStatus[];
}

/** What `prune --yes` prints. */
export type PruneAnswer = SyncAnswer & SkippedTargets;

/** A loop of ours, and when it was last seen to make progress. */
export interface LoopState {
  readonly name: string;
  readonly ageMs: number;
  readonly deadlineMs: number;
  readonly stalled: boolean;
}

/** The running service, as HTTP and its clients see it. */
export interface Service {
  status(): Promise<Status>;
  mappings(): readonly MappingStatus[];
  /** `undefined`: there is no such mapping. */
  mapping(name: string): MappingStatus | undefined;
  held(): readonly HeldStatus[];
  /** @throws AppError QUEUE_UNAVAILABLE and the like; `undefined`: there is no such mapping. */
  sync(mapping: string, by: Requester, requestId: string): Promise<SyncAnswer | undefined>;
  /**
   * Pins one target to the versions that a record names, and brings it there.
   * @throws AppError RECORD_MISSING, NOT_A_CHANGE, INVALID_REQUEST when it is not clear which target, VERSION_GONE and
   * whatever else stands against it. `undefined`: there is no such mapping.
   */
  rollback(
    mapping: string,
    to: RollbackRequest,
    by: Requester,
    requestId: string,
  ): Promise<SyncAnswer | undefined>;
  /** Lets the pinned targets of a mapping follow their sources again. @throws AppError NOT_PINNED. */
  unpin(
    mapping: string,
    which: Pick<RollbackRequest, 'namespace'>,
    by: Requester,
    requestId: string,
  ): Promise<SyncAnswer | undefined>;
  /** @throws AppError NOT_HELD. */
  release(id: string, by: Requester, requestId: string): Promise<SyncAnswer>;
  /** The targets that no mapping wants any more. */
  orphans(by: Requester, requestId: string): Promise<OrphansAnswer>;
  /** Deletes them, under the brake like every deletion. */
  prune(by: Requester, requestId: string): Promise<PruneAnswer>;
  /** Every loop, for `livez`. */
  loops(): readonly LoopState[];
  /** Why it is not ready: no configuration loaded, audit not writable. */
  notReady(): Promise<AppError | undefined>;
}
