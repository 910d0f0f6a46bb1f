import type { Waiting } from '../../reconcile/standing.ts';
import type { HeldStatus, LeftAnswer, PassedOver, PruneAnswer, SyncAnswer } from '../../service/service.ts';
import type { LeftList } from '../prune.ts';
import type { SyncReport } from '../sync.ts';

/** What an order of a person did at once, as the API answers it. */
export function runAnswer(
  { ok, requestId, summary, targets }: SyncReport,
  held: readonly HeldStatus[],
): SyncAnswer {
  const said = targets.map(({ mapping, target, kind, error, keys }) => ({
    mapping,
    ...target,
    outcome: kind,
    ...error?.toJSON(),
    keys,
  }));
  return { ok, requestId, summary, targets: said, held, pending: 0 };
}

/** What `prune` did, as the API answers it. */
export function pruneAnswer(report: SyncReport): PruneAnswer {
  return { ...runAnswer(report, report.held), ...passedOver(report) };
}

/** What `prune` would delete, as the API answers it. */
export function leftAnswer({ targets, ...rest }: LeftList): LeftAnswer {
  const said = targets.map(({ mapping, target, action, keys }) => ({ mapping, ...target, action, keys }));
  return { changes: said.length, targets: said, held: [], ...passedOver(rest) };
}

/** What is told beside what left the configuration, if there is any. */
export function passedOver({
  waiting = [],
  unseen = [],
}: {
  readonly waiting?: readonly Waiting[] | undefined;
  readonly unseen?:
    | readonly { readonly what: string; readonly error: { readonly code: string } }[]
    | undefined;
}): PassedOver {
  const stays = waiting.map(({ mapping, target, until }) => ({ mapping, ...target, until }));
  const missed = unseen.map(({ what, error: { code } }) => ({ what, code }));
  return {
    ...(stays.length === 0 ? {} : { waiting: stays }),
    ...(missed.length === 0 ? {} : { unseen: missed }),
  };
}
