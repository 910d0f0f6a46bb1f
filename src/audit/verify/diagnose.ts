import { parseAny } from '../../core/json.ts';
import { canonical } from '../canonical.ts';
import { canonicalOrNothing, type Head, hashOf, type StoredRecord } from '../chain.ts';

export type ProblemKind = 'edited' | 'deleted' | 'inserted' | 'reordered' | 'truncated';

/** `sequence` is that of the first bad record. */
export type ChainState =
  | { readonly kind: 'intact'; readonly records: number; readonly head: Head }
  | { readonly kind: ProblemKind; readonly sequence: number };

/** A record seen as a link: what it claims, and whether its hash agrees. */
export interface Link {
  readonly sequence: number;
  readonly previousHash: string;
  readonly hash: string;
  readonly instance: unknown;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly sound: boolean;
  /** Whether what a store keeps beside it, to search by, says the same. */
  readonly indexed: boolean;
}

/** How far a record may have been renumbered and still be recognised by its hash. */
const RENUMBERED = 100;

export interface Break {
  readonly head: Head;
  /** The record before; undefined when the very first does not fit. */
  readonly last: Link | undefined;
  readonly link: Link;
  readonly links: AsyncGenerator<Link>;
  readonly until: Head | undefined;
}

/** What was done at the first record that does not fit, as far as the records alone can tell. */
export async function diagnose({ head, last, link, links, until }: Break): Promise<ChainState> {
  const expected = head.sequence + 1;
  const at = (kind: ProblemKind, sequence = expected): ChainState => ({ kind, sequence });
  const number = link.sound ? link.sequence : numberWhenHashed(link, expected);
  if (number !== undefined && number < expected) return at('inserted', number);

  const rest = await lookThrough(links, head, link);
  if (number === undefined) {
    // Its content was changed, or it never was a record.
    if (rest.next !== undefined && follows(rest.next, head)) return at('inserted');
    if (!(link.sequence > expected) || rest.next?.sequence === expected + 1) return at('edited');
    return at(rest.expected ? 'reordered' : 'deleted');
  }
  if (number > expected) {
    if (rest.copy) return at('inserted');
    if (!rest.expected) return at('deleted');
    return at(rest.neighbour ? 'reordered' : 'inserted');
  }
  if (!link.sound) return at('edited'); // its number, and nothing else

  // A sound record with the right number that names another predecessor.
  if (rest.next !== undefined && follows(rest.next, head)) return at('inserted');
  if (last === undefined) return at('edited');
  const itself = rest.next === undefined ? until !== undefined && until.hash !== link.hash : !rest.successor;
  if (itself) return at('edited');
  // What comes after agrees with it, so the record before was replaced together with its hash; or the records
  // from here on come from another chain, which shows when that is another instance's.
  return last.instance === link.instance ? at('edited', last.sequence) : at('inserted');
}

interface Rest {
  readonly next: Link | undefined;
  /** The record that should have been here comes later. */
  readonly expected: boolean;
  /** The same record comes again. */
  readonly copy: boolean;
  /** The one directly after names this one as its predecessor. */
  readonly successor: boolean;
  /** The record's own predecessor or successor comes later: it belongs to this chain. */
  readonly neighbour: boolean;
}

async function lookThrough(links: AsyncGenerator<Link>, head: Head, link: Link): Promise<Rest> {
  let next: Link | undefined;
  const found = { expected: false, copy: false, neighbour: false };
  for await (const other of links) {
    next ??= other;
    if (other.previousHash === head.hash) found.expected = true;
    if (other.hash === link.hash) found.copy = true;
    if (other.hash === link.previousHash || other.previousHash === link.hash) found.neighbour = true;
  }
  return { ...found, next, successor: next?.previousHash === link.hash };
}

export function follows(link: Link, head: Head): boolean {
  return link.sound && link.sequence === head.sequence + 1 && link.previousHash === head.hash;
}

/** The number with which the record's hash was made, if only its number was changed since. */
function numberWhenHashed({ fields, hash }: Link, around: number): number | undefined {
  if (canonicalOrNothing(fields) === '') return undefined;
  for (let distance = 0; distance <= RENUMBERED; distance += 1) {
    for (const sequence of [around - distance, around + distance]) {
      if (hashOf(canonical({ ...fields, sequence })) === hash) return sequence;
    }
  }
  return undefined;
}

export async function* linksOf(
  records: AsyncIterable<StoredRecord> | Iterable<StoredRecord>,
): AsyncGenerator<Link, void, undefined> {
  for await (const { text, hash, indexed } of records) {
    const fields = fieldsOf(text);
    const { sequence, previousHash, instance } = fields;
    yield {
      sequence: typeof sequence === 'number' ? sequence : Number.NaN,
      previousHash: typeof previousHash === 'string' ? previousHash : '',
      hash,
      instance,
      fields,
      sound: hashOf(text) === hash,
      indexed,
    };
  }
}

function fieldsOf(text: string): Readonly<Record<string, unknown>> {
  const value = parseAny(text);
  return typeof value === 'object' && value !== null ? { ...value } : {};
}
