import { GENESIS, type Head, type StoredRecord } from '../chain.ts';
import type { Checkpoint } from '../checkpoint/checkpoint.ts';
import { isAccepted } from '../checkpoint/order.ts';
import { type PublicKeys, signatureOf } from '../checkpoint/signing.ts';
import { saysOfCut } from '../retention/cut.ts';
import type { AuditStore } from '../store.ts';
import { type ChainState, diagnose, follows, type Link, linksOf, type ProblemKind } from './diagnose.ts';

export interface VerifyOptions {
  /** What the first record must follow; left out: the beginning of the chain. */
  readonly after?: Head;
  /** The head as noted elsewhere; the chain must reach it. */
  readonly until?: Head;
  /** Called for each record that fits, in order. */
  readonly onRecord?: (record: Link) => void;
}

/**
 * Walks the chain once, in the order given, with constant memory. At the first record that does not fit it
 * tells what was done, as far as the records alone can tell. Whoever recomputes every hash from some record to
 * the end leaves a sound chain: only a head noted elsewhere (`until`, a signed checkpoint) shows that.
 */
export async function verify(
  records: AsyncIterable<StoredRecord> | Iterable<StoredRecord>,
  options: VerifyOptions = {},
): Promise<ChainState> {
  const { chain, misleading } = await walk(records, options);
  return chain.kind === 'intact' && misleading !== undefined
    ? { kind: 'edited', sequence: misleading }
    : chain;
}

interface Walk {
  readonly chain: ChainState;
  /**
   * The first record beside which something else is noted to search by. It comes after the chain itself, since that
   * also names records that come later, and is wrong where those were touched.
   */
  readonly misleading: number | undefined;
}

async function walk(
  records: AsyncIterable<StoredRecord> | Iterable<StoredRecord>,
  { after = GENESIS, until, onRecord }: VerifyOptions,
): Promise<Walk> {
  const links = linksOf(records);
  let head = after;
  let last: Link | undefined;
  let count = 0;
  let misleading: number | undefined;
  for await (const link of links) {
    if (!follows(link, head))
      return { chain: await diagnose({ head, last, link, links, until }), misleading };
    if (!link.indexed) misleading ??= link.sequence;
    if (link.sequence === until?.sequence && link.hash !== until.hash) {
      const next = (await links.next()).value;
      const kind = next !== undefined && follows(next, head) ? 'inserted' : 'edited';
      return { chain: { kind, sequence: link.sequence }, misleading };
    }
    head = link;
    last = link;
    count += 1;
    onRecord?.(link);
  }
  if (until !== undefined && head.sequence < until.sequence) {
    return { chain: { kind: 'truncated', sequence: head.sequence + 1 }, misleading };
  }
  const { sequence, hash } = head;
  return { chain: { kind: 'intact', records: count, head: { sequence, hash } }, misleading };
}

/** What was noted of the chain outside of its store. */
export interface Evidence {
  readonly checkpoints: readonly Checkpoint[];
  /** None: signatures are not checked, and nothing is proved by them; what contradicts is told nevertheless. */
  readonly keys: PublicKeys;
}

export interface ProofInput {
  readonly records: AsyncIterable<StoredRecord> | Iterable<StoredRecord>;
  /** What the first record must follow. */
  readonly base: Head;
  /** As noted beside the records. */
  readonly head?: Head | undefined;
  /** The first record that no question finds, since the head is noted before it. */
  readonly hidden?: number | undefined;
  readonly evidence?: Evidence | undefined;
  /** Records before are somewhere else, and not because they left the store: a part of an export. */
  readonly part?: boolean;
}

export interface Problem {
  readonly kind: ProblemKind | 'checkpoint';
  /** Of the first bad record; of a checkpoint that contradicts, its own: the first bad record is not after it. */
  readonly sequence: number;
  /** The last record that a checkpoint before agrees with: the first bad one is after it. */
  readonly after?: number;
  /** Nothing contradicts: no key that is known has signed a checkpoint that fits the chain. */
  readonly unknownKey?: true;
}

