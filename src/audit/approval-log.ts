import { createCoalescer } from '../core/serial-executor.ts';
import type { Head } from './chain.ts';
import { type ApprovalLog, type ApprovalRequest, findLastBreak, firstSequenceSince } from './decisions.ts';
import type { AuditRecord } from './entry.ts';
import type { RecordKeys } from './record-keys.ts';
import type { AuditStore } from './store.ts';

export interface ApprovalLogDeps {
  /** The store itself, with all records. */
  readonly audit: Pick<AuditStore, 'head' | 'base' | 'list' | 'storedRecords'>;
  readonly keys: Pick<RecordKeys, 'check'>;
  /** The current name of the instance, and its former names. */
  readonly instances: readonly string[];
  readonly now: () => number;
  /** The longest time for which a request can be open, in milliseconds. Older requests are not read. */
  readonly maxAgeMs: () => number;
}

/**
 * Approvals are followed only if a process with our keys recorded them, and only if the chain from the request to the
 * head is unbroken. Otherwise somebody with access to the database could add an approval, or hide a rejection or the use
 * of an approval. A process reads each record once.
 */
export function createApprovalLog(deps: ApprovalLogDeps): ApprovalLog {
  return new ScannedApprovals(deps);
}

const ID_LENGTH = 12;

class ScannedApprovals implements ApprovalLog {
  readonly #deps: ApprovalLogDeps;
  readonly #catchUp: () => Promise<void>;
  /** The last record that was read, and the maximum age for which the reading began. */
  #read: (Head & { readonly maxAgeMs: number }) | undefined;
  #requests = new Map<number, ApprovalRequest>();
  /** Requests up to this sequence are ignored, because records that this process has read are missing. */
  #ignoredUntil = 0;

  constructor(deps: ApprovalLogDeps) {
    this.#deps = deps;
    this.#catchUp = createCoalescer(() => this.#readNew());
  }

  async requests(): Promise<readonly ApprovalRequest[]> {
    await this.#catchUp();
    return [...this.#requests.values()];
  }

  async #readNew(): Promise<void> {
    const { audit, now, maxAgeMs } = this.#deps;
    const head = await audit.head();
    const ageMs = maxAgeMs();
    const oldest = new Date(now() - ageMs).toISOString();
    for (const [sequence, { record }] of this.#requests)
      if (record.time < oldest) this.#requests.delete(sequence);
    // An empty log has no record that could be missing later.
    const known = this.#read?.sequence === 0 ? undefined : this.#read;
    if (head.hash === known?.hash && ageMs <= known.maxAgeMs) return;
    const isRead = known !== undefined && ageMs <= known.maxAgeMs && (await this.#readAfter(known, head));
    if (!isRead) {
      // If records are missing that this process has read, an approval may have been rejected or used up.
      if (known !== undefined && ageMs <= known.maxAgeMs) this.#ignoredUntil = head.sequence;
      this.#requests = new Map();
      if (head.sequence > 0) await this.#readFrom(await firstSequenceSince(audit, oldest), head);
    }
    this.#read = { ...head, maxAgeMs: ageMs };
  }

  /** Reads the records after a known one. Returns whether the chain still contains the known record. */
  async #readAfter({ sequence, hash }: Head, head: Head): Promise<boolean> {
    let isKnown = false;
    const added: AuditRecord[] = [];
    const broken = await findLastBreak(this.#deps.audit, sequence, (record) => {
      if (record.sequence === sequence) isKnown = record.hash === hash;
      else if (record.sequence <= head.sequence) added.push(record);
    });
    if (!isKnown || broken !== undefined) return false;
    for (const record of added) this.#note(record);
    return true;
  }

  async #readFrom(sequence: number, head: Head): Promise<void> {
    const all: AuditRecord[] = [];
    const broken = await findLastBreak(this.#deps.audit, sequence, (record) => {
      if (record.requested !== undefined || record.approval !== undefined) all.push(record);
    });
    const from = Math.max(broken ?? 0, this.#ignoredUntil + 1);
    for (const record of all)
      if (record.sequence >= from && record.sequence <= head.sequence) this.#note(record);
  }

  #note(record: AuditRecord): void {
    const { requested, approval, action, sequence } = record;
    if (requested === undefined && approval === undefined) return;
    if (!this.#deps.instances.includes(record.instance)) return;
    if (this.#deps.keys.check(record) !== 'authentic') return;
    if (action === 'request' && requested !== undefined) {
      const id = record.hash.slice(0, ID_LENGTH);
      this.#requests.set(sequence, { id, record, requested, state: 'pending' });
      return;
    }
    const request = approval === undefined ? undefined : this.#requests.get(approval);
    if (request !== undefined) this.#requests.set(request.record.sequence, follow(request, record));
  }
}

/** Returns the request after a later record about it. The first decision counts. */
export function follow(request: ApprovalRequest, record: AuditRecord): ApprovalRequest {
  const { action, phase, outcome } = record;
  if (action === 'approve' || action === 'reject') {
    if (request.state !== 'pending' || outcome !== 'ok') return request;
    return { ...request, state: action === 'approve' ? 'approved' : 'rejected', decision: record };
  }
  if (request.state !== 'approved' && request.state !== 'done') return request;
  // A change that failed may be tried again.
  if (phase === 'outcome' && outcome === 'failed') return { ...request, state: 'approved' };
  // The beginning of a command or a release changes nothing. A refused command will not be carried out.
  if ((action === 'command' || action === 'release') && outcome === 'ok') return request;
  return { ...request, state: 'done' };
}
