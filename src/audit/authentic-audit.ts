import { AppError } from '../core/errors.ts';
import { append } from '../core/lists.ts';
import type { AuditRecord } from './entry.ts';
import { matches } from './matches.ts';
import type { RecordKeys } from './record-keys.ts';
import type { AuditStore, Page, RecordFilter } from './store.ts';

/** Called for each record that a decision must not follow. */
export type OnUntrusted = (record: AuditRecord, reason: 'edited' | 'unverifiable') => void;

/**
 * An audit store for decisions. Anybody with access to the database can add records and change search columns. So queries
 * return only records that a process with our keys wrote, and that match the filter themselves. A forged record is
 * skipped, so it hides no older one.
 *
 * To display records, use the store itself, because people must see forged records too.
 */
export function authenticAudit(
  store: AuditStore,
  keys: Pick<RecordKeys, 'check'>,
  onUntrusted: OnUntrusted,
): AuditStore {
  const isTrusted = (record: AuditRecord, filter: RecordFilter): boolean => {
    const authenticity = keys.check(record);
    const reason = authenticity === 'authentic' && !matches(record, filter) ? 'edited' : authenticity;
    if (reason === 'authentic') return true;
    onUntrusted(record, reason);
    return false;
  };

  async function list(filter: RecordFilter, page: Page): Promise<readonly AuditRecord[]> {
    const trusted: AuditRecord[] = [];
    let next = page;
    // Fill the page, because callers take a short page for the last one.
    for (;;) {
      const found = await store.list(filter, next);
      append(
        trusted,
        found.filter((record) => isTrusted(record, filter)),
      );
      const last = found.at(-1)?.sequence;
      const missing = page.limit - trusted.length;
      if (missing <= 0 || last === undefined || found.length < next.limit) return trusted;
      next = page.after === undefined ? { limit: missing, before: last } : { limit: missing, after: last };
    }
  }

  return {
    ...store,
    list,
    async get(sequence) {
      const record = await store.get(sequence);
      if (record === undefined || isTrusted(record, {})) return record;
      const detail = 'its HMAC is wrong or missing, or its key is unknown';
      throw new AppError('AUDIT_ALTERED', { subject: `record ${sequence}`, detail });
    },
    async latest(filter, actions, before) {
      for (let end = before; ; ) {
        const record = await store.latest(filter, actions, end);
        if (record === undefined) return undefined;
        if (isTrusted(record, filter) && actions.includes(record.action)) return record;
        end = record.sequence;
      }
    },
    async unresolvedIntents(isFinished) {
      const intents = await store.unresolvedIntents(isFinished);
      return intents.filter((record) => isTrusted(record, { phase: 'intent' }));
    },
  };
}
