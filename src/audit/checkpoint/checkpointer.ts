import type { Clock } from '../../core/clock.ts';
import { AppError, toAppError } from '../../core/errors.ts';
import { createSerialExecutor } from '../../core/serial-executor.ts';
import { GENESIS, type Head } from '../chain.ts';
import { type AuditRecord, type Entry, isPinChange, startsChange } from '../entry.ts';
import { lastLostRecord } from '../errors.ts';
import type { AuditStore } from '../store.ts';
import type { Evidence } from '../verify/evidence.ts';
import type { Checkpoint, CheckpointLocation } from './checkpoint.ts';
import { compareWithStore, containsRecord, signedBase } from './compare.ts';
import { LocationWriter } from './location-writer.ts';
import { asSigned, describeLoss, isWithin, type Loss } from './loss.ts';
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
  /**
   * Called when a checkpoint cannot be written. `place` is the location that failed, or the audit store. All other work
   * continues.
   */
  readonly onFailure: (place: string, error: AppError) => void;
  /** Whether retention is configured. */
  readonly hasRetention?: boolean;
  /** Called when signed records have disappeared from the store while it was in use. */
  readonly onLoss?: () => void;
}

export interface Checkpointer extends AsyncDisposable {
  /**
   * The audit store. Use this object for all appends, because it counts the records for the next checkpoint. While
   * `storeError` is set, the object refuses to record changes to the cluster.
   */
  readonly audit: AuditStore;
  /**
   * Compares the store with the checkpoints. Returns the reason why the store is not trusted, if there is one.
   * `storeError` is set until the first successful comparison.
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
   * @param base The last record that retention is about to remove.
   */
  write(base?: Head): Promise<void>;
  /** The checkpoints of all locations and the keys to verify them. */
  evidence(): Promise<Evidence>;
  /**
   * Appends `entry`, which names the person who accepts the loss, and signs a checkpoint of the new record. Afterwards
   * the store is trusted again.
   */
  accept(entry: Entry): Promise<Checkpoint>;
}

const EVERY_RECORDS = 1_000;

/**
 * Signs the head of the chain and writes the checkpoint to locations outside the store. Several processes may write
 * checkpoints at the same time. All of them sign records of the same store, so their checkpoints agree.
 */
