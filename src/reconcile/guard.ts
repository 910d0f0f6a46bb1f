import type { ChangeKind } from '../core/change-windows.ts';
import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import type { Fingerprinter } from '../core/fingerprint.ts';
import type { TargetId } from '../core/target.ts';
import { type ApprovalGate, adoptionArgument } from './approvals.ts';
import type { RecordLookup } from './record-lookup.ts';
import type { WritePlan } from './write.ts';

// The last questions before a change: whether its window is open, and whether it needs a second person.

/** Every change of a target asks this gate, directly before it is made. */
export interface WindowGate {
  /** Returns when the target may change, in milliseconds since 1970. Undefined: it may change now. */
  waitsUntil(change: ChangeKind): number | undefined;
}

export interface WindowDeps {
  readonly windows: WindowGate;
  readonly clock: Clock;
}

/** Lets every change pass. */
export const NO_WINDOWS: WindowGate = { waitsUntil: () => undefined };

/** Returns the error of a change that must wait for its window. */
export function closedWindow(change: ChangeKind, { windows, clock }: WindowDeps): AppError | undefined {
  const opensAt = windows.waitsUntil(change);
  if (opensAt === undefined) return undefined;
  return new AppError('OUTSIDE_WINDOW', {
    detail: `it opens at ${new Date(opensAt).toISOString().replace('.000Z', 'Z')}`,
    retryAfterMs: Math.max(0, opensAt - clock.now()),
  });
}

/** A write that must wait for its window, or for a second person. */
export interface Postponed {
  readonly kind: 'waiting' | 'refused';
  readonly error: AppError;
}

export interface Guarded {
  readonly postponed?: Postponed;
  /** The sequence of the request that allows the write. */
  readonly approval?: number | undefined;
}

interface GuardedWrite {
  readonly mapping: string;
  readonly id: TargetId;
  readonly plan: WritePlan;
  /** Whether the write is a repair or a first sync. */
  readonly isRestoring: boolean;
  /** The record to which the target is pinned. */
  readonly pinned: number | undefined;
}

interface GuardDeps extends WindowDeps {
  readonly approvals: ApprovalGate;
  readonly fingerprints: Fingerprinter;
  readonly records: Pick<RecordLookup, 'isRollbackPending'>;
}

/** Returns whether a write may happen now. Only adoptions need an approval. */
export async function guardChange(
  { mapping, id, plan, isRestoring, pinned }: GuardedWrite,
  deps: GuardDeps,
): Promise<Guarded> {
  const change = { mapping, namespace: id.namespace };
  let closed = closedWindow({ ...change, isExempt: isRestoring }, deps);
  // Only the rollback itself is exempt, and not later writes of the pinned target.
  if (closed !== undefined && pinned !== undefined && (await deps.records.isRollbackPending(mapping, id)))
    closed = closedWindow({ ...change, isExempt: true }, deps);
  if (closed !== undefined) return { postponed: { kind: 'waiting', error: closed } };
  if (plan.kind !== 'update' || !plan.adopts) return {};
  try {
    const argument = adoptionArgument(plan.live, plan.keys, deps.fingerprints);
    const { keys } = plan;
    return {
      approval: await deps.approvals.require({ action: 'adopt', mapping, target: id, argument, keys }),
    };
  } catch (thrown) {
    if (!(thrown instanceof AppError) || thrown.code !== 'APPROVAL_NEEDED') throw thrown;
    return { postponed: { kind: 'refused', error: thrown } };
  }
}
