import type { AwaitingReplacement } from '../../reconcile/presence.ts';
import type {
  HeldStatus,
  OrphansAnswer,
  PruneAnswer,
  SkippedTargets,
  SyncAnswer,
} from '../../service/service.ts';
import { warningsData } from '../../service/status.ts';
import type { OrphanList } from '../prune.ts';
import type { SyncReport } from '../sync.ts';

/** Builds the API response for a sync that a person has requested. */
export function syncAnswer(
  { ok, requestId, summary, targets }: SyncReport,
  held: readonly HeldStatus[],
): SyncAnswer {
  const answerTargets = targets.map(({ mapping, target, kind, error, keys }) => ({
    mapping,
    ...target,
    outcome: kind,
    ...error?.toJSON(),
    keys,
  }));
  const warnings = warningsData(targets);
  return { ok, requestId, summary, targets: answerTargets, held, warnings, pending: 0 };
}

export { warningsData } from '../../service/status.ts';

/** Builds the API response of `prune`. */
export function pruneAnswer(report: SyncReport): PruneAnswer {
  return { ...syncAnswer(report, report.held), ...skippedOrphans(report) };
}

/** Builds the API response that lists the orphans without deleting them. */
export function orphansAnswer({ targets, ...rest }: OrphanList): OrphansAnswer {
  const answerTargets = targets.map(({ mapping, target, action, keys }) => ({
    mapping,
    ...target,
    action,
    keys,
  }));
  return { changes: answerTargets.length, targets: answerTargets, held: [], ...skippedOrphans(rest) };
}

/** Returns the orphaned targets that were not deleted. Empty lists are omitted. */
export function skippedOrphans({
  waiting = [],
  unseen = [],
}: {
  readonly waiting?: readonly AwaitingReplacement[] | undefined;
  readonly unseen?:
    | readonly { readonly what: string; readonly error: { readonly code: string } }[]
    | undefined;
}): SkippedTargets {
  const waitingTargets = waiting.map(({ mapping, target, until }) => ({ mapping, ...target, until }));
  const unseenTargets = unseen.map(({ what, error: { code } }) => ({ what, code }));
  return {
    ...(waitingTargets.length === 0 ? {} : { waiting: waitingTargets }),
    ...(unseenTargets.length === 0 ? {} : { unseen: unseenTargets }),
  };
}
