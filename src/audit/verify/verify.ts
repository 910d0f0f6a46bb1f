import { largest } from '../../core/lists.ts';
import { GENESIS, type Head, type StoredRecord } from '../chain.ts';
import type { Checkpoint } from '../checkpoint/checkpoint.ts';
import type { RecordKeys } from '../record-keys.ts';
import type { AuditStore } from '../store.ts';
import { type ChainState, diagnose, follows, type Link, linksOf, type ProblemKind } from './diagnose.ts';
import {
  type ClassifiedCheckpoints,
  Coverage,
  classifyCheckpoints,
  type Evidence,
  isBaseSigned,
  signatureStates,
} from './evidence.ts';
import { HmacCheck, type HmacResult } from './hmac-check.ts';

export interface VerifyOptions {
  /** The record before the first record to verify. Default: the start of the chain. */
  readonly after?: Head;
  /** A trusted copy of the head. The chain must contain its record. */
  readonly until?: Head;
  /** Checks the HMACs of records. */
  readonly recordKeys?: Pick<RecordKeys, 'check'> | undefined;
  /** Whether all records must have an HMAC, because an earlier record has one. */
  readonly mustBeSigned?: boolean | undefined;
  /** Called for each record that fits into the chain, in order. */
  readonly onRecord?: (record: Link) => void;
}

/**
 * Verifies the chain in one pass with constant memory. At the first record that does not fit, determines from the
 * records what happened. An attacker who recomputes every hash up to the end produces an intact chain. Only HMACs, or a
 * trusted copy of the head, reveal such an attack (`recordKeys`, `until`, or a signed checkpoint).
 */
export async function verify(
  records: AsyncIterable<StoredRecord> | Iterable<StoredRecord>,
  options: VerifyOptions = {},
): Promise<ChainState> {
  const { chain, columnMismatch } = await walk(records, options);
  return chain.kind === 'intact' && columnMismatch !== undefined
    ? { kind: 'edited', sequence: columnMismatch }
    : chain;
}

interface Walk extends HmacResult {
  readonly chain: ChainState;
  /**
   * The first record whose search columns or tables disagree with its text. Problems of the chain take precedence,
   * because they can cause such mismatches in other records.
   */
  readonly columnMismatch: number | undefined;
}

async function walk(
  records: AsyncIterable<StoredRecord> | Iterable<StoredRecord>,
  { after = GENESIS, until, recordKeys, mustBeSigned = false, onRecord }: VerifyOptions,
): Promise<Walk> {
  const links = linksOf(records);
  const hmacs = new HmacCheck(recordKeys, mustBeSigned);
  let head = after;
  let last: Link | undefined;
  let count = 0;
  let columnMismatch: number | undefined;
  const result = (chain: ChainState): Walk => ({ chain, columnMismatch, ...hmacs.result() });
  for await (const link of links) {
    if (!follows(link, head)) return result(await diagnose({ head, last, link, links, until }));
    if (!link.columnsMatch) columnMismatch ??= link.sequence;
    if (link.sequence === until?.sequence && link.hash !== until.hash) {
      const next = (await links.next()).value;
      const kind = next !== undefined && follows(next, head) ? 'inserted' : 'edited';
      return result({ kind, sequence: link.sequence });
    }
    hmacs.add(link);
    head = link;
    last = link;
    count += 1;
    onRecord?.(link);
  }
  if (until !== undefined && head.sequence < until.sequence)
    return result({ kind: 'truncated', sequence: head.sequence + 1 });
  const { sequence, hash } = head;
  return result({ kind: 'intact', records: count, head: { sequence, hash } });
}

export interface VerifyInput {
  readonly records: AsyncIterable<StoredRecord> | Iterable<StoredRecord>;
  /** The record before the first one in `records`. */
  readonly base: Head;
  /** The last record according to a separate table. */
  readonly head?: Head | undefined;
  /** The first stored record after `head`, if any. Queries do not return such records. */
  readonly beyondHead?: number | undefined;
  readonly evidence?: Evidence | undefined;
  /** Whether the records are only part of the log. Earlier records then do not count as pruned. */
  readonly isPartial?: boolean;
  /** Whether all records must have an HMAC, because an earlier record has one. */
  readonly mustBeSigned?: boolean;
}