/** What `audit verify` prints. */
export interface Proof {
  readonly ok: boolean;
  /** Good ones; with a problem, those before it. */
  readonly records: number;
  /** Those that are signed by a known key and agree with the chain. */
  readonly checkpoints: number;
  readonly problem?: Problem;
  /** The first record that was there to prove. */
  readonly from: number;
  /** The last record that a checkpoint covers: an edit after it that recomputes the chain would not show. */
  readonly sealed?: { readonly sequence: number; readonly time: string };
  /** Whether a checkpoint proves the record before `from`, where there is one. */
  readonly cutProved?: boolean;
  /** Checkpoints that a person has accepted not to find. */
  readonly accepted: number;
  /** Checkpoints without a key to check them by. */
  readonly unchecked: number;
}

/** The chain, and what was noted of it elsewhere, against each other. Needs no service. */
export async function prove(input: ProofInput): Promise<Proof> {
  const { base, evidence = { checkpoints: [], keys: new Map() } } = input;
  const walked = await walkWhole(input, evidence);
  const weighed = weigh(evidence, base, walked);
  const { states, agreeing, accepted } = weighed;
  // What lies first; at the same record, what the chain itself says.
  const problems = problemsOf(input, walked, weighed).toSorted((a, b) => a.sequence - b.sequence);
  const [problem] = problems;
  const sealed = agreeing.reduce<Checkpoint | undefined>(
    (last, it) => (last === undefined || it.sequence > last.sequence ? it : last),
    undefined,
  );
  const common = {
    from: base.sequence + 1,
    accepted: accepted.length,
    unchecked: [...states.values()].filter((state) => state === 'unknown').length,
    ...(base.sequence === 0 ? {} : { cutProved: isCutProved(input, walked, weighed) }),
    ...(sealed === undefined ? {} : { sealed: { sequence: sealed.sequence, time: sealed.time } }),
  };
  const checkpoints = agreeing.length;
  if (problem === undefined) return { ok: true, records: walked.end - base.sequence, checkpoints, ...common };
  const before = agreeing.filter(({ sequence }) => sequence < problem.sequence);
  const after = Math.max(0, ...before.map(({ sequence }) => sequence));
  return {
    ok: false,
    // Of a checkpoint that is not to be believed, the number may lie far behind the end.
    records: Math.max(0, Math.min(problem.sequence - 1, walked.end) - base.sequence),
    checkpoints,
    problem: {
      kind: problem.kind,
      sequence: problem.sequence,
      ...(problem.kind === 'checkpoint' && { after }),
      // Beside anything else, it may be part of what was done.
      ...(problems.every(({ unknownKey }) => unknownKey) && { unknownKey: true as const }),
    },
    ...common,
  };
}

interface WholeWalk extends Walk {
  /** The last record that fits. */
  readonly end: number;
  /** The first record that says what left up to the base. */
  readonly cutAt: number | undefined;
  /** Whether a checkpoint is of the base, or of a record that fits, as it is there. */
  readonly fits: (checkpoint: Checkpoint) => boolean;
}

async function walkWhole({ records, base, head }: ProofInput, { checkpoints }: Evidence): Promise<WholeWalk> {
  const wanted = new Set(checkpoints.map(({ sequence }) => sequence));
  const seen = new Map([[base.sequence, base.hash]]);
  let end = base.sequence;
  let cutAt: number | undefined;
  const walked = await walk(records, {
    after: base,
    ...(head === undefined || head.sequence <= base.sequence ? {} : { until: head }),
    onRecord({ sequence, hash, fields }) {
      end = sequence;
      if (base.sequence > 0 && saysOfCut(fields, base)) cutAt ??= sequence;
      if (wanted.has(sequence)) seen.set(sequence, hash);
    },
  });
  return { ...walked, end, cutAt, fits: ({ sequence, hash }) => seen.get(sequence) === hash };
}

interface Weighed {
  readonly states: ReadonlyMap<Checkpoint, ReturnType<typeof signatureOf>>;
  /** Signed by a known key. */
  readonly trusted: readonly Checkpoint[];
  /** Those of them that agree with the chain. */
  readonly agreeing: readonly Checkpoint[];
  /** Those of them that do not, as a person has accepted. */
  readonly accepted: readonly Checkpoint[];
}

