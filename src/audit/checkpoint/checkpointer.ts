import type { Clock } from '../../core/clock.ts';
import { AppError, toAppError } from '../../core/errors.ts';
import type { Head } from '../chain.ts';
import type { Entry } from '../entry.ts';
import type { AuditStore } from '../store.ts';
import type { Evidence } from '../verify/verify.ts';
import type { Checkpoint, CheckpointPlace } from './checkpoint.ts';
import { compare, holds } from './compare.ts';
import { type PublicKeys, type Signer, signatureOf } from './signing.ts';

export interface CheckpointerOptions {
  readonly audit: AuditStore;
  readonly places: readonly CheckpointPlace[];
  readonly signer: Signer;
  /** The signer's and those that signed before it. */
  readonly keys: PublicKeys;
  readonly instance: string;
  /** Whose checkpoints are ours: this instance and those that it was before. */
  readonly instances: readonly string[];
  readonly clock: Clock;
  readonly everyRecords?: number;
  /** A place does not take a checkpoint. Everything else goes on. */
  readonly onFailure: (place: string, error: AppError) => void;
  /** The store has lost what was signed, while it was in use. */
  readonly onLoss?: () => void;
}

/** What was found when the store was measured by the places. */
export interface Loss {
  /** Where the store ends now. */
  readonly end: Head;
  /** The newest checkpoint of each place that contradicts it. */
  readonly contradicting: readonly { readonly place: string; readonly checkpoint: Checkpoint }[];
}

export interface Checkpointer extends AsyncDisposable {
  /** The store: what is appended counts, and while it is in doubt nothing that may change the cluster is begun. */
  readonly audit: AuditStore;
  /** Measures the store by the places. Until it has been done with success, the store is in doubt. */
  check(): Promise<AppError | undefined>;
  /** Why the store is in doubt. */
  trouble(): AppError | undefined;
  loss(): Loss | undefined;
  /** A checkpoint whose signature is wrong or by a key that is not known, by its place. */
  untrusted(): readonly { readonly place: string; readonly checkpoint: Checkpoint }[];
  /** Why a place did not take the last checkpoint. */
  failing(): AppError | undefined;
  /** Signs the last record, where a place does not know it yet. Never rejects for what a place or the store does. */
  write(): Promise<void>;
  /** All that the places hold. */
  evidence(): Promise<Evidence>;
  /** After a loss: `entry` says who accepts what. Afterwards the store is in no doubt. */
  accept(entry: Entry): Promise<Checkpoint>;
}

const EVERY_RECORDS = 1_000;

/**
 * Signs how far the chain went, and keeps that elsewhere. Several processes and replicas may do so at once: each
 * signs what the store holds, so that they can only say the same.
 */
