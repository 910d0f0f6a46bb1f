import type { Clock } from '../core/clock.ts';
import { withoutSuffix } from '../core/request-id.ts';
import { compareTargets } from '../core/target.ts';
import { OUTCOMES } from '../reconcile/outcome.ts';
import type { DesiredTarget } from '../reconcile/targets.ts';
import { targetKey } from './config-snapshot.ts';
import type { Controller } from './controller.ts';
import type { HeldStatus, SyncAnswer } from './service.ts';
import type { TargetState } from './target-state.ts';

/** Maximum time that a sync request waits for its results. */
const ANSWER_TIMEOUT_MS = 25_000;
/** Maximum wait for the runs of this request after other runs have covered every target. */
const OWN_RUN_WAIT_MS = 2_000;

interface SyncRequest {
  readonly requestId: string;
  readonly clock: Clock;
  readonly held: () => readonly HeldStatus[];
  /** Set if the request is for a whole mapping. The answer then includes its held orphans. */
  readonly wholeMapping?: string;
}

/** Queues runs and waits for their results, whichever process runs them. */
export async function requestSync(
  controller: Controller,
  desired: readonly DesiredTarget[],
  { requestId, clock, held, wholeMapping }: SyncRequest,
): Promise<SyncAnswer> {
  const askedAt = clock.now();
  const results = new Map<string, TargetState>();
  /** Targets whose final result has arrived. */
  const ownEnded = new Set<string>();
  const proposed = new Set<string>();
  let othersTimer: NodeJS.Timeout | undefined;
  const { promise, resolve } = Promise.withResolvers<void>();
  const requested = new Set(desired.map(({ mapping, id }) => targetKey(mapping.name, id)));
  const onState = (state: TargetState): void => {
    const key = targetKey(state.mapping, state.target);
    // A run with our request id counts even if its start time is earlier, because the clock of another replica may be
    // behind.
    const isOwn = withoutSuffix(state.requestId) === requestId;
    if (!requested.has(key) || ownEnded.has(key) || !(isOwn || state.startedAt >= askedAt)) return;
    // The deletion step will decide on the proposal soon, so wait for its result.
    if (state.proposed) return void (isOwn && proposed.add(key));
    results.set(key, state);
    // A run of another request may use values that were read before this request, so wait for our own run too.
    if (isOwn || proposed.has(key)) ownEnded.add(key);
    if (ownEnded.size === requested.size) resolve();
    else if (results.size === requested.size) othersTimer ??= setTimeout(resolve, OWN_RUN_WAIT_MS);
  };
  const stop = controller.states.onChange(onState);
  const timer = setTimeout(resolve, ANSWER_TIMEOUT_MS);
  try {
    await Promise.all(desired.map((desiredTarget) => controller.request(desiredTarget, requestId)));
    if (desired.length > 0) await promise;
  } finally {
    clearTimeout(timer);
    clearTimeout(othersTimer);
    stop();
  }
  const isRequested = (heldStatus: HeldStatus): boolean =>
    requested.has(targetKey(heldStatus.mapping, heldStatus));
  const waiting = held().filter(
    (heldStatus) => isRequested(heldStatus) || heldStatus.mapping === wholeMapping,
  );
  const orphans = waiting
    .filter((heldStatus) => !isRequested(heldStatus))
    .flatMap(
      (heldStatus) =>
        controller.states.get(heldStatus.mapping, {
          namespace: heldStatus.namespace,
          secret: heldStatus.secret,
        }) ?? [],
    );
  const state = [...results.values(), ...orphans].toSorted((a, b) => compareTargets(a.target, b.target));
  const summary = Object.fromEntries(
    OUTCOMES.map((kind) => [kind, state.filter((targetState) => targetState.kind === kind).length]),
  );
  const pending = requested.size - results.size;
  return {
    ok: pending === 0 && waiting.length === 0 && state.every(({ error }) => error === undefined),
    requestId,
    summary,
    targets: state.map(({ mapping, target, kind, error, keys, pinned }) => ({
      mapping,
      ...target,
      outcome: kind,
      ...error,
      keys,
      ...(pinned === undefined ? {} : { pinned }),
    })),
    held: waiting,
    pending,
  };
}
