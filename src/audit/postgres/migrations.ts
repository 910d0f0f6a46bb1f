import { auditUnavailable, newerSchema, unusableStore } from '../errors.ts';
import {
  FACETS_OF_RECORDS,
  SPANS_OF_RECORDS,
  TARGET_CHANGES_SQL,
  tablesOfSchema2,
} from '../records/schema-2.ts';
import { isLocked } from './errors.ts';
import { lockKey } from './locks.ts';
import { SCHEMA_NAME, type Session } from './session.ts';

/**
 * Migrations go forward only: migration n brings a store from schema n to n + 1, and a released migration never
 * changes. `oldest_reader` and `oldest_writer` are the oldest schemas whose programs can still read and write the
 * store. They matter during a rolling update, when replicas of two releases run side by side.
 *
 * The collation compares bytes. So times compare as text, and names compare as in SQLite. Indexes end with `sequence`,
 * so that a page needs no sorting.
 */
const MIGRATIONS: readonly string[] = [
  `create table records (
     sequence bigint primary key,
     time text collate "C" not null,
     actor_kind text collate "C" not null,
     actor_name text collate "C",
     request_id text collate "C" not null,
     action text collate "C" not null,
     outcome text collate "C" not null,
     code text collate "C",
     mapping text collate "C",
     namespace text collate "C",
     secret text collate "C",
     fingerprint_before text collate "C",
     fingerprint_after text collate "C",
     hash text collate "C" not null,
     record text collate "C" not null
   );
   create index records_by_time on records (time, sequence);
   create index records_by_actor_kind on records (actor_kind, sequence);
   create index records_by_actor_name on records (actor_name, sequence) where actor_name is not null;
   create index records_by_request on records (request_id, sequence);
   create index records_by_action on records (action, sequence);
   create index records_by_outcome on records (outcome, sequence);
   create index records_by_code on records (code, sequence) where code is not null;
   create index records_by_mapping on records (mapping, sequence) where mapping is not null;
   create index records_by_namespace on records (namespace, sequence) where namespace is not null;
   create index records_by_secret on records (secret, sequence) where secret is not null;
   create index records_by_before on records (fingerprint_before, sequence) where fingerprint_before is not null;
   create index records_by_after on records (fingerprint_after, sequence) where fingerprint_after is not null;
   create table record_sources (
     sequence bigint not null,
     store text collate "C" not null,
     key text collate "C" not null,
     version text collate "C" not null
   );
   create index record_sources_by_sequence on record_sources (sequence);
   create index record_sources_by_store on record_sources (store, sequence);
   create index record_sources_by_key on record_sources (key, sequence);
   create table open_intents (
     sequence bigint primary key,
     request_id text collate "C" not null,
     namespace text collate "C" not null,
     secret text collate "C" not null,
     attempt bigint not null,
     replica text collate "C" not null,
     since timestamptz not null default clock_timestamp(),
     left_behind boolean not null default false
   );
   create index open_intents_by_request on open_intents (request_id);
   create table head (
     id int primary key check (id = 1),
     sequence bigint not null,
     hash text collate "C" not null
   ) with (fillfactor = 20);
   insert into head values (1, 0, repeat('0', 64));
   create table compatibility (
     id int primary key check (id = 1),
     schema_version int not null,
     oldest_reader int not null,
     oldest_writer int not null
   );
   insert into compatibility values (1, 0, 1, 1);`,
  // Replicas of the previous release may append during the migration. No record may be missed between the copy and the
  // creation of the trigger.
  `lock table records in share row exclusive mode;
   ${tablesOfSchema2({ integer: 'bigint', text: 'text collate "C"', table: '', index: '' })}
   create function note_records() returns trigger language plpgsql set search_path = ${SCHEMA_NAME}, pg_temp as $$
   begin
     insert into facets select ${FACETS_OF_RECORDS} from added records on conflict do nothing;
     insert into spans select ${SPANS_OF_RECORDS} from added group by 1 on conflict (block) do update
       set since = least(spans.since, excluded.since), until = greatest(spans.until, excluded.until);
     insert into targets select distinct coalesce(namespace, ''), secret from added
       where secret is not null and action in (${TARGET_CHANGES_SQL}) on conflict do nothing;
     return null;
   end $$;
   create trigger records_noted after insert on records referencing new table as added
     for each statement execute function note_records()`,
  // The index includes the namespace, because many namespaces may have a Secret with the same name.
  `create index records_by_target on records (secret, namespace, sequence) where secret is not null;
   drop index records_by_secret`,
];

