import type { Clock } from '../core/clock.ts';
import { withoutMark } from '../core/request-id.ts';
import { compareTargets } from '../core/target.ts';
import { OUTCOMES } from '../reconcile/outcome.ts';
import type { Wanted } from '../reconcile/targets.ts';
import type { Controller } from './controller.ts';
import { nameOf } from './generation.ts';
import type { Known } from './known.ts';
import type { HeldStatus, SyncAnswer } from './service.ts';

/** How long somebody who asked for a sync is kept waiting for its end. */
const ANSWER_MS = 25_000;
/** Whoever asked at the same time may have the run that does for both. */
const OTHERS_MS = 2_000;

interface Asked {
  readonly requestId: string;
  readonly clock: Clock;
  readonly held: () => readonly HeldStatus[];
  /** All of this mapping is meant, also what left it and is held. */
  readonly mapping?: string;
}

/** Has targets looked at and waits for the end of it, wherever it is worked on. */
export async function askFor(
  controller: Controller,
  wanted: readonly Wanted[],
  { requestId, clock, held, mapping: whole }: Asked,
): Promise<SyncAnswer> {
  const askedAt = clock.now();
  const ends = new Map<string, Known>();
  /** Those of which the last word was heard. */
  const own = new Set<string>();
  const proposed = new Set<string>();
  let others: NodeJS.Timeout | undefined;
  const { promise, resolve } = Promise.withResolvers<void>();
  const asked = new Set(wanted.map(({ mapping, id }) => nameOf(mapping.name, id)));
  const hear = (known: Known): void => {
    const key = nameOf(known.mapping, known.target);
    // The clock of another replica may be behind: what it did for this request began after it.
    const isIts = withoutMark(known.requestId) === requestId;
    if (!asked.has(key) || own.has(key) || !(isIts || known.startedAt >= askedAt)) return;
    // What it proposes is decided on by another step, soon.
    if (known.proposed) return void (isIts && proposed.add(key));
    ends.set(key, known);
    // A run for somebody else may go by what was read just before this was asked: ours follows it.
    if (isIts || proposed.has(key)) own.add(key);
    if (own.size === asked.size) resolve();
    else if (ends.size === asked.size) others ??= setTimeout(resolve, OTHERS_MS);
  };
  const stop = controller.board.onKnown(hear);
  const timer = setTimeout(resolve, ANSWER_MS);
  try {
    await Promise.all(wanted.map((it) => controller.request(it, requestId)));
    if (wanted.length > 0) await promise;
  } finally {
    clearTimeout(timer);
    clearTimeout(others);
    stop();
  }
  const isAsked = (it: HeldStatus): boolean => asked.has(nameOf(it.mapping, it));
  const waiting = held().filter((it) => isAsked(it) || it.mapping === whole);
  const left = waiting
    .filter((it) => !isAsked(it))
    .flatMap(
      (it) => controller.board.known(it.mapping, { namespace: it.namespace, secret: it.secret }) ?? [],
    );
  const known = [...ends.values(), ...left].toSorted((a, b) => compareTargets(a.target, b.target));
  const summary = Object.fromEntries(
    OUTCOMES.map((kind) => [kind, known.filter((it) => it.kind === kind).length]),
  );
  const pending = asked.size - ends.size;
  return {
    ok: pending === 0 && waiting.length === 0 && known.every(({ error }) => error === undefined),
    requestId,
    summary,
    targets: known.map(({ mapping, target, kind, error, keys, pinned }) => ({
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