function weigh({ checkpoints, keys }: Evidence, base: Head, { fits }: WholeWalk): Weighed {
  const states = new Map(checkpoints.map((it) => [it, keys.size === 0 ? 'unknown' : signatureOf(it, keys)]));
  const trusted = checkpoints.filter((it) => states.get(it) === 'good');
  const accepting = trusted.filter((it) => fits(it) || it.sequence < base.sequence);
  const accepted = trusted.filter((it) => !fits(it) && isAccepted(it, accepting));
  return { states, trusted, agreeing: trusted.filter(fits), accepted };
}

function problemsOf(
  { base, hidden, part, evidence }: ProofInput,
  { chain, misleading, end, cutAt, fits }: WholeWalk,
  { states, trusted, agreeing, accepted }: Weighed,
): readonly Problem[] {
  const problems: Problem[] = [];
  if (chain.kind !== 'intact') problems.push({ kind: chain.kind, sequence: chain.sequence });
  for (const [checkpoint, state] of states) {
    const { sequence } = checkpoint;
    // Without any key its word is worth little, but not nothing; with keys, one that none of them made is forged.
    if (state !== 'good' && evidence?.keys.size) {
      const unknownKey = state === 'unknown' && fits(checkpoint);
      problems.push({ kind: 'checkpoint', sequence, ...(unknownKey && { unknownKey: true }) });
    } else if (sequence < base.sequence || fits(checkpoint) || accepted.includes(checkpoint)) continue;
    else if (sequence <= end) problems.push({ kind: 'checkpoint', sequence });
    else if (chain.kind === 'intact') problems.push({ kind: 'truncated', sequence: end + 1 });
  }
  if (base.sequence > 0 && !part) {
    // Records leave at a checkpoint only; where older ones are still at hand, so is that one.
    const isSealed = agreeing.some(({ sequence }) => sequence === base.sequence);
    const isUnsealed = !isSealed && trusted.some(({ sequence }) => sequence < base.sequence);
    // And the chain says so before they do.
    const isUntold = cutAt === undefined && chain.kind === 'intact';
    if (isUnsealed || isUntold) problems.push({ kind: 'deleted', sequence: 1 });
  }
  if (hidden !== undefined && chain.kind === 'intact') problems.push({ kind: 'edited', sequence: hidden });
  if (problems.length === 0 && misleading !== undefined)
    problems.push({ kind: 'edited', sequence: misleading });
  return problems;
}

/** Whether a checkpoint is of the base, and one of the record that says of the cut, or of one behind it. */
function isCutProved({ base, part }: ProofInput, { cutAt }: WholeWalk, { agreeing }: Weighed): boolean {
  const isTold = part || agreeing.some(({ sequence }) => sequence >= (cutAt ?? Number.POSITIVE_INFINITY));
  return isTold && agreeing.some(({ sequence }) => sequence === base.sequence);
}

/** What is to be proved of a store, but for what was noted of it outside. */
export async function contentsOf(
  store: Pick<AuditStore, 'stored' | 'head' | 'base'>,
): Promise<Pick<ProofInput, 'base' | 'head' | 'hidden'> & { readonly records: AsyncIterable<StoredRecord> }> {
  const [base, head] = [await store.base(), await store.head()];
  return {
    base,
    head,
    hidden: await firstHidden(store, base, head),
    records: store.stored(base.sequence + 1),
  };
}

async function firstHidden(
  store: Pick<AuditStore, 'stored' | 'head'>,
  base: Head,
  head: Head,
): Promise<number | undefined> {
  const next = Math.max(base.sequence, head.sequence) + 1;
  // One that was appended meanwhile came together with its head.
  for await (const _ of store.stored(next)) return (await store.head()).sequence < next ? next : undefined;
  return undefined;
}

/** Hashing this many takes a few milliseconds. */
const AT_ONCE = 200;

/** Lets everything else run in between. */
export async function* paced(
  records: AsyncIterable<StoredRecord>,
  pause: () => Promise<void>,
): AsyncGenerator<StoredRecord, void, undefined> {
  let count = 0;
  for await (const record of records) {
    yield record;
    count += 1;
    if (count % AT_ONCE === 0) await pause();
  }
}
