import type { ErrorCode } from '../core/error-codes.ts';
import { rankOf } from '../queue/queue.ts';
import { OBSTACLE_CODES } from '../reconcile/latest-records.ts';
import { configHash, parsePin } from '../sync/ownership-metadata.ts';
import type { Due, DueInput } from './due-input.ts';
import { sourceDue } from './source-due.ts';
import type { TargetState } from './target-state.ts';

/**
 * If a job was added and no run follows within this time, the queue counts as having lost the job. The time is long,
 * because many other jobs may run first.
 */
const LOST_AFTER_MS = 60_000;
/**
 * A name must stay free for this time before the target is written, because the previous owner may recreate its Secret.
 * Controllers and `kubectl replace --force` do that.
 */
const FREED_WAIT_MS = 30_000;

/**
 * Decides whether a target needs a run now. A target is due if one of its inputs, such as a source or the
 * configuration, has changed after its last run. One job is added for each change. If no run follows within a minute,
 * the job is added again.
 */
export function due(input: DueInput): Due | undefined {
  let found: Due | undefined;
  for (const rule of RULES) {
    const next = rule(input);
    if (next === undefined || !isOpen(next, input)) continue;
    if (found === undefined || rankOf(next) < rankOf(found)) found = next;
  }
  return found;
}

/** Whether a job must be added: no run has followed the cause, and no job for the cause waits in the queue. */
function isOpen({ since }: Due, { freshAt, inputs: { lastRequest }, now }: DueInput): boolean {
  if (since <= freshAt) return false;
  if (!lastRequest?.isAccepted || since > lastRequest.at) return true;
  return now - lastRequest.at >= LOST_AFTER_MS;
}

type Rule = (input: DueInput) => Due | undefined;

const RULES: readonly Rule[] = [configuration, cluster, hint, recovery, pin, record, sourceDue, round, retry];

/** A target is due if its configuration has changed or if the target is new. */
function configuration({ change }: DueInput): Due | undefined {
  return change && { reason: change.isNew ? 'first' : 'event', since: change.at };
}

/**
 * A target is due if the watch shows that its Secret is missing or does not have the content that its mapping and
 * sources define.
 */
function cluster(input: DueInput): Due | undefined {
  const { run, inputs, isInSync, wallNow } = input;
  const { meta, metaAt } = inputs;
  if (run === undefined) return firstLook(input);
  if ((run.contestedUntil ?? 0) > wallNow) return undefined;
  if (meta === undefined) return missing(input, run);
  // A run has already read exactly this version.
  if (run.resourceVersion === meta.resourceVersion) return undefined;
  return isInSync() && run.kind !== 'refused' ? undefined : { reason: 'drift', since: metaAt };
}

/**
 * Checks a target that has had no run. If it was in sync when this process first saw it, a later difference is drift.
 */
function firstLook({ desired, inputs, isMissing, isInSync }: DueInput): Due | undefined {
  const { meta, metaAt } = inputs;
  if (meta === undefined ? !isMissing : isInSync()) return undefined;
  const wasInSync = inputs.inSyncWith === configHash(desired.mapping);
  return wasInSync ? { reason: 'drift', since: metaAt } : { reason: 'first', since: 0 };
}

function missing({ inputs, isMissing, now }: DueInput, run: TargetState): Due | undefined {
  // Only the deletion step ends a hold. A repair would conflict with the deletion step.
  if (!isMissing || run.kind === 'held') return undefined;
  if (run.alive) return { reason: 'drift', since: inputs.metaAt };
  // The target was refused because another owner's Secret had its name. The name is free now.
  const isFreed = run.kind === 'refused' && OBSTACLE_CODES.includes(run.error?.code ?? '');
  const freedAt = (inputs.missingSince ?? now) + FREED_WAIT_MS;
  return isFreed && now >= freedAt ? { reason: 'drift', since: freedAt } : undefined;
}

/** A target is due if an event has reported a change of one of its sources. */
function hint({ inputs }: DueInput): Due | undefined {
  return inputs.hint && { reason: 'event', since: inputs.hint.at, requestId: inputs.hint.requestId };
}

const CLUSTER_CODES: readonly string[] = [
  'CLUSTER_FORBIDDEN',
  'CLUSTER_UNAVAILABLE',
  'NAMESPACE_MISSING',
] satisfies ErrorCode[];

/** A failed target is due if its store or its watch works again. */
function recovery({ run, storeUpAt, watchUpAt }: DueInput): Due | undefined {
  if (run?.error === undefined) return undefined;
  const isOfCluster = CLUSTER_CODES.includes(run.error.code);
  return { reason: 'event', since: isOfCluster ? Math.max(storeUpAt(), watchUpAt()) : storeUpAt() };
}

/** A target is due if the last pin on record is not applied yet. */
function pin({ desired: { mapping }, inputs, run }: DueInput): Due | undefined {
  const { pin: recorded, meta } = inputs;
  if (recorded?.mapping !== mapping.name) return undefined;
  // The annotation shows the pin only if the mapping owns the whole Secret.
  const shown =
    mapping.target.mode === 'own' && meta !== undefined ? parsePin(meta.annotations) : run?.pinned;
  return shown === recorded.to ? undefined : { reason: 'event', since: recorded.at };
}

/** A target is due if its last record in the audit is a failure or an unfinished change. */
function record({ inputs: { unresolvedAt } }: DueInput): Due | undefined {
  // Use the least urgent reason, because these runs write nothing. After an outage, every target may need such a run.
  return unresolvedAt === undefined ? undefined : { reason: 'sweep', since: unresolvedAt };
}

/**
 * A target is due if a sweep has reached it and only a run can notice changes of its sources (a search, or mode
 * `merge`).
 */
function round({ inputs: { fullRunAt } }: DueInput): Due | undefined {
  return fullRunAt === undefined ? undefined : { reason: 'sweep', since: fullRunAt };
}

/**
 * A target is due if the time of its retry has passed without a run, because the queue has then lost the wake-up. If
 * the clock was set back, the wake-up would come too late, and sweeps skip a target with a pending retry.
 */
function retry({ run, now, wallNow, isSetBack }: DueInput): Due | undefined {
  if (run?.retryAt === undefined) return undefined;
  if (isSetBack && run.endedAt > wallNow) return { reason: 'sweep', since: now };
  const overdueMs = wallNow - run.retryAt;
  return overdueMs < LOST_AFTER_MS ? undefined : { reason: 'sweep', since: now - overdueMs };
}
