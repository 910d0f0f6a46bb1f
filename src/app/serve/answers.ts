import type { AwaitingReplacement } from '../../reconcile/presence.ts';
import type {
  HeldStatus,
  OrphansAnswer,
  PruneAnswer,
  SkippedTargets,
  SyncAnswer,
} from '../../service/service.ts';
import type { OrphanList } from '../prune.ts';
import type { SyncReport } from '../sync.ts';

/** The API answer for a run that a person has requested. */
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
  return { ok, requestId, summary, targets: answerTargets, held, pending: 0 };
}

/** The API answer of `prune`. */
export function pruneAnswer(report: SyncReport): PruneAnswer {
  return { ...syncAnswer(report, report.held), ...skippedOrphans(report) };
}

/** The API answer of `prune` without deletion. */
export function orphansAnswer({ targets, ...rest }: OrphanList): OrphansAnswer {
  const answerTargets = targets.map(({ mapping, target, action, keys }) => ({
    mapping,
    ...target,
    action,
    keys,
  }));
  return { changes: answerTargets.length, targets: answerTargets, held: [], ...skippedOrphans(rest) };
}

/** Orphaned targets that were not deleted, if there are any. */
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