export const SCHEMA_VERSION = MIGRATIONS.length;

export interface Compatibility {
  readonly schema_version: number;
  readonly oldest_reader: number;
  readonly oldest_writer: number;
}

/** Refuses a store whose schema is too new for this release to read or, for a writer, to write. */
export function checkVersion(compatibility: Compatibility, use: 'read' | 'write'): void {
  const { schema_version: version, oldest_reader: reader, oldest_writer: writer } = compatibility;
  if ((use === 'read' ? reader : writer) > SCHEMA_VERSION) throw newerSchema(version, SCHEMA_VERSION);
}

/** Needs only the `select` privilege, which may be all that a reader has. */
export async function checkStore(session: Session): Promise<number> {
  const compatibility = await readVersion(session);
  if (compatibility === undefined) throw auditUnavailable('it holds no audit log yet');
  checkVersion(compatibility, 'read');
  return compatibility.schema_version;
}

/**
 * If replicas start together, one of them migrates, and the others then find an up-to-date store. An up-to-date store
 * needs no privilege to migrate.
 */
export async function migrate(session: Session): Promise<void> {
  if (await isCurrent(session)) return;
  await lock(session);
  try {
    if (!(await isCurrent(session))) await session.script(await pending(session), MIGRATION_MS);
    await session.script('commit', MIGRATION_MS);
  } catch (error) {
    if (session.open) await session.script('rollback');
    throw error;
  }
}

/** A migration copies parts of the store: about one minute for five million records. */
const MIGRATION_MS = 15 * 60_000;

/** Waits longer than `lock_timeout`, because another process may be migrating. */
async function lock(session: Session): Promise<void> {
  const deadline = performance.now() + MIGRATION_MS;
  for (;;) {
    try {
      await session.script(`begin; select pg_advisory_xact_lock(${lockKey('migrate')})`);
      return;
    } catch (error) {
      if (!isLocked(error) || performance.now() >= deadline) throw error;
      await session.script('rollback');
    }
  }
}

async function isCurrent(session: Session): Promise<boolean> {
  const compatibility = await readVersion(session);
  if (compatibility === undefined) return false;
  checkVersion(compatibility, 'write');
  return compatibility.schema_version >= SCHEMA_VERSION;
}

async function pending(session: Session): Promise<string> {
  const compatibility = await readVersion(session);
  const steps = MIGRATIONS.slice(compatibility?.schema_version ?? 0);
  const current = `update compatibility set schema_version = ${SCHEMA_VERSION}`;
  if (compatibility !== undefined) return [...steps, current].join(';');
  // An administrator may have created an empty schema for us.
  const [state] = (await session.query(
    `select (select count(*) from pg_namespace where nspname = $1) as schemas,
       (select count(*) from pg_class where relnamespace = (select oid from pg_namespace where nspname = $1)) as things`,
    [SCHEMA_NAME],
  )) as readonly { readonly schemas: number; readonly things: number }[];
  if ((state?.things ?? 0) > 0) throw unusableStore(`its schema ${SCHEMA_NAME} belongs to another program`);
  const schema = state?.schemas === 0 ? [`create schema ${SCHEMA_NAME}`] : [];
  return [...schema, ...steps, current].join(';');
}

/**
 * Reads the catalog directly. `to_regclass` would not see tables that another process created while this one waited for
 * the lock.
 */
async function readVersion(session: Session): Promise<Compatibility | undefined> {
  const compatibility = await session.query(
    `select from pg_class where relname = 'compatibility'
       and relnamespace = (select oid from pg_namespace where nspname = $1)`,
    [SCHEMA_NAME],
  );
  if (compatibility.length === 0) return undefined;
  const rows = await session.query(
    `select schema_version, oldest_reader, oldest_writer from ${SCHEMA_NAME}.compatibility`,
  );
  return rows[0] as Compatibility | undefined;
}
