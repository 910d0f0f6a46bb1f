import type { AppError } from '../core/errors.ts';
import { createCoalescer } from '../core/serial-executor.ts';
import { fromStored, type Head, hashOf, type StoredRecord } from './chain.ts';
import type { LastPin, LastPins } from './decisions.ts';
import type { AuditRecord, Entry } from './entry.ts';
import type { RecordKeys } from './record-keys.ts';
import { type AuditStore, pagesOf } from './store.ts';

export interface LastPinsDeps {
  /** The store itself, with all records. */
  readonly audit: Pick<AuditStore, 'head' | 'base' | 'list' | 'storedRecords'>;
  readonly keys: Pick<RecordKeys, 'check'>;
  /** The current name of the instance, and its former names. */
  readonly instances: readonly string[];
  /** Compares the store with its checkpoints. Returns the reason why the store is not trusted, if there is one. */
  readonly checkStore: () => Promise<AppError | undefined>;
}

/** The store, and a function that must receive all records that this process appends. */
export interface WatchedPins extends LastPins {
  noteAppended(records: readonly AuditRecord[]): void;
}

/**
 * A pin lasts until an `unpin`, perhaps for months, and somebody with access to the database can remove or hide the
 * `unpin`. So a pin is followed only if the chain from its record to the head is unbroken and contains no later `unpin`
 * of its target. This process reads each record once: it remembers the last record that it has read, and the pins up to
 * that record. If no target is pinned at the start, older records are not read.
 */
export function createLastPins(deps: LastPinsDeps): WatchedPins {
  return new ScannedPins(deps);
}

class ScannedPins implements WatchedPins {
  readonly #deps: LastPinsDeps;
  readonly #catchUp: () => Promise<void>;
  /** The last record that was read. */
  #head: Head | undefined;
  #pins = new Map<string, LastPin>();

  constructor(deps: LastPinsDeps) {
    this.#deps = deps;
    this.#catchUp = createCoalescer(() => this.#readNew());
  }

  async last(mapping: string, target: { namespace: string; secret: string }): Promise<LastPin | undefined> {
    await this.#catchUp();
    return this.#pins.get(keyOf({ mapping, ...target }));
  }