export interface Problem {
  readonly kind: ProblemKind | 'checkpoint';
  /** The sequence of the first bad record, or of the checkpoint that causes the problem. */
  readonly sequence: number;
  /** The last sequence that an earlier checkpoint confirms. The first bad record comes after it. */
  readonly after?: number;
  /** Set if the only problem is a checkpoint that agrees with the chain but is signed with an unknown key. */
  readonly unknownKey?: true;
}

/** The result of `audit verify`. */
export interface VerifyReport {
  readonly ok: boolean;
  /** Whether the log is intact and a checkpoint covers all records except the newest ones. */
  readonly covered: boolean;
  /** The number of good records. If there is a problem, only the records before it are counted. */
  readonly records: number;
  /** The number of checkpoints that are signed by a known key and agree with the chain. */
  readonly checkpoints: number;
  readonly problem?: Problem;
  /** The first record that was verified. */
  readonly from: number;
  /** The last record that a checkpoint covers. After it, an edit with recomputed hashes would not be noticed. */
  readonly sealed?: { readonly sequence: number; readonly time: string };
  /** Whether a checkpoint proves that retention pruned the records before `from`. Absent if none were pruned. */
  readonly cutProved?: boolean;
  /** The number of checkpoints that prove lost records. A person has accepted the loss of these records. */
  readonly accepted: number;
  /** The number of checkpoints for which no public key is available. */
  readonly unchecked: number;
  /** The number of records that no known key verifies. Absent if there are none, or if no key was given. */
  readonly unverifiable?: number;
}

const NO_EVIDENCE: Evidence = { checkpoints: [], keys: new Map() };

/** Verifies the chain against the evidence. Works without a running service. */
export async function verifyWithEvidence(input: VerifyInput): Promise<VerifyReport> {
  const { base, evidence = NO_EVIDENCE } = input;
  const states = signatureStates(evidence);
  const walkResult = await walkWithEvidence(input, evidence.recordKeys, states);
  const { end, coverage, unverifiable, isConsistent } = walkResult;
  const classified = classifyCheckpoints(evidence.checkpoints, states, base, isConsistent);
  const { agreeing, accepted } = classified;
  // Report the problem with the lowest sequence. If two have the same sequence, report the problem of the chain.
  const problems = problemsOf(input, walkResult, classified).toSorted((a, b) => a.sequence - b.sequence);
  const [problem] = problems;
  const sealed = agreeing.reduce<Checkpoint | undefined>(
    (last, checkpoint) => (last === undefined || checkpoint.sequence > last.sequence ? checkpoint : last),
    undefined,
  );
  const common = {
    from: base.sequence + 1,
    accepted: accepted.length,
    unchecked: [...states.values()].filter((state) => state === 'unknown').length,
    ...(base.sequence === 0 ? {} : { cutProved: isCutProved(base, classified) }),
    ...(sealed === undefined ? {} : { sealed: { sequence: sealed.sequence, time: sealed.time } }),
    ...(unverifiable === 0 ? {} : { unverifiable }),
  };
  const checkpoints = agreeing.length;
  if (problem === undefined) {
    const records = end - base.sequence;
    return { ok: true, records, checkpoints, covered: coverage.isCovered(records), ...common };
  }
  const before = agreeing.filter(({ sequence }) => sequence < problem.sequence);
  const after = Math.max(0, largest(before.map(({ sequence }) => sequence)));
  return {
    ok: false,
    // A forged checkpoint may have a sequence far beyond the end of the chain.
    records: Math.max(0, Math.min(problem.sequence - 1, end) - base.sequence),
    checkpoints,
    covered: false,
    problem: {
      kind: problem.kind,
      sequence: problem.sequence,
      ...(problem.kind === 'checkpoint' && { after }),
      // An unknown key is reported as harmless only if there is no other problem. Otherwise it may be part of an
      // attack.
      ...(problems.every(({ unknownKey }) => unknownKey) && { unknownKey: true as const }),
    },
    ...common,
  };
}

interface EvidenceWalk extends Walk {
  /** The sequence of the last record that fits into the chain. */
  readonly end: number;
  readonly coverage: Coverage;
  /** Whether a checkpoint agrees with the base or with one of the records that fit into the chain. */
  readonly isConsistent: (checkpoint: Checkpoint) => boolean;
}

