import { fromStored, type StoredRecord } from './chain.ts';
import type { AuditRecord } from './entry.ts';
import { because } from './failures.ts';
import { isIndexed, type RecordRow, type SourceRow } from './tables.ts';

export interface StoredRow extends StoredRecord {
  readonly sequence: number;
}

/** Rows as they are proved: with whether what they are searched by says the same as their text. */
export function provable(rows: readonly RecordRow[], sources: readonly SourceRow[]): readonly StoredRow[] {
  const bySequence = Map.groupBy(sources, ({ sequence }) => sequence);
  return rows.map((row) => {
    const { sequence, record: text, hash } = row;
    const record = fromStored(text, hash);
    const indexed = record !== undefined && isIndexed(row, bySequence.get(sequence) ?? [], record);
    return { sequence, text, hash, indexed };
  });
}

/** Rows as records; a damaged one is a failure of the store at this address. */
export function readable(address: string) {
  return ({ record: text, hash }: { readonly record: string; readonly hash: string }): AuditRecord => {
    const record = fromStored(text, hash);
    if (record !== undefined) return record;
    throw because('a record is damaged: run `secretbridge audit verify`').concerning(
      `audit store ${address}`,
    );
  };
}