export function createCheckpointer(options: CheckpointerOptions): Checkpointer {
  const { audit, places, signer, keys, clock, everyRecords = EVERY_RECORDS } = options;
  const known = new Map<string, Head>();
  const failing = new Map<string, AppError>();
  let newestTime = 0;
  let unsigned = 0;
  let doubt: AppError | undefined = new AppError('AUDIT_UNAVAILABLE', { detail: 'it is not measured yet' });
  let loss: Loss | undefined;
  let untrusted: { place: string; checkpoint: Checkpoint }[] = [];
  let all: readonly Checkpoint[] = [];
  let running: Promise<void> | undefined;

  /** Never before one that is there, since checkpoints are in the order of their time. */
  function timeOf(): string {
    newestTime = Math.max(clock.now(), newestTime + 1);
    return new Date(newestTime).toISOString();
  }

  async function put(checkpoint: Checkpoint, to: readonly CheckpointPlace[]): Promise<void> {
    await Promise.all(
      to.map(async (place) => {
        try {
          await place.write(checkpoint);
          known.set(place.name, checkpoint);
          failing.delete(place.name);
        } catch (thrown) {
          failed(place.name, toAppError(thrown));
        }
      }),
    );
  }

  function failed(place: string, error: AppError): void {
    const before = failing.get(place);
    failing.set(place, error);
    if (before?.code !== error.code) options.onFailure(place, error);
  }

  async function writeOnce(): Promise<void> {
    if (doubt !== undefined) return;
    unsigned = 0;
    const head = await audit.head();
    const behind = places.filter(({ name }) => known.get(name)?.hash !== head.hash);
    if (head.sequence === 0 || behind.length === 0) return;
    for (const before of [head, ...new Set(known.values())]) {
      if (await holds(audit, before)) continue;
      // Signing on would bury what was lost.
      doubt = truncated('it no longer holds what was signed while it was in use');
      options.onLoss?.();
      return;
    }
    const { sequence, hash } = head;
    await put(signer.sign({ sequence, hash, time: timeOf(), instance: options.instance }), behind);
  }

  async function write(): Promise<void> {
    try {
      // One more run for what arrives during a run.
      running = (running ?? Promise.resolve()).then(writeOnce, writeOnce);
      await running;
      failing.delete(audit.address);
    } catch (thrown) {
      // The store itself: whoever appends learns of it.
      failed(audit.address, toAppError(thrown));
    }
  }

  async function check(): Promise<AppError | undefined> {
    try {
      const found = await Promise.all(places.map(look));
      all = found.flatMap(({ ours }) => ours);
      untrusted = found.flatMap(({ place, ...it }) =>
        it.untrusted.map((checkpoint) => ({ place: place.name, checkpoint })),
      );
      const contradicting = found.flatMap(({ place, newest, contradicts }) =>
        newest !== undefined && contradicts ? [{ place: place.name, checkpoint: newest }] : [],
      );
      for (const { place, newest, contradicts } of found) {
        if (newest === undefined) continue;
        newestTime = Math.max(newestTime, Date.parse(newest.time) || 0);
        if (!contradicts) known.set(place.name, newest);
      }
      loss = contradicting.length === 0 ? undefined : { end: await audit.head(), contradicting };
      doubt = loss && truncated(describe(loss));
    } catch (thrown) {
      // What a place says cannot be known, and it may say that records are lost.
      doubt = toAppError(thrown);
    }
    return doubt;
  }

  async function oursIn(place: CheckpointPlace): Promise<readonly Checkpoint[]> {
    return (await place.read()).filter(({ instance }) => options.instances.includes(instance));
  }

  async function look(place: CheckpointPlace) {
    const ours = await oursIn(place);
    return { place, ours, ...(await compare(audit, ours, keys)) };
  }

  function truncated(detail: string): AppError {
    return new AppError('AUDIT_TRUNCATED', { about: `audit store ${audit.address}`, detail });
  }

  return {
    audit: {
      ...audit,
      async append(entries) {
        if (doubt !== undefined && entries.some(beginsChange)) throw doubt;
        const records = await audit.append(entries);
        unsigned += records.length;
        if (unsigned >= everyRecords) {
          unsigned = 0;
          void write();
        }
        return records;
      },
    },
    check,
    trouble: () => doubt,
    loss: () => loss,
    untrusted: () => untrusted,
    failing: () => [...failing.values()][0],
    write,
    evidence: async () => ({ checkpoints: (await Promise.all(places.map(oursIn))).flat(), keys }),
    async accept(entry) {
      const trusted = all.filter((it) => signatureOf(it, keys) === 'good');
      const [record] = await audit.append([entry]);
      if (record === undefined) throw new AppError('INTERNAL', { detail: 'nothing was appended' });
      const { sequence, hash } = record;
      const checkpoint = signer.sign({
        sequence,
        hash,
        time: timeOf(),
        instance: options.instance,
        // What an earlier acceptance has covered, too: it may be among what was lost.
        accepts: trusted.reduce((highest, it) => Math.max(highest, it.sequence, it.accepts ?? 0), sequence),
      });
      // All of them: a place that does not know of the acceptance would go on to contradict.
      await put(checkpoint, places);
      await check();
      return checkpoint;
    },
    [Symbol.asyncDispose]: write,
  };
}

/** Commands by which a person only looks; the note may name a mapping behind them. */
const LOOKS: readonly (string | undefined)[] = ['plan', 'explain', 'doctor'];

/** What a person or the service is about to do to the cluster, which must be on record before. */
function beginsChange({ phase, action, note }: Entry): boolean {
  if (action === 'command') return !LOOKS.includes(note?.split(' ', 1)[0]);
  return phase === 'intent' || ['release', 'rollback', 'unpin'].includes(action);
}

function describe({ end, contradicting }: Loss): string {
  const { checkpoint, place } = contradicting.reduce((a, b) =>
    b.checkpoint.sequence > a.checkpoint.sequence ? b : a,
  );
  const { sequence, time } = checkpoint;
  return end.sequence < sequence
    ? `it ends at record ${end.sequence}, and a checkpoint of ${time} in ${place} proves record ${sequence}`
    : `its record ${sequence} is not the one that a checkpoint of ${time} in ${place} proves`;
}
