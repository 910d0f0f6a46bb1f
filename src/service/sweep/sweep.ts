import type { Clock } from '../../core/clock.ts';
import { ERRORS, type ErrorCode, isErrorCode } from '../../core/error-codes.ts';
import { isTransient } from '../../core/errors.ts';
import type { Fingerprint } from '../../core/fingerprint.ts';
import { refId } from '../../core/read-result.ts';
import { formatTarget, type TargetId } from '../../core/target.ts';
import type { Job } from '../../queue/queue.ts';
import { parseSubject } from '../../queue/subject.ts';
import type { DesiredTarget } from '../../reconcile/targets.ts';
import { isNewVersion } from '../../sync/ownership-metadata.ts';
import type { TargetStates } from '../target-states.ts';
import type { ConfigSnapshot } from '../config-snapshot.ts';
import type { TargetState } from '../target-state.ts';
import type { Outbox } from '../outbox.ts';
import type { CheckPins } from '../pin-check.ts';
import type { SyncContext } from '../runs/sync-context.ts';
import type { SourceAges } from './source-ages.ts';
import { type Finding, checkReferences } from './findings.ts';
import { sourceVersionsOf } from './in-sync.ts';
import { refsOf } from './refs.ts';
import type { Shard } from './shards.ts';

export interface SweepDeps {
  readonly snapshot: () => ConfigSnapshot;
  readonly states: TargetStates;
  readonly outbox: Pick<Outbox, 'trigger' | 'requestedAt'>;
  readonly clock: Clock;
  readonly ages: Pick<SourceAges, 'note'>;
  readonly checkPins: CheckPins;
  /** Whether asking a store for versions costs less than reading. */
  readonly tellsVersions: (store: string) => boolean;
  /** Whether the store answers at all. */
  readonly isDown: (store: string) => boolean;
}

export interface SweepResult {
  readonly keys: number;
  /** Targets that are looked at because of it. */
  readonly due: number;
  /** Why the store could not be asked. */
  readonly code?: string;
}

/** What it was found to be the last time, by this process. */
interface PreviousFinding {
  readonly text: string;
  readonly isFailed: boolean;
  /** When it was first found to be that, in milliseconds since 1970. */
  readonly since: number;
  /** What was read last. */
  readonly content?: Fingerprint | undefined;
}

/** What a finding says beside what this process has found before. */
interface Comparison {
  /** It is not what it was. */
  readonly isChanged: boolean;
  /** Another value has the version that one had before. */
  readonly isVersionReused: boolean;
  /** It was never found before. */
  readonly isFirst: boolean;
  readonly latest: PreviousFinding;
}

export type SweepShard = (
  shard: Shard,
  name: string,
  job: Job,
  context: SyncContext,
  /** Told of progress. */
  onProgress?: () => void,
) => Promise<SweepResult>;

/** A read may give what was there before for as long after a list tells of something new. */
const READ_LAG_MS = 60_000;
/** The sweep of a shard that this process does not know may be of another configuration, until it is this late. */
const FORGET_AFTER_INTERVALS = 3;

/**
 * Looks at one shard of a store: asks for versions where that is cheaper, reads the rest once for all, and has those
 * targets looked at whose sources are not what they were made from. It decides nothing itself.
 */
