import type { Clock } from '../core/clock.ts';
import { withoutSuffix } from '../core/request-id.ts';
import { compareTargets } from '../core/target.ts';
import { OUTCOMES } from '../reconcile/outcome.ts';
import type { DesiredTarget } from '../reconcile/targets.ts';
import type { Controller } from './controller.ts';
import { targetKey } from './config-snapshot.ts';
import type { TargetState } from './target-state.ts';
import type { HeldStatus, SyncAnswer } from './service.ts';

/** How long somebody who asked for a sync is kept waiting for its end. */
const ANSWER_TIMEOUT_MS = 25_000;
/** Whoever asked at the same time may have the run that does for both. */
const OWN_RUN_WAIT_MS = 2_000;

interface SyncRequest {
  readonly requestId: string;
  readonly clock: Clock;
  readonly held: () => readonly HeldStatus[];
  /** All of this mapping is meant, also what left it and is held. */
  readonly wholeMapping?: string;
}

/** Has targets looked at and waits for the end of it, wherever it is worked on. */
export async function requestSync(
  controller: Controller,
  desired: readonly DesiredTarget[],
  { requestId, clock, held, wholeMapping: wholeMapping }: SyncRequest,
): Promise<SyncAnswer> {
  const askedAt = clock.now();
  const results = new Map<string, TargetState>();
  /** Those of which the last word was heard. */
  const ownEnded = new Set<string>();
  const proposed = new Set<string>();
  let othersTimer: NodeJS.Timeout | undefined;
  const { promise, resolve } = Promise.withResolvers<void>();
  const requested = new Set(desired.map(({ mapping, id }) => targetKey(mapping.name, id)));
  const onState = (state: TargetState): void => {
    const key = targetKey(state.mapping, state.target);
    // The clock of another replica may be behind: what it did for this request began after it.
    const isOwn = withoutSuffix(state.requestId) === requestId;
    if (!requested.has(key) || ownEnded.has(key) || !(isOwn || state.startedAt >= askedAt)) return;
    // What it proposes is decided on by another step, soon.
    if (state.proposed) return void (isOwn && proposed.add(key));
    results.set(key, state);
    // A run for somebody else may go by what was read just before this was asked: ours follows it.
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
