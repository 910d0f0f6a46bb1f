import { setImmediate as yieldToEventLoop } from 'node:timers/promises';
import type { Clock } from '../../core/clock.ts';
import type { Head, StoredRecord } from '../chain.ts';
import type { Checkpoint } from '../checkpoint/checkpoint.ts';
import type { Checkpointer } from '../checkpoint/checkpointer.ts';
import { containsRecord } from '../checkpoint/compare.ts';
import { signatureOf } from '../checkpoint/signing.ts';
import { type Entry, NO_KEYS } from '../entry.ts';
import type { AuditStore } from '../store.ts';
import { withPauses } from '../verify/chain-watch.ts';
import type { ProblemKind } from '../verify/diagnose.ts';
import type { Evidence } from '../verify/evidence.ts';
import { verify } from '../verify/verify.ts';
import type { Archive, Segment } from './archive.ts';

// Retention prunes old records from the start of the log, in segments that end at a checkpoint. The steps for each
// segment are: verify its chain, archive it, record the pruning, sign the coming base in a checkpoint, prune. Each step is durable before
// the next one starts. After a crash between two steps, the same segment is processed again.

export interface RetentionOptions {
  readonly audit: AuditStore;
  readonly checkpoints: Pick<Checkpointer, 'storeError' | 'writeError' | 'write' | 'evidence'>;
  /**
   * Returns records that replace the pins up to a sequence. A pin is followed only if all records since it are present.
   */
  readonly renewPins?: (until: number) => Promise<readonly Entry[]>;
  /** The minimum age of records to prune, in milliseconds. */
  readonly retentionMs: number;
  /** If set, each segment is archived before it is pruned. */
  readonly archive?: Archive | undefined;
  readonly clock: Clock;
  /** The preferred number of records in a segment. The actual number depends on where checkpoints are. */
  readonly segmentRecords?: number;
}

export interface RunOptions {
  readonly signal?: AbortSignal | undefined;
  /** The maximum number of segments to prune. Default: no limit. */
  readonly maxSegments?: number;
}

export type RetentionResult =
  /** No record is old enough. */
  | { readonly kind: 'nothing' }
  /** Records up to `until` are old enough, but no valid checkpoint is among them. */
  | { readonly kind: 'unsealed'; readonly until: number }
  /** The chain of a segment is broken. The segment is kept for investigation. */
  | { readonly kind: 'brokenChain'; readonly problem: ProblemKind; readonly sequence: number }
  /** The store is not trusted, so nothing is pruned. */
  | { readonly kind: 'suspended' }
  | { readonly kind: 'pruned'; readonly from: number; readonly to: number; readonly segments: number };

export interface Retention {
  /** Prunes old records. Only one process prunes at a time. @throws AppError */
  run(options?: RunOptions): Promise<RetentionResult>;
  /** Deletes the rows of pruned records that remained after a crash. @throws AppError AUDIT_UNAVAILABLE */
  tidy(): Promise<void>;
}

/** Pruning a segment of this size takes about a second, and its file has a few megabytes. */
const SEGMENT_RECORDS = 10_000;

/** Each pruning adds two records and a file, so it happens at most once a day. */
const MIN_INTERVAL_MS = 86_400_000;

const LOCK_NAME = 'retention';

export function createRetention(options: RetentionOptions): Retention {
  const { audit, checkpoints } = options;
  return {
    async run(run = {}) {
      if (checkpoints.storeError() !== undefined) return { kind: 'suspended' };
      if ((await findPrunable(options)) === undefined) return { kind: 'nothing' };
      try {
        return await audit.exclusively(LOCK_NAME, () => pruneSegments(options, run));
      } catch (error) {
        if (!(error instanceof BrokenChainError)) throw error;
        return { kind: 'brokenChain', problem: error.kind, sequence: error.sequence };
      }
    },
    tidy: () =>
      audit.exclusively(LOCK_NAME, async () => {
        const base = await audit.base();
        if (base.sequence > 0) await audit.prune(base);
      }),
  };
}

/**
 * Returns the current base and the sequence of the last record that is old enough. Returns undefined until the
 * first record has been older than the minimum age for a day.
 */
async function findPrunable({
  audit,
  clock,
  retentionMs,
}: RetentionOptions): Promise<{ readonly base: Head; readonly until: number } | undefined> {
  const base = await audit.base();
  const [first] = await audit.list({}, { limit: 1, after: base.sequence });
  const [last] = await audit.list({}, { limit: 1 });
  if (first === undefined || last === undefined) return undefined;
  // If the clock is ahead of the last record, compare with the time of the last record instead. Otherwise all records
  // would look old when the clock has jumped ahead.
  const oldest = Math.min(clock.now(), Date.parse(last.time)) - retentionMs;
  if (Date.parse(first.time) >= oldest - MIN_INTERVAL_MS) return undefined;
  // Stop before the first record that is too young to prune. Older records may follow it if the clock was set back.
  const [firstYoung] = await audit.list(
    { since: new Date(oldest).toISOString() },
    { limit: 1, after: base.sequence },
  );
  const until = firstYoung === undefined ? last.sequence : firstYoung.sequence - 1;
  return until > base.sequence ? { base, until } : undefined;
}

