import { auditUnavailable, otherSchema, unusableStore } from '../errors.ts';
import { SCHEMA_VERSION, tablesOf } from '../records/schema.ts';
import { isLocked } from './errors.ts';
import { lockKey } from './locks.ts';
import { SCHEMA_NAME, type Session } from './session.ts';

/**
 * The collation compares bytes. So times can be compared as text, and names have the same order as in SQLite. The pages
 * of the table `head` have free space, so an update of its only row needs no new page.
 */
const TABLES = `${tablesOf({
  integer: 'bigint',
  text: 'text collate "C"',
  table: '',
  index: '',
  head: ' with (fillfactor = 20)',
  intentColumns: `,
      since timestamptz not null default clock_timestamp(),
      left_behind boolean not null default false`,
  fingerprintIndex: 'fingerprint, sequence',
})}
  create table schema_version (version int not null);
  insert into schema_version values (${SCHEMA_VERSION})`;

export function checkVersion(version: number): void {
  if (version !== SCHEMA_VERSION) throw otherSchema(version, SCHEMA_VERSION);
}

/** Checks that the store has our tables. Needs only the `select` privilege, because a reader may have no other one. */
export async function checkStore(session: Session): Promise<void> {
  if (!(await hasTables(session))) throw auditUnavailable('it holds no audit log yet');
}

/**
 * Creates the tables if they do not exist. If several replicas start together, only one of them creates the tables. If
 * the tables exist, no privilege to create anything is needed.
 */
export async function createTables(session: Session): Promise<void> {
  if (await hasTables(session)) return;
  await lock(session);
  try {
    if (!(await hasTables(session))) await session.script(await creation(session));
    await session.script('commit');
  } catch (error) {
    if (session.open) await session.script('rollback');
    throw error;
  }
}

const LOCK_TIMEOUT_MS = 60_000;

/**
 * Takes the lock for creating the tables. Waits longer than `lock_timeout`, because another process may hold the lock
 * while it creates the tables.
 */
async function lock(session: Session): Promise<void> {
  const deadline = performance.now() + LOCK_TIMEOUT_MS;
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

async function creation(session: Session): Promise<string> {
  // An administrator may have created an empty schema for us.
  const [state] = (await session.query(
    `select (select count(*) from pg_namespace where nspname = $1) as schemas,
       (select count(*) from pg_class where relnamespace = (select oid from pg_namespace where nspname = $1)) as things`,
    [SCHEMA_NAME],
  )) as readonly { readonly schemas: number; readonly things: number }[];
  if ((state?.things ?? 0) > 0) throw unusableStore(`its schema ${SCHEMA_NAME} belongs to another program`);
  return state?.schemas === 0 ? `create schema ${SCHEMA_NAME}; ${TABLES}` : TABLES;
}

/**
 * Whether the tables exist. Refuses a store with another schema version. Reads the catalog directly: `to_regclass`
 * would not see tables that another process created while this one waited for the lock.
 */
async function hasTables(session: Session): Promise<boolean> {
  const tables = await session.query(
    `select from pg_class where relname = 'schema_version'
       and relnamespace = (select oid from pg_namespace where nspname = $1)`,
    [SCHEMA_NAME],
  );
  if (tables.length === 0) return false;
  const [row] = (await session.query(`select version from ${SCHEMA_NAME}.schema_version`)) as readonly {
    readonly version: number;
  }[];
  checkVersion(row?.version ?? 0);
  return true;
}
