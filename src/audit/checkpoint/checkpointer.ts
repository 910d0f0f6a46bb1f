import type { Clock } from '../../core/clock.ts';
import { AppError, toAppError } from '../../core/errors.ts';
import type { Head } from '../chain.ts';
import type { Entry } from '../entry.ts';
import type { AuditStore } from '../store.ts';
import type { Evidence } from '../verify/verify.ts';
import type { Checkpoint, CheckpointLocation } from './checkpoint.ts';
import { compareWithStore, containsRecord } from './compare.ts';
import { type PublicKeys, type Signer, signatureOf } from './signing.ts';

export interface CheckpointerOptions {
  readonly audit: AuditStore;
  readonly locations: readonly CheckpointLocation[];
  readonly signer: Signer;
  /** The public keys of the signer and of earlier signers. */
  readonly keys: PublicKeys;
  readonly instance: string;
  /** This instance and its former names. Checkpoints of other instances are ignored. */
  readonly instances: readonly string[];
  readonly clock: Clock;
  readonly everyRecords?: number;
  /** Called when a location fails to store a checkpoint. The failure stops nothing else. */
  readonly onFailure: (place: string, error: AppError) => void;
  /** Called when signed records have disappeared from the store while it was in use. */
  readonly onLoss?: () => void;
}

/** Lost records: checkpoints that the store contradicts. */
export interface Loss {
  /** The current head of the store. */
  readonly end: Head;
  /** For each location that contradicts the store: its newest checkpoint. */
  readonly contradicting: readonly { readonly place: string; readonly checkpoint: Checkpoint }[];
}

export interface Checkpointer extends AsyncDisposable {
  /**
   * The audit store. Append through this object: it counts appended records, and refuses to record changes to the
   * cluster while `storeError` is set.
   */
  readonly audit: AuditStore;
  /**
   * Compares the store with the checkpoints. `storeError` is set until the first successful comparison. Returns the
   * error, if any.
   */
  checkStore(): Promise<AppError | undefined>;
  /** The reason why the store is not trusted. Undefined if it is trusted. */
  storeError(): AppError | undefined;
  loss(): Loss | undefined;
  /** Checkpoints with an invalid signature or an unknown key, each with its location. */
  untrusted(): readonly { readonly place: string; readonly checkpoint: Checkpoint }[];
  /** The error of a location that failed to store the last checkpoint. */
  writeError(): AppError | undefined;
  /**
   * Signs the last record, and writes the checkpoint to each location that does not have it yet. Failures of a location
   * or of the store do not reject the promise.
   */
  write(): Promise<void>;
  /** The checkpoints of all locations and the keys to verify them. */
  evidence(): Promise<Evidence>;
  /** Appends `entry`, the record of who accepted the loss, and signs it. Afterwards the store is trusted again. */
  accept(entry: Entry): Promise<Checkpoint>;
}

const EVERY_RECORDS = 1_000;

/**
 * Signs the head of the chain and writes the checkpoint to locations outside the store. Several processes and replicas
 * may do so at once. All of them sign the content of the same store, so their checkpoints agree.
 */
