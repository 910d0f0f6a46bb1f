import { sql } from 'kysely';
import { inRange, type OfFingerprint } from '../records/search.ts';
import { BLOCK } from '../records/tables.ts';

/** How many records share a part of the index. Never changes: the index of each file is made with it. */
const RUN = 1024;
const RUNS_OF_A_BLOCK = sql.raw(
  Array.from({ length: BLOCK / RUN }, (_, index) => `select ${index} as part`).join(' union all '),
);

/** The beginning of the part that differs: that there are few others of the same is enough to find it by. */
const short = (column: string): string => `substr(${column}, 10, 8)`;

/**
 * Fingerprints come in no order, so that one index of them all is written all over: for each record some pages, which
 * cost more than the records themselves. So each run of records has a part of the index for itself, as small as what
 * is told apart by it, and a question looks into each part.
 * docs/adr/0051-fingerprints-are-indexed-in-runs.md
 */
export const FINGERPRINTS_IN_RUNS = `
  drop index records_by_before;
  drop index records_by_after;
  create index records_by_before on records (sequence / ${RUN}, ${short('fingerprint_before')})
    where fingerprint_before is not null;
  create index records_by_after on records (sequence / ${RUN}, ${short('fingerprint_after')})
    where fingerprint_after is not null;
  alter table record_values rename to all_values;
  create table record_values (sequence integer not null, fingerprint text not null) strict;
  insert into record_values select sequence, fingerprint from all_values order by sequence;
  drop table all_values;
  create index record_values_by_sequence on record_values (sequence);
  create index record_values_by_fingerprint on record_values (sequence / ${RUN}, ${short('fingerprint')});`;

export const ofFingerprint: OfFingerprint = (fingerprint, range) => {
  const blocks =
    range === undefined
      ? sql`spans`
      : sql`(select block from spans where block between ${Math.floor(range.after / BLOCK)}
          and ${Math.floor(range.before / BLOCK)})`;
  const places = [
    ['records', 'fingerprint_before'],
    ['records', 'fingerprint_after'],
    ['record_values', 'fingerprint'],
  ] as const;
  const within = range === undefined ? sql`` : sql`and ${inRange(range)}`;
  // `cross join` is what SQLite does in the order written. An older file, which only a reader leaves as it is, has
  // another index, which the whole fingerprint is there for.
  const found = places.map(
    ([table, column]) => sql`select sequence
      from ${blocks} blocks cross join (${RUNS_OF_A_BLOCK}) parts cross join ${sql.table(table)}
      where sequence / ${sql.lit(RUN)} = block * ${sql.lit(BLOCK / RUN)} + part
        and ${sql.raw(short(column))} = substr(${fingerprint}, 10, 8) and ${sql.ref(column)} = ${fingerprint} ${within}`,
  );
  return sql.join(found, sql` union all `);
};
