import type { AuditRecord } from '../entry.ts';
import type { NeighborQuery, RecordIndex, SourceUse } from '../record-index.ts';
import type { AuditDatabase, Dialect } from './database.ts';
import { unindexedConditions } from './latest.ts';
import { BASE, type RecordText } from './queries.ts';
import { rareActionCondition } from './schema.ts';
import { and, isOneOf, raw, type Sql, sql } from './sql.ts';
import { columnText } from './tables.ts';

/** @param toRecord Parses the text of a record. */
export function createRecordIndex(
  database: AuditDatabase,
  toRecord: (row: RecordText) => AuditRecord,
): RecordIndex {
  const { dialect, query, queryBatched } = database;
  return {
    async openIntents(sequences) {
      if (sequences.length === 0) return new Set();
      const open = await query(
        sql<{ sequence: number }>`select sequence from open_intents where ${isOneOf('sequence', sequences)}`,
      );
      return new Set(open.map(({ sequence }) => sequence));
    },
    async targetNeighbors({ namespace, secret }, options) {
      const columns = [equals('r.secret', secret), equals('r.namespace', namespace)];
      const { condition, order } = inRange(dialect, columns, 'r.sequence', options);
      const rows = await queryBatched(sql<RecordText>`select r.sequence, r.record, r.hash
        from records r${dialect.using('records_by_target')}
        where r.secret is not null and ${condition} and ${isOneOf('r.action', options.actions)}
        order by ${order} limit ${raw(String(options.limit))}`);
      return rows.map(toRecord);
    },
    async nearestUse({ store, key, version }, options) {
      const { condition, order } = inRange(dialect, [equals('d.key', key)], 'd.sequence', options);
      const conditions = and([
        condition,
        isOneOf('d.action', options.actions),
        ...unindexedConditions(dialect, { 'd.store': store, 'd.version': version }),
      ]);
      const [use] = await queryBatched(sql<SourceUse>`select d.sequence, d.action
        from record_sources d${dialect.using('record_sources_by_key')}
        where ${conditions} order by ${order} limit 1`);
      return use;
    },
    async configurations(before, limit) {
      const rows = await query(sql<RecordText>`select r.sequence, r.record, r.hash
        from records r${dialect.using('records_by_action')}
        where r.action = 'configure' and ${raw(rareActionCondition('r.'))} and r.outcome = 'ok'
          and r.sequence > ${BASE} and r.sequence < ${before}
        order by r.sequence desc limit ${limit}`);
      return rows.map(toRecord);
    },
  };
}

function equals(column: string, value: string) {
  return { column: raw(column), value: columnText(value) };
}

/** Batched queries have only texts as values, so the sequence is a text too. */
function inRange(
  dialect: Dialect,
  columns: Parameters<Dialect['inIndexOrder']>[0],
  column: string,
  { side, sequence }: Pick<NeighborQuery, 'side' | 'sequence'>,
): { readonly condition: Sql; readonly order: Sql } {
  const limit = sql`cast(${String(sequence)} as bigint)`;
  const range = side === 'before' ? { after: BASE, before: limit } : { after: limit, before: undefined };
  const { condition, newestFirst, oldestFirst } = dialect.inIndexOrder(columns, {
    column: raw(column),
    ...range,
  });
  return { condition, order: side === 'before' ? newestFirst : oldestFirst };
}
