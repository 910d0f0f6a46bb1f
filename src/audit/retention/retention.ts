import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../../core/clock.ts';
import type { Head, StoredRecord } from '../chain.ts';
import type { Checkpoint } from '../checkpoint/checkpoint.ts';
import type { Checkpointer } from '../checkpoint/checkpointer.ts';
import { holds } from '../checkpoint/compare.ts';
import { signatureOf } from '../checkpoint/signing.ts';
import type { AuditStore } from '../store.ts';
import type { ProblemKind } from '../verify/diagnose.ts';
import { type Evidence, paced, verify } from '../verify/verify.ts';
import type { Archive, Segment } from './archive.ts';
import { cutEntry } from './cut.ts';

// Old records leave from the beginning, in segments that end at a checkpoint. Per segment, each step durable before
// the next: its chain is proved, it is in the archive, the chain says that it leaves, that is signed, it leaves. After a
// crash between any two of them the same segment is gone through again.

export interface RetentionOptions {
  readonly audit: AuditStore;
  readonly checkpoints: Pick<Checkpointer, 'trouble' | 'write' | 'evidence'>;
  /** Records that are younger stay. In milliseconds. */
  readonly retentionMs: number;
  /** Nothing leaves that is not in it. */
  readonly archive?: Archive | undefined;
  readonly clock: Clock;
  /** How many records leave together where the checkpoints allow it. */
  readonly segmentRecords?: number;
}

export interface RunOptions {
  readonly signal?: AbortSignal | undefined;
  /** How many segments may leave; all when left out. */
  readonly most?: number;
}

export type Retained =
  /** Nothing is old enough. */
  | { readonly kind: 'nothing' }
  /** Records up to this one are, but no checkpoint that can be read is of one of them. */
  | { readonly kind: 'unsealed'; readonly until: number }
  /** The chain of what would leave does not hold: it stays, for whoever looks into that. */
  | { readonly kind: 'altered'; readonly problem: ProblemKind; readonly sequence: number }
  /** The audit is in doubt: nothing leaves. */
  | { readonly kind: 'doubt' }
  | { readonly kind: 'left'; readonly from: number; readonly to: number; readonly segments: number };

export interface Retention {
  /** By one process at a time. @throws AppError */
  run(options?: RunOptions): Promise<Retained>;
  /** Removes what a crash left of records that are gone. @throws AppError AUDIT_UNAVAILABLE */
  tidy(): Promise<void>;
}

/** A second of work, and a file of some megabytes. */
const SEGMENT = 10_000;

/** A cut is two records and a file: once a day is enough. */
const AT_LEAST_MS = 86_400_000;

const TURN = 'retention';

