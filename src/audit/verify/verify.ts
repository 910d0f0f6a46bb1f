import { GENESIS, type Head, type StoredRecord } from '../chain.ts';
import type { Checkpoint } from '../checkpoint/checkpoint.ts';
import { isAccepted } from '../checkpoint/compare.ts';
import { type PublicKeys, signatureOf } from '../checkpoint/signing.ts';
import { isPruneEntry } from '../retention/prune-entry.ts';
import type { AuditStore } from '../store.ts';
import { type ChainState, diagnose, follows, type Link, linksOf, type ProblemKind } from './diagnose.ts';

export interface VerifyOptions {
  /** The record before the first record to verify. Default: the start of the chain. */
  readonly after?: Head;
  /** A trusted copy of the head. The chain must contain its record. */
  readonly until?: Head;
  /** Called for each record that fits into the chain, in order. */
  readonly onRecord?: (record: Link) => void;
}

/**
 * Verifies the chain in one pass with constant memory. At the first record that does not fit, determines from the
 * records what happened. An attacker who recomputes every hash up to the end produces an intact chain. Only a trusted
 * copy of the head reveals such an attack (`until`, or a signed checkpoint).
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

interface Walk {
  readonly chain: ChainState;
  /**
   * The first record whose search columns or tables disagree with its text. Problems of the chain take precedence,
   * because they can cause such mismatches in other records.
   */
  readonly columnMismatch: number | undefined;
}

async function walk(
  records: AsyncIterable<StoredRecord> | Iterable<StoredRecord>,
  { after = GENESIS, until, onRecord }: VerifyOptions,
): Promise<Walk> {
  const links = linksOf(records);
  let head = after;
  let last: Link | undefined;
  let count = 0;
  let columnMismatch: number | undefined;
  for await (const link of links) {
    if (!follows(link, head))
      return { chain: await diagnose({ head, last, link, links, until }), columnMismatch };
    if (!link.columnsMatch) columnMismatch ??= link.sequence;
    if (link.sequence === until?.sequence && link.hash !== until.hash) {
      const next = (await links.next()).value;
      const kind = next !== undefined && follows(next, head) ? 'inserted' : 'edited';
      return { chain: { kind, sequence: link.sequence }, columnMismatch };
    }
    head = link;
    last = link;
    count += 1;
    onRecord?.(link);
  }
  if (until !== undefined && head.sequence < until.sequence) {
    return { chain: { kind: 'truncated', sequence: head.sequence + 1 }, columnMismatch };
  }
  const { sequence, hash } = head;
  return { chain: { kind: 'intact', records: count, head: { sequence, hash } }, columnMismatch };
}

/** Checkpoints from outside the store, and the public keys to verify them. */
export interface Evidence {
  readonly checkpoints: readonly Checkpoint[];
  /** The known public keys. Without keys, signatures are not checked. */
  readonly keys: PublicKeys;
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
  /** The number of good records. If there is a problem, only the records before it are counted. */
  readonly records: number;
  /** The number of checkpoints that are signed by a known key and agree with the chain. */
  readonly checkpoints: number;
  readonly problem?: Problem;
  /** The first record that was verified. */
  readonly from: number;
  /** The last record that a checkpoint covers. After it, an edit with recomputed hashes would not be noticed. */
  readonly sealed?: { readonly sequence: number; readonly time: string };
  /** Whether checkpoints prove that retention pruned the records before `from`. Absent if none were pruned. */
  readonly cutProved?: boolean;
  /** The number of checkpoints that prove lost records. A person has accepted the loss of these records. */
  readonly accepted: number;
  /** The number of checkpoints for which no public key is available. */
  readonly unchecked: number;
}

/** Verifies the chain against the evidence. Works without a running service. */
export async function verifyWithEvidence(input: VerifyInput): Promise<VerifyReport> {
  const { base, evidence = { checkpoints: [], keys: new Map() } } = input;
  const walkResult = await walkWithEvidence(input, evidence);
  const classified = classifyCheckpoints(evidence, base, walkResult);
  const { states, agreeing, accepted } = classified;
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
    ...(base.sequence === 0 ? {} : { cutProved: isPruneProved(input, walkResult, classified) }),
    ...(sealed === undefined ? {} : { sealed: { sequence: sealed.sequence, time: sealed.time } }),
  };
  const checkpoints = agreeing.length;
  if (problem === undefined)
    return { ok: true, records: walkResult.end - base.sequence, checkpoints, ...common };
  const before = agreeing.filter(({ sequence }) => sequence < problem.sequence);
  const after = Math.max(0, ...before.map(({ sequence }) => sequence));
  return {
    ok: false,
    // A forged checkpoint may have a sequence far beyond the end of the chain.
    records: Math.max(0, Math.min(problem.sequence - 1, walkResult.end) - base.sequence),
    checkpoints,
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
  /** The sequence of the first record that announces the pruning up to the base. */
  readonly pruneEntryAt: number | undefined;
  /** Whether a checkpoint agrees with the base or with one of the records that fit into the chain. */
  readonly isConsistent: (checkpoint: Checkpoint) => boolean;
}