class SigningCheckpointer implements Checkpointer {
  readonly audit: AuditStore;
  readonly #options: CheckpointerOptions;
  readonly #writer: LocationWriter;
  #newestTime = 0;
  #unsigned = 0;
  #storeError: AppError | undefined = new AppError('AUDIT_UNAVAILABLE', {
    detail: 'it has not been compared with its checkpoints yet',
  });
  #loss: Loss | undefined;
  #untrusted: { place: string; checkpoint: Checkpoint }[] = [];
  #ownCheckpoints: readonly Checkpoint[] = [];
  /** The base that the next checkpoint signs. It never comes from the store, which may have been cut. */
  #base: Head = GENESIS;
  /** A running write does not sign the records that were appended after it started, so another one follows it. */
  readonly #inTurn = createSerialExecutor();

  constructor(options: CheckpointerOptions) {
    this.#options = options;
    this.#writer = new LocationWriter(options.onFailure);
    const { audit } = options;
    this.audit = {
      ...audit,
      append: (entries) => this.#append(entries),
      checkWritable: () => this.#signLoss(() => audit.checkWritable()),
    };
  }

  storeError = (): AppError | undefined => this.#storeError;
  loss = (): Loss | undefined => this.#loss;
  untrusted = () => this.#untrusted;
  writeError = (): AppError | undefined => [...this.#writer.errors.values()][0];
  [Symbol.asyncDispose] = (): Promise<void> => this.write();

  async #append(entries: readonly Entry[]): Promise<readonly AuditRecord[]> {
    const { audit, everyRecords = EVERY_RECORDS } = this.#options;
    if (this.#storeError !== undefined && entries.some(startsChange)) throw this.#storeError;
    const records = await this.#signLoss(() => audit.append(entries));
    this.#unsigned += records.length;
    // Sign a pin and its end immediately. Otherwise somebody could cut off an `unpin`, so that an old pin returns.
    if (entries.some(isPinChange)) await this.write();
    else if (this.#unsigned >= everyRecords) {
      this.#unsigned = 0;
      void this.write();
    }
    return records;
  }

  /**
   * Runs work. If the store has lost records meanwhile, signs the last one of them. So the loss is also known after a
   * restart and in other replicas, until a person accepts it.
   */
  async #signLoss<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const lost = lastLostRecord(error);
      if (lost === undefined) throw error;
      await this.#inTurn(async () => {
        if (this.#storeError !== undefined) return;
        await this.#writer.write(this.#sign(lost), this.#options.locations);
        if ((await this.checkStore()) !== undefined) this.#options.onLoss?.();
      });
      throw this.#storeError ?? error;
    }
  }

  #sign({ sequence, hash }: Head, base: Head = this.#base, accepts?: number): Checkpoint {
    const { signer, instance } = this.#options;
    const signed = { sequence, hash, time: this.#nextTime(), instance, base: asSigned(base) };
    return signer.sign(accepts === undefined ? signed : { ...signed, accepts });
  }

  write = async (base?: Head): Promise<void> => {
    const { address } = this.#options.audit;
    try {
      await this.#inTurn(() => this.#writeOnce(base));
      this.#writer.errors.delete(address);
    } catch (thrown) {
      // The store failed, not a location. The error is not thrown, because `append` throws its own error while the
      // store fails.
      this.#writer.report(address, toAppError(thrown));
    }
  };

  async #writeOnce(nextBase: Head | undefined): Promise<void> {
    const { audit, locations, onLoss } = this.#options;
    const { lastWritten } = this.#writer;
    if (this.#storeError !== undefined) return;
    this.#unsigned = 0;
    const head = await audit.head();
    const behind =
      nextBase === undefined
        ? locations.filter(({ name }) => lastWritten.get(name)?.hash !== head.hash)
        : locations;
    if (head.sequence === 0 || behind.length === 0) return;
    const isIntact =
      (await this.#isUncut()) &&
      (await this.#containsAll([head, ...lastWritten.values()])) &&
      (await this.#agreesWithOthers());
    if (!isIntact) {
      // Do not sign a newer record, because a newer checkpoint would hide the loss.
      this.#storeError = this.#truncated('it lost signed records while it was in use');
      onLoss?.();
      return;
    }
    const base = nextBase ?? this.#base;
    await this.#writer.write(this.#sign(head, base), behind);
    this.#base = base;
  }

  /** Whether the store contains the records that other replicas have signed. */
  async #agreesWithOthers(): Promise<boolean> {
    const { audit, locations, keys } = this.#options;
    for (const place of locations.filter(({ isShared }) => isShared))
      try {
        const { contradicts } = await compareWithStore(audit, await this.#readOwn(place), keys);
        if (contradicts) return false;
      } catch (thrown) {
        this.#writer.report(place.name, toAppError(thrown));
      }
    return true;
  }

  async #containsAll(heads: readonly Head[]): Promise<boolean> {
    for (const head of new Set(heads)) if (!(await containsRecord(this.#options.audit, head))) return false;
    return true;
  }

  /** Whether only retention has removed records from the start of the log, perhaps in another process. */
  async #isUncut(): Promise<boolean> {
    const base = await this.#options.audit.base();
    if (isWithin(base, this.#base)) return true;
    const { checkpoints, keys } = await this.evidence();
    this.#base = signedBase(checkpoints, keys) ?? this.#base;
    return isWithin(base, this.#base);
  }

  /** Checkpoints are ordered by time, so a new one must be later than all existing ones. */
  #nextTime(): string {
    this.#newestTime = Math.max(this.#options.clock.now(), this.#newestTime + 1);
    return new Date(this.#newestTime).toISOString();
  }

  checkStore = async (): Promise<AppError | undefined> => {
    try {
      await this.#compareAll();
      this.#storeError = this.#loss && this.#truncated(describeLoss(this.#loss));
    } catch (thrown) {
      // A location or the store cannot be read. A checkpoint at that location may prove a loss, so the store is not
      // trusted.
      this.#storeError = toAppError(thrown);
    }
    return this.#storeError;
  };

  async #compareAll(): Promise<void> {
    const { audit, locations, keys, hasRetention } = this.#options;
    const comparisons = await Promise.all(
      locations.map(async (place) => {
        const ours = await this.#readOwn(place);
        return { place, ours, ...(await compareWithStore(audit, ours, keys)) };
      }),
    );
    this.#ownCheckpoints = comparisons.flatMap(({ ours }) => ours);
    this.#untrusted = comparisons.flatMap(({ place, untrusted }) =>
      untrusted.map((checkpoint) => ({ place: place.name, checkpoint })),
    );
    const contradicting = comparisons.flatMap(({ place, newest, contradicts }) =>
      newest !== undefined && contradicts ? [{ place: place.name, checkpoint: newest }] : [],
    );
    for (const { place, newest, contradicts } of comparisons) {
      if (newest === undefined) continue;
      this.#newestTime = Math.max(this.#newestTime, Date.parse(newest.time) || 0);
      if (!contradicts) this.#writer.lastWritten.set(place.name, newest);
    }
    const base = await audit.base();
    const isUnknown = comparisons.every(({ newest }) => newest === undefined);
    this.#base = signedBase(this.#ownCheckpoints, keys) ?? (isUnknown && hasRetention ? base : GENESIS);
    const isCut = !isWithin(base, this.#base);
    this.#loss =
      contradicting.length === 0 && !isCut
        ? undefined
        : { end: await audit.head(), contradicting, ...(isCut && { cutUntil: base.sequence }) };
  }

  async #readOwn(place: CheckpointLocation): Promise<readonly Checkpoint[]> {
    return (await place.read()).filter(({ instance }) => this.#options.instances.includes(instance));
  }

  #truncated(detail: string): AppError {
    return new AppError('AUDIT_TRUNCATED', { subject: `audit store ${this.#options.audit.address}`, detail });
  }

  evidence = async (): Promise<Evidence> => {
    const { locations, keys, hasRetention } = this.#options;
    const all = await Promise.all(locations.map((place) => this.#readOwn(place)));
    return { checkpoints: all.flat(), keys, hasRetention };
  };

  accept = async (entry: Entry): Promise<Checkpoint> => {
    const { audit, locations, keys } = this.#options;
    const trusted = this.#ownCheckpoints.filter((candidate) => signatureOf(candidate, keys) === 'good');
    const [record] = await audit.append([entry]);
    if (record === undefined) throw new AppError('INTERNAL', { detail: 'nothing was appended' });
    // The highest sequence of a record that a trusted checkpoint proves, or whose loss it accepts. Checkpoints that
    // accepted an earlier loss are included: they also prove records, and these records may be lost now.
    const accepts = trusted.reduce(
      (highest, checkpoint) => Math.max(highest, checkpoint.sequence, checkpoint.accepts ?? 0),
      record.sequence,
    );
    // The person accepts that earlier records are missing too.
    const checkpoint = this.#sign(record, await audit.base(), accepts);
    // Write the new checkpoint to every location. At a location without it, the last checkpoint would still prove the
    // loss.
    await this.#writer.write(checkpoint, locations);
    await this.checkStore();
    return checkpoint;
  };
}

export function createCheckpointer(options: CheckpointerOptions): Checkpointer {
  return new SigningCheckpointer(options);
}
