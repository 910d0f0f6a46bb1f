import { GENESIS, type Head, type StoredRecord } from '../chain.ts';
import type { Checkpoint } from '../checkpoint/checkpoint.ts';
import { isAccepted } from '../checkpoint/order.ts';
import { type PublicKeys, signatureOf } from '../checkpoint/signing.ts';
import { isPruneEntry } from '../retention/prune-entry.ts';
import type { AuditStore } from '../store.ts';
import { type ChainState, diagnose, follows, type Link, linksOf, type ProblemKind } from './diagnose.ts';

export interface VerifyOptions {
  /** The record that the first one must follow. Default: the start of the chain. */
  readonly after?: Head;
  /** A head that was noted elsewhere. The chain must reach it. */
  readonly until?: Head;
  /** Called for each record that fits, in order. */
  readonly onRecord?: (record: Link) => void;
}

/**
 * Verifies the chain in one pass with constant memory. At the first record that does not fit, tells what happened, as
 * far as the records show. An attacker who recomputes every hash up to the end leaves an intact chain. Only a head
 * noted elsewhere (`until`, a signed checkpoint) reveals that.
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
   * because they cause such mismatches in other records too.
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

/** Checkpoints from outside the store and the keys to verify them. */
export interface Evidence {
  readonly checkpoints: readonly Checkpoint[];
  /** Without keys, signatures are not checked and nothing is proved. Contradictions are reported nevertheless. */
  readonly keys: PublicKeys;
}

export interface VerifyInput {
  readonly records: AsyncIterable<StoredRecord> | Iterable<StoredRecord>;
  /** The record that the first one must follow. */
  readonly base: Head;
  /** The head as stored separately from the records. */
  readonly head?: Head | undefined;
  /** The first stored record after the noted head. No query finds it. */
  readonly beyondHead?: number | undefined;
  readonly evidence?: Evidence | undefined;
  /** Earlier records exist elsewhere and were not pruned: part of an export. */
  readonly isPartial?: boolean;
}

export interface Problem {
  readonly kind: ProblemKind | 'checkpoint';
  /** The first bad record. For a contradicting checkpoint, its own sequence: the first bad record is not after it. */
  readonly sequence: number;
  /** The last record that an earlier checkpoint confirms. The first bad record is after it. */
  readonly after?: number;
  /** Nothing contradicts, but a checkpoint that fits the chain is signed by an unknown key. */
  readonly unknownKey?: true;
}

/** The output of `audit verify`. */
export interface VerifyReport {
  readonly ok: boolean;
  /** The number of good records: all of them, or those before the problem. */
  readonly records: number;
  /** The number of checkpoints that are signed by a known key and agree with the chain. */
  readonly checkpoints: number;
  readonly problem?: Problem;
  /** The first record that was verified. */
  readonly from: number;
  /** The last record that a checkpoint covers. An edit after it with recomputed hashes would not be noticed. */
  readonly sealed?: { readonly sequence: number; readonly time: string };
  /** Whether checkpoints prove the pruning before `from`. Absent if nothing was pruned. */
  readonly cutProved?: boolean;
  /** Checkpoints whose loss a person accepted. */
  readonly accepted: number;
  /** Checkpoints without a key to verify them. */
  readonly unchecked: number;
}

/** Verifies the chain against the evidence. Needs no running service. */
export async function verifyWithEvidence(input: VerifyInput): Promise<VerifyReport> {
  const { base, evidence = { checkpoints: [], keys: new Map() } } = input;
  const walkResult = await walkWithEvidence(input, evidence);
  const classified = classifyCheckpoints(evidence, base, walkResult);
  const { states, agreeing, accepted } = classified;
  // The first problem counts. At the same record, problems of the chain come first.
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
    // A forged checkpoint may claim a sequence far after the end.
    records: Math.max(0, Math.min(problem.sequence - 1, walkResult.end) - base.sequence),
    checkpoints,
    problem: {
      kind: problem.kind,
      sequence: problem.sequence,
      ...(problem.kind === 'checkpoint' && { after }),
      // Next to other problems, an unknown key may be part of the attack.
      ...(problems.every(({ unknownKey }) => unknownKey) && { unknownKey: true as const }),
    },
    ...common,
  };
}

interface EvidenceWalk extends Walk {
  /** The last record that fits. */
  readonly end: number;
  /** The first record that announces the pruning up to the base. */
  readonly pruneEntryAt: number | undefined;
  /** Whether a checkpoint agrees with the base or with a record that fits. */
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
  /** Signed by a known key. */
  readonly trusted: readonly Checkpoint[];
  /** The trusted ones that agree with the chain. */
  readonly agreeing: readonly Checkpoint[];
  /** The trusted ones that disagree, with the acceptance of a person. */
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
    // Without any key, only contradictions count. With keys, a checkpoint that no key verifies is forged or has an
    // unknown key.
    if (state !== 'good' && evidence?.keys.size) {
      const unknownKey = state === 'unknown' && isConsistent(checkpoint);
      problems.push({ kind: 'checkpoint', sequence, ...(unknownKey && { unknownKey: true }) });
    } else if (sequence < base.sequence || isConsistent(checkpoint) || accepted.includes(checkpoint))
      continue;
    else if (sequence <= end) problems.push({ kind: 'checkpoint', sequence });
    else if (chain.kind === 'intact') problems.push({ kind: 'truncated', sequence: end + 1 });
  }
  if (base.sequence > 0 && !isPartial) {
    // Records are pruned only at a checkpoint. If older checkpoints are available, that one must be too.
    const isSealed = agreeing.some(({ sequence }) => sequence === base.sequence);
    const isUnsealed = !isSealed && trusted.some(({ sequence }) => sequence < base.sequence);
    // The chain must announce the pruning before it happens.
    const isUnrecorded = pruneEntryAt === undefined && chain.kind === 'intact';
    if (isUnsealed || isUnrecorded) problems.push({ kind: 'deleted', sequence: 1 });
  }
  if (beyondHead !== undefined && chain.kind === 'intact')
    problems.push({ kind: 'edited', sequence: beyondHead });
  if (problems.length === 0 && columnMismatch !== undefined)
    problems.push({ kind: 'edited', sequence: columnMismatch });
  return problems;
}

/** Whether one checkpoint covers the base and another one covers the record that announces the pruning. */
function isPruneProved(
  { base, isPartial }: VerifyInput,
  { pruneEntryAt }: EvidenceWalk,
  { agreeing }: ClassifiedCheckpoints,
): boolean {
  const isRecorded =
    isPartial || agreeing.some(({ sequence }) => sequence >= (pruneEntryAt ?? Number.POSITIVE_INFINITY));
  return isRecorded && agreeing.some(({ sequence }) => sequence === base.sequence);
}

/** Reads from a store what `verifyWithEvidence` needs, except the evidence. */
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
  // A record that was appended meanwhile moved the head too.
  for await (const _ of store.storedRecords(next))
    return (await store.head()).sequence < next ? next : undefined;
  return undefined;
}
