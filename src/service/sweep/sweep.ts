import type { Clock } from '../../core/clock.ts';
import { ERRORS, type ErrorCode, isErrorCode } from '../../core/error-codes.ts';
import { healsItself } from '../../core/errors.ts';
import type { Fingerprint } from '../../core/fingerprint.ts';
import { refId } from '../../core/reading.ts';
import { formatTarget, type TargetId } from '../../core/target.ts';
import type { Job } from '../../queue/queue.ts';
import { parseSubject } from '../../queue/subject.ts';
import type { Wanted } from '../../reconcile/targets.ts';
import { isNewVersion } from '../../sync/marks.ts';
import type { Board } from '../board.ts';
import type { Generation } from '../generation.ts';
import type { Known } from '../known.ts';
import type { Ledger } from '../ledger.ts';
import type { LookForPins } from '../pins.ts';
import type { Pass } from '../runs/pass.ts';
import type { Ages } from './ages.ts';
import { type Finding, findingsOf } from './findings.ts';
import { versionsOf } from './judge.ts';
import { refsOf } from './refs.ts';
import type { Slot } from './slots.ts';

export interface SweepDeps {
  readonly generation: () => Generation;
  readonly board: Board;
  readonly ledger: Pick<Ledger, 'trigger' | 'since'>;
  readonly clock: Clock;
  readonly ages: Pick<Ages, 'note'>;
  readonly lookForPins: LookForPins;
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
interface Last {
  readonly text: string;
  readonly isFailed: boolean;
  /** When it was first found to be that, in milliseconds since 1970. */
  readonly since: number;
  /** What was read last. */
  readonly content?: Fingerprint | undefined;
}

/** What a finding says beside what this process has found before. */
interface Learnt {
  /** It is not what it was. */
  readonly isNews: boolean;
  /** Another value has the version that one had before. */
  readonly isRemade: boolean;
  /** It was never found before. */
  readonly isFirst: boolean;
  readonly seen: Last;
}

export type SweepSlot = (
  slot: Slot,
  name: string,
  job: Job,
  pass: Pass,
  /** Told of progress. */
  beat?: () => void,
) => Promise<SweepResult>;

/** A read may give what was there before for as long after a list tells of something new. */
const READ_LATE_MS = 60_000;
/** The sweep of a slot that this process does not know may be of another configuration, until it is this late. */
const FORGOTTEN_AFTER = 3;

/**
 * Looks at one slot of a store: asks for versions where that is cheaper, reads the rest once for all, and has those
 * targets looked at whose sources are not what they were made from. It decides nothing itself.
 */
export function createSweep({ generation, board, ledger, clock, ...deps }: SweepDeps): SweepSlot {
  const last = new Map<string, Last>();
  let tidied: Generation | undefined;

  /** Forgets what nobody asks for any more, once for each configuration. */
  const tidy = (): void => {
    const now = generation();
    if (now === tidied) return;
    tidied = now;
    const used = new Set([...now.slots.values()].flatMap(({ refs }) => refs.map(refId)));
    for (const id of last.keys()) if (!used.has(id)) last.delete(id);
    for (const [name, { at }] of board.sweeps()) {
      const subject = parseSubject(name);
      const forMs = subject?.kind === 'sweep' ? subject.refreshMs * FORGOTTEN_AFTER : 0;
      if (!now.slots.has(name) && clock.now() - at > forMs) board.forgetSweep(name);
    }
  };

  /** @param remade By `refId`: that by the records another value had the same version before. */
  const learn = (id: string, finding: Finding, remade: ReadonlySet<string>): Learnt => {
    const before = last.get(id);
    const text = JSON.stringify({ ...finding, by: undefined, content: undefined });
    const content = 'content' in finding ? finding.content : before?.content;
    // By what is on record, whoever read it; and by this process, where another reading came in between.
    const isRemade = before?.content === undefined ? remade.has(id) : before.content !== content;
    const isNews = isRemade || (before !== undefined && before.text !== text);
    const isSame = before?.text === text && !isRemade;
    const isFailed = finding.kind === 'failed';
    const seen = isSame ? { ...before, content } : { text, isFailed, since: clock.now(), content };
    last.set(id, seen);
    return { isNews, isRemade, isFirst: before === undefined, seen };
  };

  /** Whether a target has ended well since a finding that its annotations cannot be compared with. */
  const isSettled = (known: Known | undefined, { since }: Last, finding: Finding): boolean => {
    const late = finding.kind === 'version' && finding.by === 'list' ? READ_LATE_MS : 0;
    return known !== undefined && known.error === undefined && known.startedAt >= since + late;
  };

  /** Whether this process has found each source of a target, or that it is not there. */
  const isAllFound = ({ mapping }: Wanted): boolean =>
    [...refsOf(mapping).keys()].every((id) => last.get(id)?.isFailed === false);

  /** Whether this finding is a reason to look at the target now. */
  const isDue = (
    it: Wanted,
    made: string | undefined,
    finding: Finding,
    { isNews, isRemade, isFirst, seen }: Learnt,
  ): boolean => {
    const known = board.known(it.mapping.name, it.id);
    const isWaiting = (known?.retryAt ?? 0) > clock.now();
    // It fails already, and is tried again in its own time unless something has changed; the readings of an
    // absence all count towards its proof. What is found for the first time may have been mended since it failed; its
    // sources are found one after another, and one look is enough for all of them.
    if (isWaiting && !isNews && !isAbsence(finding, it))
      return isFirst && known?.person === true && isAllFound(it);
    // A source that can be read again, with the version that it had, may be what it failed for.
    if (isNews && known?.error !== undefined) return true;
    if (board.meta(it.id) === undefined) {
      // One that is still to be made stands in the queue: to ask for it again would have its pass begin anew.
      const isQueued = known === undefined && ledger.since(it.id) !== undefined;
      return !isWaiting && (isNews || !isQueued);
    }
    // Only a look at its content tells when a certificate ends. All of them at once would be a stampede at each start.
    if (known === undefined && it.mapping.target.type === 'kubernetes.io/tls') return true;
    // It stays at its versions, whatever the current ones are. But what is new may be of a source that it follows
    // still, since the record does not name it, and its own annotations do not tell which these are.
    if (known?.pinned !== undefined) return !isSettled(known, seen, finding);
    if (finding.kind === 'absent') return made !== 'missing';
    if (finding.kind === 'failed') return true;
    if (made === undefined || made === 'missing') return !isSettled(known, seen, finding);
    // Vault counts from 1 again when all of a key is deleted and made anew.
    if (made === finding.version) return isRemade;
    // Fingerprints under another key tell nothing, and are renewed at the next write only.
    return isNewVersion(made, finding.version) || !isSettled(known, seen, finding);
  };

  return async ({ sweep: { store }, refs, whole }, name, job, pass, beat = () => undefined) => {
    tidy();
    await deps.lookForPins(job.requestId);
    const tellsVersions = deps.tellsVersions(store);
    const findings = await findingsOf(store, refs, { pass, ages: deps.ages, tellsVersions, beat });
    const outage = outageIn([...findings.values()], deps.isDown(store));
    const due = new Map<string, TargetId>();
    const versions = new Map<Wanted, ReadonlyMap<string, string>>();
    const madeFrom = (it: Wanted): ReadonlyMap<string, string> => {
      const meta = board.meta(it.id);
      const made = versions.get(it) ?? (meta === undefined ? new Map() : versionsOf(meta, it.mapping));
      versions.set(it, made);
      return made;
    };
    for (const ref of refs) {
      const id = refId(ref);
      const finding = findings.get(id);
      // During an outage nothing is learnt of the keys; the store's return wakes its targets.
      if (finding === undefined || (outage !== undefined && finding.kind === 'failed')) continue;
      const learnt = learn(id, finding, pass.recorder.remade);
      for (const it of generation().users(ref))
        if (it.mapping.target.mode === 'own' && isDue(it, madeFrom(it).get(id), finding, learnt))
          due.set(formatTarget(it.id), it.id);
    }
    for (const { mapping, id } of whole) {
      const known = board.known(mapping.name, id);
      const mayBeMended = !deps.isDown(store) && isOfContent(known?.error?.code);
      if (mayBeMended || (known?.retryAt ?? 0) <= clock.now()) due.set(formatTarget(id), id);
    }
    for (const id of due.values()) ledger.trigger(id, 'sweep', job.requestId);
    const at = clock.now();
    const okAt = outage === undefined ? at : board.swept(name)?.okAt;
    board.noteSweep(name, {
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
function isOfContent(code: string | undefined): boolean {
  return isErrorCode(code) && (ERRORS[code].group === 'data' || IN_THE_STORE.includes(code));
}

const IN_THE_STORE: readonly string[] = [
  'SOURCE_ABSENT',
  'SOURCE_DELETED',
  'SOURCE_DISABLED',
  'VERSION_GONE',
] satisfies ErrorCode[];

/** A login that is refused is refused for every key. */
const OF_THE_STORE: readonly ErrorCode[] = ['AUTH_FAILED', 'CREDENTIAL_MISSING'];

/** When no reference could be asked for, that is the store's trouble and not theirs. */
function outageIn(findings: readonly Finding[], isDown: boolean): ErrorCode | undefined {
  const codes = findings.flatMap((it) => (it.kind === 'failed' ? it.code : []));
  const isSilent = codes.length === findings.length && codes.every(healsItself);
  if (isDown) return codes.find((code) => healsItself(code) || OF_THE_STORE.includes(code));
  return isSilent ? codes.find(healsItself) : undefined;
}

/** What counts towards the proof that a source is gone. */
function isAbsence(finding: Finding, { mapping }: Wanted): boolean {
  if (finding.kind === 'failed') return finding.code === 'SOURCE_DELETED' && mapping.softDeletedIsMissing;
  return finding.kind === 'absent';
}
