import type { Clock } from '../../core/clock.ts';
import { ERRORS, type ErrorCode, isErrorCode } from '../../core/error-codes.ts';
import { isTransient } from '../../core/errors.ts';
import type { Fingerprint } from '../../core/fingerprint.ts';
import { refId } from '../../core/read-result.ts';
import { formatTarget, type TargetId } from '../../core/target.ts';
import type { Job } from '../../queue/queue.ts';
import { parseSubject } from '../../queue/subject.ts';
import type { SyncContext } from '../../reconcile/context.ts';
import { sourceVersionsOf } from '../../reconcile/in-sync.ts';
import type { DesiredTarget } from '../../reconcile/targets.ts';
import { refsOf } from '../../sync/desired.ts';
import { isNewVersion } from '../../sync/ownership-metadata.ts';
import type { ConfigSnapshot } from '../config-snapshot.ts';
import type { Outbox } from '../outbox.ts';
import type { CheckPins } from '../pin-check.ts';
import type { TargetState } from '../target-state.ts';
import type { TargetStates } from '../target-states.ts';
import { checkReferences, type Finding } from './findings.ts';
import type { Shard } from './shards.ts';
import type { SourceAges } from './source-ages.ts';

export interface SweepDeps {
  readonly snapshot: () => ConfigSnapshot;
  readonly states: TargetStates;
  readonly outbox: Pick<Outbox, 'trigger' | 'requestedAt'>;
  readonly clock: Clock;
  readonly ages: Pick<SourceAges, 'note'>;
  readonly checkPins: CheckPins;
  /** Whether listing a store's versions costs less than reading. */
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

/** The previous finding of a reference in this process. */
interface PreviousFinding {
  readonly text: string;
  readonly isFailed: boolean;
  /** When this process first had this finding, in milliseconds since 1970. */
  readonly since: number;
  /** Fingerprint of the last value read. */
  readonly content?: Fingerprint | undefined;
}

/** The comparison of a finding with the previous one in this process. */
interface Comparison {
  /** Whether the finding differs from the previous one. */
  readonly isChanged: boolean;
  /** Whether the version is the same as before although the value differs. */
  readonly isVersionReused: boolean;
  /** Whether this process had no earlier finding of the reference. */
  readonly isFirst: boolean;
  readonly latest: PreviousFinding;
}

export type SweepShard = (
  shard: Shard,
  name: string,
  job: Job,
  context: SyncContext,
  /** Called after each step. */
  onProgress?: () => void,
) => Promise<SweepResult>;

/** After a list shows a new version, a read may return the old value for this long. */
const READ_LAG_MS = 60_000;
/**
 * A shard that is not in this configuration may belong to the configuration of another replica. Its state is removed
 * after this many intervals without an update.
 */
const FORGET_AFTER_INTERVALS = 3;

/**
 * Checks one shard of a store. Lists versions if that costs less, and reads the other references once. Queues targets
 * whose sources have changed, and their runs decide whether to write.
 */
export function createSweep({ snapshot, states, outbox, clock, ...deps }: SweepDeps): SweepShard {
  const previous = new Map<string, PreviousFinding>();
  let cleanedUpFor: ConfigSnapshot | undefined;

  /** Removes unused references and shards, once for each snapshot. */
  const cleanUp = (): void => {
    const now = snapshot();
    if (now === cleanedUpFor) return;
    cleanedUpFor = now;
    const used = new Set([...now.shards.values()].flatMap(({ refs }) => refs.map(refId)));
    for (const id of previous.keys()) if (!used.has(id)) previous.delete(id);
    for (const [name, { at }] of states.sweeps()) {
      const subject = parseSubject(name);
      const forMs = subject?.kind === 'sweep' ? subject.refreshMs * FORGET_AFTER_INTERVALS : 0;
      if (!now.shards.has(name) && clock.now() - at > forMs) states.forgetSweep(name);
    }
  };

  /** @param replacedValues Ids of references whose version had another value before, according to the audit. */
  const compare = (id: string, finding: Finding, replacedValues: ReadonlySet<string>): Comparison => {
    const before = previous.get(id);
    const text = JSON.stringify({ ...finding, by: undefined, content: undefined });
    const content = 'content' in finding ? finding.content : before?.content;
    // Before the first read of this process, only the audit shows a replaced value. Afterwards use the last value,
    // because reads of this process may not be in the audit yet.
    const isVersionReused =
      before?.content === undefined ? replacedValues.has(id) : before.content !== content;
    const isChanged = isVersionReused || (before !== undefined && before.text !== text);
    const isSame = before?.text === text && !isVersionReused;
    const isFailed = finding.kind === 'failed';
    const latest = isSame ? { ...before, content } : { text, isFailed, since: clock.now(), content };
    previous.set(id, latest);
    return { isChanged, isVersionReused, isFirst: before === undefined, latest };
  };

  /** Whether the target had a successful run since a finding that cannot be compared with its annotation. */
  const isSettled = (
    state: TargetState | undefined,
    { since }: PreviousFinding,
    finding: Finding,
  ): boolean => {
    const late = finding.kind === 'version' && finding.by === 'list' ? READ_LAG_MS : 0;
    return state !== undefined && state.error === undefined && state.startedAt >= since + late;
  };

  /** Whether each source of the target was found or is known to be absent. */
  const isAllFound = ({ mapping }: DesiredTarget): boolean =>
    [...refsOf(mapping).keys()].every((id) => previous.get(id)?.isFailed === false);

  /** Whether the target needs a run now because of this finding. */
  const isDue = (
    desired: DesiredTarget,
    writtenVersion: string | undefined,
    finding: Finding,
    { isChanged, isVersionReused, isFirst, latest }: Comparison,
  ): boolean => {
    const state = states.get(desired.mapping.name, desired.id);
    const isWaiting = (state?.retryAt ?? 0) > clock.now();
    // A failing target waits for its retry unless a source changed. An absence needs a run now, because each absent
    // read counts toward its proof. After a restart, the cause of an error may have been fixed, so run once when all
    // sources have been found.
    if (isWaiting && !isChanged && !isAbsence(finding, desired))
      return isFirst && state?.person === true && isAllFound(desired);
    // A source that is readable again may end the failure, even with the same version.
    if (isChanged && state?.error !== undefined) return true;
    if (states.meta(desired.id) === undefined) {
      // A target that is not created yet is usually already queued. Another request would open a new context and repeat
      // its reads.
      const isQueued = state === undefined && outbox.requestedAt(desired.id) !== undefined;
      return !isWaiting && (isChanged || !isQueued);
    }
    // Only a run reads when the certificate expires. After a start, the sweeps spread these runs over time.
    if (state === undefined && desired.mapping.target.type === 'kubernetes.io/tls') return true;
    // A pinned source keeps its version, but a change may concern a source that is not pinned. The annotation does not
    // show which sources are pinned, so run once for each finding.
    if (state?.pinned !== undefined) return !isSettled(state, latest, finding);
    if (finding.kind === 'absent') return writtenVersion !== 'missing';
    if (finding.kind === 'failed') return true;
    if (writtenVersion === undefined || writtenVersion === 'missing')
      return !isSettled(state, latest, finding);
    // The same version may have another value: if a Vault key is deleted completely and created again, its versions
    // restart at 1.
    if (writtenVersion === finding.version) return isVersionReused;
    // Some versions are fingerprints. Two fingerprints under different keys cannot be compared, so run unless a run has
    // succeeded since this finding. The next write renews the annotation.
    return isNewVersion(writtenVersion, finding.version) || !isSettled(state, latest, finding);
  };

  return async ({ sweep: { store }, refs, fullRuns }, name, job, context, onProgress = () => undefined) => {
    cleanUp();
    await deps.checkPins(job.requestId);
    const tellsVersions = deps.tellsVersions(store);
    const findings = await checkReferences(store, refs, {
      context,
      ages: deps.ages,
      tellsVersions,
      onProgress,
    });
    const outage = outageIn([...findings.values()], deps.isDown(store));
    const due = new Map<string, TargetId>();
    const versions = new Map<DesiredTarget, ReadonlyMap<string, string>>();
    const writtenVersions = (desired: DesiredTarget): ReadonlyMap<string, string> => {
      const meta = states.meta(desired.id);
      const parsed =
        versions.get(desired) ?? (meta === undefined ? new Map() : sourceVersionsOf(meta, desired.mapping));
      versions.set(desired, parsed);
      return parsed;
    };
    for (const ref of refs) {
      const id = refId(ref);
      const finding = findings.get(id);
      // During an outage, a failure reveals nothing about a single key. When the store recovers, its failed targets are
      // queued.
      if (finding === undefined || (outage !== undefined && finding.kind === 'failed')) continue;
      const comparison = compare(id, finding, context.recorder.replacedValues);
      for (const desired of snapshot().usersOf(ref))
        if (
          desired.mapping.target.mode === 'own' &&
          isDue(desired, writtenVersions(desired).get(id), finding, comparison)
        )
          due.set(formatTarget(desired.id), desired.id);
    }
    for (const { mapping, id } of fullRuns) {
      const state = states.get(mapping.name, id);
      const mayBeFixed = !deps.isDown(store) && isFixedInStore(state?.error?.code);
      if (mayBeFixed || (state?.retryAt ?? 0) <= clock.now()) due.set(formatTarget(id), id);
    }
    for (const id of due.values()) outbox.trigger(id, 'sweep', job.requestId);
    const at = clock.now();
    const okAt = outage === undefined ? at : states.sweepState(name)?.okAt;
    states.noteSweep(name, {
      at,
      ...(okAt === undefined ? {} : { okAt }),
      ...(outage === undefined ? {} : { code: outage }),
    });
    return { keys: refs.length, due: due.size, ...(outage === undefined ? {} : { code: outage }) };
  };
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

/** If the login is rejected, the reads of all keys fail. */
const LOGIN_CODES: readonly ErrorCode[] = ['AUTH_FAILED', 'CREDENTIAL_MISSING'];

/** Returns an error code if the store is down, or if every reference failed with a transient error. */
function outageIn(findings: readonly Finding[], isDown: boolean): ErrorCode | undefined {
  const codes = findings.flatMap((finding) => (finding.kind === 'failed' ? finding.code : []));
  const isSilent = codes.length === findings.length && codes.every(isTransient);
  if (isDown) return codes.find((code) => isTransient(code) || LOGIN_CODES.includes(code));
  return isSilent ? codes.find(isTransient) : undefined;
}

/** Whether the finding counts toward the proof that a source is gone. */
function isAbsence(finding: Finding, { mapping }: DesiredTarget): boolean {
  if (finding.kind === 'failed') return finding.code === 'SOURCE_DELETED' && mapping.softDeletedIsMissing;
  return finding.kind === 'absent';
}
