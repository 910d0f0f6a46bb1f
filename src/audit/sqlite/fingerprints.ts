import { sql } from 'kysely';
import { type FingerprintQuery, inRange } from '../records/search.ts';
import { BLOCK } from '../records/tables.ts';

/**
 * The number of records that share one part of the index. It must never change, because existing files have indexes
 * that depend on it.
 */
const RUN_SIZE = 1024;
const RUNS_OF_A_BLOCK = sql.raw(
  Array.from({ length: BLOCK / RUN_SIZE }, (_, index) => `select ${index} as part`).join(' union all '),
);

/** The first varying characters of the fingerprint. They are enough to narrow the search. */
const prefixOf = (column: string): string => `substr(${column}, 10, 8)`;

/**
 * Fingerprints are random, so inserts into one common index would be spread over the whole index. Each record would
 * touch several pages, which costs more than writing the record itself. Instead, each run of 1024 records has its own
 * part of the index, and this part is small. A query searches all parts.
 */
export const INDEX_FINGERPRINTS_BY_RUN = `
  drop index records_by_before;
  drop index records_by_after;
  create index records_by_before on records (sequence / ${RUN_SIZE}, ${prefixOf('fingerprint_before')})
    where fingerprint_before is not null;
  create index records_by_after on records (sequence / ${RUN_SIZE}, ${prefixOf('fingerprint_after')})
    where fingerprint_after is not null;
  alter table record_values rename to all_values;
  create table record_values (sequence integer not null, fingerprint text not null) strict;
  insert into record_values select sequence, fingerprint from all_values order by sequence;
  drop table all_values;
  create index record_values_by_sequence on record_values (sequence);
  create index record_values_by_fingerprint on record_values (sequence / ${RUN_SIZE}, ${prefixOf('fingerprint')});`;

export const runFingerprintQuery: FingerprintQuery = (fingerprint, range) => {
  const blocks =
    range === undefined
      ? sql`spans`
      : sql`(select block from spans where block between ${Math.floor(range.after / BLOCK)}
          and ${Math.floor(range.before / BLOCK)})`;
  const columns = [
    ['records', 'fingerprint_before'],
    ['records', 'fingerprint_after'],
    ['record_values', 'fingerprint'],
  ] as const;
  const within = range === undefined ? sql`` : sql`and ${inRange(range)}`;
  // SQLite joins the tables of a `cross join` in the written order. A file with an older schema, which only readers
  // encounter, has an index on the whole fingerprint.
  const queries = columns.map(
    ([table, column]) => sql`select sequence
      from ${blocks} blocks cross join (${RUNS_OF_A_BLOCK}) parts cross join ${sql.table(table)}
      where sequence / ${sql.lit(RUN_SIZE)} = block * ${sql.lit(BLOCK / RUN_SIZE)} + part
        and ${sql.raw(prefixOf(column))} = substr(${fingerprint}, 10, 8) and ${sql.ref(column)} = ${fingerprint} ${within}`,
  );
  return sql.join(queries, sql` union all `);
};
