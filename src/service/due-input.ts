import type { SecretMeta } from '../cluster/cluster.ts';
import type { Mapping } from '../core/mapping.ts';
import type { TargetId } from '../core/target.ts';
import type { Reason } from '../queue/queue.ts';
import type { DesiredTarget } from '../reconcile/targets.ts';
import type { TargetChange } from './config-snapshot.ts';
import type { SourceTable } from './sweep/source-table.ts';
import type { TargetState } from './target-state.ts';

/** The reason why a target needs a run. */
export interface Due {
  readonly reason: Reason;
  /** When the cause became known, according to the steady clock of this process. */
  readonly since: number;
  /** The request id of the event, if an event is the cause. */
  readonly requestId?: string;
}

/**
 * Everything that this process knows of a target. Times without a comment come from the steady clock of this process.
 */
export interface DueInput {
  readonly desired: DesiredTarget;
  readonly inputs: TargetInputs;
  readonly run: TargetState | undefined;
  /** Everything that the last run used was read after this time. */
  readonly freshAt: number;
  readonly change: TargetChange | undefined;
  readonly sources: SourceTable;
  /** Whether the Secret is missing in a complete list of the watch. */
  readonly isMissing: boolean;
  /** Whether the metadata shows that the target is in sync. */
  readonly isInSync: () => boolean;
  /** When a store of the target last recovered. */
  readonly storeUpAt: () => number;
  /** When the watch of the target last recovered. */
  readonly watchUpAt: () => number;
  readonly now: number;
  /** Milliseconds since 1970. */
  readonly wallNow: number;
  /** Whether the wall clock was set back since the previous check of all targets. */
  readonly isSetBack: boolean;
}

/** What this process knows of a Secret besides the last runs. The times come from `TargetStates.steadyClock`. */
export interface TargetInputs {
  readonly target: TargetId;
  /** The metadata from the watch. */
  meta?: SecretMeta | undefined;
  /** The last comparison of the metadata with the target. */
  compared?: Comparison;
  /** When the watch last reported the Secret, or its absence. */
  metaAt: number;
  /** Since when the Secret is missing. */
  missingSince?: number | undefined;
  /** The hash of the configuration with which the metadata was last in sync. A later difference is drift. */
  inSyncWith?: string;
  /** The mapping that the metadata last named as the owner of the Secret. */
  ownedBy?: string;
  /** The last event that reported a change of a source. */
  hint?: { readonly at: number; readonly requestId: string };
  /** The last recorded pin, for one mapping of the target. Without `to`, the target was unpinned. */
  pin?: { readonly at: number; readonly mapping: string; readonly to: number | undefined };
  /** When this process found that the last record of the target is a failure or an unfinished change. */
  unresolvedAt?: number;
  /**
   * When a sweep last reached the target. Set only for a search or mode `merge`, because then only a run can notice
   * changes of the sources.
   */
  fullRunAt?: number;
  /** The last job that this process added for the target. */
  lastRequest?: LastRequest | undefined;
}

/** Whether the metadata was in sync with this mapping, and everything else that the comparison depends on. */
export interface Comparison {
  readonly meta: SecretMeta;
  readonly mapping: Mapping;
  readonly stores: ReadonlyMap<string, string>;
  readonly hasRun: boolean;
  /** The pin that the last run applied. */
  readonly pinned: number | undefined;
  readonly isInSync: boolean;
}

export interface LastRequest {
  readonly at: number;
  /** Milliseconds since 1970. */
  readonly wallAt: number;
  readonly requestId: string;
  /** When a job with a request id other than `requestId` was last added for the target, in milliseconds since 1970. */
  readonly wallAtByOthers: number | undefined;
  /** Whether the queue has accepted the job, or may still accept it. */
  isAccepted: boolean;
}
