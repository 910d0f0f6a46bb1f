import type { DatabaseSync } from 'node:sqlite';
import { newerSchema, unusableStore } from '../errors.ts';
import { tablesOfSchema2 } from '../records/schema-2.ts';
import { INDEX_FINGERPRINTS_BY_RUN } from './fingerprints.ts';

/** `PRAGMA application_id` of our files: "sbra" in ASCII. */
const APPLICATION_ID = 0x73627261;

/**
 * Migrations go forward only: migration n brings a file from schema n to n + 1, and a released migration never changes.
 * `oldest_reader` is the oldest schema whose programs can still read the file.
 */
const MIGRATIONS: readonly string[] = [
  `create table records (
     sequence integer primary key,
     time text not null,
     actor_kind text not null,
     actor_name text,
     request_id text not null,
     action text not null,
     outcome text not null,
     code text,
     mapping text,
     namespace text,
     secret text,
     fingerprint_before text,
     fingerprint_after text,
     hash text not null,
     record text not null
   ) strict;
   create index records_by_time on records (time);
   create index records_by_actor_kind on records (actor_kind);
   create index records_by_actor_name on records (actor_name) where actor_name is not null;
   create index records_by_request on records (request_id);
   create index records_by_action on records (action);
   create index records_by_outcome on records (outcome);
   create index records_by_code on records (code) where code is not null;
   create index records_by_mapping on records (mapping) where mapping is not null;
   create index records_by_namespace on records (namespace) where namespace is not null;
   create index records_by_target on records (secret, namespace) where secret is not null;
   create index records_by_before on records (fingerprint_before) where fingerprint_before is not null;
   create index records_by_after on records (fingerprint_after) where fingerprint_after is not null;
   create table record_sources (
     sequence integer not null,
     store text not null,
     key text not null,
     version text not null,
     primary key (sequence, store, key, version)
   ) strict, without rowid;
   create index record_sources_by_store on record_sources (store);
   create index record_sources_by_key on record_sources (key, store, version);
   create table open_intents (
     sequence integer primary key,
     request_id text not null,
     namespace text not null,
     secret text not null,
     attempt integer not null,
     replica text not null
   ) strict;
   create index open_intents_by_request on open_intents (request_id);
   create table head (
     id integer primary key check (id = 1),
     sequence integer not null,
     hash text not null
   ) strict;
   create table compatibility (oldest_reader integer not null) strict;
   insert into compatibility values (1);`,
  `${tablesOfSchema2({ integer: 'integer', text: 'text', table: ' strict', index: ' strict, without rowid' })}
   drop index record_sources_by_key;
   create index record_sources_by_key on record_sources (key, sequence);`,
  INDEX_FINGERPRINTS_BY_RUN,
];

const SCHEMA = MIGRATIONS.length;

export type FileState = 'empty' | 'ours';

/**
 * Refuses a file of another program, and a file whose schema is too new for this release to read or, for a writer, to
 * write.
 */
export function checkFile(db: DatabaseSync, use: 'read' | 'write'): FileState {
  const tables = number(db, 'select count(*) from sqlite_schema');
  const application = number(db, 'pragma application_id');
  if (tables === 0 && application === 0) return 'empty';
  if (application !== APPLICATION_ID) throw unusableStore('it is a SQLite database of another program');
  if (
    version(db) > SCHEMA &&
    (use === 'write' || number(db, 'select oldest_reader from compatibility') > SCHEMA)
  ) {
    throw newerSchema(version(db), SCHEMA);
  }
  return 'ours';
}

/** Must run in a write transaction. If two processes start together, only one of them then migrates. */
export function migrate(db: DatabaseSync): void {
  checkFile(db, 'write');
  for (const migration of MIGRATIONS.slice(version(db))) db.exec(migration);
  if (version(db) !== SCHEMA)
    db.exec(`pragma application_id = ${APPLICATION_ID}; pragma user_version = ${SCHEMA}`);
}

export function version(db: DatabaseSync): number {
  return number(db, 'pragma user_version');
}

function number(db: DatabaseSync, sql: string): number {
  const [value] = Object.values(db.prepare(sql).get() ?? {});
  return Number(value);
}