/** Returns the checkpoint at which the next segment ends. */
async function findSeal(
  { audit, archive, segmentRecords = SEGMENT_RECORDS }: RetentionOptions,
  base: Head,
  until: number,
  { keys, checkpoints }: Evidence,
): Promise<Checkpoint | undefined> {
  const isValid = async (seal: Checkpoint): Promise<boolean> =>
    base.sequence < seal.sequence &&
    seal.sequence <= until &&
    signatureOf(seal, keys) === 'good' &&
    (await containsRecord(audit, seal));
  // First finish a segment that is archived but not pruned. A longer segment would overlap with the archived one.
  for (const seal of (await archive?.archivedSeals(base)) ?? []) if (await isValid(seal)) return seal;
  const between = checkpoints
    .filter(({ sequence }) => base.sequence < sequence && sequence <= until)
    .toSorted((a, b) => a.sequence - b.sequence);
  const withinSize = between.filter(({ sequence }) => sequence <= base.sequence + segmentRecords);
  for (const seal of [...withinSize.toReversed(), ...between.slice(withinSize.length)])
    if (await isValid(seal)) return seal;
  return undefined;
}

async function* recordsOf(
  audit: AuditStore,
  { base, seal }: Segment,
  add: (record: StoredRecord) => Promise<void>,
  signal: AbortSignal | undefined,
) {
  const pause = async (): Promise<void> => {
    signal?.throwIfAborted();
    await yieldToEventLoop();
  };
  let remaining = seal.sequence - base.sequence;
  for await (const record of withPauses(audit.storedRecords(base.sequence + 1), pause)) {
    await add(record);
    yield record;
    remaining -= 1;
    if (remaining === 0) return;
  }
}

/**
 * Verifies the chain of a segment, and archives it if there is an archive. Returns the name of the archived file.
 * @throws BrokenChainError
 */
async function archiveSegment(
  { audit, archive }: RetentionOptions,
  segment: Segment,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const fillVerified = async (add: (record: StoredRecord) => Promise<void>): Promise<void> => {
    const { base: after, seal } = segment;
    const chain = await verify(recordsOf(audit, segment, add, signal), { after, until: seal });
    if (chain.kind !== 'intact') throw new BrokenChainError(chain.kind, chain.sequence);
  };
  if (archive !== undefined) return archive.write(segment, fillVerified);
  await fillVerified(async () => undefined);
  return undefined;
}

/**
 * Creates the record that announces the pruning of a segment. It informs people, and proves nothing: the base in the
 * signed checkpoints does (`checkpoint.ts`).
 */
function pruneEntry({ base, seal }: Segment, name: string | undefined, durationMs: number): Entry {
  const first = base.sequence + 1;
  const { sequence: last, hash, time } = seal;
  const location = name === undefined ? '' : `, archived in ${name}`;
  return {
    actor: { kind: 'schedule' },
    requestId: crypto.randomUUID(),
    action: name === undefined ? 'sweep' : 'export',
    outcome: 'ok',
    sources: [],
    keys: NO_KEYS,
    counts: { records: last - base.sequence, first, last },
    note: `retention: pruned records ${first} to ${last}, hash of the last ${hash}, checkpoint of ${time}${location}`,
    durationMs,
    attempt: 1,
  };
}

async function pruneSegment(
  options: RetentionOptions,
  segment: Segment,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { audit, checkpoints, renewPins, clock } = options;
  const startedAt = clock.now();
  const name = await archiveSegment(options, segment, signal);
  signal?.throwIfAborted();
  const { sequence, hash } = segment.seal;
  const pins = (await renewPins?.(sequence)) ?? [];
  await audit.append([...pins, pruneEntry(segment, name, clock.now() - startedAt)]);
  // Sign the coming base before the records are deleted. A cut that no checkpoint signs counts as tampering.
  await checkpoints.write({ sequence, hash });
  const error = checkpoints.storeError() ?? checkpoints.writeError();
  if (error !== undefined) throw error;
  await audit.prune({ sequence, hash });
}

async function pruneSegments(
  options: RetentionOptions,
  { signal, maxSegments = Number.POSITIVE_INFINITY }: RunOptions,
): Promise<RetentionResult> {
  // Check again under the lock, because another process may have pruned meanwhile.
  const prunable = await findPrunable(options);
  if (prunable === undefined) return { kind: 'nothing' };
  const { until } = prunable;
  const evidence = await options.checkpoints.evidence();
  let { base } = prunable;
  let segments = 0;
  for (; segments < maxSegments; segments += 1) {
    signal?.throwIfAborted();
    const seal = await findSeal(options, base, until, evidence);
    if (seal === undefined) break;
    await pruneSegment(options, { base, seal }, signal);
    base = { sequence: seal.sequence, hash: seal.hash };
  }
  const from = prunable.base.sequence + 1;
  return segments === 0 ? { kind: 'unsealed', until } : { kind: 'pruned', from, to: base.sequence, segments };
}

/**
 * The error that stops the writing of an archive because the chain is broken. This error is always caught in this file.
 */
class BrokenChainError extends Error {
  readonly kind: ProblemKind;
  readonly sequence: number;
  constructor(kind: ProblemKind, sequence: number) {
    super('the chain is broken');
    this.kind = kind;
    this.sequence = sequence;
  }
}