export function createSweep({ snapshot, states, outbox, clock, ...deps }: SweepDeps): SweepShard {
  const previous = new Map<string, PreviousFinding>();
  let cleanedUpFor: ConfigSnapshot | undefined;

  /** Forgets what nobody asks for any more, once for each configuration. */
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

  /** @param remade By `refId`: that by the records another value had the same version before. */
  const compare = (id: string, finding: Finding, remade: ReadonlySet<string>): Comparison => {
    const before = previous.get(id);
    const text = JSON.stringify({ ...finding, by: undefined, content: undefined });
    const content = 'content' in finding ? finding.content : before?.content;
    // By what is on record, whoever read it; and by this process, where another reading came in between.
    const isRemade = before?.content === undefined ? remade.has(id) : before.content !== content;
    const isNews = isRemade || (before !== undefined && before.text !== text);
    const isSame = before?.text === text && !isRemade;
    const isFailed = finding.kind === 'failed';
    const seen = isSame ? { ...before, content } : { text, isFailed, since: clock.now(), content };
    previous.set(id, seen);
    return { isChanged: isNews, isVersionReused: isRemade, isFirst: before === undefined, latest: seen };
  };

  /** Whether a target has ended well since a finding that its annotations cannot be compared with. */
  const isSettled = (
    state: TargetState | undefined,
    { since }: PreviousFinding,
    finding: Finding,
  ): boolean => {
    const late = finding.kind === 'version' && finding.by === 'list' ? READ_LAG_MS : 0;
    return state !== undefined && state.error === undefined && state.startedAt >= since + late;
  };

  /** Whether this process has found each source of a target, or that it is not there. */
  const isAllFound = ({ mapping }: DesiredTarget): boolean =>
    [...refsOf(mapping).keys()].every((id) => previous.get(id)?.isFailed === false);

  /** Whether this finding is a reason to look at the target now. */
  const isDue = (
    desired: DesiredTarget,
    writtenVersion: string | undefined,
    finding: Finding,
    { isChanged: isNews, isVersionReused: isRemade, isFirst, latest: seen }: Comparison,
  ): boolean => {
    const state = states.get(desired.mapping.name, desired.id);
    const isWaiting = (state?.retryAt ?? 0) > clock.now();
    // It fails already, and is tried again in its own time unless something has changed; the readings of an absence all
    // count towards its proof. What is found for the first time may have been mended since it failed; its sources are
    // found one after another, and one look is enough for all of them.
    if (isWaiting && !isNews && !isAbsence(finding, desired))
      return isFirst && state?.person === true && isAllFound(desired);
    // A source that can be read again, with the version that it had, may be what it failed for.
    if (isNews && state?.error !== undefined) return true;
    if (states.meta(desired.id) === undefined) {
      // One that is still to be made stands in the queue: to ask for it again would have its context begin anew.
      const isQueued = state === undefined && outbox.requestedAt(desired.id) !== undefined;
      return !isWaiting && (isNews || !isQueued);
    }
    // Only a look at its content tells when a certificate ends. All of them at once would be a stampede at each start.
    if (state === undefined && desired.mapping.target.type === 'kubernetes.io/tls') return true;
    // It stays at its versions, whatever the current ones are. But what is new may be of a source that it follows
    // still, since the record does not name it, and its own annotations do not tell which these are.
    if (state?.pinned !== undefined) return !isSettled(state, seen, finding);
    if (finding.kind === 'absent') return writtenVersion !== 'missing';
    if (finding.kind === 'failed') return true;
    if (writtenVersion === undefined || writtenVersion === 'missing') return !isSettled(state, seen, finding);
    // Vault counts from 1 again when all of a key is deleted and made anew.
    if (writtenVersion === finding.version) return isRemade;
    // Fingerprints under another key tell nothing, and are renewed at the next write only.
    return isNewVersion(writtenVersion, finding.version) || !isSettled(state, seen, finding);
  };

  return async (
    { sweep: { store }, refs, fullRuns: fullRuns },
    name,
    job,
    context,
    onProgress = () => undefined,
  ) => {
    cleanUp();
    await deps.checkPins(job.requestId);
    const tellsVersions = deps.tellsVersions(store);
    const findings = await checkReferences(store, refs, {
      context,
      ages: deps.ages,
      tellsVersions,
      onProgress: onProgress,
    });
    const outage = outageIn([...findings.values()], deps.isDown(store));
    const due = new Map<string, TargetId>();
    const versions = new Map<DesiredTarget, ReadonlyMap<string, string>>();
    const writtenVersions = (desired: DesiredTarget): ReadonlyMap<string, string> => {
      const meta = states.meta(desired.id);
      const made =
        versions.get(desired) ?? (meta === undefined ? new Map() : sourceVersionsOf(meta, desired.mapping));
      versions.set(desired, made);
      return made;
    };
    for (const ref of refs) {
      const id = refId(ref);
      const finding = findings.get(id);
      // During an outage nothing is learnt of the keys; the store's return wakes its targets.
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
 * Whether whoever mends it does so in the store, where nothing but a run would find it: nobody watches the keys of a
 * search and of a merge.
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

/** A login that is refused is refused for every key. */
const LOGIN_CODES: readonly ErrorCode[] = ['AUTH_FAILED', 'CREDENTIAL_MISSING'];

/** When no reference could be asked for, that is the store's trouble and not theirs. */
function outageIn(findings: readonly Finding[], isDown: boolean): ErrorCode | undefined {
  const codes = findings.flatMap((finding) => (finding.kind === 'failed' ? finding.code : []));
  const isSilent = codes.length === findings.length && codes.every(isTransient);
  if (isDown) return codes.find((code) => isTransient(code) || LOGIN_CODES.includes(code));
  return isSilent ? codes.find(isTransient) : undefined;
}

/** What counts towards the proof that a source is gone. */
function isAbsence(finding: Finding, { mapping }: DesiredTarget): boolean {
  if (finding.kind === 'failed') return finding.code === 'SOURCE_DELETED' && mapping.softDeletedIsMissing;
  return finding.kind === 'absent';
}