export function createCheckpointer(options: CheckpointerOptions): Checkpointer {
  const { audit, locations, signer, keys, clock, everyRecords = EVERY_RECORDS } = options;
  const lastWritten = new Map<string, Head>();
  const writeErrors = new Map<string, AppError>();
  let newestTime = 0;
  let unsigned = 0;
  let storeError: AppError | undefined = new AppError('AUDIT_UNAVAILABLE', {
    detail: 'it has not been compared with its checkpoints yet',
  });
  let loss: Loss | undefined;
  let untrusted: { place: string; checkpoint: Checkpoint }[] = [];
  let ownCheckpoints: readonly Checkpoint[] = [];
  let running: Promise<void> | undefined;

  /** Checkpoints are ordered by time, so a new one must be later than all existing ones. */
  function nextTime(): string {
    newestTime = Math.max(clock.now(), newestTime + 1);
    return new Date(newestTime).toISOString();
  }

  async function writeTo(checkpoint: Checkpoint, to: readonly CheckpointLocation[]): Promise<void> {
    await Promise.all(
      to.map(async (place) => {
        try {
          await place.write(checkpoint);
          lastWritten.set(place.name, checkpoint);
          writeErrors.delete(place.name);
        } catch (thrown) {
          reportFailure(place.name, toAppError(thrown));
        }
      }),
    );
  }

  function reportFailure(place: string, error: AppError): void {
    const before = writeErrors.get(place);
    writeErrors.set(place, error);
    if (before?.code !== error.code) options.onFailure(place, error);
  }

  async function writeOnce(): Promise<void> {
    if (storeError !== undefined) return;
    unsigned = 0;
    const head = await audit.head();
    const behind = locations.filter(({ name }) => lastWritten.get(name)?.hash !== head.hash);
    if (head.sequence === 0 || behind.length === 0) return;
    for (const before of [head, ...new Set(lastWritten.values())]) {
      if (await containsRecord(audit, before)) continue;
      // A newer signature would hide the loss.
      storeError = truncated('it lost signed records while it was in use');
      options.onLoss?.();
      return;
    }
    const { sequence, hash } = head;
    await writeTo(signer.sign({ sequence, hash, time: nextTime(), instance: options.instance }), behind);
  }

  async function write(): Promise<void> {
    try {
      // Records that were appended during the current run are signed by another run.
      running = (running ?? Promise.resolve()).then(writeOnce, writeOnce);
      await running;
      writeErrors.delete(audit.address);
    } catch (thrown) {
      // The store itself failed. `append` reports this error to its callers.
      reportFailure(audit.address, toAppError(thrown));
    }
  }

  async function check(): Promise<AppError | undefined> {
    try {
      const comparisons = await Promise.all(locations.map(compareLocation));
      ownCheckpoints = comparisons.flatMap(({ ours }) => ours);
      untrusted = comparisons.flatMap(({ place, ...comparison }) =>
        comparison.untrusted.map((checkpoint) => ({ place: place.name, checkpoint })),
      );
      const contradicting = comparisons.flatMap(({ place, newest, contradicts }) =>
        newest !== undefined && contradicts ? [{ place: place.name, checkpoint: newest }] : [],
      );
      for (const { place, newest, contradicts } of comparisons) {
        if (newest === undefined) continue;
        newestTime = Math.max(newestTime, Date.parse(newest.time) || 0);
        if (!contradicts) lastWritten.set(place.name, newest);
      }
      loss = contradicting.length === 0 ? undefined : { end: await audit.head(), contradicting };
      storeError = loss && truncated(describe(loss));
    } catch (thrown) {
      // A location is unreadable. It may contain the proof of a loss, so the store is not trusted.
      storeError = toAppError(thrown);
    }
    return storeError;
  }

  async function readOwn(place: CheckpointLocation): Promise<readonly Checkpoint[]> {
    return (await place.read()).filter(({ instance }) => options.instances.includes(instance));
  }

  async function compareLocation(place: CheckpointLocation) {
    const ours = await readOwn(place);
    return { place, ours, ...(await compareWithStore(audit, ours, keys)) };
  }

  function truncated(detail: string): AppError {
    return new AppError('AUDIT_TRUNCATED', { subject: `audit store ${audit.address}`, detail });
  }

  return {
    audit: {
      ...audit,
      async append(entries) {
        if (storeError !== undefined && entries.some(startsChange)) throw storeError;
        const records = await audit.append(entries);
        unsigned += records.length;
        if (unsigned >= everyRecords) {
          unsigned = 0;
          void write();
        }
        return records;
      },
    },
    checkStore: check,
    storeError: () => storeError,
    loss: () => loss,
    untrusted: () => untrusted,
    writeError: () => [...writeErrors.values()][0],
    write,
    evidence: async () => ({ checkpoints: (await Promise.all(locations.map(readOwn))).flat(), keys }),
    async accept(entry) {
      const trusted = ownCheckpoints.filter((candidate) => signatureOf(candidate, keys) === 'good');
      const [record] = await audit.append([entry]);
      if (record === undefined) throw new AppError('INTERNAL', { detail: 'nothing was appended' });
      const { sequence, hash } = record;
      const checkpoint = signer.sign({
        sequence,
        hash,
        time: nextTime(),
        instance: options.instance,
        // The highest sequence of all trusted checkpoints and of their own acceptances, because the earlier acceptances
        // may be among the lost records.
        accepts: trusted.reduce(
          (highest, trustedCheckpoint) =>
            Math.max(highest, trustedCheckpoint.sequence, trustedCheckpoint.accepts ?? 0),
          sequence,
        ),
      });
      // Write to every location. A location without the acceptance would keep contradicting the store.
      await writeTo(checkpoint, locations);
      await check();
      return checkpoint;
    },
    [Symbol.asyncDispose]: write,
  };
}

/** Commands that change nothing. In the note of a record, a mapping name may follow the command. */
const READ_ONLY_COMMANDS: readonly (string | undefined)[] = ['plan', 'explain', 'doctor'];

/** Whether an entry announces a change to the cluster. Such an entry must be recorded before the change is made. */
function startsChange({ phase, action, note }: Entry): boolean {
  if (action === 'command') return !READ_ONLY_COMMANDS.includes(note?.split(' ', 1)[0]);
  return phase === 'intent' || ['release', 'rollback', 'unpin'].includes(action);
}

function describe({ end, contradicting }: Loss): string {
  const { checkpoint, place } = contradicting.reduce((a, b) =>
    b.checkpoint.sequence > a.checkpoint.sequence ? b : a,
  );
  const { sequence, time } = checkpoint;
  return end.sequence < sequence
    ? `it ends at record ${end.sequence}, and a checkpoint of ${time} in ${place} proves record ${sequence}`
    : `its record ${sequence} differs from the one that a checkpoint of ${time} in ${place} proves`;
}