async function walkWithEvidence(
  { records, base, head }: VerifyInput,
  { checkpoints }: Evidence,
): Promise<EvidenceWalk> {
  const signedSequences = new Set(checkpoints.map(({ sequence }) => sequence));
  const seen = new Map([[base.sequence, base.hash]]);
  let end = base.sequence;
  let pruneEntryAt: number | undefined;
  const walkResult = await walk(records, {
    after: base,
    ...(head === undefined || head.sequence <= base.sequence ? {} : { until: head }),
    onRecord({ sequence, hash, fields }) {
      end = sequence;
      if (base.sequence > 0 && isPruneEntry(fields, base)) pruneEntryAt ??= sequence;
      if (signedSequences.has(sequence)) seen.set(sequence, hash);
    },
  });
  return {
    ...walkResult,
    end,
    pruneEntryAt,
    isConsistent: ({ sequence, hash }) => seen.get(sequence) === hash,
  };
}

interface ClassifiedCheckpoints {
  readonly states: ReadonlyMap<Checkpoint, ReturnType<typeof signatureOf>>;
  /** Checkpoints with a valid signature of a known key. */
  readonly trusted: readonly Checkpoint[];
  /** Trusted checkpoints that agree with the chain. */
  readonly agreeing: readonly Checkpoint[];
  /** Trusted checkpoints that prove lost records. A person has accepted the loss of these records. */
  readonly accepted: readonly Checkpoint[];
}

function classifyCheckpoints(
  { checkpoints, keys }: Evidence,
  base: Head,
  { isConsistent }: EvidenceWalk,
): ClassifiedCheckpoints {
  const states = new Map(
    checkpoints.map((checkpoint) => [
      checkpoint,
      keys.size === 0 ? 'unknown' : signatureOf(checkpoint, keys),
    ]),
  );
  const trusted = checkpoints.filter((checkpoint) => states.get(checkpoint) === 'good');
  const acceptances = trusted.filter(
    (checkpoint) => isConsistent(checkpoint) || checkpoint.sequence < base.sequence,
  );
  const accepted = trusted.filter(
    (checkpoint) => !isConsistent(checkpoint) && isAccepted(checkpoint, acceptances),
  );
  return { states, trusted, agreeing: trusted.filter(isConsistent), accepted };
}

function problemsOf(
  { base, beyondHead, isPartial, evidence }: VerifyInput,
  { chain, columnMismatch, end, pruneEntryAt, isConsistent }: EvidenceWalk,
  { states, trusted, agreeing, accepted }: ClassifiedCheckpoints,
): readonly Problem[] {
  const problems: Problem[] = [];
  if (chain.kind !== 'intact') problems.push({ kind: chain.kind, sequence: chain.sequence });
  for (const [checkpoint, state] of states) {
    const { sequence } = checkpoint;
    // Without any key, only contradictions are problems. With keys, a checkpoint that no key verifies is also a
    // problem: it is forged, or its key is unknown.
    if (state !== 'good' && evidence?.keys.size) {
      const unknownKey = state === 'unknown' && isConsistent(checkpoint);
      problems.push({ kind: 'checkpoint', sequence, ...(unknownKey && { unknownKey: true }) });
    } else if (sequence < base.sequence || isConsistent(checkpoint) || accepted.includes(checkpoint))
      continue;
    else if (sequence <= end) problems.push({ kind: 'checkpoint', sequence });
    else if (chain.kind === 'intact') problems.push({ kind: 'truncated', sequence: end + 1 });
  }
  if (base.sequence > 0 && !isPartial) {
    // Records are pruned only up to a checkpoint. If older checkpoints are available, the checkpoint of the base must
    // be available too.
    const isSealed = agreeing.some(({ sequence }) => sequence === base.sequence);
    const isUnsealed = !isSealed && trusted.some(({ sequence }) => sequence < base.sequence);
    // The chain must contain a record that announces the pruning.
    const isUnrecorded = pruneEntryAt === undefined && chain.kind === 'intact';
    if (isUnsealed || isUnrecorded) problems.push({ kind: 'deleted', sequence: 1 });
  }
  if (beyondHead !== undefined && chain.kind === 'intact')
    problems.push({ kind: 'edited', sequence: beyondHead });
  if (problems.length === 0 && columnMismatch !== undefined)
    problems.push({ kind: 'edited', sequence: columnMismatch });
  return problems;
}

/** Whether checkpoints cover both the base and the record that announces the pruning. */
function isPruneProved(
  { base, isPartial }: VerifyInput,
  { pruneEntryAt }: EvidenceWalk,
  { agreeing }: ClassifiedCheckpoints,
): boolean {
  const isRecorded =
    isPartial || agreeing.some(({ sequence }) => sequence >= (pruneEntryAt ?? Number.POSITIVE_INFINITY));
  return isRecorded && agreeing.some(({ sequence }) => sequence === base.sequence);
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