async function walkWithEvidence(
  { records, base, head, mustBeSigned }: VerifyInput,
  recordKeys: Evidence['recordKeys'],
  states: ClassifiedCheckpoints['states'],
): Promise<EvidenceWalk> {
  const signedSequences = new Set([...states.keys()].map(({ sequence }) => sequence));
  const seen = new Map([[base.sequence, base.hash]]);
  const coverage = new Coverage(states, base);
  let end = base.sequence;
  const walkResult = await walk(records, {
    after: base,
    recordKeys,
    mustBeSigned,
    ...(head === undefined || head.sequence <= base.sequence ? {} : { until: head }),
    onRecord({ sequence, hash, fields }) {
      end = sequence;
      coverage.add({ sequence, hash }, fields.time);
      if (signedSequences.has(sequence)) seen.set(sequence, hash);
    },
  });
  return {
    ...walkResult,
    end,
    coverage,
    isConsistent: ({ sequence, hash }) => seen.get(sequence) === hash,
  };
}

function problemsOf(
  input: VerifyInput,
  { chain, columnMismatch, forged, end, isConsistent }: EvidenceWalk,
  classified: ClassifiedCheckpoints,
): readonly Problem[] {
  const { base, beyondHead, evidence } = input;
  const problems: Problem[] = [];
  if (chain.kind !== 'intact') problems.push({ kind: chain.kind, sequence: chain.sequence });
  if (forged !== undefined) problems.push({ kind: 'edited', sequence: forged });
  for (const [checkpoint, state] of classified.states) {
    const { sequence } = checkpoint;
    // Without any key, only contradictions are problems. With keys, a checkpoint that no key verifies is also a
    // problem: it is forged, or its key is unknown.
    if (state !== 'good' && evidence?.keys.size) {
      const unknownKey = state === 'unknown' && isConsistent(checkpoint);
      problems.push({ kind: 'checkpoint', sequence, ...(unknownKey && { unknownKey: true }) });
    } else if (
      sequence < base.sequence ||
      isConsistent(checkpoint) ||
      classified.accepted.includes(checkpoint)
    )
      continue;
    else if (sequence <= end) problems.push({ kind: 'checkpoint', sequence });
    else if (chain.kind === 'intact') problems.push({ kind: 'truncated', sequence: end + 1 });
  }
  if (isCutSuspicious(input, classified)) problems.push({ kind: 'deleted', sequence: 1 });
  if (beyondHead !== undefined && chain.kind === 'intact')
    problems.push({ kind: 'edited', sequence: beyondHead });
  if (problems.length === 0 && columnMismatch !== undefined)
    problems.push({ kind: 'edited', sequence: columnMismatch });
  return problems;
}

/**
 * Whether records before the base are missing without proof. Only retention removes records, and it signs the base in a
 * checkpoint first. If no checkpoint can be read at all, configured retention explains the base.
 */
function isCutSuspicious(
  { base, isPartial, evidence = NO_EVIDENCE }: VerifyInput,
  { trusted }: ClassifiedCheckpoints,
): boolean {
  if (base.sequence === 0 || isPartial) return false;
  const believed = evidence.keys.size === 0 ? evidence.checkpoints : trusted;
  const isExplained = believed.length === 0 && evidence.hasRetention === true;
  return !isExplained && !isBaseSigned(base, believed);
}

/** Whether a checkpoint signs the base, or signs the record at the base as a part of the chain. */
function isCutProved(base: Head, { trusted, agreeing }: ClassifiedCheckpoints): boolean {
  return isBaseSigned(base, trusted) || agreeing.some(({ sequence }) => sequence === base.sequence);
}

/** Reads the input of `verifyWithEvidence` from a store, except the evidence. */
export async function readVerifyInput(
  store: Pick<AuditStore, 'storedRecords' | 'head' | 'base'>,
): Promise<
  Pick<VerifyInput, 'base' | 'head' | 'beyondHead'> & { readonly records: AsyncIterable<StoredRecord> }
> {
  const [base, head] = [await store.base(), await store.head()];
  return {
    base,
    head,
    beyondHead: await firstBeyondHead(store, base, head),
    records: store.storedRecords(base.sequence + 1),
  };
}

async function firstBeyondHead(
  store: Pick<AuditStore, 'storedRecords' | 'head'>,
  base: Head,
  head: Head,
): Promise<number | undefined> {
  const next = Math.max(base.sequence, head.sequence) + 1;
  // Read the head again. If the record after the head was appended during the verification, the head has moved too.
  for await (const _ of store.storedRecords(next))
    return (await store.head()).sequence < next ? next : undefined;
  return undefined;
}
