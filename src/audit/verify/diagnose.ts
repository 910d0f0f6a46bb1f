import { parseAny } from '../../core/json.ts';
import { canonical, canonicalOrEmpty, type Head, hashOf, type StoredRecord } from '../chain.ts';

export type ProblemKind = 'edited' | 'deleted' | 'inserted' | 'reordered' | 'truncated';

/** `sequence` is the position of the first bad record. For an inserted record, it is the place of this record. */
export type ChainState =
  | { readonly kind: 'intact'; readonly records: number; readonly head: Head }
  | { readonly kind: ProblemKind; readonly sequence: number };

/** What a record says about its place in the chain, and whether its hash matches its content. */
export interface Link {
  readonly sequence: number;
  readonly previousHash: string;
  readonly hash: string;
  readonly instance: unknown;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly hashMatches: boolean;
  /** Whether the search columns and tables agree with the text. */
  readonly columnsMatch: boolean;
}

/**
 * How far a changed sequence number may be from the original one. Within this distance, the original number is found by
 * trying out hashes.
 */
const MAX_RENUMBERING = 100;

export interface ChainBreak {
  readonly head: Head;
  /** The previous record. Undefined if the very first record does not fit. */
  readonly last: Link | undefined;
  readonly link: Link;
  readonly links: AsyncGenerator<Link>;
  readonly until: Head | undefined;
}

/**
 * Determines what happened at the first record that does not fit into the chain, from this record and those around it.
 */
export async function diagnose({ head, last, link, links, until }: ChainBreak): Promise<ChainState> {
  const expected = head.sequence + 1;
  const problem = (kind: ProblemKind, sequence = expected): ChainState => ({ kind, sequence });
  const claimedSequence = link.hashMatches ? link.sequence : originalSequence(link, expected);
  const rest = await scanRest(links, head, link);
  if (claimedSequence !== undefined && claimedSequence < expected) {
    // Either a copy of an earlier record is here, or forged records took the place of this record and its successors.
    const isReplaced = claimedSequence === last?.sequence && link.previousHash === last.previousHash;
    const isOriginal = rest.successor && rest.next?.sequence === claimedSequence + 1;
    // The next record, or the head at the end, names the previous record as the genuine one.
    const isLastNamed = (rest.next === undefined ? until?.hash : rest.next.previousHash) === head.hash;
    const isCopy = link.hash === last?.hash || isLastNamed;
    return problem('inserted', !isCopy && (isReplaced || isOriginal) ? claimedSequence : expected);
  }

  if (claimedSequence === undefined) {
    // The content of the record was changed, or the line was never a record.
    if (rest.next !== undefined && follows(rest.next, head)) return problem('inserted');
    if (!(link.sequence > expected) || rest.next?.sequence === expected + 1) return problem('edited');
    return problem(rest.expected ? 'reordered' : 'deleted');
  }
  if (claimedSequence > expected) {
    if (rest.copy) return problem('inserted');
    if (!rest.expected) return problem('deleted');
    return problem(rest.neighbour ? 'reordered' : 'inserted');
  }
  if (!link.hashMatches) return problem('edited'); // Only the sequence was edited.

  // The record is intact and has the right sequence, but it does not refer to the previous record as its predecessor.
  if (rest.next !== undefined && follows(rest.next, head)) return problem('inserted');
  if (last === undefined) return problem('edited');
  if (link.previousHash === last.previousHash) {
    // Both records name the same predecessor, so one of them was inserted. If the next record names the hash that this
    // one had with the previous number, this one was only renumbered.
    const hashBefore = hashOf(canonical({ ...link.fields, sequence: last.sequence }));
    const isRenumbered = hashBefore !== head.hash && rest.next?.previousHash === hashBefore;
    return problem('inserted', isRenumbered ? last.sequence : expected);
  }
  const isEdited =
    rest.next === undefined ? until !== undefined && until.hash !== link.hash : !rest.successor;
  if (isEdited) return problem('edited');
  // The following records agree with this one. Either the previous record was replaced together with its hash, or the
  // records from here on come from another chain. A different instance name indicates another chain.
  return last.instance === link.instance ? problem('edited', last.sequence) : problem('inserted');
}

interface RestOfChain {
  readonly next: Link | undefined;
  /** Whether the record that belongs here comes later. */
  readonly expected: boolean;
  /** Whether a copy of this record comes later. */
  readonly copy: boolean;
  /** Whether the next record refers to this one as its predecessor. */
  readonly successor: boolean;
  /** Whether the predecessor or the successor of this record comes later. If so, the record belongs to this chain. */
  readonly neighbour: boolean;
}

async function scanRest(links: AsyncGenerator<Link>, head: Head, link: Link): Promise<RestOfChain> {
  let next: Link | undefined;
  const flags = { expected: false, copy: false, neighbour: false };
  for await (const other of links) {
    next ??= other;
    if (other.previousHash === head.hash) flags.expected = true;
    if (other.hash === link.hash) flags.copy = true;
    if (other.hash === link.previousHash || other.previousHash === link.hash) flags.neighbour = true;
  }
  return { ...flags, next, successor: next?.previousHash === link.hash };
}

export function follows(link: Link, head: Head): boolean {
  return link.hashMatches && link.sequence === head.sequence + 1 && link.previousHash === head.hash;
}

/**
 * Returns the sequence with which the hash of a record was computed. Returns undefined if more than the sequence was
 * changed.
 */
function originalSequence({ fields, hash }: Link, around: number): number | undefined {
  if (canonicalOrEmpty(fields) === '') return undefined;
  for (let distance = 0; distance <= MAX_RENUMBERING; distance += 1) {
    for (const sequence of [around - distance, around + distance]) {
      if (hashOf(canonical({ ...fields, sequence })) === hash) return sequence;
    }
  }
  return undefined;
}

export async function* linksOf(
  records: AsyncIterable<StoredRecord> | Iterable<StoredRecord>,
): AsyncGenerator<Link, void, undefined> {
  for await (const { text, hash, columnsMatch } of records) {
    const fields = fieldsOf(text);
    const { sequence, previousHash, instance } = fields;
    yield {
      sequence: typeof sequence === 'number' ? sequence : Number.NaN,
      previousHash: typeof previousHash === 'string' ? previousHash : '',
      hash,
      instance,
      fields,
      hashMatches: hashOf(text) === hash,
      columnsMatch,
    };
  }
}

function fieldsOf(text: string): Readonly<Record<string, unknown>> {
  const value = parseAny(text);
  return typeof value === 'object' && value !== null ? { ...value } : {};
}
