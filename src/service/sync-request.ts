import type { Clock } from '../core/clock.ts';
import { compareTargets, type TargetId } from '../core/target.ts';
import { withoutSuffix } from '../core/tracer.ts';
import { summaryOf } from '../reconcile/outcome.ts';
import type { DesiredTarget } from '../reconcile/targets.ts';
import { targetKey } from './config-snapshot.ts';
import type { Controller } from './controller.ts';
import type { HeldStatus, SyncAnswer } from './service.ts';
import { warningsData } from './status.ts';
import type { TargetState } from './target-state.ts';

/** Maximum time that a sync request waits for its results. */
const ANSWER_TIMEOUT_MS = 25_000;
/** After other runs have returned a result for every target, the request waits at most this long for its own runs. */
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
  const { states } = controller;
  const results = new RequestResults(desired, requestId, clock.now());
  const stop = states.onChange((state) => results.note(state));
  const timer = setTimeout(() => results.end(), ANSWER_TIMEOUT_MS);
  try {
    await Promise.all(desired.map((desiredTarget) => controller.request(desiredTarget, requestId)));
    if (desired.length > 0) await results.ended;
  } finally {
    clearTimeout(timer);
    results.end();
    stop();
  }
  const isRequested = (heldStatus: HeldStatus): boolean =>
    results.isRequested(heldStatus.mapping, heldStatus);
  const waiting = held().filter(
    (heldStatus) => isRequested(heldStatus) || heldStatus.mapping === wholeMapping,
  );
  const orphans = waiting
    .filter((heldStatus) => !isRequested(heldStatus))
    .flatMap(({ mapping, namespace, secret }) => states.get(mapping, { namespace, secret }) ?? []);
  return answerOf(requestId, [...results.states(), ...orphans], waiting, results.pending);
}

/** Collects the results of the requested targets until all runs of the request have ended. */
class RequestResults {
  readonly ended: Promise<void>;
  readonly #resolve: () => void;
  readonly #requestId: string;
  readonly #requestedAt: number;
  readonly #requested: ReadonlySet<string>;
  readonly #results = new Map<string, TargetState>();
  /** Targets whose final result has arrived. */
  readonly #ownEnded = new Set<string>();
  /** Targets for which a run of the request proposed a deletion. */
  readonly #proposed = new Set<string>();
  #othersTimer: NodeJS.Timeout | undefined;

  constructor(desired: readonly DesiredTarget[], requestId: string, requestedAt: number) {
    this.#requested = new Set(desired.map(({ mapping, id }) => targetKey(mapping.name, id)));
    this.#requestId = requestId;
    this.#requestedAt = requestedAt;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    this.#resolve = resolve;
  }

  /** The number of targets without a result. */
  get pending(): number {
    return this.#requested.size - this.#results.size;
  }

  states(): Iterable<TargetState> {
    return this.#results.values();
  }

  isRequested(mapping: string, target: TargetId): boolean {
    return this.#requested.has(targetKey(mapping, target));
  }

  note(state: TargetState): void {
    const key = targetKey(state.mapping, state.target);
    if (!this.#requested.has(key) || this.#ownEnded.has(key)) return;
    // A run with our request id counts even if its start time is earlier, because the clock of another replica may be
    // behind.
    const isOwn = withoutSuffix(state.requestId) === this.#requestId;
    if (!isOwn && state.startedAt < this.#requestedAt) return;
    // The deletion step will decide on the proposal soon, so wait for its result.
    if (state.proposed) return void (isOwn && this.#proposed.add(key));
    this.#results.set(key, state);
    // A run of another request may use values that were read before this request, so wait for our own run too.
    if (isOwn || this.#proposed.has(key)) this.#ownEnded.add(key);
    if (this.#ownEnded.size === this.#requested.size) this.end();
    else if (this.pending === 0) this.#othersTimer ??= setTimeout(() => this.end(), OWN_RUN_WAIT_MS);
  }

  end(): void {
    clearTimeout(this.#othersTimer);
    this.#resolve();
  }
}

function answerOf(
  requestId: string,
  states: readonly TargetState[],
  held: readonly HeldStatus[],
  pending: number,
): SyncAnswer {
  const sorted = states.toSorted((a, b) => compareTargets(a.target, b.target));
  return {
    ok:
      pending === 0 &&
      held.length === 0 &&
      sorted.every(({ error, kind }) => error === undefined || kind === 'waiting'),
    requestId,
    summary: summaryOf((outcome) => sorted.filter(({ kind }) => kind === outcome).length),
    targets: sorted.map(({ mapping, target, kind, error, keys, pinned }) => ({
      mapping,
      ...target,
      outcome: kind,
      ...error,
      keys,
      ...(pinned === undefined ? {} : { pinned }),
    })),
    held,
    warnings: warningsData(sorted),
    pending,
  };
}
