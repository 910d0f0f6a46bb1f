import type { AuditStore } from '../../audit/store.ts';
import { type Clock, isYetToCome } from '../../core/clock.ts';
import { AppError, healsItself, toAppError } from '../../core/errors.ts';
import { instancesOf } from '../../core/instances.ts';
import type { Mapping } from '../../core/mapping.ts';
import { formatTarget, type TargetId } from '../../core/target.ts';
import { noTracer, type Tracer } from '../../core/tracer.ts';
import type { Logger } from '../../log/logger.ts';
import type { Job } from '../../queue/queue.ts';
import { isContested } from '../../reconcile/contested.ts';
import type { Outcome } from '../../reconcile/outcome.ts';
import { reconcile, undecidable } from '../../reconcile/reconcile.ts';
import type { Wanted } from '../../reconcile/targets.ts';
import { LABEL } from '../../sync/marks.ts';
import { nextRun } from '../../sync/schedule.ts';
import type { Board } from '../board.ts';
import { type Generation, wantedIn } from '../generation.ts';
import type { Known } from '../known.ts';
import { isChanged } from '../known.ts';
import type { Ledger } from '../ledger.ts';
import { lastOk, sweptAt } from '../status.ts';
import type { Ages } from '../sweep/ages.ts';
import { wholeStore } from '../sweep/slots.ts';
import { logOutcome } from './log-outcome.ts';
import type { Pass } from './pass.ts';
import type { Passes } from './passes.ts';
import { createWeights, withWeight } from './weight.ts';

export interface WorkDeps {
  readonly generation: () => Generation;
  readonly board: Board;
  readonly ledger: Ledger;
  readonly passes: Passes<Pass>;
  readonly audit: Pick<AuditStore, 'list'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tracer?: Tracer;
  readonly random: () => number;
  readonly ages: Ages;
  /** A target proposes its own end, which another step decides on. */
  readonly onProposal: () => void;
  /** Content was written whose mapping names workloads to restart. */
  readonly onRestart: () => void;
  /** One was made that has left the configuration meanwhile, so that nobody has seen it among those that left. */
  readonly onOrphan: () => void;
  readonly onOutcome: (outcome: Outcome, seconds: number) => void;
  /** So many bytes of large values were taken from a store for a target. */
  readonly onLarge?: ((bytes: number) => void) | undefined;
  /** Whether it has come to the configuration, and is not there yet: nobody took it away. Left out: none has. */
  readonly isNew?: ((mapping: string, target: TargetId) => boolean) | undefined;
  /** Whether the newest configuration could not be taken, and others may have it. Left out: never. */
  readonly isBehind?: (() => boolean) | undefined;
}

/** When a run without an outcome is tried again at the latest. */
const UNDONE_MS = 60_000;
/** A configuration comes to one replica after another, within a minute or two. */
const TAKING_UP_MS = 5 * 60_000;

/** Works off the job of one target: every mapping that wants it, in turn. Gives when to look again. */
export type WorkTarget = (target: TargetId, job: Job, signal: AbortSignal) => Promise<number | undefined>;

