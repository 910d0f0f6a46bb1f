import type { AppError } from '../core/errors.ts';
import type { Person } from '../core/person.ts';
import type { Role } from '../core/roles.ts';
import type { TargetId } from '../core/target.ts';
import type { SYNC_STATES } from '../core/words.ts';
import type { Origin } from '../events/hint.ts';
import type { KeyPlan } from '../sync/drift.ts';
import type { ApprovalStatus, WindowOverride } from './approvals.ts';

export type Health = 'up' | 'degraded' | 'down';

/** The state of a target that `status` shows. */
export type SyncState = (typeof SYNC_STATES)[number];

/** One target of a mapping, as printed by `status`. */
export interface TargetStatus {
  readonly mapping: string;
  readonly namespace: string;
  readonly secret: string;
  readonly state: SyncState;
  /** RFC 3339: when the target last matched its sources; `null`: never. */
  readonly lastSuccess: string | null;
  /** Whole seconds since `lastSuccess`. */
  readonly staleSeconds: number | null;
  readonly code?: string;
  readonly message?: string;
  readonly remedy?: string;
  /** The sequence number of the record to which the target is pinned. */
  readonly pinned?: number;
  /** RFC 3339: when the first source or certificate of the target expires. */
  readonly expiresAt?: string;
}

export interface StoreStatus {
  readonly name: string;
  readonly kind: string;
  readonly state: Health;
  /** When a request last succeeded, in RFC 3339 format; `null`: not yet. */
  readonly lastSuccess: string | null;
  readonly code?: string;
  /** Whether the circuit breaker is open after failed calls. */
  readonly breakerOpen: boolean;
  /** How most keys are checked for changes: `list`, `describe`, `batch` or `read`. */
  readonly way?: string;
  /** The number of requests that this replica sent in the last hour. */
  readonly callsPerHour?: number;
  /**
   * The expected number of requests per hour with which all replicas together check for changes, as long as nothing
   * changes.
   */
  readonly expectedCallsPerHour?: number;
}

/** A source of events, as seen by the replica that answers. */
export interface IntakeStatus {
  readonly kind: Origin['kind'];
  readonly name: string;
  /**
   * `degraded`: the source failed recently and is retried · `down`: it has failed for a long time, or needs an
   * operator.
   */
  readonly state: Health;
  /** RFC 3339: when the last valid event arrived. */
  readonly lastEvent?: string;
  readonly code?: string;
}

/** A change that waits until a person releases it. */
export interface HeldStatus {
  readonly id: string;
  readonly mapping: string;
  readonly namespace: string;
  readonly secret: string;
  readonly action: string;
  readonly keys: readonly KeyPlan[];
  /** Why the change waits. Absent if a replica of an older release held it. */
  readonly reason?: string;
  /** RFC 3339: when the change was first held. */
  readonly since?: string;
}

/** A person who decides about a request. */
export interface ApprovingRequester extends Requester {
  /** Whether the person has the role in this namespace. */
  hasRole(role: Role, namespace: string): Promise<boolean>;
}

/** The result of an approved action, with its request. */
export type ApproveAnswer = SyncAnswer & { readonly approval: ApprovalStatus };

/** A warning about the service, or about one target. */
export interface StatusWarning extends Partial<TargetId> {
  readonly code: string;
  readonly mapping?: string;
  readonly message: string;
}

/** The output of `status`. */
export interface Status {
  readonly instance: string;
  readonly version: string;
  readonly replica: string;
  readonly engine: { readonly kind: string; readonly state: Health; readonly code?: string };
  readonly audit: {
    readonly kind: string;
    /** `degraded`: a checkpoint destination rejects checkpoints. */
    readonly state: Health;
    readonly sequence: number;
    readonly code?: string;
    /** The number of records that no known key verifies. Absent if there are none. */
    readonly unverifiable?: number;
  };
  /** What works, but needs attention. */
  readonly warnings: readonly StatusWarning[];
  readonly cluster: { readonly kind: string; readonly state: Health; readonly code?: string };
  readonly config: {
    /** Whether the current files are valid. If not, the last valid configuration is used. */
    readonly valid: boolean;
    readonly problems: readonly object[];
    /** Replicas that use another configuration. While there are any, orphaned targets are not deleted. */
    readonly differing: readonly string[];
  };
  /** The included files. A file that is not valid does not affect the others. */
  readonly includes: readonly {
    readonly path: string;
    /** The namespaces that its mappings may target, as globs. */
    readonly namespaces: readonly string[];
    /** `outdated`: an earlier version is in force. `disabled`: none is, and the targets of the file are kept. */
    readonly state: 'valid' | 'disabled' | 'outdated';
    readonly problems: readonly object[];
  }[];
  readonly stores: readonly StoreStatus[];
  readonly events: readonly IntakeStatus[];
  /** The channels of notifications, as seen by the replica that answers. Absent if there are none. */
  readonly notify?: readonly {
    readonly name: string;
    readonly kind: string;
    /** `degraded`: the last message could not be delivered, and is sent again. */
    readonly state: Health;
    /** RFC 3339: when this replica last delivered a message. */
    readonly lastSuccess?: string;
    readonly code?: string;
  }[];
  readonly targets: readonly TargetStatus[];
  readonly held: readonly HeldStatus[];
}

