import type { Clock } from '../../core/clock.ts';
import { ERRORS, type ErrorCode, isErrorCode } from '../../core/error-codes.ts';
import { isTransient } from '../../core/errors.ts';
import { refId, type StoreRef } from '../../core/read-result.ts';
import type { TargetId } from '../../core/target.ts';
import type { Job } from '../../queue/queue.ts';
import { parseSubject } from '../../queue/subject.ts';
import { expectedReads, type SyncContext } from '../../reconcile/context.ts';
import type { DesiredTarget } from '../../reconcile/targets.ts';
import { MAX_PERSON_DELAY_MS } from '../../sync/schedule.ts';
import type { ConfigSnapshot } from '../config-snapshot.ts';
import type { Resync } from '../resync.ts';
import type { TargetStates } from '../target-states.ts';
import { checkReferences, type Finding } from './findings.ts';
import type { Shard } from './shards.ts';
import type { SourceAges } from './source-ages.ts';
import type { SourceTable } from './source-table.ts';

export interface SweepDeps {
  readonly snapshot: () => ConfigSnapshot;
  readonly states: TargetStates;
  readonly sources: SourceTable;
  readonly resync: Pick<Resync, 'checkDesired'>;
  readonly clock: Clock;
  readonly ages: Pick<SourceAges, 'note'>;
  /** Returns the targets for which the audit contains a new pin. */
  readonly findPins: () => Promise<readonly TargetId[]>;
  /** Whether listing the versions of a store costs less than reading them. */
  readonly tellsVersions: (store: string) => boolean;
  /** Whether the store is unreachable. */
  readonly isDown: (store: string) => boolean;
}

export interface SweepResult {
  readonly keys: number;
  /** Number of targets queued. */
  readonly due: number;
  /** The error code if the store could not be checked. */
  readonly code?: string;
}

export type SweepShard = (
  shard: Shard,
  job: Job,
  context: SyncContext,
  /** Called after each step. */
  onProgress?: () => void,
) => Promise<SweepResult>;

/**
 * If a shard is not in this configuration, it may belong to the configuration of another replica. Its state is removed
 * after this many intervals without an update.
 */
const FORGET_AFTER_INTERVALS = 3;

/**
 * Creates the check of one shard of a store. The check lists versions if a list costs less than reads, and reads the
 * other references once. The resync then adds jobs for the targets whose sources have changed, and their runs decide
 * whether to write.
 */
export function createSweep({ snapshot, states, sources, resync, clock, ...deps }: SweepDeps): SweepShard {
  const known = { snapshot, states, sources };
  let cleanedUpFor: ConfigSnapshot | undefined;

  /** Removes unused references and shards, once for each snapshot. */
  const cleanUp = (): void => {
    const now = snapshot();
    if (now === cleanedUpFor) return;
    cleanedUpFor = now;
    sources.retain(new Set([...now.shards.values()].flatMap(({ refs }) => refs.map(refId))));
    for (const [name, { at }] of states.sweeps()) {
      const subject = parseSubject(name);
      const forMs = subject?.kind === 'sweep' ? subject.refreshMs * FORGET_AFTER_INTERVALS : 0;
      if (!now.shards.has(name) && clock.now() - at > forMs) states.forgetSweep(name);
    }
  };

  /** Notes that the sweep has reached these targets. A sweep cannot notice changes of their sources, so each needs a run. */
  const noteFullRuns = (store: string, fullRuns: Shard['fullRuns']): void => {
    for (const { mapping, id } of fullRuns) {
      const run = states.get(mapping.name, id);
      const mayBeFixed = !deps.isDown(store) && isFixedInStore(run?.error?.code);
      if (mayBeFixed || (run?.retryAt ?? 0) <= clock.now())
        states.inputs(id).fullRunAt = states.steadyClock.now();
    }
  };

  return async ({ sweep: { store }, refs, fullRuns }, job, context, onProgress = () => undefined) => {
    cleanUp();
    const pinned = await deps.findPins();
    const tellsVersions = deps.tellsVersions(store);
    const { ages } = deps;
    // No run reads a reference that the rules refuse to all of its targets, so the sweep must not read it either.
    const isAllowed = once((user: DesiredTarget) => expectedReads([user], context).length > 0);
    const readable = refs.filter((ref) => snapshot().usersOf(ref).some(isAllowed) && !isPaused(ref, known));
    const findings = await checkReferences(store, readable, { context, ages, tellsVersions, onProgress });
    const outage = outageIn([...findings.values()], deps.isDown(store));
    const at = { steady: states.steadyClock.now(), wall: clock.now() };
    // During an outage, a failure reveals nothing about a single key. When the store recovers, its failed targets
    // are checked.
    for (const [id, finding] of findings)
      if (outage === undefined || finding.kind !== 'failed')
        sources.note(id, finding, context.recorder.replacedValues.has(id), at);
    noteFullRuns(store, fullRuns);
    const { usersOf, forTarget } = snapshot();
    const users = [...refs.flatMap(usersOf), ...fullRuns, ...pinned.flatMap(forTarget)];
    // Most targets use several references.
    const due = resync.checkDesired(new Set(users), job.requestId);
    const okAt = outage === undefined ? at.wall : states.sweepState(job.subject)?.okAt;
    states.noteSweep(job.subject, {
      at: at.wall,
      ...(okAt === undefined ? {} : { okAt }),
      ...(outage === undefined ? {} : { code: outage }),
    });
    return { keys: refs.length, due, ...(outage === undefined ? {} : { code: outage }) };
  };
}