export function createWork(deps: WorkDeps): WorkTarget {
  const { generation, board, ledger, passes, clock, tracer = noTracer } = deps;
  const weights = createWeights({ onTaken: deps.onLarge });

  return async (target, job, signal) => {
    let wanted = generation().at(target);
    const startedAt = clock.now();
    const waits: number[] = [];
    let left = new Set(wanted);
    try {
      const pass = await passes.of(job, readBefore(wanted), ledger.asked(target, job.requestId));
      // By the configuration that the pass has, which may be in force since a moment ago.
      wanted = generation().at(target);
      left = new Set(wanted);
      for (const it of wanted) {
        if (signal.aborted) return 0;
        const wait = await runOne(it, job, pass);
        left.delete(it);
        if (wait !== undefined) waits.push(wait);
      }
    } catch (thrown) {
      const error = toAppError(thrown);
      if (!signal.aborted && error.code !== 'INTERRUPTED')
        for (const it of left) noteUndone(it, job, startedAt, error);
      throw thrown;
    }
    ledger.done(target, startedAt);
    return waits.length === 0 ? undefined : Math.min(...waits);
  };

  /**
   * A run that follows another one reads afresh, whoever asked for either: what was read for its request before may be
   * older than what the other one has written.
   */
  function readBefore(wanted: readonly Wanted[]): number {
    const ended = wanted.map(({ mapping, id }) => board.known(mapping.name, id)?.endedAt ?? 0);
    // One that is yet to come is of a clock that was set back, and no pass is from before that.
    const now = clock.now();
    return Math.max(0, ...ended.filter((at) => !isYetToCome(at, now)));
  }

  async function runOne(it: Wanted, job: Job, pass: Pass): Promise<number | undefined> {
    const { mapping, id } = it;
    const before = board.known(mapping.name, id);
    const startedAt = clock.now();
    if (job.reason === 'drift' && (mapping.onDrift === 'repair' || mapping.onConflict !== 'refuse')) {
      const until = before?.contestedUntil;
      if (until !== undefined && startedAt < until) return until - startedAt;
      if (until === undefined && (await isContested(deps.audit, id, clock, instancesOf(pass))))
        return contest(it, job, pass, { before, startedAt });
    }
    const letBeMs = job.reason === 'drift' ? othersMs(it, startedAt) : 0;
    if (letBeMs > 0) return letBeMs;
    const isNew = deps.isNew?.(mapping.name, id) ?? false;
    const drift = job.reason === 'manual' ? 'repair' : mapping.onDrift;
    const isWanted = () => wantedIn(generation(), { mapping: mapping.name, target: id }) !== undefined;
    const how = { drift, isNew, isWanted };
    const { reason, requestId } = job;
    using weight = weights.open();
    const outcome = await tracer.span(
      'job',
      { mapping: mapping.name, ...id, reason },
      () =>
        it.error === undefined
          ? reconcile(mapping, id, withWeight(pass, weight), how)
          : undecidable(mapping, id, it.error, pass),
      { requestId, ends: ({ kind, error }) => ({ outcome: kind, ...(error && { code: error.code }) }) },
    );
    const endedAt = clock.now();
    deps.onOutcome(outcome, (endedAt - startedAt) / 1_000);
    logOutcome(deps.logger, outcome, job.requestId, { before: before?.error?.code, reason: job.reason });
    const wasOkAt = before && okBefore(mapping, before);
    const known = knownOf(outcome, { job, before, wasOkAt, startedAt, endedAt, it });
    const next = nextRun(
      { kind: outcome.kind, ...(outcome.error === undefined ? {} : errorOf(outcome.error)) },
      {
        failures: known.failures,
        refreshMs: mapping.refreshMs,
        isUnswept: wholeStore(mapping) !== undefined,
        random: deps.random,
      },
    );
    // Whether the fight is over, only another look tells.
    const wait = next ?? (known.contestedUntil === undefined ? undefined : mapping.refreshMs);
    board.note(wait === undefined ? known : { ...known, retryAt: endedAt + wait });
    if (outcome.proposal !== undefined) deps.onProposal();
    if (outcome.restarts) deps.onRestart();
    if (outcome.kind === 'created' && !isWanted()) deps.onOrphan();
    // An old version says nothing of how old the secret is.
    if (outcome.pinned === undefined && outcome.sources !== undefined)
      deps.ages.decided(mapping, outcome.sources);
    return wait;
  }

  /**
   * For how long what is there is let be, since a replica with another configuration wrote it. That may be the newer one, and
   * to undo it until this one has come here too would restart pods back and forth. Where this one cannot be taken here it is.
   */
  function othersMs({ mapping, id }: Wanted, now: number): number {
    const other = board.byOthers(mapping.name, id);
    const version = board.meta(id)?.resourceVersion;
    if (other === undefined || version === undefined || other.resourceVersion !== version) return 0;
    return deps.isBehind?.() ? TAKING_UP_MS : Math.min(TAKING_UP_MS, other.endedAt + TAKING_UP_MS - now);
  }

  /** Until it began to fail, the sweeps have shown that it was right. */
  function okBefore(mapping: Mapping, before: Known | undefined): number | undefined {
    const sweeps = generation()
      .slotsOf(mapping)
      .map((slot) => board.swept(slot));
    return lastOk(before, sweptAt(sweeps));
  }

  /**
   * A run without an outcome, for want of the audit or by a fault of ours. The sweeps go on to find its sources, and
   * would say for ever that it is in step. What has an error already keeps it, and with it what is held.
   */
  function noteUndone({ mapping, id }: Wanted, job: Job, startedAt: number, error: AppError): void {
    const before = board.known(mapping.name, id);
    if (before?.error !== undefined) return;
    const alive = before?.alive ?? board.meta(id)?.labels[LABEL.mapping] === mapping.name;
    const okAt = before === undefined && !alive ? undefined : okBefore(mapping, before);
    const endedAt = clock.now();
    board.note({
      ...before,
      mapping: mapping.name,
      target: id,
      requestId: job.requestId,
      startedAt,
      endedAt,
      kind: 'failed',
      error: error.toJSON(),
      person: false,
      failures: 0,
      // Its job is not done, and comes back by itself; this is for one that is lost meanwhile.
      retryAt: endedAt + UNDONE_MS,
      ...(okAt === undefined ? {} : { okAt }),
      // What a process before this one has held may be held still, and counts for the brake.
      ...(before === undefined ? { undecided: true } : {}),
      alive,
      keys: [],
    });
  }

  /** Somebody changes it as often as we repair it: it is left alone, and looked at once per refresh. */
  async function contest(
    it: Wanted,
    job: Job,
    { recorder }: Pass,
    { before, startedAt }: { readonly before: Known | undefined; readonly startedAt: number },
  ): Promise<number> {
    const { mapping, id } = it;
    const error = new AppError('CONTESTED', { about: formatTarget(id) });
    await recorder.setback(mapping.name, id, { kind: 'refused', error });
    deps.logger.error('two controllers fight over a target', { mapping: mapping.name, ...id, error });
    board.note({
      ...(before ?? { okAt: startedAt }),
      mapping: mapping.name,
      target: id,
      requestId: job.requestId,
      startedAt,
      endedAt: startedAt,
      kind: 'refused',
      error: error.toJSON(),
      person: true,
      failures: 1,
      alive: true,
      contestedUntil: startedAt + mapping.refreshMs,
      retryAt: startedAt + mapping.refreshMs,
      keys: [],
    });
    return mapping.refreshMs;
  }
}