/** One mapping with its targets, for the API. */
export interface MappingStatus {
  readonly mapping: string;
  /** Absent if the file of the mapping is disabled, so that only its targets are known. */
  readonly refreshSeconds?: number;
  /** The keys that the mapping names, without duplicates. */
  readonly sources: readonly { readonly store: string; readonly key: string }[];
  /** The searches of the mapping. Without a path, the whole store is searched. */
  readonly searches: readonly { readonly store: string; readonly path: string; readonly name?: string }[];
  /** The workloads that the mapping restarts, in the format of audit records. Absent if there are none. */
  readonly workloads?: readonly string[];
  readonly targets: readonly TargetStatus[];
}

/** The person or client that makes a request. */
export interface Requester extends Person {
  /** For the audit. */
  readonly address?: string;
  /** The groups of the person at the OIDC provider or in Kubernetes. Not for the audit. */
  readonly groups?: readonly string[];
  /** Whether the request may concern targets in this namespace. Undefined: targets in all namespaces. */
  readonly mayUse?: (namespace: string) => boolean;
}

export interface RollbackRequest {
  /** The sequence number of the record whose source versions are restored. */
  readonly to: number;
  /** Required if the mapping has several targets. */
  readonly namespace?: string | undefined;
}

/** The output of `sync` for the requested targets. */
export interface SyncAnswer {
  readonly ok: boolean;
  readonly requestId: string;
  readonly summary: Readonly<Record<string, number>>;
  readonly targets: readonly (TargetId & { readonly mapping: string })[];
  readonly held: readonly HeldStatus[];
  /** What works, but needs attention. */
  readonly warnings: readonly StatusWarning[];
  /** Number of targets whose run had not ended at the time of the answer. These runs continue. */
  readonly pending: number;
}

/** Orphaned targets that `prune` did not delete. */
export interface SkippedTargets {
  /** Orphans that are kept until their replacement is written. */
  readonly waiting?: readonly (TargetId & { readonly mapping: string; readonly until: TargetId })[];
  /** A target, or a whole namespace, that could not be read. */
  readonly unseen?: readonly { readonly what: string; readonly code: string }[];
}

/** The output of `prune`: the pending deletions. */
export interface OrphansAnswer extends SkippedTargets {
  readonly changes: number;
  readonly targets: readonly (TargetId & {
    readonly mapping: string;
    readonly action: string;
    readonly keys: readonly KeyPlan[];
  })[];
  readonly held: readonly HeldStatus[];
}

/** The output of `prune --yes`. */
export type PruneAnswer = SyncAnswer & SkippedTargets;

/** A loop of the service and the time since its last progress. */
export interface LoopState {
  readonly name: string;
  readonly ageMs: number;
  readonly deadlineMs: number;
  readonly stalled: boolean;
}

/** What a run of the targets of one namespace would change. `changes` is the number of targets that would change. */
export interface PlanAnswer extends Pick<OrphansAnswer, 'changes'> {
  readonly targets: readonly (OrphansAnswer['targets'][number] &
    Partial<Pick<TargetStatus, 'code' | 'message' | 'remedy' | 'pinned'>> & { readonly how?: string })[];
}

/** The running service, as the HTTP API uses it. */
export interface Service {
  status(): Promise<Status>;
  mappings(): readonly MappingStatus[];
  /** Returns `undefined` for an unknown mapping. */
  mapping(name: string): MappingStatus | undefined;
  held(): readonly HeldStatus[];
  /** @throws AppError QUEUE_UNAVAILABLE and others. Returns `undefined` for an unknown mapping. */
  sync(
    mapping: string,
    by: Requester,
    requestId: string,
    override?: WindowOverride,
  ): Promise<SyncAnswer | undefined>;
  /**
   * Pins one target to the source versions in a record, and writes them.
   *
   * @throws AppError RECORD_MISSING, NOT_A_CHANGE, VERSION_GONE and others; INVALID_REQUEST if the target is ambiguous.
   * Returns `undefined` for an unknown mapping.
   */
  rollback(
    mapping: string,
    to: RollbackRequest,
    by: Requester,
    requestId: string,
  ): Promise<SyncAnswer | undefined>;
  /** Unpins the targets of a mapping, so that they follow their sources again. @throws AppError NOT_PINNED. */
  unpin(
    mapping: string,
    which: Pick<RollbackRequest, 'namespace'>,
    by: Requester,
    requestId: string,
  ): Promise<SyncAnswer | undefined>;
  /** @throws AppError NOT_HELD. */
  release(id: string, by: Requester, requestId: string): Promise<SyncAnswer>;
  /** Returns what a run of each target of a namespace would change now, without deletions of orphans. */
  plan(namespace: string, by: Requester, requestId: string): Promise<PlanAnswer>;
  /** Returns the orphaned targets: those that no mapping wants. */
  orphans(by: Requester, requestId: string): Promise<OrphansAnswer>;
  /** Deletes the orphaned targets. The brake applies as for all other deletions. */
  prune(by: Requester, requestId: string): Promise<PruneAnswer>;
  /** Returns the requests for approval of the last days, by namespace and name. */
  approvals(): Promise<readonly ApprovalStatus[]>;
  /** Approves a request and carries out its action. @throws AppError NOT_FOUND, FORBIDDEN, APPROVAL_CLOSED */
  approve(
    id: string,
    by: ApprovingRequester,
    requestId: string,
    note: string | undefined,
  ): Promise<ApproveAnswer>;
  /** @throws AppError NOT_FOUND, FORBIDDEN, APPROVAL_CLOSED */
  reject(
    id: string,
    by: ApprovingRequester,
    requestId: string,
    note: string | undefined,
  ): Promise<ApprovalStatus>;
  /** Returns all loops, for `livez`. */
  loops(): readonly LoopState[];
  /** Returns the reason why the service is not ready: no configuration is loaded, or the audit cannot be written. */
  notReady(): Promise<AppError | undefined>;
}
