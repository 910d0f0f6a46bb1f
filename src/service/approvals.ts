import type { KeyChanges } from '../audit/entry.ts';
import type { ApprovalAction } from '../core/approval-rules.ts';
import type { TargetId } from '../core/target.ts';

// What the service answers about requests for approval, and the override of windows.

export const APPROVAL_STATES = ['pending', 'approved', 'rejected', 'done', 'expired'] as const;

/** A request for the approval of an action on one target. */
export interface ApprovalStatus extends TargetId {
  readonly id: string;
  /** The sequence of the request's record. */
  readonly sequence: number;
  readonly action: ApprovalAction;
  /** The action as a command. */
  readonly command: string;
  readonly mapping: string;
  /** The keys that the action changes, as far as they are known. */
  readonly keys: KeyChanges;
  /** `approved`: the action is about to be carried out. `done`: it was carried out, or will not be. */
  readonly state: (typeof APPROVAL_STATES)[number];
  /** The name of the person who asked, or the kind of the actor. */
  readonly requestedBy: string;
  /** RFC 3339. */
  readonly requestedAt: string;
  /** RFC 3339: the request is open until this time. */
  readonly until: string;
  readonly requestId: string;
  readonly decidedBy?: string;
  readonly decidedAt?: string;
}

/** The maximum length of the reason for an override, in UTF-16 code units. */
export const MAX_REASON_LENGTH = 500;

/** Why an operator makes changes outside of their windows. */
export interface WindowOverride {
  readonly reason: string;
}
