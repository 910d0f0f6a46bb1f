import { fromStored } from '../../src/audit/chain.ts';
import type { AuditRecord, Entry } from '../../src/audit/entry.ts';
import type { AuditStore } from '../../src/audit/store.ts';

export function fingerprint(n: number): string {
  return `0badcafe:${n.toString(16).padStart(64, '0')}`;
}

/** An update of a target in the form in which the service records it, with optional overrides. */
export function entry(part: Partial<Entry> = {}): Entry {
  return {
    actor: { kind: 'cli', name: 'ann' },
    requestId: 'request-1',
    action: 'update',
    mapping: 'payments-db',
    namespace: 'payments',
    secret: 'payments-db',
    outcome: 'ok',
    sources: [{ store: 'team-vault', key: 'payments/db', property: 'password', version: '7' }],
    keys: { added: [], changed: ['DB_PASSWORD'], removed: [] },
    values: { DB_PASSWORD: fingerprint(12) },
    before: fingerprint(1),
    after: fingerprint(2),
    durationMs: 12,
    attempt: 1,
    ...part,
  };
}

/** An entry with only the required members. */
export function bare(part: Partial<Entry> = {}): Entry {
  return {
    actor: { kind: 'schedule' },
    requestId: 'request-0',
    action: 'sweep',
    outcome: 'ok',
    sources: [],
    keys: { added: [], changed: [], removed: [] },
    durationMs: 0,
    attempt: 1,
    ...part,
  };
}

/** Returns all records of a store from a sequence number on, oldest first. */
export async function recordsOf(
  store: Pick<AuditStore, 'storedRecords'>,
  from = 1,
): Promise<readonly AuditRecord[]> {
  return Array.fromAsync(store.storedRecords(from), ({ text, hash }) => {
    const record = fromStored(text, hash);
    if (record === undefined) throw new Error(`a damaged record: ${text}`);
    return record;
  });
}
