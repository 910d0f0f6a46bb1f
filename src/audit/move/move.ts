import type { Head } from '../chain.ts';
import type { ChainState } from '../verify/diagnose.ts';
import { verify } from '../verify/verify.ts';
import { following, type MovableAudit } from './moving.ts';

export type Moved =
  | { readonly kind: 'moved'; readonly records: number; readonly head: Head; readonly resumed: boolean }
  | { readonly kind: 'refused'; readonly reason: string };

export interface MoveOptions {
  /** Called now and then: how far the copying, or the proof after it, went. */
  readonly onProgress?: (done: number, total: number, what: 'copied' | 'verified') => void;
  readonly signal?: AbortSignal;
}

/** How many records are taken over at once: one transaction. */
const BATCH = 500;

/**
 * Moves an audit log into an empty store: record by record as they are, so that the chain, its hashes and its
 * checkpoints stay what they were. The source is only read. Until all is there and proved, the target is marked and
 * nothing else is written to it; whoever stops, or is stopped, half-way runs it again and it goes on.
 * @throws AppError AUDIT_UNAVAILABLE
 */
export async function moveAudit(
  source: MovableAudit,
  target: MovableAudit,
  options: MoveOptions = {},
): Promise<Moved> {
  const until = await source.head();
  const refused = await refusal(source, target);
  if (refused !== undefined) return { kind: 'refused', reason: refused };
  const base = await source.base();
  const resumed = (await target.moving()) !== undefined;
  if (!resumed) await target.setMoving(source.address);
  const begun = await target.head();
  if (begun.sequence === 0) {
    // Before the base, which says that they are there.
    for await (const part of batches(source.kept())) await target.keep(part);
    await target.takeOver([], base);
  }
  const records = until.sequence - base.sequence;
  const broken = await copy(source, target, { base, until, records }, options);
  if ((await source.writers()) > 0 || (await source.head()).hash !== until.hash)
    return { kind: 'refused', reason: `something was written to ${source.address} meanwhile: ${STOP}` };
  if (broken !== undefined) return { kind: 'refused', reason: noChain(source, `at record ${broken}`) };
  const proof = await verify(watched(target, base, records, options), { after: base, until });
  if (proof.kind !== 'intact') {
    // A move that goes on finds records there that were moved before, and maybe altered since.
    const own = await verify(source.stored(base.sequence + 1), { after: base, until });
    const reason = own.kind === 'intact' ? altered(target, proof) : noChain(source, whereOf(own));
    return { kind: 'refused', reason };
  }
  await target.setMoving(undefined);
  return { kind: 'moved', records: proof.records, head: proof.head, resumed };
}

const STOP = 'stop every process that uses it, then run this again';

function noChain({ address }: MovableAudit, where: string): string {
  return `the chain of ${address} does not hold (${where}), and such a one is not carried on: run \`secretbridge audit verify --audit\` of it`;
}

function altered({ address }: MovableAudit, proof: Broken): string {
  return `what was moved into ${address} was altered there (${whereOf(proof)}): begin with an empty store`;
}

type Broken = Exclude<ChainState, { kind: 'intact' }>;

function whereOf({ kind, sequence }: Broken): string {
  return `${kind} at record ${sequence}`;
}

async function refusal(source: MovableAudit, target: MovableAudit): Promise<string | undefined> {
  if ((await source.moving()) !== undefined) return `${source.address} is itself only half moved`;
  if ((await source.writers()) > 0) return `a process writes to ${source.address}: ${STOP}`;
  if ((await target.writers()) > 0) return `a process writes to ${target.address}: ${STOP}`;
  const moving = await target.moving();
  const { sequence, hash } = await target.head();
  if (moving === undefined)
    return sequence === 0 ? undefined : `${target.address} is not empty: it ends with record ${sequence}`;
  if (sequence === 0) return undefined;
  // Half moved: it must be this very chain.
  const same = { target: await target.base(), source: await source.base() };
  const own = sequence === same.source.sequence ? same.source : await source.get(sequence);
  return own?.hash === hash && same.target.hash === same.source.hash
    ? undefined
    : `${target.address} holds a part of another log: begin with an empty store`;
}

interface Extent {
  readonly base: Head;
  readonly until: Head;
  readonly records: number;
}

/** The first record that does not follow the one before, if there is one: that is the source's fault, not the target's. */
async function copy(
  source: MovableAudit,
  target: MovableAudit,
  { base, until, records }: Extent,
  { onProgress, signal }: MoveOptions,
): Promise<number | undefined> {
  let head = await target.head();
  for await (const part of batches(source.stored(head.sequence + 1))) {
    signal?.throwIfAborted();
    const wanted = part.slice(0, until.sequence - head.sequence);
    if (wanted.length === 0) return undefined;
    let last = head;
    for (const stored of wanted) {
      const next = following(stored, last);
      if (next === undefined) return last.sequence + 1;
      last = next;
    }
    await target.takeOver(wanted, head);
    head = { sequence: last.sequence, hash: last.hash };
    onProgress?.(head.sequence - base.sequence, records, 'copied');
  }
  return undefined;
}

async function* watched(
  target: MovableAudit,
  { sequence }: Head,
  records: number,
  { onProgress, signal }: MoveOptions,
): ReturnType<MovableAudit['stored']> {
  let done = 0;
  for await (const stored of target.stored(sequence + 1)) {
    yield stored;
    done += 1;
    if (done % BATCH !== 0 && done !== records) continue;
    signal?.throwIfAborted();
    onProgress?.(done, records, 'verified');
  }
}

async function* batches<T>(items: AsyncIterable<T>): AsyncGenerator<T[]> {
  let batch: T[] = [];
  for await (const item of items) {
    batch.push(item);
    if (batch.length < BATCH) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}