export function createRetention(options: RetentionOptions): Retention {
  const { audit, checkpoints, archive, clock, retentionMs, segmentRecords = SEGMENT } = options;

  /** The first record that is there, where it is worth looking further, and what is the oldest that stays. */
  async function due(): Promise<{ readonly base: Head; readonly until: number } | undefined> {
    const base = await audit.base();
    const [first] = await audit.list({}, { limit: 1, after: base.sequence });
    const [last] = await audit.list({}, { limit: 1 });
    if (first === undefined || last === undefined) return undefined;
    // A clock that has jumped ahead makes nothing old before it has written something.
    const oldest = Math.min(clock.now(), Date.parse(last.time)) - retentionMs;
    if (Date.parse(first.time) >= oldest - AT_LEAST_MS) return undefined;
    // By their order, since a clock may have been set back: nothing leaves that has a younger one before it.
    const [stays] = await audit.list(
      { since: new Date(oldest).toISOString() },
      { limit: 1, after: base.sequence },
    );
    const until = stays === undefined ? last.sequence : stays.sequence - 1;
    return until > base.sequence ? { base, until } : undefined;
  }

  async function sealOf(base: Head, until: number, { keys, checkpoints }: Evidence) {
    const good = async (seal: Checkpoint): Promise<boolean> =>
      base.sequence < seal.sequence &&
      seal.sequence <= until &&
      signatureOf(seal, keys) === 'good' &&
      (await holds(audit, seal));
    // What a crash has interrupted is ended first, so that archives do not overlap.
    for (const seal of (await archive?.begun(base)) ?? []) if (await good(seal)) return seal;
    const between = checkpoints
      .filter(({ sequence }) => base.sequence < sequence && sequence <= until)
      .toSorted((a, b) => a.sequence - b.sequence);
    const small = between.filter(({ sequence }) => sequence <= base.sequence + segmentRecords);
    for (const seal of [...small.toReversed(), ...between.slice(small.length)])
      if (await good(seal)) return seal;
    return undefined;
  }

  async function* recordsOf(
    { base, seal }: Segment,
    take: (record: StoredRecord) => Promise<void>,
    signal: AbortSignal | undefined,
  ) {
    const pause = async (): Promise<void> => {
      signal?.throwIfAborted();
      await nextTurn();
    };
    let left = seal.sequence - base.sequence;
    for await (const record of paced(audit.stored(base.sequence + 1), pause)) {
      await take(record);
      yield record;
      left -= 1;
      if (left === 0) return;
    }
  }

  /** @returns The name in the archive. @throws Altered */
  async function keep(segment: Segment, signal: AbortSignal | undefined): Promise<string | undefined> {
    const proved = async (take: (record: StoredRecord) => Promise<void>): Promise<void> => {
      const { base: after, seal } = segment;
      const chain = await verify(recordsOf(segment, take, signal), { after, until: seal });
      if (chain.kind !== 'intact') throw new Altered(chain.kind, chain.sequence);
    };
    if (archive !== undefined) return archive.write(segment, proved);
    await proved(async () => undefined);
    return undefined;
  }

  async function cut(segment: Segment, signal: AbortSignal | undefined): Promise<void> {
    const startedAt = clock.now();
    const name = await keep(segment, signal);
    signal?.throwIfAborted();
    await audit.append([cutEntry(segment, name, clock.now() - startedAt)]);
    // That they leave is proved elsewhere before they do.
    await checkpoints.write();
    const doubt = checkpoints.trouble();
    if (doubt !== undefined) throw doubt;
    const { sequence, hash } = segment.seal;
    await audit.prune({ sequence, hash });
  }

  async function cutAll({ signal, most = Number.POSITIVE_INFINITY }: RunOptions): Promise<Retained> {
    // Somebody else may have been faster.
    const now = await due();
    if (now === undefined) return { kind: 'nothing' };
    const { until } = now;
    const evidence = await checkpoints.evidence();
    let { base } = now;
    let segments = 0;
    for (; segments < most; segments += 1) {
      signal?.throwIfAborted();
      const seal = await sealOf(base, until, evidence);
      if (seal === undefined) break;
      await cut({ base, seal }, signal);
      base = { sequence: seal.sequence, hash: seal.hash };
    }
    const from = now.base.sequence + 1;
    return segments === 0 ? { kind: 'unsealed', until } : { kind: 'left', from, to: base.sequence, segments };
  }

  return {
    async run(run = {}) {
      if (checkpoints.trouble() !== undefined) return { kind: 'doubt' };
      if ((await due()) === undefined) return { kind: 'nothing' };
      try {
        return await audit.exclusively(TURN, () => cutAll(run));
      } catch (error) {
        if (!(error instanceof Altered)) throw error;
        return { kind: 'altered', problem: error.kind, sequence: error.sequence };
      }
    },
    tidy: () =>
      audit.exclusively(TURN, async () => {
        const base = await audit.base();
        if (base.sequence > 0) await audit.prune(base);
      }),
  };
}

/** Ends the writing of an archive; goes no further than this file. */
class Altered extends Error {
  readonly kind: ProblemKind;
  readonly sequence: number;
  constructor(kind: ProblemKind, sequence: number) {
    super('the chain does not hold');
    this.kind = kind;
    this.sequence = sequence;
  }
}