  async inForce(): Promise<readonly LastPin[]> {
    await this.#catchUp();
    return [...this.#pins.values()].filter(({ record }) => record.action === 'rollback');
  }

  noteAppended(records: readonly AuditRecord[]): void {
    const last = records.at(-1);
    if (this.#head === undefined || last === undefined) return;
    // Records of another process may come first. Then the next query reads all of them.
    if (records[0]?.previousHash !== this.#head.hash) return;
    for (const record of records) this.#note(record, 'own');
    this.#head = { sequence: last.sequence, hash: last.hash };
  }

  async #readNew(): Promise<void> {
    const head = await this.#deps.audit.head();
    const known = this.#head;
    if (known === undefined) return this.#start(head);
    if (head.hash === known.hash) return;
    const added: AuditRecord[] = [];
    const isUnbroken =
      head.sequence > known.sequence &&
      (await this.#scan(known, head, { onRecord: (record) => added.push(record) }));
    if (!isUnbroken) return this.#startAgain(head);
    // Meanwhile this process may have appended records, which were noted.
    if (this.#head !== known) return;
    for (const record of added) this.#note(record, 'authenticOnly');
    this.#head = head;
  }

  /** Reads the records from the oldest pin on. Pins before a break of the chain are dropped. */
  async #start(head: Head): Promise<void> {
    const first = await this.#firstPinned();
    if (first !== undefined) {
      let isLegacy = await this.#isLegacy(first);
      const from = { sequence: first.sequence - 1, hash: first.previousHash };
      await this.#scan(from, head, {
        onRecord: (record) => {
          isLegacy &&= record.hmac === undefined;
          this.#note(record, isLegacy ? 'allowLegacy' : 'authenticOnly');
        },
        onBreak: () => this.#pins.clear(),
      });
    }
    this.#head = head;
  }

  /**
   * Records are missing or changed that this process has read. Somebody may have cut off the end of the log, or a person
   * has accepted such a loss. What this process knows of newer records stays known.
   */
  async #startAgain(head: Head): Promise<void> {
    const error = await this.#deps.checkStore();
    if (error !== undefined) throw error;
    const remembered = this.#pins;
    this.#pins = new Map();
    await this.#start(head);
    for (const [key, pin] of remembered)
      if (pin.record.sequence > (this.#pins.get(key)?.record.sequence ?? 0)) this.#pins.set(key, pin);
  }

  /** Reads the records after `from`, up to `until`. Returns whether the chain is unbroken. */
  async #scan(from: Head, until: Head, { onRecord, onBreak = () => undefined }: Scan): Promise<boolean> {
    let position = from;
    let isUnbroken = true;
    const noteBreak = (): void => {
      isUnbroken = false;
      onBreak();
    };
    for await (const stored of this.#deps.audit.storedRecords(from.sequence + 1, { textOnly: true })) {
      const record = intact(stored);
      if (record?.sequence !== position.sequence + 1 || record.previousHash !== position.hash) noteBreak();
      if (record !== undefined) onRecord(record);
      position = { sequence: record?.sequence ?? position.sequence + 1, hash: stored.hash };
      if (position.sequence >= until.sequence) break;
    }
    if (position.hash !== until.hash) noteBreak();
    return isUnbroken;
  }

  /**
   * Returns the oldest record that pins a target now, according to the search columns. Records without HMAC count only for
   * targets that have no authentic record.
   */
  async #firstPinned(): Promise<AuditRecord | undefined> {
    const last = new Map<string, LastPin>();
    for (const action of ['rollback', 'unpin'] as const)
      for await (const page of pagesOf(this.#deps.audit, { action, outcome: 'ok' }, PAGE))
        for (const record of page) {
          const isConfirmed = this.#isPin(record) ? this.#isConfirmed(record, 'allowLegacy') : undefined;
          const key = keyOf(record);
          const before = last.get(key);
          const isNewer =
            isConfirmed === before?.isConfirmed
              ? record.sequence > (before?.record.sequence ?? 0)
              : isConfirmed === true || before === undefined;
          if (isConfirmed !== undefined && isNewer) last.set(key, { record, isConfirmed });
        }
    // Remember where a pin has ended, in case somebody cuts off the end of the log while this process runs.
    for (const [key, pin] of last)
      if (pin.isConfirmed && pin.record.action === 'unpin') this.#pins.set(key, pin);
    const pinned = [...last.values()].filter(({ record }) => record.action === 'rollback');
    return pinned.map(({ record }) => record).toSorted((a, b) => a.sequence - b.sequence)[0];
  }

  /** Whether a record without HMAC may come from a release without HMACs: then the log begins with such records. */
  async #isLegacy({ hmac, sequence }: AuditRecord): Promise<boolean> {
    const { audit } = this.#deps;
    if (hmac !== undefined) return false;
    const { sequence: base } = await audit.base();
    for (const position of new Set([base + 1, Math.max(base + 1, sequence - 1)]))
      for await (const stored of audit.storedRecords(position, { textOnly: true })) {
        if (intact(stored)?.hmac !== undefined) return false;
        break;
      }
    return true;
  }

  #isPin({ action, outcome, instance }: AuditRecord): boolean {
    const isPin = (action === 'rollback' || action === 'unpin') && outcome === 'ok';
    return isPin && this.#deps.instances.includes(instance);
  }

  #isConfirmed(record: AuditRecord, trust: Trust): boolean | undefined {
    if (trust === 'own' || this.#deps.keys.check(record) === 'authentic') return true;
    return trust === 'allowLegacy' && record.hmac === undefined ? false : undefined;
  }

  #note(record: AuditRecord, trust: Trust): void {
    if (!this.#isPin(record)) return;
    const isConfirmed = this.#isConfirmed(record, trust);
    if (isConfirmed !== undefined) this.#pins.set(keyOf(record), { record, isConfirmed });
  }
}

interface Scan {
  readonly onRecord: (record: AuditRecord) => void;
  /** Called when a record does not follow the record before it. */
  readonly onBreak?: () => void;
}

/** `own`: this process wrote the record. `allowLegacy`: the record may come from a release without HMACs. */
type Trust = 'own' | 'authenticOnly' | 'allowLegacy';

/**
 * Returns the content of a pin's record, to record the pin again. The new record keeps the person who pinned the target.
 */
export function renewedPin(pin: AuditRecord): Entry {
  const { sequence, time: _time, instance: _instance, replica: _replica, ...rest } = pin;
  const { previousHash: _previousHash, hmac: _hmac, hash: _hash, ...entry } = rest;
  return { ...entry, counts: { ...pin.counts, copyOf: pin.counts?.copyOf ?? sequence } };
}

const PAGE = 200;

function intact({ text, hash }: StoredRecord): AuditRecord | undefined {
  return hashOf(text) === hash ? fromStored(text, hash) : undefined;
}

function keyOf({
  mapping = '',
  namespace = '',
  secret = '',
}: Pick<AuditRecord, 'mapping' | 'namespace' | 'secret'>): string {
  return JSON.stringify([mapping, namespace, secret]);
}
