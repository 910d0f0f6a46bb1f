import type { Head } from '../chain.ts';
import type { ChainState } from '../verify/diagnose.ts';
import { verify } from '../verify/verify.ts';
import { type MovableAudit, nextRecord } from './movable-audit.ts';

export type MoveResult =
  | { readonly kind: 'moved'; readonly records: number; readonly head: Head; readonly resumed: boolean }
  | { readonly kind: 'refused'; readonly reason: string };

export interface MoveOptions {
  /** Reports progress, first of copying and then of verifying. */
  readonly onProgress?: (done: number, total: number, what: 'copied' | 'verified') => void;
  readonly signal?: AbortSignal;
}

/** The number of records that one transaction imports. */
const BATCH = 500;

/**
 * Moves an audit log into an empty store. Records keep their text and hash, so the chain and its checkpoints stay
 * valid. The source is not changed. Until all records are copied and verified, the target is marked as incomplete and
 * accepts no other writes. If a move was interrupted, another call continues it.
 * @throws AppError AUDIT_UNAVAILABLE
 */
export async function moveAudit(
  source: MovableAudit,
  target: MovableAudit,
  options: MoveOptions = {},
): Promise<MoveResult> {
  const until = await source.head();
  const refusedReason = await refusalReason(source, target);
  if (refusedReason !== undefined) return { kind: 'refused', reason: refusedReason };
  const base = await source.base();
  const resumed = (await target.moveSource()) !== undefined;
  if (!resumed) await target.setMoveSource(source.address);
  const targetHead = await target.head();
  if (targetHead.sequence === 0) {
    // Import the retained copies before setting the base. If the base is already set, a move that continues after an
    // interruption skips the import.
    for await (const part of batches(source.retainedRecords())) await target.importRetained(part);
    await target.importRecords([], base);
  }
  const records = until.sequence - base.sequence;
  const brokenSequence = await copy(source, target, { base, until, records }, options);
  if ((await source.countWriters()) > 0 || (await source.head()).hash !== until.hash)
    return {
      kind: 'refused',
      reason: `something was written to ${source.address} meanwhile: ${STOP_AND_RETRY}`,
    };
  if (brokenSequence !== undefined)
    return { kind: 'refused', reason: brokenSourceReason(source, `at record ${brokenSequence}`) };
  const proof = await verify(withProgress(target, base, records, options), { after: base, until });
  if (proof.kind !== 'intact') {
    // The verification of the target has failed. Verify the source too, to find out which of the two stores is damaged.
    // Records that an earlier, interrupted move copied may have been altered in the target.
    const sourceState = await verify(source.storedRecords(base.sequence + 1), { after: base, until });
    const reason =
      sourceState.kind === 'intact'
        ? alteredTargetReason(target, proof)
        : brokenSourceReason(source, describeBreak(sourceState));
    return { kind: 'refused', reason };
  }
  await target.setMoveSource(undefined);
  return { kind: 'moved', records: proof.records, head: proof.head, resumed };
}

const STOP_AND_RETRY = 'stop every process that uses it, then run this again';

function brokenSourceReason({ address }: MovableAudit, where: string): string {
  return `the chain of ${address} is broken (${where}), so it cannot be moved: check it with \`secretbridge audit verify --audit\``;
}

function alteredTargetReason({ address }: MovableAudit, proof: Broken): string {
  return `records that were moved into ${address} were altered there (${describeBreak(proof)}): start with an empty store`;
}

type Broken = Exclude<ChainState, { kind: 'intact' }>;

function describeBreak({ kind, sequence }: Broken): string {
  return `${kind} at record ${sequence}`;
}

async function refusalReason(source: MovableAudit, target: MovableAudit): Promise<string | undefined> {
  if ((await source.moveSource()) !== undefined) return `the move into ${source.address} is not finished`;
  if ((await source.countWriters()) > 0) return `a process writes to ${source.address}: ${STOP_AND_RETRY}`;
  if ((await target.countWriters()) > 0) return `a process writes to ${target.address}: ${STOP_AND_RETRY}`;
  const moving = await target.moveSource();
  const { sequence, hash } = await target.head();
  if (moving === undefined)
    return sequence === 0 ? undefined : `${target.address} is not empty: it ends with record ${sequence}`;
  if (sequence === 0) return undefined;
  // A target with records must contain the beginning of the source's chain.
  const bases = { target: await target.base(), source: await source.base() };
  const sourceHead = sequence === bases.source.sequence ? bases.source : await source.get(sequence);
  return sourceHead?.hash === hash && bases.target.hash === bases.source.hash
    ? undefined
    : `${target.address} holds a part of another log: start with an empty store`;
}

interface Extent {
  readonly base: Head;
  readonly until: Head;
  readonly records: number;
}

/**
 * Copies the records. If a record of the source does not follow the previous one, stops and returns the sequence of
 * this record.
 */
async function copy(
  source: MovableAudit,
  target: MovableAudit,
  { base, until, records }: Extent,
  { onProgress, signal }: MoveOptions,
): Promise<number | undefined> {
  let head = await target.head();
  for await (const part of batches(source.storedRecords(head.sequence + 1))) {
    signal?.throwIfAborted();
    const batch = part.slice(0, until.sequence - head.sequence);
    if (batch.length === 0) return undefined;
    let last = head;
    for (const stored of batch) {
      const next = nextRecord(stored, last);
      if (next === undefined) return last.sequence + 1;
      last = next;
    }
    await target.importRecords(batch, head);
    head = { sequence: last.sequence, hash: last.hash };
    onProgress?.(head.sequence - base.sequence, records, 'copied');
  }
  return undefined;
}

async function* withProgress(
  target: MovableAudit,
  { sequence }: Head,
  records: number,
  { onProgress, signal }: MoveOptions,
): ReturnType<MovableAudit['storedRecords']> {
  let done = 0;
  for await (const stored of target.storedRecords(sequence + 1)) {
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