/** Remembers the answers. A target uses several references, and its rules concern all of them. */
function once<Item extends object, T>(ask: (item: Item) => T): (item: Item) => T {
  const known = new Map<Item, T>();
  return (item) => {
    const answer = known.get(item) ?? ask(item);
    known.set(item, answer);
    return answer;
  };
}

/**
 * Whether not to read a reference yet, because only a person can make it readable. It is read again when as much time
 * has passed as it was failing before, so the pauses double. A successful run of a target ends them.
 */
function isPaused(
  ref: StoreRef,
  { snapshot, states, sources }: Pick<SweepDeps, 'snapshot' | 'states' | 'sources'>,
): boolean {
  const check = sources.get(refId(ref));
  if (check?.finding.kind !== 'failed') return false;
  const { code } = check.finding;
  if (isTransient(code) || isFixedInStore(code)) return false;
  const { checkedAt, since } = check;
  const pauseMs = Math.min(checkedAt.steady - since.steady, MAX_PERSON_DELAY_MS);
  if (states.steadyClock.now() - checkedAt.steady >= pauseMs) return false;
  const runs = snapshot()
    .usersOf(ref)
    .map(({ mapping, id }) => states.lastRun(mapping.name, id));
  return !runs.some((run) => run?.state.error === undefined && (run?.freshAt ?? 0) > checkedAt.steady);
}

/**
 * Whether the error can be fixed by correcting the data in the store. For searches and merges, only a run can notice
 * the correction, because sweeps do not track their keys.
 */
function isFixedInStore(code: string | undefined): boolean {
  return isErrorCode(code) && (ERRORS[code].group === 'data' || SOURCE_CODES.includes(code));
}

const SOURCE_CODES: readonly string[] = [
  'SOURCE_ABSENT',
  'SOURCE_DELETED',
  'SOURCE_DISABLED',
  'VERSION_GONE',
] satisfies ErrorCode[];

/** The error codes of a failed login. Without a login, the reads of all keys fail. */
const LOGIN_CODES: readonly ErrorCode[] = ['AUTH_FAILED', 'CREDENTIAL_MISSING'];

/** Returns an error code if the store is down, or if every reference failed with a transient error. */
function outageIn(findings: readonly Finding[], isDown: boolean): ErrorCode | undefined {
  const codes = findings.flatMap((finding) => (finding.kind === 'failed' ? finding.code : []));
  const isSilent = codes.length === findings.length && codes.every(isTransient);
  if (isDown) return codes.find((code) => isTransient(code) || LOGIN_CODES.includes(code));
  return isSilent ? codes.find(isTransient) : undefined;
}