interface Run {
  readonly job: Job;
  readonly before: Known | undefined;
  readonly wasOkAt: number | undefined;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly it: Wanted;
}

function knownOf(outcome: Outcome, { job, before, wasOkAt, startedAt, endedAt, it }: Run): Known {
  const { kind, error, alive, resourceVersion, drifted, proposal, keys, pinned } = outcome;
  const certificateExpiresAt =
    outcome.certificateExpiresAt ?? (isTls(it) ? before?.certificateExpiresAt : undefined);
  const isOk = error === undefined;
  const okAt = isOk ? startedAt : wasOkAt;
  // The fight goes on for as long as repairs are needed.
  const contested = before?.contestedUntil !== undefined && kind !== 'unchanged';
  return {
    mapping: it.mapping.name,
    target: it.id,
    requestId: job.requestId,
    startedAt,
    endedAt,
    kind,
    ...(isOk ? {} : { error: error.toJSON() }),
    person: !isOk && !healsItself(error.code),
    failures: isOk ? 0 : (before?.failures ?? 0) + 1,
    ...(okAt === undefined ? {} : { okAt }),
    // Where nobody could look, it is what it was.
    alive: alive || (error?.code === 'CLUSTER_UNAVAILABLE' && before?.alive === true),
    ...(drifted ? { drifted } : {}),
    ...(contested ? { contestedUntil: endedAt + it.mapping.refreshMs } : {}),
    // What is held already stays so until the destroying step has decided anew.
    ...(proposal === undefined || (before?.kind === 'held' && !before.proposed) ? {} : { proposed: true }),
    ...(pinned === undefined ? {} : { pinned }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
    ...(certificateExpiresAt === undefined ? {} : { certificateExpiresAt }),
    // A target may have hundreds of keys. What is held is known by all of them, and whoever asks is told all.
    keys: kind === 'held' || job.reason === 'manual' ? keys : keys.filter(isChanged),
  };
}

function isTls({ mapping }: Wanted): boolean {
  return mapping.target.type === 'kubernetes.io/tls';
}

function errorOf({ code, retryAfterMs }: AppError) {
  return { code, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
}
