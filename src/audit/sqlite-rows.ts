import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import {
  type CompiledQuery,
  DummyDriver,
  Kysely,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely';
import { append, type Circumstances, GENESIS, type Head } from './chain.ts';
import type { AuditRecord, Entry } from './entry.ts';
import { headQuery } from './queries.ts';
import { type AuditTables, changeKey, recordRow, sourceRows } from './tables.ts';

// Builds SQL only. node:sqlite is synchronous, so a transaction that stays within one call cannot be interleaved
// with another query of this process, which a driver of promises could not promise.
export const sqliteQueries = new Kysely<AuditTables>({
  dialect: {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => new DummyDriver(),
    createIntrospector: (kysely) => new SqliteIntrospector(kysely),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  },
});

export function rows<Row>(sqlite: DatabaseSync, query: CompiledQuery<Row>): Row[] {
  // Our parameters are text, numbers and null; our tables are strict, so the rows have the types of `AuditTables`.
  const parameters = query.parameters as readonly SQLInputValue[];
  return sqlite.prepare(query.sql).all(...parameters) as unknown as Row[];
}

export function readHead(sqlite: DatabaseSync): Head {
  const [head] = rows(sqlite, headQuery(sqliteQueries));
  return head === undefined ? GENESIS : { sequence: head.sequence, hash: head.hash };
}

/** Appends within a transaction; statements are prepared once, since this is where speed counts. */
export type RecordWriter = (
  entries: readonly Entry[],
  circumstances: Circumstances,
) => readonly AuditRecord[];

export function prepareWriter(sqlite: DatabaseSync): RecordWriter {
  const insertRecord = sqlite.prepare(
    `insert into records (sequence, time, actor_kind, actor_name, request_id, action, outcome, code, mapping,
       namespace, secret, fingerprint_before, fingerprint_after, hash, record)
     values (:sequence, :time, :actor_kind, :actor_name, :request_id, :action, :outcome, :code, :mapping,
       :namespace, :secret, :fingerprint_before, :fingerprint_after, :hash, :record)`,
  );
  const insertSource = sqlite.prepare(
    'insert into record_sources (sequence, store, key, version) values (:sequence, :store, :key, :version)',
  );
  const openIntent = sqlite.prepare(
    `insert into open_intents (sequence, request_id, namespace, secret, attempt, replica)
     values (:sequence, :request_id, :namespace, :secret, :attempt, :replica)`,
  );
  const closeIntent = sqlite.prepare(
    `delete from open_intents where request_id = :request_id and namespace = :namespace and secret = :secret
       and attempt = :attempt`,
  );
  const moveHead = sqlite.prepare(
    `insert into head (id, sequence, hash) values (1, :sequence, :hash)
     on conflict (id) do update set sequence = excluded.sequence, hash = excluded.hash`,
  );

  return (entries, circumstances) => {
    let head = readHead(sqlite);
    const records = entries.map((entry) => {
      const { record, stored } = append(head, entry, circumstances);
      insertRecord.run({ ...recordRow(record, stored.text) });
      for (const source of sourceRows(record)) insertSource.run({ ...source });
      if (record.phase === 'intent') {
        openIntent.run({ ...changeKey(record), sequence: record.sequence, replica: record.replica });
      } else if (record.phase === 'outcome') {
        closeIntent.run({ ...changeKey(record) });
      }
      head = record;
      return record;
    });
    moveHead.run({ sequence: head.sequence, hash: head.hash });
    return records;
  };
}
